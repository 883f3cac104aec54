#!/usr/bin/env bash
# Weights of the package fitted to a split's own clips without their labels, three seeds: the table of docs/results.md.
#
#   benchmarks/own.sh jhmdb.h5 train1 test1 coco17-motion runs/own-jh1
#
# Broken off, it goes on where it stopped. What follows the folder goes to every training: --epochs 1 for a trial.
set -euo pipefail
data=$1 train=$2 test=$3 weights=$4 runs=$5
shift 5
for seed in 0 1 2; do
  skelmae pretrain "$data" --train-split "$train" --pretrained "$weights" --output "$runs/pre-$seed" --seed $seed --resume \
    --no-report "$@"
done
"$(dirname "${BASH_SOURCE[0]}")/weights.sh" "$data" "$train" "$test" "$runs/pre-{seed}" "$runs" --no-random "$@"
