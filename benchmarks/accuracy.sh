#!/usr/bin/env bash
# Pre-trained against random initialisation on one split of a store, three seeds: the README's table of results.
#
#   benchmarks/accuracy.sh jhmdb.h5 train1 test1 runs/jh1
#
# Each protocol measures both starts with the same settings. Broken off, it goes on where it stopped. What follows the
# folder goes to every training: --epochs 1 for a trial.
set -euo pipefail
data=$1 train=$2 test=$3 runs=$4
shift 4
more=("$@")
for seed in 0 1 2; do
  skelmae pretrain "$data" --train-split "$train" --output "$runs/pre-$seed" --seed $seed --resume --no-report \
    --set objective=contrastive --set flip=0.5 "${more[@]}"
done
measure() {
  protocol=$1
  shift
  skelmae protocol "$protocol" "$data" --train-split "$train" --test-split "$test" --seeds 0,1,2 \
    --pretrained "$runs/pre-{seed}" --output "$runs/$protocol" "$@"
}
measure linear --fraction 0.1,1
measure semi --fraction 0.1 --epochs 120 "${more[@]}"
measure finetune "${more[@]}"
