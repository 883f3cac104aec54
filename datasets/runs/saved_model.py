"""What a .keras file says of its model: kind, data and classes, read without Keras and without trust in the file."""

import contextlib
import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError
from ..layout_map import advised, layout_map
from ..layouts import SkeletonLayout
from .published import is_published, read_published
from .run_folder import KNOWN, MODEL, model_file

PACKAGE = "keras_skelmae>"  # before the registered names of our classes
MEMBERS = {"metadata.json", "config.json", "model.weights.h5"}
MAX_INFLATION, MAX_CONFIG, SLACK = 8, 16 << 20, 1 << 20
MOST_CLASSES = 1 << 20
CLASSIFIERS = ("STRLClassifier", "Ensemble")
AUTOENCODERS = ("SkeletonMAE", "SkeletonEncoder")
CLIPS_AGREE = ("channels", "units", "num_frames", "num_people", "sampling")  # of the members of an ensemble
IMAGES_AGREE = ("normalize", "image_size")  # too, where one of them scales recordings to the size of its images
FORM_OPTIONS = ("sampling", *IMAGES_AGREE)
CALIBRATES = (
    "20 clips or more of other people as --val-split of `skelmae finetune` give that, or `skelmae protocol "
    "cross-validate --final`"
)
# What zipfile, json and h5py raise for content that is not what it says
FORGED = (
    zipfile.BadZipFile,
    NotImplementedError,
    ValueError,
    KeyError,
    RuntimeError,
    RecursionError,
    EOFError,
    MemoryError,
    OverflowError,
    OSError,
)
DECOMPRESSORS = ("zlib", "lzma", "bz2")  # their errors have no common base


@contextlib.contextmanager
def sound(file):
    """What the content of a .keras file raises becomes a DataError naming the file."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        own = isinstance(error, FORGED) or type(error).__module__ in DECOMPRESSORS
        if not own or isinstance(error, OSError) and error.filename is not None:  # the latter: it cannot be read at all
            raise
        raise no_model(file, error) from error


def no_model(file, error):
    """The DataError of a file that holds no model of ours."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return DataError(file, "model", "a .keras file of this package", reason)


def check_members(file, archive):
    """DataError unless a zip has Keras's three members, no larger than the file can back."""
    names = sorted(archive.namelist())
    if set(names) != MEMBERS or len(names) != len(MEMBERS):
        raise DataError(file, "members", ", ".join(sorted(MEMBERS)), ", ".join(names)[:200] or "none")
    announced, size = sum(member.file_size for member in archive.infolist()), os.path.getsize(file)
    if announced > MAX_INFLATION * size + SLACK or archive.getinfo("config.json").file_size > MAX_CONFIG:
        raise DataError(file, "members", f"content in proportion to {size} bytes", f"{announced} bytes announced")


@dataclass(eq=False, repr=False)
class DataForm:
    """What the recordings of a model are: their joints, channels and units, and how clips are made of them.

    See ``SkeletonPreprocessor`` of keras_skelmae, which has the same defaults.
    """

    layout: SkeletonLayout
    channels: list
    units: str
    num_frames: int
    num_people: int
    sampling: str = "stretch"
    normalize: str = "clip"
    image_size: list | tuple = ()

    @property
    def num_coordinates(self):
        """2 or 3: the leading channels that are coordinates."""
        return 3 if "z" in self.channels else 2

    def check(self, data, model="the model"):
        """DataError, naming the store, unless its joints, channels and units are what ``model`` was made for."""
        expected, found, source = self.layout.joints, data.layout.joints, source_of(data)
        if expected != found:
            raise DataError(source, "layout", *_told(self, data, model))
        if not self._alike(data) or list(data.channels[: len(self.channels)]) != self.channels:
            wanted = f"{', '.join(self.channels)} as {model} takes"
            raise DataError(source, "channels", wanted, ", ".join(data.channels) + _to_2d(self, data))
        if data.units != self.units:
            raise DataError(source, "units", f"{self.units} as {model} takes", data.units)

    def _alike(self, data):
        """Both in 2D, or both in 3D."""
        return data.num_coordinates == self.num_coordinates


def source_of(data):
    """The path of a store; of a DataForm, which has none, the name of its layout."""
    return getattr(data, "path", data.layout.name)


def _to_2d(form, data):
    """What to do with data in 3D for a model that takes 2D."""
    return "; `skelmae project` makes 2D data of 3D" if data.num_coordinates > form.num_coordinates else ""


