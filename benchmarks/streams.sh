#!/usr/bin/env bash
# Classifiers of three streams on one split of a store, three seeds, and their fusion: the README's fused figures.
#
#   benchmarks/streams.sh jhmdb.h5 train1 test1 runs/streams-jh1
#
# Broken off, it goes on where it stopped. What follows the folder goes to every training: --epochs 1 for a trial. With
# WEIGHTS=coco17-motion before it the stream of joints starts from these weights, in a fusion of its own beside the other.
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
[ -z "${WEIGHTS:-}" ] || measure weights --pretrained "$WEIGHTS"
fuse() {
  name=$1 first=$2
  for seed in 0 1 2; do
    run=finetune-1-$seed/run
    [ -d "$runs/$name-$seed" ] || skelmae fuse "$runs/$first/$run" "$runs/bone/random/$run" "$runs/motion/random/$run" \
      --weights 2,2,1 --output "$runs/$name-$seed"
    skelmae evaluate "$runs/$name-$seed" "$data" --test-split "$test" --output "$runs/$name-$seed.json"
  done
}
fuse fused joint/random
[ -z "${WEIGHTS:-}" ] || fuse fused-weights weights/pretrained
