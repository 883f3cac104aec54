"""Time one thing of ours in a process of its own: a training step, or a prediction. Prints one JSON line.

    KERAS_BACKEND=tensorflow python benchmarks/steps.py pretrain --batch 32 --steps 30

The network is the paper's (D 64, L_D 3, M 3, T 64, COCO's 17 joints) if not said otherwise, with the layer
normalisation of the PyTorch peers. Steps run through `fit` with Adam or SGD as there; batches are made before the
clock runs.
"""

import argparse
import json
import resource
import statistics
import tempfile
import time

import keras
import numpy as np

from keras_skelmae.fast.networks.batch_slices import prediction_function, suggest_slices, train_in_slices
from keras_skelmae.fast.networks.devices import kept_on_device
from keras_skelmae.fast.networks.trimmed_mae import TrimmedMAE, can_trim
from keras_skelmae.models import SkeletonEncoder, SkeletonMAE, SkeletonPreprocessor, STRLBackbone, STRLClassifier
from skelmae_datasets import SkeletonLayout, get_layout

CLASSES = 60
MANY = 1_000_000  # batches, for which compiling a prediction is worth while


def skeleton(joints):
    """COCO's for 17 joints, else a binary tree of two parts."""
    if joints == 17:
        return get_layout("coco17")
    return SkeletonLayout(
        f"tree{joints}",
        tuple(f"j{joint}" for joint in range(joints)),
        tuple((joint, (joint - 1) // 2) for joint in range(1, joints)),
        (),
        {"first": tuple(range(joints // 2)), "second": tuple(range(joints // 2, joints))},
    )


class Batches(keras.utils.PyDataset):
    def __init__(self, made, count):
        super().__init__()
        self.made, self.count = made, count

    def __len__(self):
        return self.count

    def __getitem__(self, number):
        return self.made[number % len(self.made)]


class Clock(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.times, self.starts = [], []  # seconds, and how many there were when each epoch began

    def on_epoch_begin(self, epoch, logs=None):
        self.starts.append(len(self.times))

    def on_train_batch_end(self, batch, logs=None):  # of several steps per execution the last one
        self.times.append(time.perf_counter())


def timed(call, count, warm=3):
    """Seconds of so many calls after a few that do not count."""
    times = []
    for _ in range(warm + count):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return times[warm:]


def encoder_of(options, people):
    """The graph encoder for clips of so many people."""
    layout, sizes = skeleton(options.joints), {"num_frames": options.frames, "num_people": people}
    preprocessor = SkeletonPreprocessor(layout, normalize="none", **sizes)
    return SkeletonEncoder(preprocessor, options.units, options.layers, normalization=options.normalization)


def pretraining(options, rng):
    """(model, six batches, one for each body part, share of the joints' layers that are computed)."""
    model = SkeletonMAE(encoder_of(options, 1), remedy="stop_gradient", loss_function="sce", remask="token")
    layout, trim, used, made = model.preprocessor.layout, None, [], []
    if options.shared and can_trim(model):
        model = TrimmedMAE(model)
        trim = kept_on_device(model.trim)
    optimizer, together = keras.optimizers.Adam(1.5e-4), options.per_execution
    model.compile(optimizer=optimizer, jit_compile=options.jit, steps_per_execution=together)
    shape = (options.batch, 1, options.frames, layout.num_joints)
    masks, whole = np.asarray(layout.part_masks, bool), layout.num_joints * (options.layers + 1)
    for part in range(len(masks)):
        drawn = np.full(options.batch, part) if options.shared else rng.integers(0, len(masks), options.batch)
        inputs = {
            "keypoints": rng.normal(size=(*shape, 2)).astype("float32"),
            "mask": np.repeat(masks[drawn][:, None, None], options.frames, axis=2),
        }
        if trim:
            inputs["trim"] = trim(masks[part])
            joints = [*inputs["trim"]["encoder"][1:], inputs["trim"]["masked"]]
            used.append(sum(map(len, joints)) / whole)
        made.append((inputs,))
    return model, made, statistics.mean(used) if used else 1.0


def finetuning(options, rng):
    """(model, two batches, 1)."""
    backbone = STRLBackbone(encoder_of(options, options.people), options.layers)
    model = STRLClassifier(backbone, CLASSES)
    steps = options.accumulate
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9, gradient_accumulation_steps=steps if steps > 1 else None)
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    together = options.per_execution
    model.compile(optimizer=optimizer, jit_compile=options.jit, steps_per_execution=together, loss=loss)
    whole = options.whole or options.jit is False
    slices = 1 if whole or options.task == "predict" else suggest_slices(model, options.batch // steps)
    if slices > 1:
        train_in_slices(model, slices)
    shape = (options.batch // steps, *model.preprocessor.clip_shape)
    made = []
    for _ in range(2):
        x = rng.normal(size=shape).astype("float32")
        made.append((x, np.eye(CLASSES, dtype="float32")[rng.integers(0, CLASSES, shape[0])]))
    return model, made, 1.0


def onnx_function(model):
    """The model as `skelmae export --format onnx` writes it, in ONNX Runtime."""
    import onnxruntime

    from keras_skelmae.export import export_model

    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/model.keras")
        export_model(f"{folder}/model.keras", "onnx", f"{folder}/model.onnx")
        session = onnxruntime.InferenceSession(f"{folder}/model.onnx")
    return lambda x: session.run(None, {"keypoints": x})


def forward_flops(options, share):
    """Multiplications and additions of the matrix products of a forward pass."""
    tokens, units, depth = options.batch * options.frames * options.joints, options.units, options.layers
    dense, neighbours = 2 * units**2, 2 * options.joints * units
    conv = 2 * dense + neighbours
    if options.task == "pretrain":
        return tokens * ((depth + 1) * share * conv + share * dense)
    tokens *= options.people
    layer = depth * conv + 2 * dense  # encoder, residual convolution, update
    return tokens * (depth * layer + dense + 2 * 2 * 16 * 80)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=["pretrain", "finetune", "predict"])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--people", type=int, default=2)
    parser.add_argument("--joints", type=int, default=17)
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--layers", type=int, default=3, help="L_D and M")
    parser.add_argument("--jit", choices=["auto", "on", "off"], default="auto")
    parser.add_argument("--normalization", default="layer")
    parser.add_argument("--shared", action="store_true", help="one mask per batch")
    parser.add_argument("--accumulate", type=int, default=1, help="parts of the batch, one after the other")
    parser.add_argument("--whole", action="store_true", help="do not cut a batch into slices")
    parser.add_argument("--onnx", action="store_true", help="predict by the exported ONNX")
    parser.add_argument("--per-execution", type=int, default=1, help="steps that are handed over at once")
    options = parser.parse_args()
    options.jit = {"auto": "auto", "on": True, "off": False}[options.jit]
    keras.utils.set_random_seed(0)
    model, made, share = (pretraining if options.task == "pretrain" else finetuning)(options, np.random.default_rng(0))
    if options.task == "predict":
        whole, x = options.whole or options.jit is False, made[0][0]
        predict = model.predict_on_batch if whole else prediction_function(model, options.batch, MANY)
        predict = onnx_function(model) if options.onnx else predict
        times = timed(lambda: predict(x), options.steps)
    else:
        clock, parts, together = Clock(), options.accumulate, options.per_execution
        warm = 2 * len(made)  # every shape has been compiled
        model.fit(Batches(made, (warm + options.steps) * parts * together), verbose=0, shuffle=False, callbacks=[clock])
        times = np.diff(clock.times[parts - 1 :: parts])[warm - 1 :] / together
    step = float(np.median(times))
    print(
        json.dumps(
            {
                "task": options.task,
                "backend": keras.config.backend(),
                "step_s": step,
                "sequences_per_s": options.batch / step,
                "parameters": model.count_params(),
                "share": share,
                "flops": forward_flops(options, share) * (1 if options.task == "predict" else 3),
                "peak_MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
