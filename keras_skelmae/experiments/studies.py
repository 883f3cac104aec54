"""The paper's ablation tables on any data set: grids of pre-trainings and fine-tunings over seeds."""

import hashlib
import itertools
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import keras

from keras_skelmae.evaluation.doubts import with_doubts
from keras_skelmae.experiments.protocols import run_protocol
from keras_skelmae.training.pretrain import pretrain
from skelmae_datasets import DataError
from skelmae_datasets.files import write_json, write_text
from skelmae_datasets.runs.run_folder import METRICS as FINISHED
from skelmae_datasets.runs.run_folder import of_seed
from skelmae_datasets.runs.settings import SettingsError
from skelmae_datasets.runs.splits import protocol_splits, stratified_fraction

STUDIES = ("depth", "layers", "graph-conv-by-part", "mask-ratio", "init", "transfer")
COUNTS = (1, 2, 3, 4)  # of encoder or STRL layers
BEST_PARTS = ("right_arm", "right_leg")  # the paper's best mask
MASKED_SHARES = (5 / 17, 9 / 17, 12 / 17, 15 / 17)  # of the joints
ENCODER_KEYS = (
    "use_score",
    "normalize",
    "streams",
    "units",
    "encoder_layers",
    "graph_conv",
    "normalization",
    "joint_positions",
)
METRICS = {"top1": "top-1 %", "mean_class": "mean class %"}
FOLLOWING = ("temporal_strides", "scope")  # of a cell: what was asked for decides them
TOLD = ("num_test", "nobody_seen", "untrained")  # the same in every cell


@dataclass(frozen=True)
class Cell:
    """One place of a study's table, and the settings in which it differs from the others."""

    row: str
    column: str
    pretrain: dict | None = field(default_factory=dict)  # None = random initialisation
    finetune: dict = field(default_factory=dict)
    elsewhere: bool = False  # pre-trained on the source store


def layer_settings(settings, count):
    """Settings for ``count`` STRL layers: strides beyond it are cut, further layers have stride 1."""
    strides = settings.model.temporal_strides
    if settings.model.temporal != "each" or not strides:
        return {"num_layers": count}
    return {"num_layers": count, "temporal_strides": (*strides, *[1] * count)[:count]}


def part_sets(layout):
    """Parts to mask for the shares of the paper's table, as {number of joints: part names}.

    Each is the set nearest to its share; of several the one with fewest parts, the first of the layout. A part is
    always left.
    """
    names = list(layout.parts)
    if len(names) < 2:
        raise ValueError(f"layout {layout.name}: expected at least two parts, found {len(names)}")
    sets = {
        parts: sum(len(layout.parts[part]) for part in parts)
        for count in range(1, len(names))
        for parts in itertools.combinations(names, count)
    }
    chosen = [min(sets, key=lambda parts: abs(sets[parts] - share * layout.num_joints)) for share in MASKED_SHARES]
    return {sets[parts]: parts for parts in chosen}


def study_cells(study, layout, before, after):
    """The cells of a study, in the table's order.

    Args:
        study: one of STUDIES; layout: SkeletonLayout.
        before, after: Settings of pre-training and fine-tuning, which the cells change.

    Returns:
        list of Cell.
    """
    if study not in STUDIES:
        raise ValueError(f"study: expected one of {', '.join(STUDIES)}, found {study!r}")
    if study == "depth":
        return [Cell("", f"L_D = {count}", {"encoder_layers": count}, {"encoder_layers": count}) for count in COUNTS]
    if study == "layers":
        cells = [
            Cell(
                "",
                f"M = {count}",
                {} if before.without_effect("num_layers") else layer_settings(before, count),
                layer_settings(after, count),
            )
            for count in COUNTS
        ]
        return [*cells, Cell("", f"random, M = {after.model.num_layers}", None)]
    if study == "graph-conv-by-part":
        masks = [(part,) for part in layout.parts] + [BEST_PARTS] * (set(BEST_PARTS) <= set(layout.parts))
        return [_part_cell(conv, parts) for conv in ("gat", "gcn", "gin") for parts in masks]
    if study == "mask-ratio":
        sets = part_sets(layout)
        parts = [
            Cell("parts", f"{count} joints", {"mask": "parts", "mask_parts": names}) for count, names in sets.items()
        ]
        return parts + [
            Cell("random joints", f"{count} joints", {"mask": "joints", "num_masked": count}) for count in sets
        ]
    random = Cell("", "random", None)
    if study == "init":
        scope = before.pretrain.scope if "scope" in before.given else "encoder"  # as SkeletonMAE's
        views = Cell("", "contrastive", {"objective": "contrastive", "scope": scope})
        return [random, views, Cell("", "SkeletonMAE", {"objective": "masked"})]
    return [random, Cell("", "pre-trained on the data itself"), Cell("", "pre-trained on the source", elsewhere=True)]


