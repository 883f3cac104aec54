"""Settings of a training, in groups: presets, recipes, TOML files and overrides resolved into one record.

A key stands in one group only, so that it can be given without it. What a setting does, which values it takes and when
it has an effect is told here once; ``--help``, the documentation and ``skelmae settings`` read it from here.
"""

import dataclasses
import difflib
import json
import math
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from .published import is_published, model_card
from .run_folder import SETTINGS

STAGES = ("pretrain", "finetune")
LEAST_BATCH = 32  # fewer have poor batch statistics
RECIPES = ("small", "paper", "strong")
OBJECTIVES = ("contrastive", "complete")  # those for which a recipe changes
MANY = 5000  # training sequences from which on the recipe is "strong", unless one is asked for
PRESETS = {
    "small": "a whole-body temporal network beside one STRL layer, for hundreds of sequences",
    "paper": "the paper's sizes: three STRL layers with a temporal module each",
    "strong": "ten residual layers of growing width with learned joint-to-joint weights, for thousands of sequences",
}


class SettingsError(ValueError):
    """A setting that does not exist, has the wrong type or no effect; the message names it."""


def setting(default, text, choices=None, least=None, most=None, below=None, needs=None, items=str):
    """A dataclass field with what it does.

    Args:
        default: its type is the setting's; a tuple takes a list.
        choices: values it may have. least, most: the smallest and the largest number it may be. below: what it must be
            below.
        needs: dict of another setting to the values with which this one has an effect.
        items: the type of what is in a list.
    """
    ends = {"least": least, "most": most, "below": below}
    metadata = {"text": text, "choices": choices, **ends, "needs": needs or {}, "items": items}
    return dataclasses.field(default=default, metadata=metadata)


BODY = {"temporal": ("body",)}
WIDTHS = {"temporal": ("body", "residual")}
MASKED, VIEWS = {"objective": ("masked",)}, {"objective": ("contrastive", "complete")}
COMPLETE = {"objective": ("complete",)}


@dataclass(frozen=True)
class DataSettings:
    """How recordings become clips."""

    num_frames: int = setting(64, "frames of a clip, T", least=1)
    num_people: int = setting(0, "people of a clip; 0: as many as the store holds, at most 2", least=0)
    use_score: bool = setting(False, "the pose estimator's confidence as a channel")
    sampling: str = setting(
        "stretch", "frames of a clip: evenly spaced and interpolated, or PYSKL's", choices=("stretch", "pyskl")
    )
    seed: int = setting(0, "seed of weights, order, masks and noise", least=0)


@dataclass(frozen=True)
class ModelSettings:
    """The architecture: arguments of preprocessor, encoder, backbone and classifier."""

    preset: str = setting("small", "architecture that the others of [model] change", choices=tuple(PRESETS))
    normalize: str = setting(
        "clip",
        "how coordinates are placed; auto: image for pixels, else clip",
        choices=("auto", "clip", "image", "none"),
    )
    streams: tuple = setting(("joint",), "input streams: joint, motion, bone, relative, distance")
    units: int = setting(64, "width of the graph layers, D", least=1)
    encoder_layers: int = setting(3, "graph convolutions in an encoder, L_D", least=1)
    graph_conv: str = setting("gin", "kind of graph convolution", choices=("gin", "gcn", "gat", "adaptive"))
    normalization: str = setting("batch", "normalisation between layers", choices=("batch", "layer", "none"))
    joint_positions: bool = setting(True, "a learnable vector per joint")
    num_layers: int = setting(3, "STRL layers, M", least=1)
    share_people: bool = setting(False, "one encoder for all people")
    temporal: str = setting(
        "last",
        "temporal modules: one at the end, one per layer, residual layers, or over the whole body",
        choices=("last", "each", "residual", "body"),
    )
    temporal_strides: tuple = setting(
        (), "frames thinned, one per temporal module", needs={"temporal": ("each", "residual", "body")}, items=int
    )
    temporal_units: tuple = setting(
        (), "width of each residual layer, or of the body's vector, then of each convolution", needs=WIDTHS, items=int
    )
    temporal_dropout: float = setting(
        0.0, "share of the body's vectors, or of a layer's temporal modules, left out", least=0, below=1, needs=WIDTHS
    )
    body_streams: tuple = setting(("features",), "what the body's vectors are made of", needs=BODY)
    time_pooling: str = setting("mean", "pooling over frames", choices=("mean", "mean+max"))
    dropout_rate: float = setting(0.0, "dropout before the classifier", least=0, below=1)
    head_units: int = setting(128, "hidden units of the classifier; 0: none", least=0)


