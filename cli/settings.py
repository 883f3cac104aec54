"""`skelmae settings`: what --set and --config can change."""

import json

import click

from . import options
from .printing import echo, table

ENDS = {"least": "at least", "most": "at most", "below": "below"}


def describe_setting(key):
    """All about a setting, JSON-able. SettingsError where there is none of that name."""
    from skelmae_datasets.runs import settings

    if key not in settings.FIELDS:
        settings.convert(key, None, "skelmae settings")  # says which one may be meant
    field = settings.FIELDS[key]
    kind, items = type(field.default).__name__, field.metadata["items"].__name__
    needs = {stage: settings.effect_needs(stage, key) for stage in settings.STAGES}
    return {
        "key": key,
        "group": settings.GROUP_OF[key],
        "type": f"list of {items}" if kind == "tuple" else kind,
        "default": field.default,
        "recipes": _in_recipes(key),
        "objectives": _of_objectives(key),
        "choices": field.metadata["choices"],
        **{end: field.metadata[end] for end in ENDS},
        "needs": {stage: needed for stage, needed in needs.items() if needed is not None},
        "text": field.metadata["text"],
    }


def _in_recipes(key):
    """{recipe: {stage: value}} where a recipe sets it to something else than the default."""
    from skelmae_datasets.runs import settings

    found = {}
    for recipe in settings.RECIPES:
        for stage in settings.STAGES:
            resolved = settings.resolve_settings(stage, recipe)
            value = resolved.flat()[key]
            if value != settings.FIELDS[key].default and not resolved.without_effect(key):
                found.setdefault(recipe, {})[stage] = value
    return found


def _of_objectives(key):
    """{objective: value} where one changes it in every recipe's pre-training."""
    from skelmae_datasets.runs import settings

    changes = {objective: settings.objective_changes(objective) for objective in settings.OBJECTIVES}
    return {objective: values[key] for objective, values in changes.items() if key in values}


def _other_values(setting):
    """ "small 32, paper pretrain 1024, contrastive 64": the values of recipes and objectives in short."""
    texts = []
    for recipe, values in setting["recipes"].items():
        everywhere = set(values) == set(setting["needs"]) and len(set(map(json.dumps, values.values()))) == 1
        for stage, value in [("", next(iter(values.values())))] if everywhere else values.items():
            texts.append(f"{recipe} {stage} {json.dumps(value)}".replace("  ", " "))
    texts += [f"{objective} {json.dumps(value)}" for objective, value in setting["objectives"].items()]
    return ", ".join(texts)


def _listed(found):
    """Per group a table of key, default, what it does; below a key what the recipes say."""
    rows = []
    for setting in found:
        rows.append((setting["group"], setting["key"], json.dumps(setting["default"]), setting["text"]))
        if _other_values(setting):
            rows.append((setting["group"], "", "", f"  {_other_values(setting)}"))
    lines = []
    for (group, *_), line in zip(rows, table([row[1:] for row in rows]).splitlines(), strict=True):
        lines += [line] if f"[{group}]" in lines else ["", f"[{group}]", line]
    end = "Change one by --set KEY=VALUE; `skelmae settings KEY` says when it has an effect."
    return "\n".join([*lines[1:], "", end])


def _details(setting):
    rows = [(name, setting[name]) for name in ("group", "type")] + [("default", json.dumps(setting["default"]))]
    if _other_values(setting):
        rows.append(("recipes", _other_values(setting)))
    if setting["choices"]:
        rows.append(("choices", ", ".join(setting["choices"])))
    rows += [(text, str(setting[end])) for end, text in ENDS.items() if setting[end] is not None]
    for stage, needs in setting["needs"].items():
        texts = [f"{key} = {' or '.join(map(json.dumps, values))}" for key, values in needs.items()]
        rows.append(("effect", f"{stage}{' with ' if texts else ''}{', '.join(texts)}"))
    return f"{setting['key']}: {setting['text']}\n{table(rows)}"


@options.command("settings")
@click.argument("key", required=False)
@options.json_flag
def command(key, as_json):
    """List the settings of a training: key, default, what it does, and its value where a recipe, or the objective of a
    pre-training, says otherwise.

    With KEY all about that one: group, type, choices, when it has an effect. --set changes one, --config reads a file
    with the groups as tables, such as the config.toml of a run.

    \b
    Example:
      skelmae settings
      skelmae settings temporal
    """
    if key is not None:
        setting = describe_setting(key)
        echo(setting, as_json, lambda: _details(setting))
        return

    from skelmae_datasets.runs.settings import FIELDS

    found = [describe_setting(name) for name in FIELDS]
    echo(found, as_json, lambda: _listed(found))
