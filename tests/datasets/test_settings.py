"""Settings: which source wins, what is refused and how it is told, and that a written training is read back."""

import subprocess
import sys
import tomllib

import pytest

from skelmae_datasets.runs import settings as module
from skelmae_datasets.runs.settings import (
    FIELDS,
    GROUP_OF,
    GROUPS,
    OBJECTIVES,
    PRESETS,
    RECIPES,
    STAGES,
    Settings,
    SettingsError,
    read_preset,
    read_settings,
    recipe_for,
    resolve_settings,
)


def file_of(folder, text):
    (folder / "config.toml").write_text(text, "utf-8")
    return folder / "config.toml"


def keys_of(settings):
    """The keys that a written training holds."""
    return {key for table in tomllib.loads(settings.to_toml()).values() for key in table}


def test_importing_it_loads_no_keras():
    heavy = ("keras", "keras_skelmae", "tensorflow", "jax", "torch")
    code = f"import sys, skelmae_datasets.runs.settings; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_every_key_is_in_one_group_and_has_a_text():
    names = [name for kind in GROUPS.values() for name in kind.__dataclass_fields__]
    assert len(names) == len(set(names)) == len(FIELDS) == len(GROUP_OF) == 65  # another one has to be worth it
    assert set(GROUPS) == {"data", "model", "pretrain", "augment", "finetune", "optimizer"}
    for key, field in FIELDS.items():
        assert field.metadata["text"].strip(), key
        assert field.metadata["choices"] is None or field.default in field.metadata["choices"], key
        for other, allowed in field.metadata["needs"].items():
            assert set(allowed) <= set(FIELDS[other].metadata["choices"] or [FIELDS[other].default]), (key, other)


def test_presets_and_recipes_hold_settings_that_exist():
    assert set(RECIPES) == set(PRESETS)
    for name in PRESETS:
        assert {GROUP_OF[key] for key in read_preset(name)} <= {"data", "model"}
    for recipe in RECIPES:
        for stage in STAGES:
            assert resolve_settings(stage, recipe).model.preset == recipe


