"""Studies: the right cells, nothing trained twice, the figures in the right places."""

import json

import numpy as np
import pytest

from keras_skelmae.experiments import protocols, run_study, studies, study_table
from keras_skelmae.experiments.studies import STUDIES, layer_settings, part_sets, study_cells
from skelmae_datasets import DataError, Sample, SkeletonStore, StoreWriter, get_layout, layout_names
from skelmae_datasets.runs.settings import SettingsError, resolve_settings

TINY = ("epochs=1", "units=8", "num_layers=1", "temporal=last", "num_frames=8", "batch_size=8")
TINY += ("warmup_epochs=0", "jit_compile=off", "mirror=off")
VIEWS = ("objective=contrastive", "scope=backbone")
COCO = get_layout("coco17")


def both(*overrides, before=(), after=()):
    """Settings of both stages; one that has an effect in one of them alone is for that one."""
    stages = {"pretrain": before, "finetune": after}
    return tuple(
        resolve_settings(stage, overrides=(*TINY, *overrides, *own), check=False) for stage, own in stages.items()
    )


def make_store(path, seed=0, layout="coco17", label=lambda i: i % 2):
    rng = np.random.default_rng(seed)
    joints = get_layout(layout).num_joints
    with StoreWriter(
        path,
        layout=layout,
        classes=["still", "wave"],
        channels=("x", "y"),
        units="pixels",
        provenance={},
        dtype="float32",
    ) as writer:
        for i in range(20):
            keypoints = 100 + rng.normal(0, 9, (1, 10, joints, 2))
            writer.append(Sample(f"s{i}", keypoints.astype("float32"), label=label(i)))
        writer.set_splits({"train": [f"s{i}" for i in range(12)], "test": [f"s{i}" for i in range(12, 20)]})
    return SkeletonStore(path)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("store") / "s.h5")


@pytest.fixture
def trainings(monkeypatch):
    """Stand-ins for both trainings: what they were asked for, and figures that tell which one it was."""
    calls = {"pretrain": [], "finetune": []}

    def pretrain(store, split, folder, settings, verbose, resume):
        assert resume
        calls["pretrain"].append((store, split, settings))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.keras").touch()
        (folder / "metrics.json").write_text("{}")

    def measure(case, *_):
        calls["finetune"].append((case.settings, case.source, list(case.train)))
        score = 0.1 * case.settings.model.num_layers + 0.01 * case.settings.data.seed
        score += 0 if case.source is None else 0.2
        return {"top1": score, "mean_class": score / 2, "nobody_seen": 0}

    monkeypatch.setattr(studies.keras.utils, "clear_session", lambda: None)
    monkeypatch.setattr(studies, "pretrain", pretrain)
    monkeypatch.setattr(protocols, "_measure", measure)
    return calls


def test_both_stages_change_together_where_they_must():
    before, after = both()
    assert [(c.pretrain, c.finetune) for c in study_cells("depth", COCO, before, after)] == [
        ({"encoder_layers": n}, {"encoder_layers": n}) for n in (1, 2, 3, 4)
    ]
    cells = study_cells("graph-conv-by-part", COCO, before, after)
    assert len(cells) == 3 * (6 + 1)
    assert all(c.pretrain["graph_conv"] == c.finetune["graph_conv"] == c.row.lower() for c in cells)
    assert cells[6].column == "right arm + right leg" and cells[6].pretrain["mask_parts"] == ("right_arm", "right_leg")
    hand = get_layout("hand21")
    assert len(study_cells("graph-conv-by-part", hand, before, after)) == 3 * len(hand.parts)


def test_strides_follow_the_number_of_layers():
    before, after = both("temporal=each", "temporal_strides=[2,4,1]")
    wanted = [(2,), (2, 4), (2, 4, 1), (2, 4, 1, 1)]
    assert [layer_settings(after, n)["temporal_strides"] for n in (1, 2, 3, 4)] == wanted
    assert layer_settings(both()[1], 2) == {"num_layers": 2}
    *cells, random = study_cells("layers", COCO, before, after)
    assert [c.finetune["temporal_strides"] for c in cells] == wanted
    assert all(c.pretrain == {} for c in cells) and random.pretrain is None  # the encoder does not know about M
    whole = both("temporal=each", "temporal_strides=[2,4,1]", *VIEWS)
    assert all(c.pretrain == c.finetune for c in study_cells("layers", COCO, *whole)[:4])


