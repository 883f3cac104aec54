"""Presets: an architecture with its preprocessor, with or without weights, by name or from a folder."""

import inspect
from pathlib import Path

import keras

from keras_skelmae.models.model_files import load_model
from skelmae_datasets.files import write_atomically
from skelmae_datasets.runs.published import is_published
from skelmae_datasets.runs.settings import PRESETS, read_preset

PREPROCESSED = frozenset(
    ("num_frames", "num_people", "use_score", "normalize", "sampling")
)  # settings of a preprocessor


class Preset:
    """``from_preset``, ``save_to_preset`` and ``presets`` of an encoder, a backbone or a task.

    A preset is a built-in name (an architecture, see ``presets``, or a backbone with published weights, see
    ``skelmae_datasets.runs.published``), or a folder with a ``model.keras``: what
    ``save_to_preset`` writes, or the folder of a training run. One rule says where a setting goes: to the one of
    encoder, backbone and task whose constructor has an argument of that name. What depends on the data (layout,
    channels, units, image size, classes) comes from a store.
    """

    presets = dict(PRESETS)
    parts = ()  # the classes of what an object is built around

    def __init__(self, *args, trainable=True, dtype=None, **kwargs):
        if dtype is not None:  # Keras would take it and leave the layers as they are
            raise ValueError(
                f"dtype: expected none, found {dtype!r}: keras.config.set_dtype_policy decides for all layers"
            )
        super().__init__(*args, **kwargs)
        if not trainable:  # after Keras knows the layers: asked before, it freezes none of them
            self.trainable = False

    @classmethod
    def from_preset(cls, preset, data=None, load_weights=True, **settings):
        """Make an object of this class.

        Args:
            preset: built-in name, folder or ``.keras`` file.
            data: SkeletonStore, or SkeletonPreprocessor; needed with a name. With a folder it is checked.
            load_weights: False gives the architecture of a folder with weights drawn again.
            settings: with a name, what differs from the preset; also objects that the constructor takes, such as a
                trained ``encoder``.

        Raises:
            ValueError: an unknown setting, or a folder that holds no such object. DataError: it is no model of ours, or
                the data do not fit it.
        """
        if str(preset) in cls.presets:
            unknown = sorted(set(settings) - cls.accepted())
            if unknown:
                raise ValueError(
                    f"{unknown[0]}: expected a setting of {cls.__name__} or its parts, found an unknown one"
                )
            return cls.from_settings(read_preset(str(preset), settings), data)
        if is_published(preset):
            return cls.from_published(str(preset), data, load_weights, **settings)
        model = load_model(preset)
        found = find_part(model, cls)
        if found is None or settings:
            told = f"a {type(model).__name__}" if found is None else f"{sorted(settings)[0]}, which the folder decides"
            raise ValueError(f"{preset}: expected a folder with a {cls.__name__} and no further settings, found {told}")
        if data is not None:
            found.preprocessor.check(data, preset)
        return found if load_weights else cls.from_config(found.get_config())

    @classmethod
    def from_published(cls, name, data, load_weights, **settings):
        """The same with a published backbone; ValueError where the class has none."""
        raise ValueError(f"{name}: expected STRLBackbone or STRLClassifier to be made of it, found {cls.__name__}")

    def save_to_preset(self, folder):
        """Write ``model.keras`` into a folder: architecture, preprocessor and weights."""
        write_atomically(Path(folder) / "model.keras", self.save)

    def get_config(self):
        """The constructor's arguments, each kept under its own name; what they are made of in Keras's form."""
        return {name: _plain(getattr(self, name)) for name in own_arguments(type(self))} | self.frozen_config()

    def frozen_config(self):
        """``trainable``, where the whole is frozen: of layers that are frozen one by one a config says nothing."""
        return {} if self.trainable else {"trainable": False}

    @classmethod
    def from_config(cls, config):
        return cls(**{key: _object(value) for key, value in config.items()})

    def quantize(self, *_, **__):
        """Refused: what Keras makes of the layers here cannot be loaded again."""
        raise NotImplementedError(f"{type(self).__name__}.quantize: not supported; export to LiteRT and quantise there")

    @classmethod
    def accepted(cls):
        """Names of the settings that this class or a part of it takes."""
        return PREPROCESSED.union(own_arguments(cls), *(part.accepted() for part in cls.parts))


def find_part(model, kind):
    """``model``, its backbone or its encoder, the first that is of a class; None without one."""
    while model is not None and not isinstance(model, kind):
        model = getattr(model, "backbone", None) or getattr(model, "encoder", None)
    return model


def own_arguments(kind):
    """Names of the arguments of a class's constructor, or of a function."""
    function = kind.__init__ if inspect.isclass(kind) else kind
    return [name for name in inspect.signature(function).parameters if name not in ("self", "kwargs")]


def arguments(kind, values):
    """Those of the settings that a class's constructor, or a function, takes."""
    return {key: values[key] for key in own_arguments(kind) if key in values}


def _plain(value):
    if not hasattr(value, "get_config"):
        return value
    # without what it was compiled with: Keras would compile a part again, asked to compile or not
    return {key: item for key, item in keras.saving.serialize_keras_object(value).items() if key != "compile_config"}


def _object(value):
    known = isinstance(value, dict) and "registered_name" in value
    return keras.saving.deserialize_keras_object(value) if known else value
