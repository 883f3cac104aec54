"""What to do next where something about a run is off, one sentence each."""

import math

from keras_skelmae.report.run_folder import class_counts

NEAR_CHANCE = 1.3  # times what guessing gets
FAR_ABOVE = 0.25  # of the accuracy on training clips over that on others
LOW = 0.6  # accuracy on the clips that were trained on
NAMED = 5


def advice(run):
    """Sentences for a RunFolder, none where nothing is off."""
    loss = run.metrics.get("loss")
    if loss is not None and not math.isfinite(loss):
        return ["The loss is no number: train with a smaller rate, such as --set learning_rate=1e-4."]
    return list(_pretrained(run) if run.stage == "pretrain" else _finetuned(run))


def _pretrained(run):
    if run.metrics.get("collapsed") and run.settings.get("objective", "masked") != "masked":
        yield "All clips get nearly the same vector, nothing is learned: more clips, or --set learning_rate=1e-4."
    elif run.metrics.get("collapsed"):
        yield (
            "The target has collapsed, all its vectors point the same way and nothing is learned: --set "
            "remedy=variance holds them apart, --set target=coordinates needs no remedy."
        )
    compared = run.reconstruction.compared if run.reconstruction else {}
    if compared.get("error") is not None and compared["error"] >= compared["mean_pose"]:
        yield (
            "Masked joints are put no nearer than the mean pose has them: train longer (--epochs), and look with "
            "skelmae show whether the joints are those of the layout."
        )


def _finetuned(run):
    metrics, found = run.metrics, run.evaluation
    if found:
        totals = class_counts(found)
        missing = [name for name, total in totals.items() if not total]
        if missing:
            named = ", ".join(missing[:NAMED]) + (f" and {len(missing) - NAMED} more" if len(missing) > NAMED else "")
            yield f"No clip of {named} was measured: choose a split that has all classes."
        if found["top1"] < NEAR_CHANCE / len(totals):
            yield (
                "Top-1 is near what guessing gets: look at a few clips with skelmae show (upright, left and right in "
                "place?), at the labels in skelmae info, then train longer (--epochs)."
            )
            return
    if metrics.get("val_accuracy") is None:  # nothing was held out
        return
    if metrics["accuracy"] - metrics["val_accuracy"] > FAR_ABOVE:
        yield (
            f"Training clips are known far better than others ({100 * metrics['accuracy']:.0f} against "
            f"{100 * metrics['val_accuracy']:.0f} %): more people recorded help most, then pre-training on all clips "
            "without labels (skelmae pretrain, --pretrained), then stronger changes (--set rotate=0.5 --set scale=0.2)."
        )
    elif metrics["accuracy"] < LOW:
        yield "Not even the training clips are known: train longer (--epochs), or take --recipe strong."