def test_the_paper_recipe_is_the_papers():
    before, after = (resolve_settings(stage, "paper").flat() for stage in STAGES)
    wanted = {"optimizer": "adam", "learning_rate": 1.5e-4, "batch_size": 1024, "epochs": 50}
    wanted |= {"units": 64, "num_frames": 64, "encoder_layers": 3, "target": "embedding", "loss_function": "rce"}
    assert {key: before[key] for key in wanted} == wanted
    wanted = {"optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.9, "batch_size": 128, "epochs": 110}
    wanted |= {"warmup_epochs": 5, "step_epochs": (90, 100), "num_layers": 3, "label_smoothing": 0.1}
    assert {key: after[key] for key in wanted} == wanted


@pytest.mark.parametrize("recipe", RECIPES)
def test_both_stages_of_a_recipe_describe_the_same_network(recipe):
    before, after = (resolve_settings(stage, recipe) for stage in STAGES)
    assert before.model == after.model
    assert (before.data.num_frames, before.data.num_people) == (after.data.num_frames, after.data.num_people)


def test_later_sources_win(tmp_path):
    """The class's default, the preset, the recipe, the file, an override or an explicit option."""
    file = file_of(tmp_path, "epochs = 5\nbatch_size = 6\nlearning_rate = 0.5\nunits = 24")
    found = resolve_settings("pretrain", "small", file, ("batch_size=6", "batch_size=7"), learning_rate=0.125)
    assert found.optimizer.global_clipnorm == FIELDS["global_clipnorm"].default
    assert (found.model.encoder_layers, found.model.units) == (read_preset("small")["encoder_layers"], 24)
    assert found.optimizer.weight_decay == 0.01  # of the recipe, for both stages
    assert found.optimizer.warmup_epochs == 2  # of the recipe, for this stage
    assert (found.optimizer.epochs, found.optimizer.batch_size, found.optimizer.learning_rate) == (5, 7, 0.125)
    assert found.given == {"epochs", "batch_size", "learning_rate", "units"}
    assert resolve_settings("pretrain", epochs=None) == resolve_settings("pretrain")


def test_a_preset_can_be_changed_and_what_then_has_no_effect_is_left_out():
    small, paper = read_preset("small"), read_preset("paper")
    found = resolve_settings("finetune", overrides=("preset=paper",))
    assert {key: found.flat()[key] for key in paper} == paper
    last = resolve_settings("finetune", overrides=("temporal=last",))
    kept = {key: value for key, value in small.items() if not key.startswith(("body_", "temporal"))}
    assert {key: last.flat()[key] for key in kept} == kept
    for key in ("temporal_strides", "body_streams", "temporal_units", "temporal_dropout"):
        assert last.flat()[key] == FIELDS[key].default and last.without_effect(key)
    assert read_preset("small", {"temporal": "last", "temporal_units": (8,)})["temporal_units"] == (
        8,
    )  # asked for by name


def test_keys_need_no_table_and_tables_of_a_stage_win(tmp_path):
    file = file_of(
        tmp_path,
        """
        num_frames = 12
        epochs = 3
        [optimizer]
        batch_size = 4
        [finetune]
        label_smoothing = 0.2
        [finetune.optimizer]
        epochs = 5
        [finetune.model]
        dropout_rate = 0.25
        [pretrain]
        mask = "joints"
        [pretrain.augment]
        rotate = 0.5
        """,
    )
    before, after = (resolve_settings(stage, config_file=file) for stage in STAGES)
    assert (before.data.num_frames, before.optimizer.epochs, before.optimizer.batch_size) == (12, 3, 4)
    assert (after.data.num_frames, after.optimizer.epochs, after.optimizer.batch_size) == (12, 5, 4)
    assert (before.pretrain.mask, before.augment.rotate) == ("joints", 0.5)
    assert (after.finetune.label_smoothing, after.model.dropout_rate) == (0.2, 0.25)
    assert after.augment.rotate == resolve_settings("finetune").augment.rotate
    assert "mask" not in after.given and "label_smoothing" not in before.given


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("mask_parts=left_arm", "mask_parts", ("left_arm",)),
        ("mask_parts=left_arm,right_arm", "mask_parts", ("left_arm", "right_arm")),
        ('mask_parts=["head"]', "mask_parts", ("head",)),
        ("mask_parts=left_arm, right_arm", "mask_parts", ("left_arm", "right_arm")),
        (" learning_rate = 1 ", "learning_rate", 1.0),
        ("joint_positions=false", "joint_positions", False),
        ("mask=joints", "mask", "joints"),
        ('mask="joints"', "mask", "joints"),
    ],
)
def test_overrides_are_toml_or_plain_text(override, key, value):
    found = resolve_settings("pretrain", overrides=(override,)).flat()[key]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("epoch=3", r"--set: unknown setting 'epoch' \(did you mean epochs or .*\); `skelmae settings` lists all"),
        ("qqqq=3", "--set: unknown setting 'qqqq'; `skelmae settings` lists all"),
        ("epochs=many", "--set: epochs: expected int, found 'many'"),
        ("epochs=2.5", "--set: epochs: expected int, found 2.5"),
        ("epochs=true", "--set: epochs: expected int, found True"),
        ("learning_rate=true", "--set: learning_rate: expected float, found True"),
        ("joint_positions=1", "--set: joint_positions: expected bool, found 1"),
        ("mask=3", "--set: mask: expected str, found 3"),
        ("mask_parts=3", r"--set: mask_parts: expected a list of str, found \[3\]"),
        ("epochs=" + 9999 * "[", r"--set: epochs: expected int, found '\[+'"),
        ("epochs=0", "--set: epochs: expected at least 1, found 0"),
        ("learning_rate=-1", "--set: learning_rate: expected at least 0, found -1.0"),
        ("node_drop=1", "--set: node_drop: expected below 1, found 1.0"),
        ("flip=1.5", "--set: flip: expected at most 1, found 1.5"),
        ("learning_rate=nan", "--set: learning_rate: expected at least 0, found nan"),
        ("learning_rate=inf", "--set: learning_rate: expected at least 0, found inf"),
        ("target=pixels", "--set: target: expected one of embedding, coordinates, motion, found 'pixels'"),
        ("preset=large", "--set: preset: expected one of small, paper, strong, found 'large'"),
        ("streams=1,2", r"--set: streams: expected a list of str, found \[1, 2\]"),
        ("step_epochs=a,b", r"--set: step_epochs: expected a list of int, found \['a', 'b'\]"),
        ("epochs", "--set epochs: expected key=value"),
    ],
)
def test_bad_settings_are_named(override, message):
    with pytest.raises(SettingsError, match=f"^{message}$"):
        resolve_settings("pretrain", overrides=(override,))


