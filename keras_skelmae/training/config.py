"""Settings of a run: recipes, TOML files and overrides resolved into one flat, complete record."""

import dataclasses
import difflib
import importlib.resources
import json
import tomllib
from dataclasses import dataclass
from pathlib import Path

RECIPES = ("small", "paper")
STAGES = ("pretrain", "finetune")


class ConfigError(ValueError):
    """A setting that does not exist or has the wrong type; the message names it."""


@dataclass(frozen=True)
class Config:
    """Every setting of a run. Recipes fill it; ``paper`` is the paper's, ``small`` is for hundreds of sequences."""

    # data
    num_frames: int = 64  # T
    sampling: str = "uniform"  # uniform (PYSKL's), stretch
    people: int = 0  # P; 0 = as many as the store holds, at most 2
    use_score: bool = False  # the pose estimator's confidence as a channel
    # joint embedding and encoder, the same in both stages
    units: int = 64  # D
    encoder_layers: int = 3  # L_D
    normalize: str = "clip"  # clip, image, none
    image_size: tuple = (1080, 1920)  # (height, width) in pixels, for normalize = "image"
    streams: tuple = ("joint",)
    normalization: str = "batch"
    backbone: str = "gin"  # gin, gcn, gat
    joint_positions: bool = False
    # pre-training
    objective: str = "masked"  # masked, or two views of a clip drawn together: contrastive (NT-Xent), vicreg
    temperature: float = 0.2  # contrastive
    decorrelation: float = 0.0  # with scope = "trunk" and two views: weight of the correlations between channels
    node_drop: float = 0.2  # two views: share of the joints that each view is without
    part_drop: float = 0.0  # two views: how probable it is that a view is without one whole body part
    frame_drop: float = 0.0  # two views: each is without single frames, of a share drawn up to this
    gap: float = 0.0  # two views: each is without one stretch of time, of a share of the clip drawn up to this
    target: str = "embedding"
    remedy: str = "variance"
    loss_function: str = "rce"
    beta: float = 2.0
    remask: bool = True
    scope: str = "encoder"  # what is pre-trained: encoder (the paper's, frame by frame) or trunk (all STRL layers)
    mask: str = "parts"  # parts, joints, motion (joints that move more are likelier)
    mask_parts: tuple = ()  # names; empty = drawn
    num_masked: int = 0  # parts or joints; 0 = drawn (parts) or half of the joints
    mask_frames: int = 0  # frames that share a draw; 0 = the whole clip
    mask_sequences: int = 1  # that share a draw; 0 = the whole batch, which is faster with normalization = "layer"
    # recognition
    num_layers: int = 3  # M
    share_people: bool = False
    residual: str = "concat"
    readout: str = "pooled"
    encoder_pool: str = "sum"  # sum, mean
    temporal: str = "last"
    temporal_strides: tuple = ()  # with temporal = "each" or "body", one a temporal module
    body_streams: tuple = ("features",)  # with temporal = "body": features, motion2, joint, motion, distance, ...
    body_units: tuple = ()  # with temporal = "body": of the body's vector, then of each temporal convolution
    body_dropout: float = 0.0
    people_fusion: str = "mean"
    pooling: str = "joints"  # joints, parts
    time_pooling: str = "mean"  # mean, mean+max
    dropout_rate: float = 0.0
    head_units: int = 128
    label_smoothing: float = 0.1
    mirror: str = "off"  # off, auto: recognise mirrored clips too where the classes allow it, see mirroring
    transfer: str = "all"  # of a pre-trained model: all, kernels alone (see transfer_weights) or none of the weights
    probe_share: float = 0.0  # of the targets of a fine-tuning, from a probe of the start's features, see probe_targets
    frozen_epochs: int = 0  # first epochs of a fine-tuning, in which pre-trained layers stay as they are
    pretrained_rate: float = 1.0  # factor on the learning rate of a fine-tuning from pre-trained weights, after these
    # augmentation, as shares of the clip's extent or radians; 0 = none
    crop_min: float = 1.0  # shortest temporal crop, as a share of the sequence
    rotate: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    joint_noise: float = 0.0
    flip: float = 0.0  # probability
    # optimisation
    optimizer: str = "adam"  # adam, adamw, sgd
    learning_rate: float = 1.5e-4
    weight_decay: float = 0.0
    momentum: float = 0.9
    nesterov: bool = False
    schedule: str = "constant"  # constant, cosine, step
    step_epochs: tuple = ()
    warmup_epochs: int = 0
    clip_norm: float = 0.0
    epochs: int = 50
    batch_size: int = 128
    accumulate: int = 1  # steps whose gradients are averaged before the weights change
    batch_parts: int = 0  # parts of a batch that cores compute by themselves in fine-tuning; 0 = as many as help
    steps_per_execution: int = 1  # steps that are handed to TensorFlow or JAX together
    ema: float = 0.0  # momentum of the weights' moving average; 0 = none
    validation_fraction: float = 0.1
    validation_every: int = 1  # epochs; the last one always is validated
    jit: str = "auto"
    precision: str = "float32"  # float32, mixed_float16, mixed_bfloat16; a saved model computes in float32
    seed: int = 0

    def to_toml(self):
        """The settings as TOML text; reading it back gives the same Config."""
        return "".join(f"{key} = {json.dumps(value)}\n" for key, value in dataclasses.asdict(self).items())


