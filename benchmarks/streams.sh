#!/usr/bin/env bash
# Classifiers of three streams on one split of a store, three seeds, and their fusion: the README's fused figures.
#
#   benchmarks/streams.sh jhmdb.h5 train1 test1 runs/streams-jh1
#
# Broken off, it goes on where it stopped. What follows the folder goes to every training: --epochs 1 for a trial.
set -euo pipefail
data=$1 train=$2 test=$3 runs=$4
shift 4
more=("$@")
measure() {
  stream=$1
  shift
  skelmae protocol finetune "$data" --train-split "$train" --test-split "$test" --seeds 0,1,2 --output "$runs/$stream" "$@" \
    "${more[@]}"
}
measure joint
measure bone --set 'streams=["bone","motion"]' --set 'body_streams=["features","bone","distance","motion","motion2"]'
measure motion --set 'streams=["motion"]' --set 'body_streams=["features","motion","motion2"]'
for seed in 0 1 2; do
  run=random/finetune-1-$seed/run
  [ -d "$runs/fused-$seed" ] || skelmae fuse "$runs/joint/$run" "$runs/bone/$run" "$runs/motion/$run" --weights 2,2,1 \
    --output "$runs/fused-$seed"
  skelmae evaluate "$runs/fused-$seed" "$data" --test-split "$test" --output "$runs/fused-$seed.json"
done