def test_numbers_with_commas_are_a_list_of_numbers():
    overrides = ("temporal_units=8,4,4", "temporal_strides=1,2", "body_streams=features, joint")
    found = resolve_settings("finetune", overrides=overrides).model
    assert (found.temporal_units, found.temporal_strides, found.body_streams) == (
        (8, 4, 4),
        (1, 2),
        ("features", "joint"),
    )
    with pytest.raises(SettingsError, match=r"^--set: temporal_units: expected a list of int, found \['a', 'b'\]$"):
        resolve_settings("finetune", overrides=("temporal_units=a,b",))


def test_bad_options_recipes_and_stages_are_named():
    with pytest.raises(SettingsError, match="^--batch-size: batch_size: expected at least 1, found 0$"):
        resolve_settings("pretrain", batch_size=0)
    with pytest.raises(SettingsError, match="^recipe: expected one of small, paper, strong, found 'large'$"):
        resolve_settings("pretrain", "large")
    with pytest.raises(SettingsError, match="^stage: expected one of pretrain, finetune, found 'train'$"):
        Settings.of("train")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs = ", "not TOML: "),
        ("x = " + "[" * 10_000, "not TOML: "),
        ("[optimiser]\nepochs = 3", r"\[optimiser\]: expected one of the tables data, model, .*, optimizer"),
        ("[model]\nepochs = 3", r"\[model\] epochs: expected it in \[optimizer\]"),
        ("[pretrain]\nepochs = 3", r"\[pretrain\] epochs: expected it in \[optimizer\]"),
        ("[finetune.model]\nepochs = 3", r"\[model\] epochs: expected it in \[optimizer\]"),
        ("[finetune.epochs]\nx = 3", r"\[finetune.epochs\]: expected a table of settings such as"),
        ("[data.model]\nunits = 3", r"\[data.model\]: expected a table of settings such as \[pretrain.optimizer\]"),
        ("epochs = [3]", r"epochs: expected int, found \[3\]"),
        ("[finetune.optimizer]\nepochs = 0", "epochs: expected at least 1, found 0"),  # of the other stage, too
    ],
)
def test_a_bad_file_is_named_with_the_place(text, message, tmp_path):
    file = file_of(tmp_path, text)
    with pytest.raises(SettingsError, match=f"^{file}: {message}"):
        resolve_settings("pretrain", config_file=file)


@pytest.mark.parametrize("text", ["8,8", "8, 8", "[8, 8]"])
def test_a_list_of_numbers_needs_no_brackets(text):
    assert resolve_settings("finetune", overrides=(f"temporal_units={text}",)).model.temporal_units == (8, 8)


def test_a_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / "config.toml").write_bytes(b"epochs = \xff")
    with pytest.raises(SettingsError, match="config.toml: not TOML: expected UTF-8"):
        resolve_settings("pretrain", config_file=tmp_path / "config.toml")


