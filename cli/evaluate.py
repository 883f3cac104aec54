"""`skelmae evaluate`: accuracy of a classifier on a split."""

from __future__ import annotations

from pathlib import Path

import click

from .errors import expected_errors
from .options import existing_path, json_file, open_data, progress, report_flag, require, table, to_json

CONFUSED = 5


def _summary(result: dict) -> str:
    """Accuracies as aligned text, then the most frequent confusions."""
    rows = [("sequences", result["num_samples"]), ("clips", result["num_clips"])]
    for key, text in (("top1", "top-1 %"), ("top5", "top-5 %"), ("mean_class", "mean class %")):
        rows.append((text, f"{100 * result[key]:.2f}"))
    lines = [f"{result['model']} on {result['data']} ({result['split']})", table(rows)]
    names, matrix = list(result["per_class"]), result["confusion"]
    wrong = sorted(
        (
            (count, true, guess)
            for true, row in enumerate(matrix)
            for guess, count in enumerate(row)
            if count and true != guess
        ),
        key=lambda entry: (-entry[0], entry[1], entry[2]),
    )
    if wrong and len(names) == len(matrix):
        lines.append("  most often confused:")
        lines.append(
            table(
                [
                    (int(count), names[true], "taken for", names[guess])
                    for count, true, guess in wrong[:CONFUSED]
                ],
                indent="    ",
            )
        )
    return "\n".join(lines)


@click.command("evaluate")
@click.argument("model", type=existing_path)
@click.argument("data", type=existing_path, nargs=-1, required=True, metavar="DATA.h5...")
@click.option(
    "--split",
    required=True,
    metavar="NAME",
    help='A split of the store, all, or made on the spot: "subject=217", "camera=1", "ids=FILE".',
)
@click.option(
    "--clips",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Clips sampled from a sequence, their probabilities averaged.",
)
@click.option(
    "--batch-size", type=click.IntRange(min=1), default=64, show_default=True, help="Clips in a batch."
)
@click.option(
    "--allow-overlap", is_flag=True, help="Also measure sequences that the model was trained on, which flatters it."
)
@report_flag
@json_file
@expected_errors
def command(
    model: Path, data: tuple[Path, ...], split: str, clips: int, batch_size: int, allow_overlap: bool, report: bool,
    json_path: str | None,
):  # fmt: skip
    """Measure MODEL (a run folder or .keras file) on a split of DATA.h5: top-1, top-5, mean-class accuracy.

    A run folder's report.html is written anew with these figures.

    \b
    Example:
      skelmae evaluate runs/fine ntu60.h5 --split xsub_val --clips 10 --json result.json
    """
    require(model, "any")
    for path in data:
        require(path, "any")
    if json_path not in (None, "-"):
        require(Path(json_path).absolute().parent, "folder")

    from keras_skelmae.training import evaluate_model

    with open_data(data) as store, progress("Evaluating") as callback:
        result = evaluate_model(
            model, store, split, num_clips=clips, batch_size=batch_size, progress=callback,
            allow_overlap=allow_overlap,
        )  # fmt: skip
        if report and (model / "metrics.json").is_file():  # a run folder, not a .keras file alone
            from keras_skelmae.report.evidence import measure_evaluated
            from keras_skelmae.report.page import write_report

            measure_evaluated(model, store, split, result)
            write_report([model])
    if json_path == "-":
        click.echo(to_json(result))
        return
    click.echo(_summary(result))
    if json_path is not None:
        Path(json_path).write_text(to_json(result) + "\n", encoding="utf-8")
