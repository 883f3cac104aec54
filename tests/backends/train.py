"""One process of the tests of several devices: `train.py FOLDER STORE [DEVICES]` pre-trains and fine-tunes briefly.

Two devices report the pre-training, two processes the fine-tuning: reports are compiled, too.
"""

import json
import os
import sys
from pathlib import Path

TINY = ("units=8", "encoder_layers=1", "num_frames=8", "batch_size=8", "warmup_epochs=0", "epochs=3")
# Adam would make the sign of a gradient of almost nothing count
TINY += ("optimizer=sgd", "learning_rate=0.01")
FINE = ("num_layers=1", "temporal_units=[8,8]", "body_streams=features,motion2", "temporal_strides=[]")
FINE += ("dropout_rate=0", "temporal_dropout=0")


def main(folder, store, devices):
    from click.testing import CliRunner

    from keras_skelmae.fast.networks.devices import VARIABLES
    from skelmae_cli.main import cli

    settings = [part for setting in TINY for part in ("--set", setting)] + (["--devices", devices] if devices else [])
    more = [part for setting in FINE for part in ("--set", setting)]
    more += [] if VARIABLES[0] in os.environ else ["--no-report"]
    for line in (
        [
            "pretrain",
            store,
            "--train-split",
            "xsub_train",
            "--output",
            folder / "pre",
            *settings,
            *([] if devices else ["--no-report"]),
        ],
        [
            "finetune",
            store,
            "--train-split",
            "xsub_train",
            "--val-split",
            "xsub_val",
            "--output",
            folder / "fine",
            *settings,
            *more,
        ],
    ):
        done = CliRunner().invoke(cli, [str(part) for part in line])
        if done.exit_code:
            sys.exit(f"{done.output}\n{done.exception!r}")

    from keras_skelmae.data import SequenceSource
    from keras_skelmae.fast.networks.devices import _STATE

    print(json.dumps({**_STATE, "reads": SequenceSource.reads}))


if __name__ == "__main__":
    from keras_skelmae.data import SequenceSource

    read, SequenceSource.reads = SequenceSource.read, 0

    def counted(self, index):
        SequenceSource.reads += 1
        return read(self, index)

    SequenceSource.read = counted
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None)