@dataclass(frozen=True)
class PretrainSettings:
    """What is learned without labels."""

    objective: str = setting(
        "masked",
        "masked joints of single frames, two views drawn together, or spoiled views completed to clean motion",
        choices=("masked", "contrastive", "complete"),
    )
    scope: str = setting(
        "backbone", "what two views pre-train", choices=("encoder", "backbone"), needs={"objective": ("contrastive",)}
    )
    camera: str = setting(
        "2d",
        "what sees recordings in 3D: a virtual camera with a pose estimator, or a depth sensor",
        choices=("2d", "3d"),
        needs=COMPLETE,
    )
    contrast: float = setting(0.5, "weight of drawing two views together", least=0, needs=COMPLETE)
    recognition: float = setting(0.3, "weight of telling the recordings' own labels", least=0, needs=COMPLETE)
    target: str = setting(
        "embedding", "what masked joints are to become", choices=("embedding", "coordinates", "motion"), needs=MASKED
    )
    remedy: str = setting(
        "variance",
        "against a collapsing target",
        choices=("none", "stop_gradient", "variance"),
        needs=MASKED | {"target": ("embedding",)},
    )
    loss_function: str = setting(
        "rce", "the paper's, its mean, or squares", choices=("rce", "sce", "mse"), needs=MASKED
    )
    remask: str = setting(
        "context",
        "masked joints before the decoder: with what is seen of the frame, a token instead, or as they are",
        choices=("context", "token", "none"),
        needs=MASKED,
    )
    mask: str = setting("parts", "how joints are chosen", choices=("parts", "joints", "motion"), needs=MASKED)
    mask_parts: tuple = setting((), "names of body parts; none: drawn", needs=MASKED | {"mask": ("parts",)})
    num_masked: int = setting(
        0, "parts or joints; 0: drawn, or half of the joints", least=0, needs=MASKED | {"mask_parts": ((),)}
    )
    mask_frames: int = setting(0, "frames that share a draw; 0: the whole clip", least=0, needs=MASKED)
    mask_sequences: int = setting(1, "sequences that share a draw; 0: the whole batch", least=0, needs=MASKED)
    node_drop: float = setting(0.1, "share of the joints that each view lacks", least=0, below=1, needs=VIEWS)
    part_drop: float = setting(0.5, "how probable it is that a view lacks a body part", least=0, most=1, needs=VIEWS)


@dataclass(frozen=True)
class AugmentSettings:
    """How training clips are changed at random; shares of the clip's extent, or radians; 0: not."""

    crop_min: float = setting(1.0, "shortest temporal crop, a share of the sequence", least=0, most=1)
    rotate: float = setting(0.0, "largest rotation", least=0)
    scale: float = setting(0.0, "largest change of size", least=0)
    shear: float = setting(0.0, "largest shear", least=0)
    joint_noise: float = setting(0.0, "noise of every joint", least=0)
    flip: float = setting(0.0, "how probable a mirror image is", least=0, most=1)


@dataclass(frozen=True)
class FinetuneSettings:
    """What is special to the classifier's training."""

    label_smoothing: float = setting(0.1, "share of the target that all classes have", least=0, below=1)
    class_balance: str = setting(
        "none",
        "make rare classes count as much: by weights in the loss, or by drawing their clips more often",
        choices=("none", "weights", "sampling"),
    )
    mirror: str = setting("off", "recognise mirrored clips too, where the classes allow it", choices=("off", "auto"))
    validation_fraction: float = setting(
        0.1, "share set aside without a validation split; 0: nothing", least=0, below=1
    )