def test_parts_for_the_papers_counts():
    limbs = ("left_arm", "right_arm", "left_leg", "right_leg")
    assert part_sets(COCO) == {
        5: ("head",),
        9: ("head", "torso"),
        12: ("torso", *limbs),
        15: ("head", "torso", *limbs[:3]),
    }


@pytest.mark.parametrize("name", layout_names())
def test_random_joints_are_as_many_as_the_parts(name):
    layout = get_layout(name)
    cells = study_cells("mask-ratio", layout, *both())
    half = len(cells) // 2
    for parts, joints in zip(cells[:half], cells[half:], strict=True):
        count = sum(len(layout.parts[part]) for part in parts.pretrain["mask_parts"])
        assert parts.column == joints.column == f"{count} joints" and joints.pretrain["num_masked"] == count
        assert 0 < count < layout.num_joints


def test_a_pretraining_is_shared_and_the_figures_are_in_their_places(store, trainings, tmp_path):
    steps = []
    result = run_study(
        "layers",
        store,
        "train",
        "test",
        tmp_path,
        *both(),
        seeds=(0, 1),
        progress=lambda done, total: steps.append((done, total)),
    )
    assert [asked.data.seed for _, _, asked in trainings["pretrain"]] == [0, 1]
    assert len(trainings["finetune"]) == 5 * 2
    assert [done for done, _ in steps] == list(range(1, 13)) and {total for _, total in steps} == {12}
    for count, cell in enumerate(result["cells"][:4], 1):
        assert cell["column"] == f"M = {count}"
        np.testing.assert_allclose(cell["top1"]["values"], [10 * count + 20, 10 * count + 21])
        half = cell["mean_class"]
        np.testing.assert_allclose(half["values"], [5 * count + 10, 5 * count + 10.5])
        assert (half["mean"], half["std"]) == (pytest.approx(5 * count + 10.25), pytest.approx(0.125**0.5))
    assert result["cells"][4]["top1"]["mean"] == pytest.approx(10.5)
    for asked, source, train in trainings["finetune"]:
        assert train == list(range(12))
        assert source is None or source.endswith(f"-{asked.data.seed}")
    assert json.loads((tmp_path / "layers.json").read_text())["cells"][0]["top1"] == result["cells"][0]["top1"]
    assert (tmp_path / "layers.md").read_text() == study_table(result) + "\n"


def test_only_what_is_new_or_was_interrupted_is_done(store, trainings, tmp_path):
    def run(study="depth", *overrides, **options):
        for done in trainings.values():
            done.clear()
        run_study(study, store, "train", "test", tmp_path, *both(*overrides, **options))
        return len(trainings["pretrain"]), len(trainings["finetune"])

    assert run() == (4, 4)
    assert run() == (0, 0)
    assert run("init") == (1, 2)  # SkeletonMAE with the recipe's depth is there: contrastive and random are not
    assert run("depth", after=("dropout_rate=0.123",)) == (0, 4)
    assert run("depth", "normalize=none") == (4, 4)
    next(iter(sorted(tmp_path.glob("pretrain/*/metrics.json")))).unlink()
    next(iter(sorted(tmp_path.glob("finetune/*/*/result.json")))).unlink()
    again = [run(), run("init"), run("depth", after=("dropout_rate=0.123",)), run("depth", "normalize=none")]
    assert np.sum(again, axis=0).tolist() == [1, 1]


def test_transfer_pretrains_on_the_source_alone(store, trainings, tmp_path):
    source = make_store(tmp_path / "other.h5", seed=1)
    result = run_study(
        "transfer", store, "train", "test", tmp_path / "out", *both(), source=source, source_split="test", fraction=0.5
    )
    assert [(data, split) for data, split, _ in trainings["pretrain"]] == [(store, "train"), (source, "test")]
    starts = [start for _, start, _ in trainings["finetune"]]
    assert starts[0] is None and starts[1] != starts[2]
    assert all(len(train) == 6 for _, _, train in trainings["finetune"])
    assert result["source"] == str(source.path)


def test_every_start_is_pretrained_with_its_own_settings(store, trainings, tmp_path):
    run_study("init", store, "train", "test", tmp_path, *both("scope=backbone", "target=motion"))
    found = [asked.pretrain for *_, asked in trainings["pretrain"]]
    assert [each.objective for each in found] == ["contrastive", "masked"]
    assert (found[0].scope, found[1].target) == ("backbone", "motion")


