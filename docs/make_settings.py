"""Write docs/settings.md from what the settings say of themselves: python docs/make_settings.py"""

from pathlib import Path

from skelmae_datasets.runs.settings import (
    FIELDS,
    GROUPS,
    OBJECTIVES,
    RECIPES,
    STAGES,
    effect_needs,
    objective_changes,
    resolve_settings,
)

PAGE = Path(__file__).resolve().parent / "settings.md"
HEAD = """# All settings

Change one by `--set KEY=VALUE`, many by `--config FILE.toml`, whose tables are the groups below; the `config.toml` of a
run is such a file. `skelmae settings` prints this table, `skelmae settings KEY` says when a setting has an effect.
A cell has the value of a recipe in pre-training / in fine-tuning, once where both are the same, a dash where the
setting has no effect. A setting that has none in a training is refused there.

This page is made from `datasets/runs/settings.py` by `python docs/make_settings.py`.
"""


def told(value):
    """A value as --set takes it."""
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def in_recipe(key, found):
    """The value of a setting in each stage, in a cell."""
    values = ["–" if each.without_effect(key) else told(each.flat()[key]) for each in found]
    return values[0] if len(set(values)) == 1 else " / ".join(values)


def rows(group):
    """The lines of a group's table."""
    resolved = {recipe: [resolve_settings(stage, recipe) for stage in STAGES] for recipe in RECIPES}
    for key in GROUPS[group].__dataclass_fields__:
        field = FIELDS[key]
        stages = [stage for stage in STAGES if effect_needs(stage, key) is not None]
        text = field.metadata["text"]
        if field.metadata["choices"]:
            text += f" ({', '.join(field.metadata['choices'])})"
        cells = [f"`{key}`", text, "both" if len(stages) == 2 else stages[0]]
        yield "| " + " | ".join([*cells, *(in_recipe(key, found) for found in resolved.values())]) + " |"


def objectives():
    """The lines that tell what the objectives change."""
    for objective in OBJECTIVES:
        changes = ", ".join(f"`{key}` {told(value)}" for key, value in objective_changes(objective).items())
        yield f"- `objective = {objective}` changes in a pre-training by any recipe: {changes}."


def page():
    """The whole page."""
    parts = [HEAD]
    for group, kind in GROUPS.items():
        heads = ["setting", "what it does", "stage", *RECIPES]
        parts += [f"## {group}\n", f"{kind.__doc__}\n", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
        parts += [*rows(group), ""]
        if group == "pretrain":
            parts += [*objectives(), ""]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