@dataclass(frozen=True)
class OptimizerSettings:
    """Optimiser, schedule and what a step is."""

    optimizer: str = setting("adam", "which; sgd has Nesterov's momentum", choices=("adam", "sgd"))
    learning_rate: float = setting(1.5e-4, "after the warm-up", least=0)
    weight_decay: float = setting(
        0.0, "of kernels: part of the gradient with sgd, by itself with adam (AdamW)", least=0
    )
    momentum: float = setting(0.9, "of SGD", least=0, below=1, needs={"optimizer": ("sgd",)})
    schedule: str = setting("constant", "how the rate falls", choices=("constant", "cosine", "step"))
    step_epochs: tuple = setting((), "epochs after which the rate is a tenth", needs={"schedule": ("step",)}, items=int)
    warmup_epochs: int = setting(0, "epochs in which the rate rises", least=0)
    global_clipnorm: float = setting(0.0, "largest norm of all gradients; 0: any", least=0)
    epochs: int = setting(50, "passes over the training split", least=1)
    batch_size: int = setting(128, "sequences in a batch", least=1)
    least_steps: int = setting(
        0, "steps at least: a small split has smaller batches, a smaller rate with sgd, then more epochs", least=0
    )
    gradient_accumulation_steps: int = setting(1, "batches whose gradients are averaged", least=1)
    steps_per_execution: int = setting(1, "steps handed to TensorFlow or JAX together", least=1)
    ema_momentum: float = setting(0.0, "of the weights' moving average; 0: none", least=0, below=1)
    jit_compile: str = setting("auto", "compile the step with XLA or torch.compile", choices=("auto", "on", "off"))
    dtype_policy: str = setting(
        "float32", "what is computed in", choices=("float32", "mixed_float16", "mixed_bfloat16")
    )


GROUPS = {
    "data": DataSettings,
    "model": ModelSettings,
    "pretrain": PretrainSettings,
    "augment": AugmentSettings,
    "finetune": FinetuneSettings,
    "optimizer": OptimizerSettings,
}
FIELDS = {field.name: field for kind in GROUPS.values() for field in dataclasses.fields(kind)}
GROUP_OF = {field.name: group for group, kind in GROUPS.items() for field in dataclasses.fields(kind)}
UNDECIDED = {"num_people": 0, "normalize": "auto"}  # values that leave a setting to the data
BACKBONE_KEYS = ("num_layers", "share_people", "temporal", "temporal_units", "temporal_strides", "temporal_dropout")
BACKBONE_KEYS += ("body_streams",)
CLASSIFIER_KEYS = ("time_pooling", "dropout_rate", "head_units")


def effect_needs(stage, key):
    """What it takes for a setting to have an effect in a stage.

    Returns:
        dict of other settings to the values with which it has one, {} for any; None where it never has one.
    """
    if GROUP_OF[key] in STAGES and GROUP_OF[key] != stage or stage == "pretrain" and key in CLASSIFIER_KEYS:
        return None
    needs = dict(FIELDS[key].metadata["needs"])
    if stage == "pretrain" and key in BACKBONE_KEYS:
        needs |= VIEWS | {"scope": ("backbone",)}
    return needs


def steps(count, batch_size, epochs):
    """Steps of so many passes over so many sequences."""
    return max(1, math.ceil(count / batch_size)) * epochs


