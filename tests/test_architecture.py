"""Which package may import which, read from the syntax trees: nothing is imported to find out."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {
    "skelmae_datasets": ROOT / "datasets",
    "keras_skelmae": ROOT / "keras_skelmae",
    "skelmae_cli": ROOT / "cli",
}
ORDER = ("skelmae_datasets", "keras_skelmae", "skelmae_cli")
RANK = {"layers": 0, "losses": 0, "models": 1, "training": 2, "feeding": 2, "export": 3, "report": 3}
BACKENDS = {"tensorflow", "jax", "torch"}


def modules():
    for package, folder in FOLDERS.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            name = ".".join((package, *(part for part in parts if part != "__init__")))
            yield name, path


def imported(name: str, path: Path) -> set[str]:
    """Absolute dotted names that the module imports, at any depth; `from a import b` gives both a and a.b."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            found.update({source, *(f"{source}.{alias.name}" for alias in node.names)})
    return found


MODULES = list(modules())
every_module = pytest.mark.parametrize(("name", "path"), MODULES, ids=[name for name, _ in MODULES])


def test_the_modules_are_found():
    assert {name.partition(".")[0] for name, _ in MODULES} == set(FOLDERS)


def test_relative_imports_are_resolved():
    path = FOLDERS["skelmae_cli"] / "info.py"
    assert {"skelmae_cli.errors", "skelmae_datasets.describe_store"} <= imported("skelmae_cli.info", path)


@every_module
def test_packages_import_in_one_direction(name, path):
    allowed = ORDER[: ORDER.index(name.partition(".")[0]) + 1]
    roots = {target.partition(".")[0] for target in imported(name, path)}
    assert not roots & (set(ORDER) - set(allowed))
    assert not roots & {"cli", "datasets"}, "the installed names are skelmae_cli and skelmae_datasets"


@every_module
def test_rooms_of_keras_skelmae_import_in_one_direction(name, path):
    parts = name.split(".")
    if parts[0] != "keras_skelmae" or len(parts) < 2 or parts[1] not in RANK:
        return
    for target in imported(name, path):
        room = target.split(".")[1] if target.startswith("keras_skelmae.") else None
        if room in RANK and room != parts[1]:
            assert RANK[room] <= RANK[parts[1]], f"{name} imports {target}"


@every_module
def test_backends_are_named_in_export_alone_and_where_one_can_more(name, path):
    found = {target.partition(".")[0] for target in imported(name, path)} & BACKENDS
    more = {"keras_skelmae.training.devices": {"jax"}, "keras_skelmae.training.batch_parts": {"tensorflow"}}
    assert found <= (BACKENDS if name.startswith("keras_skelmae.export") else more.get(name, set())), found


@every_module
def test_datasets_never_import_keras(name, path):
    if name.startswith("skelmae_datasets"):
        assert "keras" not in {target.partition(".")[0] for target in imported(name, path)}


@every_module
def test_pickles_are_opened_by_the_restricted_reader_alone(name, path):
    if name == "skelmae_datasets.restricted_pickle":
        return
    roots = {target.partition(".")[0] for target in imported(name, path)}
    assert not roots & {"pickle", "dill", "cloudpickle", "joblib"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert isinstance(node.value, ast.Constant) and node.value.value is False