@pytest.mark.parametrize(
    ("stage", "overrides", "key", "reason"),
    [
        ("finetune", ("mask=joints",), "mask", "it is a setting of pretrain"),
        ("pretrain", ("label_smoothing=0.2",), "label_smoothing", "it is a setting of finetune"),
        ("pretrain", ("dropout_rate=0.2",), "dropout_rate", "it is a setting of the classifier"),
        (
            "finetune",
            ("temporal=last", "temporal_units=[8]"),
            "temporal_units",
            "it needs temporal = 'body' or 'residual', found 'last'",
        ),
        (
            "finetune",
            ("temporal=last", "temporal_strides=[2]"),
            "temporal_strides",
            "it needs temporal = 'each' or 'residual' or 'body', found 'last'",
        ),
        (
            "pretrain",
            ("num_layers=2",),
            "num_layers",
            "it needs objective = 'contrastive' or 'complete', found 'masked'",
        ),
        (
            "pretrain",
            ("objective=contrastive", "scope=encoder", "num_layers=2"),
            "num_layers",
            "it needs scope = 'backbone', found 'encoder'",
        ),
        ("pretrain", ("time_pooling=mean",), "time_pooling", "it is a setting of the classifier"),
        (
            "pretrain",
            ("node_drop=0.1",),
            "node_drop",
            "it needs objective = 'contrastive' or 'complete', found 'masked'",
        ),
        (
            "pretrain",
            ("objective=contrastive", "mask=joints"),
            "mask",
            "it needs objective = 'masked', found 'contrast",
        ),
        ("pretrain", ("remedy=none",), "remedy", "it needs target = 'embedding', found 'coordinates'"),
        ("pretrain", ("mask=joints", "mask_parts=head"), "mask_parts", "it needs mask = 'parts', found 'joints'"),
        ("finetune", ("momentum=0.5",), "momentum", "it needs optimizer = 'sgd', found 'adam'"),
        ("finetune", ("step_epochs=[3]",), "step_epochs", "it needs schedule = 'step', found 'cosine'"),
    ],
)
def test_a_setting_without_an_effect_is_refused(stage, overrides, key, reason):
    with pytest.raises(SettingsError) as caught:
        resolve_settings(stage, overrides=overrides)
    assert str(caught.value).startswith(f"--set: {key}: expected a setting with an effect in {stage}: {reason}")


def test_what_makes_a_setting_have_an_effect_may_come_with_it():
    overrides = ("objective=contrastive", "scope=backbone", "num_layers=2", "node_drop=0.1")
    found = resolve_settings("pretrain", overrides=overrides)
    assert (found.model.num_layers, found.pretrain.node_drop) == (2, 0.1)
    assert resolve_settings("pretrain", overrides=("target=embedding", "remedy=none")).pretrain.remedy == "none"
    assert resolve_settings("finetune", overrides=("optimizer=sgd", "momentum=0.5")).optimizer.momentum == 0.5


def test_a_file_names_a_setting_without_an_effect_and_an_option_does_too(tmp_path):
    file = file_of(tmp_path, '[model]\ntemporal = "last"\ntemporal_dropout = 0.5')
    with pytest.raises(
        SettingsError, match="config.toml: temporal_dropout: expected a setting with an effect in finetune"
    ):
        resolve_settings("finetune", config_file=file)
    with pytest.raises(SettingsError, match="^--num-masked: num_masked: expected a setting with an effect in finetune"):
        resolve_settings("finetune", num_masked=3)
    with pytest.raises(SettingsError, match=r"num_masked: .* it needs mask_parts = \(\), found"):
        resolve_settings("pretrain", overrides=("mask_parts=left_arm", "num_masked=1"))
    other = file_of(tmp_path, "[pretrain]\nnode_drop = 0.1")  # of the other stage: it is not asked for here
    assert resolve_settings("finetune", config_file=other) == resolve_settings("finetune")


WRITTEN = {
    "pretrain": [(), ("objective=contrastive",), ("objective=contrastive", "scope=backbone"), ("mask=joints",)],
    "finetune": [(), ("temporal=last",), ("optimizer=sgd", "schedule=step", "step_epochs=[1, 2]"), ("streams=bone",)],
}