@dataclass(frozen=True)
class Settings:
    """Every setting of a training of one stage, "pretrain" or "finetune"; ``settings.optimizer.epochs``."""

    stage: str
    data: DataSettings
    model: ModelSettings
    pretrain: PretrainSettings
    augment: AugmentSettings
    finetune: FinetuneSettings
    optimizer: OptimizerSettings
    given: frozenset = dataclasses.field(default=frozenset(), compare=False)  # keys that were asked for by name
    asked: frozenset = dataclasses.field(default=frozenset(), compare=False)  # those of them that no file asks for

    @classmethod
    def of(cls, stage, given=(), asked=(), **values):
        """From a flat dict of settings; what is not in it has its default."""
        if stage not in STAGES:
            raise SettingsError(f"stage: expected one of {', '.join(STAGES)}, found {stage!r}")
        groups = {group: {} for group in GROUPS}
        for key, value in values.items():
            groups[GROUP_OF[key]][key] = value
        made = {group: kind(**groups[group]) for group, kind in GROUPS.items()}
        return cls(stage, **made, given=frozenset(given), asked=frozenset(asked))

    def flat(self):
        """dict of every key to its value."""
        return {key: getattr(getattr(self, group), key) for key, group in GROUP_OF.items()}

    def replace(self, **values):
        """The same with some settings changed."""
        return Settings.of(self.stage, self.given, self.asked, **{**self.flat(), **values})

    def adopt(self, architecture, source):
        """The same with the architecture of a pre-trained model.

        Args:
            architecture: dict; what is no setting of the model is passed over. source: where it comes from.

        Raises:
            SettingsError: a setting that was asked for by name differs from it.
        """
        changes = {key: value for key, value in architecture.items() if GROUP_OF.get(key) in ("model", "data")}
        changes = {key: tuple(value) if isinstance(value, list) else value for key, value in changes.items()}
        for key in sorted(self.given & set(changes)):
            wanted, found = changes[key], self.flat()[key]
            if found not in (wanted, UNDECIDED.get(key, wanted)):
                raise SettingsError(f"{key}: expected {wanted!r} as the pre-trained {source} has, found {found!r}")
        return self.replace(**changes)

    def for_clips(self, count):
        """The same for a split of so many sequences: with ``least_steps`` a small one has them, too.

        The batch is halved down to LEAST_BATCH, and sgd's rate with it, as it is a sum over the batch's gradients that
        moves the weights; what is still missing are further epochs. What was asked for by name stays.
        """
        options = self.optimizer
        size, epochs = options.batch_size, options.epochs
        while (
            "batch_size" not in self.given
            and size >= 2 * LEAST_BATCH
            and steps(count, size, epochs) < options.least_steps
        ):
            size //= 2
        missing = options.least_steps / steps(count, size, epochs)
        stretch = math.ceil(epochs * missing) / epochs if missing > 1 and "epochs" not in self.given else 1
        share = size / options.batch_size if options.optimizer == "sgd" and "learning_rate" not in self.given else 1
        return self.replace(
            batch_size=size,
            epochs=round(epochs * stretch),
            learning_rate=options.learning_rate * share,
            step_epochs=tuple(round(epoch * stretch) for epoch in options.step_epochs),
        )

    def without_effect(self, key):
        """Why a setting has no effect here, in words; "" where it has one."""
        needs, values = effect_needs(self.stage, key), self.flat()
        if needs is None:
            return f"it is a setting of {GROUP_OF[key] if GROUP_OF[key] in STAGES else 'the classifier'}"
        for other, allowed in needs.items():
            if values[other] not in allowed:
                return f"it needs {other} = {' or '.join(map(repr, allowed))}, found {values[other]!r}"
        return ""

    def to_toml(self):
        """The settings that have an effect as TOML tables; reading it back gives the same training."""
        lines = []
        for group, kind in GROUPS.items():
            keys = [field.name for field in dataclasses.fields(kind) if not self.without_effect(field.name)]
            if keys:
                lines += [f"[{group}]", *(f"{key} = {json.dumps(self.flat()[key])}" for key in keys), ""]
        return "\n".join(lines)