def test_what_does_not_fit_is_named_before_anything_is_trained(store, trainings, tmp_path):
    def run(study, *overrides, data=store, splits=("train", "test"), before=(), after=(), **options):
        pair = both(*overrides, before=before, after=after)
        run_study(study, data, *splits, tmp_path / "out", *pair, **options)

    unlabelled = make_store(tmp_path / "u.h5", label=lambda i: -1 if i == 15 else 0)
    for error, message, call in (
        (ValueError, "study: expected one of depth", lambda: run("width")),
        (ValueError, "transfer: expected a source store", lambda: run("transfer")),
        (ValueError, "depth: expected no source store", lambda: run("depth", source=store)),
        (ValueError, "units: expected the same in both stages, found 16", lambda: run("depth", before=("units=16",))),
        (ValueError, "fraction: expected", lambda: run("depth", fraction=0)),
        (DataError, "expected a label on every sequence", lambda: run("depth", data=unlabelled)),
        (DataError, "valid", lambda: run("depth", splits=("train", "valid"))),
        (DataError, "coco17, 17 joints, 2D", lambda: run("transfer", source=make_store(tmp_path / "o.h5", 0, "ntu25"))),
    ):
        with pytest.raises(error, match=message):
            call()
    assert not trainings["pretrain"] and not trainings["finetune"]


@pytest.mark.parametrize(
    ("study", "key", "overrides"),
    [
        ("depth", "node_drop", {"overrides": ("node_drop=0.3",)}),  # its pre-trainings are masked
        ("init", "momentum", {"overrides": ("momentum=0.5",)}),
        ("init", "head_units", {"before": ("head_units=8",)}),
        ("init", "mask", {"after": ("mask=joints",)}),
        ("depth", "encoder_layers", {"overrides": ("encoder_layers=7",)}),  # every cell has its own
        ("init", "objective", {"before": VIEWS}),
        ("graph-conv-by-part", "graph_conv", {"overrides": ("graph_conv=gcn",)}),
        ("mask-ratio", "mask", {"before": ("mask=motion",)}),
    ],
)
def test_a_setting_that_has_an_effect_in_no_cell_is_refused(store, tmp_path, study, key, overrides):
    before, after = both(*overrides.pop("overrides", ()), **overrides)
    with pytest.raises(SettingsError, match=f"^{key}: expected a setting with an effect in the study: it "):
        run_study(study, store, "train", "test", tmp_path, before, after)


def test_a_setting_may_have_its_effect_in_one_stage_or_one_cell(store, tmp_path, trainings):
    overrides = ("node_drop=0.3", "mask=joints", "head_units=8", "num_layers=2")
    run_study("init", store, "train", "test", tmp_path, *both(*overrides))
    found = {call[2].pretrain.objective: call[2].pretrain for call in trainings["pretrain"]}
    assert found["contrastive"].node_drop == 0.3 and found["masked"].mask == "joints"


def test_the_table_by_hand():
    def cell(row, column, *values):
        top1 = {"mean": np.mean(values), "std": np.std(values), "values": values}
        return {"row": row, "column": column, "top1": top1, "mean_class": {"mean": 50.0, "std": 0.0, "values": [50.0]}}

    result = {
        "study": "s",
        "cells": [cell("a", "x", 10, 20), cell("a", "y", 30, 30), cell("b", "x", 1, 3), cell("b", "y", 0, 0)],
    }
    assert study_table(result).splitlines()[:4] == [
        "|  | s | x | y |",
        "| --- | --- | --- | --- |",
        "| a | top-1 % | 15.0 +- 5.0 | **30.0 +- 0.0** |",
        "| b | top-1 % | 2.0 +- 1.0 | 0.0 +- 0.0 |",
    ]
    single = study_table({"study": "s", "cells": [cell("", "x", 10), cell("", "y", 9)]}).splitlines()
    assert single[2] == "| top-1 % | **10.0** | 9.0 |" and len(single) == 4


def test_the_command_offers_every_study():
    from skelmae_cli import study

    assert study.STUDIES == STUDIES


@pytest.mark.slow
def test_a_study_for_real(store, tmp_path):
    result = run_study("init", store, "train", "test", tmp_path, *both("encoder_layers=1"))
    assert [cell["column"] for cell in result["cells"]] == ["random", "contrastive", "SkeletonMAE"]
    assert all(0 <= cell["top1"]["mean"] <= 100 for cell in result["cells"])
