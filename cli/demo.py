"""`skelmae demo`: the whole path on synthetic recordings, with few labels, from three starts."""

import shutil
import time

import click

from . import options
from .printing import echo, progress, table

SUBJECTS, REPETITIONS, SEED = 6, 3, 0
LABELLED, EPOCHS = 2, 40  # sequences of each action that are learned from, passes over them
PRETRAIN_EPOCHS = 100  # 400 steps: more take most of the demo's time
TRAIN_SPLIT, HELD_OUT_SPLIT = "xsub_train", "xsub_val"
WEIGHTS = "coco17-motion-3d"
STARTS = {"weights": f"weights {WEIGHTS}", "pretrained": "pre-trained here", "random": "random"}
MARKER = ".skelmae_demo"


def fresh_folder(folder):
    """Make an empty folder; replaces what an earlier demo left there, and nothing else.

    Raises:
        ValueError: the folder holds something that no demo wrote.
    """
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARKER).is_file():
            raise ValueError(f"{folder}: expected an empty folder or an earlier demo, found other files")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).touch()


def convert(folder, say):
    """Write recordings and read them into demo.h5; returns how many."""
    from skelmae_datasets import convert_ntu
    from skelmae_datasets.synthetic import write_dataset

    say(f"1/6  writing synthetic recordings to {folder / 'recordings'}")
    files = write_dataset(folder / "recordings", subjects=SUBJECTS, repetitions=REPETITIONS, seed=SEED)
    say(f"2/6  reading {len(files)} .skeleton files into {folder / 'demo.h5'}")
    with progress("     Reading") as callback:
        convert_ntu(folder / "recordings", folder / "demo.h5", progress=callback)
    return len(files)


def train(folder, store, say):
    """Pre-train once, fine-tune from every start; returns the figures of each by its name."""
    from keras_skelmae.evaluation import evaluate_model
    from keras_skelmae.report.evidence import measure_evaluated, measure_pretrained
    from keras_skelmae.training import finetune, pretrain
    from skelmae_datasets.runs.run_folder import write_ids
    from skelmae_datasets.runs.settings import resolve_settings
    from skelmae_datasets.runs.splits import few_shots

    before = resolve_settings("pretrain", seed=SEED, epochs=PRETRAIN_EPOCHS)
    after = resolve_settings("finetune", seed=SEED, epochs=EPOCHS)
    indices = store.select(TRAIN_SPLIT)
    say(f"3/6  pre-training on {len(indices)} sequences, without their labels")
    seconds = pretrain(store, TRAIN_SPLIT, folder / "pretrain", before, verbose=False)["seconds"]
    measure_pretrained(folder / "pretrain", store)
    chosen = indices[few_shots(store.labels[indices], LABELLED, SEED)]
    write_ids(folder, [store.ids[index] for index in chosen], "labelled.txt")
    say(f"4/6  fine-tuning on {len(chosen)} labelled sequences, from: {', '.join(STARTS.values())}")
    sources = {"weights": WEIGHTS, "pretrained": folder / "pretrain", "random": None}
    results = {}
    for name, source in sources.items():
        run, split = folder / f"finetune_{name}", f"ids={folder / 'labelled.txt'}"
        made = finetune(store, split, HELD_OUT_SPLIT, run, after, pretrained=source, verbose=False)
        found = evaluate_model(run, store, HELD_OUT_SPLIT)
        measure_evaluated(run, store, found)
        measured = found.result
        spent = made["seconds"] + (seconds if name == "pretrained" else 0)
        results[name] = {"top1": measured["top1"], "mean_class": measured["mean_class"], "seconds": spent}
    return results


def run_demo(folder, say=click.echo):
    """Every step in turn, each into its own file or folder below `folder`; returns the figures as a dict."""
    started = time.perf_counter()
    fresh_folder(folder)
    count = convert(folder, say)

    from keras_skelmae.evaluation import predict_files
    from keras_skelmae.export import export_model
    from keras_skelmae.report.page import write_report
    from skelmae_datasets import SkeletonStore

    with SkeletonStore(folder / "demo.h5") as store:
        held_out = [store.ids[index] for index in store.select(HELD_OUT_SPLIT)]
        starts = train(folder, store, say)
    model, recording = folder / "finetune_weights", folder / "recordings" / f"{held_out[0]}.skeleton"
    prediction = predict_files(model, [recording])[0]
    say(f"5/6  {recording.name}: {prediction['label'] or 'nothing known'} ({100 * prediction['probability']:.0f} %)")
    exported = export_model(model, output=folder / "saved_model")
    difference = f"greatest difference from the Keras model {exported['max_abs_difference']:.2g}"
    say(f"6/6  exported {exported['path']}, {difference}")
    report = write_report(
        [folder / f"finetune_{name}" for name in STARTS] + [folder / "pretrain"], folder / "report.html"
    )
    return {
        "sequences": count,
        "held_out": len(held_out),
        "starts": starts,
        "prediction": {key: prediction[key] for key in ("sample", "label", "probability")},
        "export": exported["path"],
        "report": str(report),
        "seconds": time.perf_counter() - started,
    }


def _summary(figures, output):
    rows = [("start", "top-1 %", "mean class %", "training s")]
    for name, text in STARTS.items():
        top1, mean_class, seconds = figures["starts"][name].values()
        rows.append((text, f"{100 * top1:.1f}", f"{100 * mean_class:.1f}", f"{seconds:.0f}"))
    title = (
        f"\nHeld-out subjects ({HELD_OUT_SPLIT}, {figures['held_out']} sequences), synthetic data, "
        f"{LABELLED} labelled sequences of each action:"
    )
    end = f"Everything is in {output}; {figures['seconds']:.0f} s in all."
    return "\n".join([title, table(rows), end, f"report: {figures['report']}, open it in a browser"])


@options.command("demo")
@options.output_folder("Folder for everything the demo writes.", default="skelmae_demo", metavar="DIR")
@options.json_flag
def command(output, as_json):
    """Run every step on synthetic recordings: no download, no licence, a few minutes on two cores.

    \b
    Example:
      skelmae demo --output first_steps
    """
    figures = run_demo(output, say=(lambda _: None) if as_json else click.echo)
    echo(figures, as_json, lambda: _summary(figures, output))