def _told(form, data, model):
    """Two layouts in words: 2D and 3D, or names and sizes, or where the sizes agree the first joint that differs."""
    expected, found = form.layout, data.layout
    if not form._alike(data):
        texts = [f"{each.layout.name} in {each.num_coordinates}D" for each in (form, data)]
        return f"{texts[0]}, as {model} takes", texts[1] + _to_2d(form, data)
    if expected.num_joints != found.num_joints:
        texts = [f"{layout.name}, {layout.num_joints} joints" for layout in (expected, found)]
    else:
        number = next(i for i, pair in enumerate(zip(expected.joints, found.joints, strict=True)) if len(set(pair)) > 1)
        texts = [f"{layout.name} with joint {number} {layout.joints[number]!r}" for layout in (expected, found)]
    way = advised((found, expected))
    way = f"; {way} of convert and predict reads joints by their names" if way else ""
    return f"{texts[0]}, as {model} takes", texts[1] + way


class NoNames(list):
    """The numbers from 0, as text, that a model of so many classes has in place of names for them."""

    def __init__(self, count):
        super().__init__(map(str, range(count)))


@dataclass
class SavedModel:
    """A model as its file tells it: the class's name, the DataForm of its recordings, the names of its classes (none
    but of a classifier), how many classifiers are in an ensemble, and the temperature of its probabilities."""

    file: Path
    kind: str
    preprocessor: DataForm
    names: list
    num_members: int
    temperature: float

    @property
    def doubts(self):
        """What its answers leave in doubt, and which command mends it, in a line; "" where nothing is left."""
        found = ["its probabilities are not calibrated"] if self.temperature == 1 else []
        if not (self.file.parent / KNOWN).is_file():
            found.append("it cannot tell what it was not trained on")
        way = "no command gives that to a fused model" if self.num_members > 1 else CALIBRATES
        return f"{' and '.join(found)}; {way} (docs/trust.md)" if found else ""

    def expect(self, kinds, told):
        """DataError, naming the file, unless it holds a model of one of these classes; ``told``: them in words."""
        if self.kind not in kinds:
            raise DataError(self.file, "model", told, self.kind)

    def expect_features(self):
        """DataError unless the model has features of its own, as several classifiers together have not."""
        if self.num_members > 1:
            raise DataError(self.file, "model", "a model of its own features", f"{self.num_members} members")


def read_saved(path, name=MODEL):
    """The SavedModel of a run folder, a preset folder or a .keras file.

    Raises:
        DataError: there is none, or the file is none of this package. OSError: it cannot be read.
    """
    file = model_file(path, name)
    with sound(file):
        with zipfile.ZipFile(file) as archive:
            check_members(file, archive)
            content = json.loads(archive.read("config.json"))
        check_ours(file, content, "config.json: registered_name")
        try:
            return _read_config(file, content["class_name"], content["config"])
        except (TypeError, AttributeError) as error:  # another form of JSON
            raise no_model(file, error) from error


def check_ours(file, value, place):
    """The registered name of a serialised object; DataError unless it is one of this package."""
    name = value.get("registered_name") if isinstance(value, dict) else None
    known = isinstance(name, str) and name.startswith(PACKAGE)
    if not known or value.get("class_name") != name.removeprefix(PACKAGE):
        raise DataError(file, place, f"a class of {PACKAGE[:-1]}", repr(name)[:100])
    return name


def _read_config(file, kind, config):
    first = (config.get("members") or [config])[0]  # the others of an ensemble take the same
    count = first.get("num_classes", 0)
    if count > MOST_CLASSES:
        raise DataError(file, "config.json: num_classes", f"at most {MOST_CLASSES}", count)
    names = first.get("class_names") or NoNames(count)
    inner = first
    while "preprocessor" not in inner:  # of the encoder, in the backbone, in the task
        key = "backbone" if "backbone" in inner else "encoder"
        inner = inner[key]
        if "class_name" in inner:  # a part with its class, or its settings alone
            check_ours(file, inner, f"config.json: {key}")
            inner = inner["config"]
    form, numbers = form_of(inner["preprocessor"], file), (len(config.get("members", ())), config.get("temperature", 1))
    return SavedModel(file, kind, form, names if isinstance(names, NoNames) else list(map(str, names)), *numbers)


def form_of(config, source):
    """The DataForm in the config of a preprocessor, as Keras keeps it."""
    values = config["config"]
    numbers = (int(values[key]) for key in ("num_frames", "num_people"))
    layout = SkeletonLayout.from_dict(values["layout"], source)
    options = {key: values[key] for key in FORM_OPTIONS if key in values}
    return DataForm(layout, list(values["channels"]), values["units"], *numbers, **options)