COUNTS = ("epochs", "batch_size", "num_frames", "units", "encoder_layers", "num_layers", "validation_every",
          "accumulate", "steps_per_execution")
NATURALS = ("people", "num_masked", "mask_frames", "mask_sequences", "warmup_epochs", "frozen_epochs", "head_units",
            "batch_parts")
FIELDS = {field.name: field for field in dataclasses.fields(Config)}
CHOICES = {
    "time_pooling": ("mean", "mean+max"), "transfer": ("all", "kernels", "none"),
    "sampling": ("uniform", "stretch"),
    "scope": ("encoder", "trunk"), "objective": ("masked", "contrastive", "vicreg"),
    "backbone": ("gin", "gcn", "gat"),
    "normalize": ("clip", "image", "none"), "normalization": ("batch", "layer", "none"),
    "target": ("embedding", "coordinates", "motion"), "remedy": ("none", "stop_gradient", "variance", "center"),
    "loss_function": ("rce", "sce", "mse"), "mask": ("parts", "joints", "motion"), "residual": ("concat", "add"),
    "readout": ("pooled", "pooled+joints"), "temporal": ("each", "last", "body"), "people_fusion": ("mean", "concat"),
    "encoder_pool": ("sum", "mean"), "pooling": ("joints", "parts"),
    "optimizer": ("adam", "adamw", "sgd"), "schedule": ("constant", "cosine", "step"),
    "jit": ("auto", "on", "off"), "mirror": ("off", "auto"),
    "precision": ("float32", "mixed_float16", "mixed_bfloat16"),
}


def _convert(key, value, source):
    if key not in FIELDS:
        close = difflib.get_close_matches(key, FIELDS, 1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise ConfigError(f"{source}: unknown setting {key!r}{hint}")
    default = FIELDS[key].default
    kind = type(default)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind is tuple and isinstance(value, (list, tuple)):
        value = tuple(value)
    if type(value) is not kind:
        raise ConfigError(f"{source}: {key}: expected {kind.__name__}, found {value!r}")
    if key in CHOICES and value not in CHOICES[key]:
        raise ConfigError(f"{source}: {key}: expected one of {', '.join(CHOICES[key])}, found {value!r}")
    if key in (*COUNTS, *NATURALS) and value < (key in COUNTS):
        raise ConfigError(f"{source}: {key}: expected at least {int(key in COUNTS)}, found {value!r}")
    return value


def _parse(text):
    """The value of ``key=value``: TOML where it is TOML, a list where it has commas, else a string."""
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        return [part for part in text.split(",") if part] if "," in text else text


def _read_file(path):
    try:
        return Path(path).read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not TOML: expected UTF-8, found {error}") from error


def _read_toml(text, source):
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{source}: not TOML: {error}") from error


def _flatten(table, stage, source):
    """Settings of a TOML table: flat keys, then those of its [both] and [stage] tables."""
    other = [name for name in STAGES if name != stage]
    flat = {}
    for key, value in table.items():
        if key in other:
            continue
        if key in ("both", stage) and isinstance(value, dict):
            flat.update({name: _convert(name, item, source) for name, item in value.items()})
        else:
            flat[key] = _convert(key, value, source)
    return flat


def read_config(path):
    """The Config in the config.toml of a run."""
    return Config(**_flatten(_read_toml(_read_file(path), path), "", path))


def resolve_config(stage, recipe="small", config_file=None, overrides=(), **explicit):
    """Defaults, then the recipe, then the file, then ``key=value`` overrides, then explicit options.

    Args:
        stage: "pretrain" or "finetune".
        recipe: one of RECIPES.
        config_file: TOML path, such as the config.toml of a run folder.
        overrides: strings ``key=value``.
        explicit: settings that win over everything; None = not given.

    Returns:
        Config.

    Raises:
        ConfigError: naming the source, the setting, what was expected and what was found.
    """
    if recipe not in RECIPES:
        raise ConfigError(f"recipe: expected one of {', '.join(RECIPES)}, found {recipe!r}")
    text = importlib.resources.files("keras_skelmae").joinpath("recipes", f"{recipe}.toml").read_text("utf-8")
    values = _flatten(_read_toml(text, recipe), stage, recipe)
    if config_file is not None:
        values.update(_flatten(_read_toml(_read_file(config_file), config_file), stage, config_file))
    for override in overrides:
        key, sign, value = override.partition("=")
        if not sign:
            raise ConfigError(f"--set {override}: expected key=value")
        value = _parse(value.strip())
        if isinstance(value, str) and key.strip() in FIELDS and FIELDS[key.strip()].type in ("tuple", tuple):
            value = [value]
        values[key.strip()] = _convert(key.strip(), value, "--set")
    for key, value in explicit.items():
        if value is not None:
            values[key] = _convert(key, value, f"--{key.replace('_', '-')}")
    return Config(**values)
