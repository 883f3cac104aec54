"""The documentation's commands: every one exists with its options, and the pages run from top to bottom."""

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from skelmae_cli.main import COMMANDS, cli
from skelmae_datasets import get_layout
from skelmae_datasets.runs.settings import FIELDS, parse_override

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


run_blocks = load("run_blocks")


def commands(page):
    """The skelmae commands of a page's sh blocks, as lists of words."""
    for text in run_blocks.blocks(page, "sh"):
        for line in text.replace("\\\n", " ").splitlines():
            words = shlex.split(line.partition("  #")[0].partition(" > ")[0])
            if words[:1] == ["skelmae"]:
                yield words[1:]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_exists_with_its_options(page):
    for words in commands(page):
        with click.Context(cli) as context:
            if words[0] in ("--backend", "--debug"):
                words = words[2 if words[0] == "--backend" else 1 :]
            name, command, rest = cli.resolve_command(context, words)
            if isinstance(command, click.Group):
                name, command, rest = command.resolve_command(context, rest)
            command.make_context(name, rest, parent=context)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_setting_on_a_page_exists_with_its_value(page):
    text = page.read_text("utf-8").replace("\n", " ")
    for key, value in re.findall(r"--(?:pretrain-|finetune-)?set '?([a-z_]+)=([^\s`']+)", text):
        if (key, value) != ("key", "value") and value != "N":
            parse_override(f"{key}={value.rstrip('.,;:)')}")


def test_the_table_of_settings_is_current():
    made = load("make_settings")
    assert made.PAGE.read_text("utf-8") == made.page(), "python docs/make_settings.py"
    assert all(f"| `{key}` |" in made.page() for key in FIELDS)


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.name)
def test_no_page_is_empty(page):
    title, _, rest = page.read_text("utf-8").strip().partition("\n")
    assert title.startswith("# ") and rest.strip(), "a title and something below it"


def test_every_command_is_documented():
    shown = {word for page in PAGES for words in commands(page) for word in words}
    text = "".join(page.read_text("utf-8") for page in PAGES)
    assert not [
        name for name in COMMANDS if name not in shown and f"`{name}`" not in text and f"skelmae {name}" not in text
    ]


def test_pages_are_in_the_navigation_and_links_lead_somewhere():
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8")
    for page in [*PAGES[1:], *sorted((ROOT / "docs" / "reference").glob("*.md"))]:
        assert page.relative_to(ROOT / "docs").as_posix() in navigation
        text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)  # subscripts are no links
        for link in re.findall(r"\]\(([^)#]+)\)", text):
            if not link.startswith(("http", "pictures/")):
                assert (page.parent / link).is_file(), (page.name, link)
    for notebook in (ROOT / "docs" / "notebooks").glob("*.ipynb"):
        assert f"notebooks/{notebook.stem}.md" in navigation


def test_words_are_spelled_right():
    done = subprocess.run([sys.executable, "-m", "codespell_lib", "."], cwd=ROOT, capture_output=True, text=True)
    assert not done.returncode, done.stdout + done.stderr


TASK_PAGES = [page for page in PAGES if page.stem not in ("diary", "results", "scale", "settings", "speed")]


@pytest.mark.parametrize("page", TASK_PAGES, ids=lambda page: page.name)
def test_sentences_are_short(page):
    text = re.sub(r"```.*?```|^\|.*?$|^#.*?$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    for paragraph in re.split(r"\n\s*\n|\n(?=[-*] |\d+\. )", text):
        for sentence in re.split(r"(?<=[.!?:;])\s+(?=[A-Z`*\[-])", " ".join(paragraph.split())):
            assert len(sentence.split()) <= 45, sentence


def test_the_layout_of_the_page_is_sound(tmp_path):
    (text,) = run_blocks.blocks(ROOT / "docs" / "own-data.md", "toml")
    (tmp_path / "own.toml").write_text(text)
    layout = get_layout(tmp_path / "own.toml")
    assert layout.num_joints == 11 and layout.spine and len(layout.parts) == 6


def test_the_table_of_the_page_becomes_a_store(tmp_path):
    from skelmae_datasets import SkeletonStore, convert_csv

    load("example_csv").main(tmp_path / "joints.csv")
    (text,) = run_blocks.blocks(ROOT / "docs" / "own-data.md", "toml")
    (tmp_path / "own.toml").write_text(text)
    report = convert_csv(tmp_path / "joints.csv", tmp_path / "own.h5", layout=str(tmp_path / "own.toml"))
    assert report["samples"] == 72 and not report["skipped"] and report["splits"] == {"train": 48, "test": 24}
    with SkeletonStore(tmp_path / "own.h5") as store:
        assert store.classes == ["clap", "squat", "walk", "wave"]
    sample = run_blocks.blocks(ROOT / "docs" / "own-data.md", "text")[0].splitlines()
    assert (tmp_path / "joints.csv").read_text().splitlines()[0] == sample[0]


@pytest.mark.slow
@pytest.mark.parametrize("page", ["tutorial.md", "own-data.md"])
def test_a_page_runs_from_top_to_bottom(page, tmp_path):
    try:
        run_blocks.run_page(ROOT / "docs" / page, tmp_path, python=True)
    except subprocess.CalledProcessError as error:
        pytest.fail(f"{error.cmd[-1]}\n{error.output[-3000:]}")
    reports = {"tutorial.md": "report.html", "own-data.md": "runs/own/report.html"}
    assert (tmp_path / reports[page]).stat().st_size > 10_000