@pytest.mark.parametrize(("stage", "overrides"), [(stage, more) for stage in STAGES for more in WRITTEN[stage]])
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_written_training_repeats_itself(recipe, stage, overrides, tmp_path):
    found = resolve_settings(stage, recipe, overrides=overrides, seed=3)
    live = {key for key in FIELDS if not found.without_effect(key)}
    assert keys_of(found) == live
    assert ("mask" in live) == (stage == "pretrain" and "objective=contrastive" not in overrides)
    assert ("head_units" in live) == (stage == "finetune")
    file = file_of(tmp_path, found.to_toml())
    other = next(name for name in RECIPES if name != recipe)
    for again in (
        read_settings(file, stage),
        resolve_settings(stage, recipe, config_file=file),
        resolve_settings(stage, other, config_file=file),
    ):
        assert again.to_toml() == found.to_toml()
        assert {key: again.flat()[key] for key in live} == {key: found.flat()[key] for key in live}


def test_adopting_an_architecture_refuses_what_was_asked_for_otherwise():
    found = {"units": 8, "streams": ["joint"], "joint_positions": True, "num_people": 2, "normalize": "clip"}
    found |= {"name": "encoder", "batch_size": 3}  # the one no setting, the other none of the model
    plain = resolve_settings("finetune")
    adopted = plain.adopt(found, "runs/pre")
    assert (adopted.model.units, adopted.model.streams, adopted.model.joint_positions) == (8, ("joint",), True)
    assert adopted.data.num_people == 2 and adopted.optimizer == plain.optimizer
    for override, message in (
        ("units=9", "units: expected 8 as the pre-trained runs/pre has, found 9"),
        ("streams=bone", r"streams: expected \('joint',\) as the pre-trained runs/pre has, found \('bone',\)"),
        ("joint_positions=false", "joint_positions: expected True as the pre-trained runs/pre has, found False"),
        ("num_people=1", "num_people: expected 2 as the pre-trained runs/pre has, found 1"),
        ("normalize=none", "normalize: expected 'clip' as the pre-trained runs/pre has, found 'none'"),
    ):
        with pytest.raises(SettingsError, match=f"^{message}$"):
            resolve_settings("finetune", overrides=(override,)).adopt(found, "runs/pre")
    for override in ("units=8", "num_people=0", "normalize=auto", "joint_positions=true", "dropout_rate=0.3"):
        again = resolve_settings("finetune", overrides=(override,)).adopt(found, "runs/pre")
        assert again.model.units == 8 and again.data.num_people == 2 and again.model.normalize == "clip"


def test_a_file_may_serve_both_stages(tmp_path):
    """What one of them has no use for is passed over there, not refused; an option is for one stage."""
    file = file_of(tmp_path, "num_layers = 2\ndropout_rate = 0.25\nunits = 8")
    before, after = (resolve_settings(stage, config_file=file) for stage in STAGES)
    assert before.model == after.model and (after.model.num_layers, after.model.dropout_rate) == (2, 0.25)
    assert {"num_layers", "dropout_rate", "units"} & keys_of(before) == {"units"}
    with pytest.raises(SettingsError, match="--set: num_layers: expected a setting with an effect in pretrain"):
        resolve_settings("pretrain", config_file=file, overrides=("num_layers=3",))


def test_whether_a_setting_has_an_effect_can_be_left_to_the_caller():
    found = resolve_settings("pretrain", overrides=("num_layers=2", "momentum=0.5"), check=False)
    assert (found.model.num_layers, found.optimizer.momentum) == (2, 0.5)
    assert found.without_effect("num_layers") and found.without_effect("momentum")
    with pytest.raises(SettingsError, match="momentum: expected float"):
        resolve_settings("pretrain", overrides=("momentum=high",), check=False)


def test_settings_can_be_changed_as_a_record():
    found = resolve_settings("pretrain")
    changed = found.replace(epochs=3, target="motion")
    assert (changed.optimizer.epochs, changed.pretrain.target) == (3, "motion")
    assert changed.replace(epochs=found.optimizer.epochs, target=found.pretrain.target) == found
    assert changed.stage == "pretrain" and module.GROUP_OF["epochs"] == "optimizer"


def sizes(settings):
    options = settings.optimizer
    return options.batch_size, options.epochs, options.learning_rate, options.step_epochs


