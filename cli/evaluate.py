"""`skelmae evaluate`: accuracy of a classifier on a split."""

import click

from . import options
from .printing import echo, more_people, progress, table, to_json

CONFUSED = 5


def _summary(result, names):
    """Accuracies as aligned text, then the most frequent confusions of these classes."""
    rows = [("sequences", result["num_samples"]), ("clips", result["num_clips"])]
    for key, text in (("top1", "top-1 %"), ("top5", "top-5 %"), ("mean_class", "mean class %")):
        rows.append((text, f"{100 * result[key]:.2f}"))
    fit = result["calibration"]["after"]
    if fit:
        rows.append(("negative log-likelihood", f"{fit['nll']:.3f}"))
        rows.append(("calibration error %", f"{100 * fit['ece']:.1f} (chance alone: {100 * fit['ece_floor']:.1f})"))
    lines = [f"{result['model']} on {result['data']} ({result['split']})", table(rows)]
    if result["nobody_seen"]:
        lines.append(f"  in {result['nobody_seen']} of these sequences nobody was seen: they count as wrong")
    if result["more_people"]:
        lines.append(more_people(result["more_people"]))
    if result["seen_in_training"]:
        lines.append(f"  {result['seen_in_training']} of these sequences were trained on: the figures flatter")
    if result["seen_in_pretraining"]:
        lines.append(f"  {result['seen_in_pretraining']} of these sequences were seen while pre-training")
    if "nothing_known" in result:
        told = f"  {result['nothing_known']} of these sequences would be told as nothing known"
        lines.append(f"{told}; in the accuracy their nearest class counts")
    if result["calibration"]["fitted_on"]:
        told = f"  the temperature was fitted on {result['calibration']['fitted_on']} of these sequences"
        lines.append(f"{told}: their calibration flatters, their accuracy does not")
    counts = [(count, true, guess) for true, row in enumerate(result["confusion"]) for guess, count in enumerate(row)]
    wrong = [entry for entry in counts if entry[0] and entry[1] != entry[2]]
    if wrong:
        worst = sorted(wrong, key=lambda entry: (-entry[0], entry[1], entry[2]))[:CONFUSED]
        rows = [(int(count), names[true], "taken for", names[guess]) for count, true, guess in worst]
        lines += ["  most often confused:", table(rows, indent="    ")]
    return "\n".join(lines)


@options.command("evaluate")
@click.argument("model", type=options.MODEL)
@options.stores_argument
@options.split_option("test", 'A split of the store, all, or made on the spot: "subject=217", "camera=1", "ids=FILE".')
@click.option(
    "--clips", type=click.IntRange(1), default=1, help="Clips sampled from a sequence, their probabilities averaged."
)
@click.option("--batch-size", type=click.IntRange(1), default=64, help="Clips in a batch.")
@options.overlap_flag
@options.output_file("Write all figures to this file as JSON.", metavar="OUT.json")
@options.report_flag
@options.json_flag
def command(model, data, test_split, clips, batch_size, allow_overlap, output, report, as_json):
    """Measure MODEL (a run folder or .keras file) on a split of DATA.h5: top-1, top-5, mean-class accuracy.

    A run folder's report.html is written again with these figures.

    \b
    Example:
      skelmae evaluate runs/fine ntu60.h5 --test-split xsub_val --clips 10 --output result.json
    """
    if output is not None:
        options.FOLDER.check(output.absolute().parent)

    from skelmae_datasets.files import write_text
    from skelmae_datasets.runs.run_folder import METRICS
    from skelmae_datasets.runs.splits import measured_split

    with options.open_data(data) as store, progress("Evaluating") as callback:
        measured_split(model, store, test_split, allow_overlap)

        from keras_skelmae.evaluation import evaluate_model

        measured = evaluate_model(
            model, store, test_split, clips, batch_size, progress=callback, allow_overlap=allow_overlap
        )
        if report and (model / METRICS).is_file():  # a run folder, not a .keras file alone
            from keras_skelmae.report.evidence import measure_evaluated
            from keras_skelmae.report.page import write_report

            measure_evaluated(model, store, measured)
            write_report([model])
    if output is not None:
        write_text(output, to_json(measured.result) + "\n")
    echo(measured.result, as_json, lambda: _summary(measured.result, measured.model.names))
