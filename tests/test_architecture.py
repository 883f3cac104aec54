"""Which package may import which, read from the syntax trees: nothing is imported to find out."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"skelmae_datasets": ROOT / "datasets", "keras_skelmae": ROOT / "keras_skelmae", "skelmae_cli": ROOT / "cli"}
ORDER = ("skelmae_datasets", "keras_skelmae", "skelmae_cli")
RANK = {  # of the rooms of keras_skelmae: each imports lower ones only
    "version": 0,
    "fast.ops": 0,
    "layers": 1,
    "losses": 1,
    "optimizers": 1,
    "schedules": 1,
    "models": 2,
    "fast.networks": 3,
    "data": 3,
    "evaluation": 4,
    "training": 5,
    "experiments": 6,
    "export": 6,
    "report": 6,
}
BACKENDS = {"tensorflow", "jax", "torch"}
NAMED = {  # what may name a backend besides export
    "keras_skelmae.fast.networks.batch_slices": {"tensorflow"},
    "keras_skelmae.fast.ops.channels": {"torch"},
    "keras_skelmae.fast.networks.devices": {"jax"},
}


def modules(folders=FOLDERS):
    """(dotted name, path) of every module below the packages' folders."""
    for package, folder in folders.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            yield ".".join((package, *(part for part in parts if part != "__init__"))), path


def imports(name: str, path: Path) -> Iterator[tuple[str, str | None, str | None]]:
    """(absolute source, name taken from it, name it is bound to) of every import, at any depth."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((source, alias.name, alias.asname or alias.name) for alias in node.names)


def imported(name: str, path: Path) -> set[str]:
    """Absolute dotted names that the module imports; `from a import b` gives both a and a.b."""
    found = set()
    for source, taken, _ in imports(name, path):
        found.update({source} if taken is None else {source, f"{source}.{taken}"})
    return found


def import_graph(found: dict[str, Path]) -> dict[str, set[str]]:
    """{module: those it imports from}; a name of a package leads to the package and to where that has it from."""
    taken = {name: list(imports(name, path)) for name, path in found.items()}

    def origins(source, name, seen=()):
        """The modules that ``from source import name`` needs."""
        if name is None or source not in found or source in seen:
            return {source} & set(found)
        if f"{source}.{name}" in found:
            return {source, f"{source}.{name}"}
        needed = {source}
        for origin, original, bound in taken[source]:
            if bound == name and found[source].name == "__init__.py":
                needed |= origins(origin, original, (*seen, source))
        return needed

    return {name: set().union(*(origins(source, part) for source, part, _ in taken[name])) - {name} for name in found}


def find_circle(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle, the first one again at the end; empty without one."""
    done: set[str] = set()

    def search(name, path):
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for target in sorted(graph[name]):
            circle = search(target, [*path, name])
            if circle:
                return circle
        done.add(name)
        return []

    return next(filter(None, (search(name, []) for name in sorted(graph))), [])


def room(name: str) -> str | None:
    """The room of a module of keras_skelmae; None for the package itself and other packages."""
    package, _, rest = name.partition(".")
    if package != "keras_skelmae" or not rest:
        return None
    first, _, more = rest.partition(".")
    return f"{first}.{more.partition('.')[0]}" if first == "fast" and more else first


MODULES = list(modules())
every_module = pytest.mark.parametrize(("name", "path"), MODULES, ids=[name for name, _ in MODULES])


def test_the_modules_are_found():
    assert {name.partition(".")[0] for name, _ in MODULES} == set(FOLDERS)


def test_relative_imports_are_resolved():
    path = FOLDERS["skelmae_cli"] / "info.py"
    assert {"skelmae_cli.printing", "skelmae_datasets.describe_store"} <= imported("skelmae_cli.info", path)


@every_module
def test_packages_import_in_one_direction(name, path):
    allowed = ORDER[: ORDER.index(name.partition(".")[0]) + 1]
    roots = {target.partition(".")[0] for target in imported(name, path)}
    assert not roots & (set(ORDER) - set(allowed))
    assert not roots & {"cli", "datasets"}, "the installed names are skelmae_cli and skelmae_datasets"


def test_every_room_has_a_rank():
    rooms = {
        room(name) for name, path in MODULES if room(name) and path != FOLDERS["keras_skelmae"] / "fast/__init__.py"
    }
    assert rooms == set(RANK)


@every_module
def test_rooms_of_keras_skelmae_import_in_one_direction(name, path):
    own = room(name)
    if own not in RANK:
        return  # the package itself, or another one
    for target in imported(name, path):
        other = room(target)
        if target.startswith("keras_skelmae") and other != own:
            assert other in RANK and RANK[other] < RANK[own], f"{name} imports {target}"


def test_no_modules_import_each_other_in_a_circle():
    assert find_circle(import_graph(dict(MODULES))) == []


@pytest.mark.parametrize(
    ("b", "circle"),
    [
        ("from p.a import A", ["p.a", "p.b", "p.a"]),
        ("def late():\n    from .a import A", ["p.a", "p.b", "p.a"]),
        ("from p import A", ["p", "p.a", "p.b", "p"]),
        ("import p.a", ["p.a", "p.b", "p.a"]),
        ("import numpy", []),
    ],
)
def test_circles_are_found(b, circle, tmp_path):
    files = {"__init__": "from p.a import A", "a": "from p.b import B", "b": b}
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text)
    graph = import_graph(dict(modules({"p": tmp_path})))
    assert graph["p"] == {"p.a"} and graph["p.a"] == {"p.b"}
    assert find_circle(graph) == circle


def test_a_name_of_a_package_leads_to_where_it_is_from():
    graph = import_graph(dict(MODULES))
    needed = graph["keras_skelmae.training.finetune"]
    assert {"keras_skelmae.models", "keras_skelmae.models.strl_classifier"} <= needed
    assert len(graph["keras_skelmae.models"]) > 5 and not graph["keras_skelmae.version"]


@every_module
def test_backends_are_named_in_export_alone_and_where_one_can_more(name, path):
    found = {target.partition(".")[0] for target in imported(name, path)} & BACKENDS
    assert found <= (BACKENDS if name.startswith("keras_skelmae.export") else NAMED.get(name, set())), found


@every_module
def test_datasets_never_import_keras(name, path):
    if name.startswith("skelmae_datasets"):
        assert "keras" not in {target.partition(".")[0] for target in imported(name, path)}


@every_module
def test_pickles_are_opened_by_the_restricted_reader_alone(name, path):
    if name == "skelmae_datasets.readers.restricted_pickle":
        return
    roots = {target.partition(".")[0] for target in imported(name, path)}
    assert not roots & {"pickle", "dill", "cloudpickle", "joblib"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert isinstance(node.value, ast.Constant) and node.value.value is False