def _part_cell(conv, parts):
    """A kind of graph convolution with these body parts masked."""
    before = {"graph_conv": conv, "mask": "parts", "mask_parts": parts}
    return Cell(conv.upper(), " + ".join(parts).replace("_", " "), before, {"graph_conv": conv})


def run_study(
    study,
    store,
    train_split,
    test_split,
    output,
    before,
    after,
    *,
    seeds=(0,),
    fraction=1.0,
    source=None,
    source_split="all",
    resume=True,
    progress=None,
):
    """Pre-train, fine-tune and test every cell of a study with every seed; write and return the figures.

    Cells whose settings agree share a pre-training, in one study or in several with the same ``output``. What is
    finished there under the same settings and data is not done again; what was interrupted goes on.

    Args:
        study: one of STUDIES.
        store: SkeletonStore; train_split, test_split: split names or expressions. Labels of the test split are used
            for the figures alone.
        output: folder; the table goes to {study}.md and {study}.json in it.
        before, after: Settings of pre-training and fine-tuning; their seed is not used.
        seeds: ints. fraction: share of the training labels to fine-tune with, in (0, 1].
        source: SkeletonStore of the same layout, for "transfer"; source_split: what to pre-train on there.
        resume: go on with interrupted trainings; False begins them again.
        progress: called with (done, total) trainings.

    Returns:
        dict with study, data, splits, seeds, what ``run_protocol`` tells of the test split and cells: dict(row, column,
        pretrain, finetune, folder, top1, mean_class), the last two dict(mean, std, values) in per cent.

    Raises:
        ValueError: naming what does not fit, before anything is trained.
    """
    output = Path(output)
    cells = study_cells(study, store.layout, before, after)
    _check_effects(cells, before, after)
    _check(study, store, train_split, test_split, before, after, fraction, source)
    plans = [_plan(cell, store, train_split, test_split, output, before, after, source, source_split) for cell in cells]
    starts = {plan.start: plan for plan in plans if plan.start}
    done, total, rows, told = 0, len(seeds) * (len(cells) + len(starts)), [], {}

    def advance(count):
        if progress:
            progress(done + count, total)

    for plan in plans:
        if plan.start in starts:
            del starts[plan.start]
            for seed in seeds:
                _pretrain_once(plan, seed, resume)
                done += 1
                advance(0)
        options = {"pretrained": plan.start, "seeds": seeds, "fractions": (fraction,), "resume": resume}
        found = run_protocol(
            "finetune",
            store,
            train_split,
            test_split,
            plan.folder,
            plan.after,
            progress=lambda n, _: advance(n),
            **options,
        )
        done += len(seeds)
        keras.utils.clear_session()
        rows.append(_row(plan, found["rows"][0]))
        seen = max(told.get("seen_in_pretraining", 0), found["seen_in_pretraining"])
        told = {key: found[key] for key in TOLD} | {"seen_in_pretraining": seen}
    result = {
        "study": study,
        "data": str(store.path),
        "train_split": train_split,
        "test_split": test_split,
        "source": str(source.path) if source else None,
        "fraction": fraction,
        "seeds": list(seeds),
        **told,
        "cells": rows,
    }
    write_json(output / f"{study}.json", result)
    write_text(output / f"{study}.md", study_table(result) + "\n")
    return result


def _row(plan, found):
    """A cell of the result: what it was made of and its figures."""
    ends = {"mean": "", "std": "_std", "values": "_values"}
    return {
        "row": plan.cell.row,
        "column": plan.cell.column,
        "pretrain": plan.cell.pretrain,
        "finetune": plan.cell.finetune,
        "folder": str(plan.folder),
        "pretrained": plan.start,
        "top1": {key: found[key] for key in ends},
        "mean_class": {key: found[f"mean_class{end}"] for key, end in ends.items()},
    }