def read_classifier(path):
    """The SavedModel of a classifier, else DataError."""
    saved = read_saved(path)
    saved.expect(CLASSIFIERS, "a classifier")
    return saved


def read_members(sources):
    """The SavedModels of classifiers of one stream that an ensemble can be made of.

    Raises:
        DataError: naming the file that is none, not of the same skeleton, classes and clips as the first, or named
            twice.
    """
    found = [read_saved(source) for source in sources]
    for number, saved in enumerate(found):
        if any(saved.file.samefile(other.file) for other in found[:number]):
            raise DataError(saved.file, "", "each model once (--weights makes one count more)", "it twice")
        saved.expect(CLASSIFIERS if saved.num_members == 1 else CLASSIFIERS[:1], "a classifier of one stream")
        difference = find_difference(found[0], saved)
        if difference:
            key, expected, other = difference
            raise DataError(saved.file, key, f"{expected!r} as {sources[0]} has", repr(other))
    return found


def find_difference(first, other):
    """What keeps two classifiers from one ensemble: (setting, its value in ``first``, in ``other``), or None."""
    one, two = first.preprocessor, other.preprocessor
    if (one.layout.edges, one.layout.joints) != (two.layout.edges, two.layout.joints):
        return "layout", one.layout.name, two.layout.name
    scaled = "image" in (one.normalize, two.normalize)
    for key in CLIPS_AGREE + IMAGES_AGREE * scaled:
        if getattr(one, key) != getattr(two, key):
            return key, getattr(one, key), getattr(two, key)
    if first.names != other.names:
        return "class_names", first.names, other.names
    return None


def check_score(store):
    """DataError unless a store has the score that a model with ``use_score`` is to see."""
    if not store.has_score:
        raise DataError(store.path, "use_score", "a score channel", ", ".join(store.channels))


def check_start(source, store):
    """DataError unless a store fits what a training or a protocol starts from: a run, a .keras file or a name."""
    if is_published(source):
        check_published(str(source), store)
        return
    saved = read_saved(source)
    saved.expect_features()
    saved.preprocessor.check(store, source)


def seen_by(camera, store):
    """The channels and units in which a virtual camera ("2d" or "3d") sees a store, dict; empty where they stay.

    Raises:
        DataError: camera "3d" and a store in 2D.
    """
    lifted = store.num_coordinates == 3
    if camera == "3d" and not lifted:
        raise DataError(store.path, "channels", "x, y, z for camera = '3d'", ", ".join(store.channels))
    return {"channels": ["x", "y"], "units": "pixels"} if lifted and camera == "2d" else {}


def check_completed(camera, store, source=None):
    """Refuse what a pre-training with objective = complete would: a camera, a store and what it goes on from."""
    seen = seen_by(camera, store)
    if source is None:
        return
    form = published_form(source) if is_published(source) else read_saved(source).preprocessor
    if seen and form.num_coordinates == 3:
        wanted = f"'3d' for {', '.join(form.channels)}, as {source} takes (--set camera=3d)"
        raise DataError(store.path, "camera", wanted, f"{camera!r}, to which {', '.join(store.channels)} is x, y")
    if form.layout.joints != store.layout.joints:
        told = f"the joints of {form.layout.name}, as {source} has, for objective = complete"
        raise DataError(store.path, "layout", told, store.layout.name)
    if not seen:
        check_start(source, store)


def objective_after(source):
    """The objective of a pre-training that goes on from a model, unless another is asked for: that of the paper for its
    autoencoder and encoder, two views drawn together for all that hold a whole backbone."""
    if not is_published(source) and read_saved(source).kind in AUTOENCODERS:
        return "masked"
    return "contrastive"


def published_form(name):
    """The DataForm of a published backbone's own recordings."""
    return form_of(read_published(name)["config"]["encoder"]["preprocessor"], name)


def check_published(name, data):
    """DataError unless a store, or what a model takes, has the coordinates, units and joints of a published backbone.

    Args:
        name: see ``published``. data: with layout, num_coordinates, channels and units.
    """
    own = published_form(name)
    if data.num_coordinates != own.num_coordinates or data.units != own.units:
        wanted = f"{', '.join(own.channels)} in {own.units} as {name} takes"
        told = f"{', '.join(data.channels[: data.num_coordinates])} in {data.units}"
        raise DataError(source_of(data), "channels", wanted, told)
    layout_map(data.layout, own.layout)
