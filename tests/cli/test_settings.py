"""`skelmae settings`: every setting with what it does, without Keras."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from skelmae_cli.main import cli
from skelmae_cli.options import settings_of
from skelmae_datasets.runs.settings import FIELDS, GROUPS, RECIPES, STAGES, SettingsError, resolve_settings


def run(*arguments, code=0):
    result = CliRunner().invoke(cli, ["settings", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_the_table_has_every_setting_under_its_group():
    lines, group, found = run().splitlines(), None, {}
    for line in lines:
        if line.startswith("["):
            group = line.strip("[]")
        elif line[2:3].strip() and line.startswith("  "):
            key, default, text = line.split(None, 1)[0], line, line
            found[key] = (group, default, text)
    assert set(found) == set(FIELDS) and {group for group, *_ in found.values()} == set(GROUPS)
    for key, field in FIELDS.items():
        assert field.metadata["text"] in found[key][2] and json.dumps(field.default) in found[key][1]


def test_what_recipes_say_stands_below():
    lines = run().splitlines()
    below = {line.split()[0]: lines[number + 1].strip() for number, line in enumerate(lines[:-1]) if line.strip()}
    assert below["warmup_epochs"] == (
        "small pretrain 2, small finetune 3, paper finetune 5, strong pretrain 2, strong finetune 5"
    )
    assert below["joint_noise"] == "small 0.01, paper 0.01, strong 0.005, contrastive 0.02"
    assert (
        below["share_people"] == "small finetune true, strong finetune true"
    )  # in a masked pre-training there is one person


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("stage", STAGES)
def test_json_tells_what_a_recipe_makes_of_a_stage(recipe, stage):
    resolved = resolve_settings(stage, recipe)
    for setting in json.loads(run("--json")):
        key = setting["key"]
        if not resolved.without_effect(key):
            value = setting["recipes"].get(recipe, {}).get(stage, setting["default"])
            assert value == json.loads(json.dumps(resolved.flat()[key])), key


def test_one_setting_with_all_about_it():
    output = run("temporal_strides")
    for text in ("group    model", "type     list of int", "default  []", "small finetune [1, 2, 1, 2, 1, 1]"):
        assert text in output
    effects = [line.split(None, 1)[1] for line in output.splitlines() if line.startswith("  effect")]
    contrastive = 'objective = "contrastive" or "complete", scope = "backbone"'
    assert effects == [
        f'pretrain with temporal = "each" or "residual" or "body", {contrastive}',
        'finetune with temporal = "each" or "residual" or "body"',
    ]
    assert "choices  stretch, pyskl" in run("sampling") and "at least  1" in run("units")
    assert json.loads(run("mask_parts", "--json"))["needs"] == {
        "pretrain": {"objective": ["masked"], "mask": ["parts"]}
    }


def test_an_unknown_setting_is_put_right():
    assert "did you mean graph_conv?" in run("graph_con", code=1)


def test_it_needs_no_keras():
    code = "import sys; from skelmae_cli.main import cli; cli(['settings'], standalone_mode=False); "
    code += "assert not {'keras', 'keras_skelmae', 'tensorflow', 'jax', 'torch'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("overrides", "options", "told"),
    [
        (["epochs=3"], {"epochs": 4}, "--set epochs: expected one value, found 3, and 4 of --epochs"),
        (["dtype_policy=float32"], {"dtype_policy": "mixed_float16"}, "found float32, and mixed_float16 of"),
    ],
)
def test_one_setting_has_one_value(overrides, options, told):
    chosen = {"overrides": overrides, "config_file": None, **options}
    with pytest.raises(SettingsError, match=told):
        settings_of("finetune", "small", chosen)


def test_the_value_of_one_stage_comes_before_that_of_both():
    chosen = {"overrides": ["units=8", "streams=joint"], "config_file": None, "epochs": 4, "batch_size": None}
    found = settings_of("pretrain", "small", chosen, ("epochs=7", "units=9"), check=False)
    assert (found.optimizer.epochs, found.model.units, found.model.streams) == (7, 9, ("joint",))
    assert settings_of("finetune", "small", chosen, check=False).optimizer.epochs == 4
    again = settings_of("finetune", "small", {**chosen, "overrides": ["epochs=9", "units=8", "epochs = 4", "units=9"]})
    assert (again.optimizer.epochs, again.model.units) == (4, 9)