def _check_effects(cells, before, after):
    """SettingsError for a setting that was asked for by name and has an effect in no cell.

    One that every cell has a value of its own for may stand in a file of settings.
    """
    variants = [(before, cell.pretrain) for cell in cells if cell.pretrain is not None]
    variants += [(after, cell.finetune) for cell in cells]
    for key in sorted(before.given | after.given):
        reasons = [_without_effect(settings, own, key) for settings, own in variants if key in settings.given]
        if all(reasons):
            raise SettingsError(f"{key}: expected a setting with an effect in the study: {reasons[0]}")


def _without_effect(settings, own, key):
    """Why a setting that was asked for has no effect in a cell, which changes ``own``; "" where it has one."""
    if key in settings.asked and key in own and key not in FOLLOWING:
        return "it is what its cells differ in"
    return settings.replace(**own).without_effect(key)


def _check(study, store, train_split, test_split, before, after, fraction, source):
    train, _ = protocol_splits(store, train_split, test_split, allow_overlap=None)
    stratified_fraction(store.labels[train], fraction, 0)
    first, second = before.flat(), after.flat()
    for key in ENCODER_KEYS:
        if first[key] != second[key]:
            raise ValueError(
                f"{key}: expected the same in both stages, found {first[key]!r} in pre-training, {second[key]!r} in "
                "fine-tuning"
            )
    if (study == "transfer") != (source is not None):
        raise ValueError(f"{study}: expected {'a' if source is None else 'no'} source store")
    if source is not None:
        expected, found = (
            (s.layout.name, s.layout.num_joints, s.layout.edges, s.num_coordinates) for s in (store, source)
        )
        if expected[1:] != found[1:]:
            raise DataError(
                source.path,
                "layout",
                *("{}, {} joints, {}D".format(*shape[:2], shape[3]) for shape in (expected, found)),
            )


@dataclass(frozen=True)
class Plan:
    """What to train for a cell, and where."""

    cell: Cell
    before: object  # Settings of the pre-training
    data: object  # store of the pre-training
    split: str  # of it
    start: str | None  # its run folder, with {seed} in it
    after: object  # Settings of the fine-tuning
    folder: Path  # of its results


def _plan(cell, store, train_split, test_split, output, before, after, source, source_split):
    settings = start = None
    data, split = (source, source_split) if cell.elsewhere else (store, train_split)
    if cell.pretrain is not None:
        settings = before.replace(**cell.pretrain)
        start = str(output / "pretrain" / f"{_key(settings, data, split)}-{{seed}}")
    final = after.replace(**cell.finetune)
    folder = output / "finetune" / _key(final, store, train_split, test_split, start=start)
    return Plan(cell, settings, data, split, start, final, folder)


def _key(settings, store, *splits, start=None):
    """A folder name that is another one whenever the settings, the data, the splits or the start are others."""
    parts = [settings.replace(seed=0).to_toml(), store.fingerprint, Path(start).name if start else "random"]
    parts += [str(store.select(split).tolist()) for split in splits]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _pretrain_once(plan, seed, resume):
    folder = Path(of_seed(plan.start, seed))
    if (folder / FINISHED).exists():  # what a run writes last
        return
    if folder.exists() and not resume:
        shutil.rmtree(folder)
    pretrain(plan.data, plan.split, folder, plan.before.replace(seed=seed), verbose=False, resume=True)


def study_table(result):
    """The figures of :func:`run_study` as a Markdown table; the best of each metric stands out."""
    columns = list(dict.fromkeys(cell["column"] for cell in result["cells"]))
    rows = list(dict.fromkeys(cell["row"] for cell in result["cells"]))
    places = {(cell["row"], cell["column"]): cell for cell in result["cells"]}
    label = [""] * (len(rows) > 1)
    lines = [[*label, result["study"], *columns], ["---"] * (len(label) + 1 + len(columns))]
    for metric, text in METRICS.items():
        best = max(cell[metric]["mean"] for cell in result["cells"])
        for row in rows:
            figures = [_figure(places[row, column][metric], best) for column in columns]
            lines.append([*[row] * len(label), text, *figures])
    return with_doubts((f"| {' | '.join(line)} |" for line in lines), result)


def _figure(figures, best):
    text = f"{figures['mean']:.1f}"
    if len(figures["values"]) > 1:
        text += f" +- {figures['std']:.1f}"
    return f"**{text}**" if figures["mean"] == best else text
