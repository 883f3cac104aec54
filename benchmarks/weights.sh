#!/usr/bin/env bash
# Weights of the package against the same network at random, one split of a store, three seeds: the table of docs/results.md.
#
#   benchmarks/weights.sh jhmdb.h5 train1 test1 coco17-motion runs/weights-jh1
#
# Both starts have the same settings and epochs. Broken off, it goes on where it stopped. What follows the folder goes to
# every training: --epochs 1 for a trial.
set -euo pipefail
data=$1 train=$2 test=$3 weights=$4 runs=$5
shift 5
more=("$@")
measure() {
  protocol=$1
  shift
  skelmae protocol "$protocol" "$data" --train-split "$train" --test-split "$test" --seeds 0,1,2 --pretrained "$weights" \
    --output "$runs/$protocol" "$@"
}
measure linear --fraction 0.1,1 --shots 1,5
measure semi --fraction 0.1 --shots 1,5 --epochs 120 "${more[@]}"
measure finetune "${more[@]}"
