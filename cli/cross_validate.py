"""`skelmae protocol cross-validate`: accuracy where nobody made a split, then a model on everything."""

import click

from . import options
from .printing import echo, progress


@options.command("cross-validate", goes_on=options.SAME_COMMAND)
@options.data_argument
@options.output_folder("Folder of folds and results; what is finished there is not repeated.", metavar="DIR")
@click.option(
    "--folds", type=click.IntRange(2), help="Parts, each of which is tested once (default: 5, or as many as subjects)."
)
@click.option("--leave-one-subject-out", "leave_one_out", is_flag=True, help="A fold for every subject.")
@click.option("--final", is_flag=True, help="Then train DIR/final on all clips.")
@click.option("--pretrained", type=options.PRETRAINED, metavar="RUN|FILE|NAME", help="What every fold starts from.")
@click.option("--seed", type=click.IntRange(0), help="Seed of the folds and the trainings.")
@options.report_flag
@options.settings_options
@options.json_flag
def command(data, output, folds, leave_one_out, final, pretrained, report, as_json, **chosen):
    """Train and test DATA.h5 by folds: by subject where known, else by file, with classes spread evenly.

    Every clip is tested once, by a network that never saw its subject. With --final a model is trained on everything;
    its metrics.json and report tell the accuracy that the folds found, and its probabilities are calibrated by their
    answers.

    \b
    Example:
      skelmae protocol cross-validate own.h5 --output runs/own --leave-one-subject-out --final
    """
    if leave_one_out and folds is not None:
        raise click.UsageError("give --folds or --leave-one-subject-out, not both")
    from skelmae_datasets import SkeletonStore
    from skelmae_datasets.runs.folds import fold_groups, thin_classes
    from skelmae_datasets.runs.saved_model import check_start

    with SkeletonStore(data) as store, progress("cross-validate") as callback:
        recipe = options.recipe_of(chosen, len(store), pretrained)
        decided = {"validation_fraction": "the folds are what is reported on"}
        settings = options.settings_of("finetune", recipe, chosen, decided=decided)
        indices, groups, kind, count = fold_groups(store, folds, leave_one_out)
        if pretrained is not None:
            check_start(pretrained, store)

        if not as_json:
            count = len(set(groups)) if leave_one_out else count
            click.echo(f"recipe {recipe}, {len(indices)} sequences, {count} folds by {kind}")

        from keras_skelmae.experiments import cross_validate, cross_validation_table

        named = {"folds": folds, "leave_one_out": leave_one_out, "final": final, "pretrained": pretrained}
        summary = cross_validate(store, output, settings, progress=callback, **named)
        alone, few = thin_classes(store, indices, groups)
    echo(summary, as_json, lambda: cross_validation_table(summary))
    if alone:
        told = f"all clips of one {kind}, so that no network tested on them was trained on them: {', '.join(alone)}"
        click.echo(told, err=as_json)
    if few:
        told = ", ".join(f"{name} ({count})" for name, count in few.items())
        click.echo(f"fewer than five clips: {told}", err=as_json)
    if final and report:
        from keras_skelmae.report.page import write_report

        write_report([summary["final"]])
