"""The report: one HTML page of a run, or of several beside each other, that needs nothing but itself."""

from importlib import resources
from pathlib import Path

from keras_skelmae.report import sections, trust
from keras_skelmae.report.markup import element, escape
from keras_skelmae.report.run_folder import read_runs
from keras_skelmae.version import __version__
from skelmae_datasets.files import write_text
from skelmae_datasets.runs.run_folder import REPORT

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def write_report(paths, output=None):
    """Write the report of run folders; returns its path, by default report.html in the first folder.

    The page depends on the files of the folders alone: the same files give the same bytes.

    Raises:
        DataError: a folder that is not a finished run, or a broken file in it.
    """
    output = Path(paths[0]) / REPORT if output is None else Path(output)
    write_text(output, render_report(read_runs(paths)))
    return output


def render_report(runs):
    """HTML text of the report of RunFolders."""
    title = " · ".join(run.name for run in runs)
    body = [sections.overview(runs), sections.next_steps(runs), sections.curves(runs)]
    for number, run in enumerate(runs):
        parts = (sections.accuracy(run), trust.section(run), sections.embedding(run), sections.reconstruction(run))
        if any(parts):
            heading = element("h2", escape(run.name), class_="run") if len(runs) > 1 else ""
            body.append(element("section", heading, *parts, id=f"run-{number}"))
    body += [sections.settings(runs), sections.provenance(runs)]
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{escape(title)} – skelmae report</title>
<style>
{read_asset("report.css")}</style>
</head>
<body>
<header><h1>{escape(title)}</h1>
<p class="soft">{escape(sections.subtitle(runs))}</p></header>
<main>
{chr(10).join(body)}
</main>
<footer>keras-skelmae {escape(__version__)}. Point at a chart for its numbers, or focus it and use the arrow keys.
</footer>
<div id="tip" role="tooltip" hidden></div><div id="spoken" class="unseen" aria-live="polite"></div>
<script>
{read_asset("report.js")}</script>
</body>
</html>
"""


def read_asset(name):
    """Text of a file that the page is made of."""
    return resources.files(__package__).joinpath("assets", name).read_text("utf-8")