def test_a_small_split_has_as_many_steps_as_the_paper():
    """On NTU RGB+D 60 nothing changes; less data have smaller batches, then more epochs, at a rate that fits."""
    before, after = (resolve_settings(stage, "paper") for stage in STAGES)
    assert before.for_clips(40_091) == before and after.for_clips(40_091) == after
    assert sizes(before.for_clips(20_484)) == (512, 50, 1.5e-4, ())  # adam's rate is that of one weight
    assert sizes(after.for_clips(1258)) == (64, 110, 0.05, (90, 100))
    assert sizes(before.for_clips(660)) == (32, 96, 1.5e-4, ())
    size, epochs, rate, drops = sizes(after.for_clips(300))
    assert (size, rate) == (32, 0.025) and 10 * epochs >= 2000 and drops == (164, 182)
    assert epochs == pytest.approx(110 / 90 * drops[0], rel=0.01)
    small = resolve_settings("finetune", "small")
    assert small.for_clips(7) == small


def test_what_was_asked_for_stays_whatever_the_number_of_sequences():
    asked = resolve_settings("finetune", "paper", batch_size=128, epochs=3, overrides=("learning_rate=0.2",))
    assert sizes(asked.for_clips(100)) == (128, 3, 0.2, (90, 100))
    assert sizes(resolve_settings("finetune", "paper", epochs=3).for_clips(100))[:3] == (32, 3, 0.025)


def test_the_recipe_follows_the_number_of_sequences_and_what_was_pretrained(tmp_path):
    assert [recipe_for(count) for count in (1, 4999, 5000, 10**6)] == ["small", "small", "strong", "strong"]
    (tmp_path / "config.toml").write_text(resolve_settings("pretrain", "paper").to_toml())
    assert recipe_for(10, tmp_path) == recipe_for(10**6, tmp_path / "model.keras") == "paper"
    assert recipe_for(10, tmp_path / "other" / "model.keras") == "small"


def test_a_recipe_changes_with_the_objective_and_what_is_asked_for_wins(tmp_path):
    masked, views = (resolve_settings("pretrain", "small", usual=usual) for usual in (None, "contrastive"))
    assert masked.pretrain.objective == "masked" and masked.optimizer.epochs == 20
    assert views.optimizer.batch_size == 64 and views.augment.rotate == 0.3 and not views.given
    assert resolve_settings("pretrain", "small", objective="contrastive") == views
    assert resolve_settings("pretrain", "small", None, ("objective=masked",), usual="contrastive") == masked
    chosen = resolve_settings("pretrain", "small", None, ("objective=contrastive", "rotate=0.1"), epochs=3)
    assert (chosen.augment.rotate, chosen.optimizer.epochs, chosen.augment.shear) == (0.1, 3, 0.1)
    (tmp_path / "own.toml").write_text('[pretrain]\nobjective = "complete"\n\n[optimizer]\nepochs = 7\n')
    found = resolve_settings("pretrain", "small", tmp_path / "own.toml", usual="contrastive")
    assert (found.pretrain.objective, found.optimizer.batch_size, found.optimizer.epochs) == ("complete", 32, 7)
    assert resolve_settings("finetune", "small", usual="contrastive") == resolve_settings("finetune", "small")


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_what_an_objective_changes_has_an_effect(recipe, objective):
    plain = resolve_settings("pretrain", recipe)
    changed = resolve_settings("pretrain", recipe, objective=objective)
    keys = [key for key in FIELDS if changed.flat()[key] != plain.flat()[key]]
    assert "epochs" in keys and not any(changed.without_effect(key) for key in keys)


def test_what_something_else_decides_is_refused_but_in_a_file(tmp_path):
    """A file of settings serves several commands."""
    (tmp_path / "c.toml").write_text("validation_fraction = 0.3\nepochs = 3\n")
    decided = {"validation_fraction": "--val-split is what is set aside"}
    found = resolve_settings("finetune", config_file=tmp_path / "c.toml", overrides=("units=8",), decided=decided)
    assert found.given == {"validation_fraction", "epochs", "units"} and found.asked == {"units"}
    assert found.replace(units=9).asked == {"units"}
    with pytest.raises(
        SettingsError, match="^--set: validation_fraction: expected a setting with an effect here: --val"
    ):
        resolve_settings("finetune", overrides=("validation_fraction=0.3",), decided=decided)