def convert(key, value, source):
    """A value as its setting takes it, or SettingsError naming the source and the key."""
    if key not in FIELDS:
        close = difflib.get_close_matches(key, FIELDS, 3, 0.5)
        hint = f" (did you mean {' or '.join(close)}?)" if close else ""
        raise SettingsError(f"{source}: unknown setting {key!r}{hint}; `skelmae settings` lists all")
    field = FIELDS[key]
    kind, choices = type(field.default), field.metadata["choices"]
    least, most, below = (field.metadata[end] for end in ("least", "most", "below"))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind is tuple and isinstance(value, list | tuple):
        value = tuple(value)
    if type(value) is not kind:
        raise SettingsError(f"{source}: {key}: expected {kind.__name__}, found {value!r}")
    if kind is tuple and any(type(item) is not field.metadata["items"] for item in value):
        wanted = f"a list of {field.metadata['items'].__name__}"
        raise SettingsError(f"{source}: {key}: expected {wanted}, found {list(value)!r}")
    if choices and value not in choices:
        raise SettingsError(f"{source}: {key}: expected one of {', '.join(choices)}, found {value!r}")
    if least is not None and not least <= value < float("inf"):
        raise SettingsError(f"{source}: {key}: expected at least {least}, found {value!r}")
    if most is not None and value > most:
        raise SettingsError(f"{source}: {key}: expected at most {most}, found {value!r}")
    if below is not None and value >= below:
        raise SettingsError(f"{source}: {key}: expected below {below}, found {value!r}")
    return value


