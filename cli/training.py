"""What pretrain and finetune have in common."""

import shlex

import click

from . import options
from .printing import echo

CROSS_VALIDATE = "a part is set aside to validate on; with few clips `skelmae protocol cross-validate` tells more"
CALIBRATION = {"nll": "negative log-likelihood", "ece": "calibration error"}
REPORT = "report.html"


def run_training(stage, data, output, splits, chosen, **named):
    """Train as the options of `training_options` say, write the report, tell the figures.

    Args:
        stage: "pretrain" or "finetune". splits: of the stage's function; `named`: its further arguments.
    """
    named |= {key: chosen[key] for key in ("resume", "force", "minutes")}
    if chosen["force"] and not chosen["resume"]:
        raise click.UsageError("--force goes with --resume")
    if named.get("allow_overlap") and splits[1] is None:
        raise click.UsageError("--allow-overlap is of --val-split: a part that is set aside is not trained on")
    with options.open_data(data, labelled=stage == "finetune") as store:
        samples = store.select(splits[0])
        count, labelled = len(samples), bool((store.labels[samples] >= 0).all())
        recipe = options.recipe_of(chosen, count, named["pretrained"])
        usual = _objective_after(named["pretrained"]) if stage == "pretrain" else None
        decided = {"validation_fraction": "--val-split is what is set aside"} if any(splits[1:]) else None
        settings = options.settings_of(stage, recipe, _resumed(output, chosen), usual=usual, decided=decided)
        _check(stage, store, output, splits, settings, named)

        from keras_skelmae import training
        from keras_skelmae.fast.networks.devices import is_writer, use_devices

        use_devices(chosen["devices"])
        writes = is_writer()
        if writes and not chosen["as_json"]:
            told = f", objective {usual}" if usual == settings.pretrain.objective else ""
            click.echo(f"recipe {recipe}{told}, {count} sequences")
            if stage == "finetune" and splits[1] is None and settings.finetune.validation_fraction:
                click.echo(CROSS_VALIDATE)
        named |= {"verbose": writes and not chosen["as_json"], "callbacks": _callbacks(output, chosen)}
        metrics = getattr(training, stage)(store, *splits, output, settings, **named)
        if writes and chosen["report"]:
            _report(stage, output, store, told=not chosen["as_json"])
        next_one = _next(stage, str(output), list(map(str, data)), labelled, _aim(stage, settings, store), *splits)
        next_one += ["--allow-overlap"] if metrics.get("overlap") else []
    if writes:
        told = {"run": str(output), **metrics}
        echo(told, chosen["as_json"], lambda: "\n".join(_summary(stage, output, metrics, next_one)))


def _objective_after(pretrained):
    """What a pre-training that goes on does, unless told otherwise; None where it begins."""
    from skelmae_datasets.runs.saved_model import objective_after

    return None if pretrained is None else objective_after(pretrained)


def _check(stage, store, output, splits, settings, named):
    """What the training itself refuses, before Keras is imported: that takes seconds."""
    from skelmae_datasets.runs.run_folder import check_new
    from skelmae_datasets.runs.splits import check_training

    if not named["resume"]:
        check_new(output)
    check_training(stage, store, splits, settings, named["pretrained"], named.get("allow_overlap", False))


def _summary(stage, output, metrics, next_one):
    """What was written, the accuracy of the model that was saved, where the report is, and what may come next."""
    yield f"{output}: {', '.join(sorted(path.name for path in output.iterdir()))}"
    if stage == "finetune":
        counts = {"accuracy": ("num_sequences", "training"), "val_accuracy": ("num_validation", "validation")}
        found = [
            f"{100 * metrics[key]:.1f} % of {metrics[n]} {word} clips"
            for key, (n, word) in counts.items()
            if metrics[key] is not None
        ]
        told = f" (weights of epoch {metrics['epoch']})" if metrics["select"] == "best" else ""
        told += _mirror(metrics)
        yield f"the saved model knows {' and '.join(found)}{told}"
        if metrics["rare_classes"]:
            rare = ", ".join(f"{name} ({count})" for name, count in metrics["rare_classes"].items())
            yield f"fewer than five training clips: {rare}"
        yield from _calibration(metrics.get("calibration"))
    if (output / REPORT).is_file():
        yield f"report: {output / REPORT}"
    yield f"next: {shlex.join(next_one)}"


def _mirror(metrics):
    """What becomes of mirror images; "" where they do not count."""
    if not metrics["mirror"]:
        return ""
    sided = metrics["one_sided"]
    told = f", but for what looks like {', '.join(sided[:3])}{' ...' * (len(sided) > 3)}" if sided else ""
    return f"; it averages a clip and its mirror image (mirror = auto){told}"


def _aim(stage, settings, store):
    """The objective of a pre-training, "lifted" where its network takes 2D and the store is in 3D; None of others."""
    from skelmae_datasets.runs.saved_model import seen_by

    if stage != "pretrain":
        return None
    chosen = settings.pretrain
    return "lifted" if chosen.objective == "complete" and seen_by(chosen.camera, store) else chosen.objective


def _next(stage, output, data, labelled, aim, train_split, val_split=None):
    """The words of the command that most people want after a training; `aim` as of :func:`_aim`."""
    if stage == "finetune" and val_split is None:
        return ["skelmae", "predict", output, *data]
    if stage == "finetune":
        return ["skelmae", "evaluate", output, *data, "--test-split", val_split]
    if aim == "lifted":
        return ["skelmae", "finetune", "DATA_IN_2D.h5", "--train-split", "NAME", "--pretrained", output]
    if labelled:
        named = ("--train-split", train_split, "--output", f"{output}-fine", "--pretrained", output)
        return ["skelmae", "finetune", *data, *named]
    if aim == "masked":
        return ["skelmae", "reconstruct", output, *data, "--output", f"{output}.png"]
    return ["skelmae", "embed", output, *data, "--output", f"{output}.npz"]


def _calibration(found):
    """A line on how well probabilities fit; none where no clips were looked at."""
    if not found or not found["after"]:
        return []
    if found["reason"]:
        return [f"its probabilities are not calibrated: {found['reason']}"]
    pairs = (f"{text} {found['before'][key]:.3f} -> {found['after'][key]:.3f}" for key, text in CALIBRATION.items())
    return [f"its probabilities have temperature {found['temperature']:.2f}: {', '.join(pairs)}"]


def _resumed(output, chosen):
    """The options of a training; with --resume its settings are those of the run, unless one chose others."""
    from skelmae_datasets.runs.run_folder import SETTINGS

    own = output / SETTINGS
    if chosen["resume"] and chosen["config_file"] is None and chosen["recipe"] is None and own.is_file():
        return {**chosen, "config_file": own}
    return chosen


def _callbacks(output, chosen):
    """What --tensorboard adds to a training."""
    if not chosen["tensorboard"]:
        return ()
    from keras_skelmae.training.progress import tensorboard

    return (tensorboard(output / "tensorboard"),)


def _report(stage, output, store, told):
    """Write RUN/report.html after a training.

    What the model itself has to be asked for is left out on several devices: other processes would not take part.
    """
    if told:
        click.echo(f"writing {output / REPORT}")
    from keras_skelmae.fast.networks.devices import device_count
    from keras_skelmae.report import evidence
    from keras_skelmae.report.page import write_report

    if device_count() == 1:
        measure = {"pretrain": evidence.measure_pretrained, "finetune": evidence.measure_finetuned}[stage]
        measure(output, store)
    write_report([output])