def read_toml(text, source):
    """A TOML table, or SettingsError."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(f"{source}: not TOML: {error}") from error


def _read_file(path):
    try:
        return read_toml(Path(path).read_text("utf-8"), path)
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not TOML: expected UTF-8, found {error}") from error


def _shipped(folder, name):
    text = resources.files("skelmae_datasets").joinpath("data", folder, f"{name}.toml").read_text("utf-8")
    return read_toml(text, name)


def read_preset(name, changes=None):
    """The settings of a built-in architecture with some changed, dict.

    What the preset has and the changes leave without effect, such as ``temporal_units`` without ``temporal="body"``, is
    left out.

    Args:
        name: one of PRESETS. changes: dict of settings.
    """
    own = {key: convert(key, value, name) for key, value in _shipped("presets", name).items()}
    found = {**own, **(changes or {})}
    idle = {
        key
        for key in set(own) - set(changes or {})
        for other, allowed in FIELDS[key].metadata["needs"].items()
        if found.get(other, FIELDS[other].default) not in allowed
    }
    return {key: value for key, value in found.items() if key not in idle}


def flatten(table, stage, source):
    """Settings of a TOML table for one stage: keys without a table, then tables, then those of ``[stage.table]``."""
    flat, special = {}, {}
    for group, content in table.items():
        if not isinstance(content, dict):
            flat[group] = convert(group, content, source)
            continue
        if group not in GROUPS:
            raise SettingsError(f"{source}: [{group}]: expected one of the tables {', '.join(GROUPS)}")
        for key, value in content.items():
            if isinstance(value, dict):
                if group not in STAGES or key not in GROUPS:
                    raise SettingsError(
                        f"{source}: [{group}.{key}]: expected a table of settings such as [pretrain.optimizer]"
                    )
                for name, item in value.items():
                    converted = _in_table(key, name, item, source)
                    if group == stage:
                        special[name] = converted
            else:
                converted = _in_table(group, key, value, source)
                if group not in STAGES or group == stage:
                    flat[key] = converted
    return {**flat, **special}


def _in_table(group, key, value, source):
    value = convert(key, value, source)
    if GROUP_OF[key] != group:
        raise SettingsError(f"{source}: [{group}] {key}: expected it in [{GROUP_OF[key]}]")
    return value


def _plain_value(text):
    """What a text means: TOML, a list without its brackets and perhaps without quotes, else itself."""
    for form in (text, f"[{text}]") if "," in text else (text,):
        try:
            return tomllib.loads(f"x = {form}")["x"]
        except (tomllib.TOMLDecodeError, RecursionError):
            continue
    return [item.strip() for item in text.split(",") if item.strip()] if "," in text else text


def parse_override(text):
    """(key, value) of ``key=value``: the value TOML where it is TOML, a list where it has commas, else a string."""
    key, sign, value = text.partition("=")
    key, value = key.strip(), value.strip()
    if not sign:
        raise SettingsError(f"--set {text}: expected key=value")
    value = _plain_value(value)
    if not isinstance(value, list) and key in FIELDS and isinstance(FIELDS[key].default, tuple):
        value = [value]
    return key, convert(key, value, "--set")


def read_settings(path, stage):
    """The Settings in the config.toml of a run."""
    return Settings.of(stage, **flatten(_read_file(path), stage, path))


def objective_changes(objective):
    """What a pre-training by an objective changes in any recipe: dict of settings, empty for "masked"."""
    if objective not in OBJECTIVES:
        return {}
    return flatten(_shipped("objectives", objective), "pretrain", objective)


def preset_of(pretrained):
    """The preset of a run folder, a file in one or a published backbone; None where nothing tells."""
    if is_published(pretrained):
        return model_card(str(pretrained))["recipe"]
    for folder in (Path(pretrained), Path(pretrained).parent):
        if (folder / SETTINGS).is_file():
            return read_settings(folder / SETTINGS, "finetune").model.preset
    return None


def recipe_for(count, pretrained=None):
    """The recipe where none is asked for: that of what was pre-trained, else one for so many training sequences.

    Args:
        count: int. pretrained: None, or as :func:`preset_of`.
    """
    return pretrained is not None and preset_of(pretrained) or ("strong" if count >= MANY else "small")


def resolve_settings(
    stage, recipe="small", config_file=None, overrides=(), check=True, usual=None, decided=None, **explicit
):
    """Defaults, then the preset, the recipe, its changes for the objective, the file, overrides or explicit options.

    Args:
        stage: "pretrain" or "finetune".
        recipe: one of RECIPES.
        config_file: TOML path, such as the config.toml of a run folder.
        overrides: strings ``key=value``.
        check: False where settings are shared by stages: whether each has an effect in one is for the caller to see.
        usual: objective of a pre-training for which none is asked by name; None = the recipe's.
        decided: dict of settings that something else decides to what that is, in words. A file may hold them.
        explicit: settings that have an option of their own; None = not given.

    Returns:
        Settings.

    Raises:
        SettingsError: naming the source, the setting, what was expected and what was found; also where a setting that
            was given has no effect in this stage, is one of ``decided``, or has two values.
    """
    if recipe not in RECIPES:
        raise SettingsError(f"recipe: expected one of {', '.join(RECIPES)}, found {recipe!r}")
    asked, given = {}, {}  # values, and where they come from
    if config_file is not None:
        asked = flatten(_read_file(config_file), stage, config_file)
        given = dict.fromkeys(asked, config_file)
    for key, value in map(parse_override, overrides):
        asked[key], given[key] = value, "--set"
    for key, value in explicit.items():
        if value is not None:
            option = f"--{key.replace('_', '-')}"
            value = convert(key, value, option)
            if given.get(key) == "--set" and asked[key] != value:
                raise SettingsError(f"--set {key}: expected one value, found {asked[key]}, and {value} of {option}")
            asked[key], given[key] = value, option
    values = flatten(_shipped("recipes", recipe), stage, recipe)
    if stage == "pretrain":
        values["objective"] = asked.get("objective") or usual or FIELDS["objective"].default
        values |= objective_changes(values["objective"])
    values |= asked
    named = {key for key, source in given.items() if source is not config_file}
    found = Settings.of(stage, given, named, **read_preset(values["preset"], values))
    for key in sorted(named.intersection(decided or ())):
        raise SettingsError(f"{given[key]}: {key}: expected a setting with an effect here: {decided[key]}")
    for key, source in given.items():
        stages = STAGES if source is config_file else (stage,)  # one file may serve both
        if check and all(dataclasses.replace(found, stage=each).without_effect(key) for each in stages):
            told = found.without_effect(key)
            raise SettingsError(f"{source}: {key}: expected a setting with an effect in {stage}: {told}")
    return found
