"""What a training begins with: an encoder or a backbone for the data, with pre-trained weights or without."""

from dataclasses import dataclass
from pathlib import Path

from keras_skelmae.models import SkeletonEncoder, SkeletonPreprocessor, STRLBackbone, load_model, model_file
from keras_skelmae.models.preset import find_part
from keras_skelmae.models.skeleton_encoder import as_preprocessor
from skelmae_datasets import DataError
from skelmae_datasets.files import file_digest
from skelmae_datasets.runs.published import is_published, weights_file
from skelmae_datasets.runs.run_folder import PRETRAIN_IDS, TRAIN_IDS, trained_ids
from skelmae_datasets.runs.saved_model import source_of
from skelmae_datasets.runs.settings import preset_of

WHOLE = "or --set objective=contrastive --set scope=backbone for a whole backbone"


@dataclass
class Start:
    """What a training begins with."""

    part: STRLBackbone | SkeletonEncoder
    source: object  # a run folder, a .keras file, the name of a published backbone, or None
    settings: object  # Settings with the architecture that it has

    @property
    def digest(self):
        """SHA-256 of the file with the weights; None without one."""
        return None if self.source is None else file_digest(pretrained_file(self.source))

    @property
    def told(self):
        """The source as a string; None without one."""
        return None if self.source is None else str(Path(self.source))

    def write_ids(self, run, ids):
        """Write into a Run which samples it trains on, and which the source saw, in all its trainings."""
        run.write_ids(TRAIN_IDS, ids)
        if self.source is not None:
            seen = (sample for name in (PRETRAIN_IDS, TRAIN_IDS) for sample in trained_ids(self.source, name))
            run.write_ids(PRETRAIN_IDS, dict.fromkeys(seen))


def load_pretrained(source, data):
    """The model of a run folder or .keras file, or the published backbone of that name for data.

    Args:
        source: path or name. data: SkeletonStore or SkeletonPreprocessor.
    """
    return STRLBackbone.from_published(str(source), data) if is_published(source) else load_model(source)


def pretrained_file(source):
    """The file that holds the weights of a run folder, .keras file or published backbone."""
    return weights_file(str(source)) if is_published(source) else model_file(source)


def pretrained_part(source, data, settings):
    """The encoder or backbone of what was pre-trained, for as many people as the data have.

    Raises:
        DataError: it has none, the data do not fit it, or it cannot be made of so many people.
    """
    found = as_preprocessor(data, settings.flat())
    model = load_pretrained(source, found)
    part = find_part(model, STRLBackbone | SkeletonEncoder)
    if part is None:
        raise DataError(source, "model", "an encoder or a backbone", type(model).__name__)
    part.preprocessor.check(data, source)
    count, own = found.num_people, part.preprocessor.num_people
    if isinstance(part, STRLBackbone) and count > own:  # nobody is dropped without a word
        if not part.share_people:
            wanted = f"{own}, as {source} has with an encoder for each; --set num_people={own} takes the first"
            raise DataError(source_of(data), "people", wanted, count)
        part = part.for_people(count)
    part.trainable = True  # a training from a file that was saved frozen trains all of it
    return part


def starting_point(data, settings, pretrained=None, kind=STRLBackbone):
    """A backbone for data, from random initialisation or from a pre-trained model, whose architecture counts then.

    Args:
        data: SkeletonStore or SkeletonPreprocessor. settings: Settings.
        pretrained: None, or a run folder, a .keras file or the name of a published backbone: the backbone is taken
            whole; where there is only an encoder, that is copied into a new backbone.
        kind: STRLBackbone; SkeletonEncoder for an encoder alone, which a whole backbone does not give.

    Returns:
        Start.

    Raises:
        DataError: the data do not fit the pre-trained model. SettingsError: a setting asked for by name differs.
    """
    if pretrained is None:
        values = settings.flat()
        return Start(kind.from_settings(values, as_preprocessor(data, values)), None, settings)
    part = pretrained_part(pretrained, data, settings)
    if isinstance(part, STRLBackbone) and kind is SkeletonEncoder:
        raise DataError(pretrained, "model", f"an encoder alone, {WHOLE}", type(part).__name__)
    architecture = architecture_of(part)
    if isinstance(part, STRLBackbone):
        preset = {"preset": preset_of(pretrained) or settings.model.preset}
        return Start(part, pretrained, settings.adopt(architecture | preset, pretrained))
    free = ("num_frames", "num_people")
    settings = settings.adopt({key: value for key, value in architecture.items() if key not in free}, pretrained)
    sizes = {key: as_preprocessor(data, settings.flat()).get_config()[key] for key in free}
    preprocessor = SkeletonPreprocessor(**{**part.preprocessor.get_config(), **sizes})
    encoder = SkeletonEncoder.from_config({**part.get_config(), "preprocessor": preprocessor})
    encoder.set_weights(part.get_weights())
    whole = kind is STRLBackbone and STRLBackbone.from_settings({**settings.flat(), "encoder": encoder}, data)
    return Start(whole or encoder, pretrained, settings)


def architecture_of(part):
    """What an encoder or a backbone, and its preprocessor, have of the settings: dict, by the names of Settings."""
    config = part.preprocessor.get_config()
    clips = {key: config[key] for key in ("num_frames", "num_people", "normalize", "sampling")}
    clips["use_score"] = "score" in part.preprocessor.channels
    return {**getattr(part, "encoder_config", {}), **part.get_config(), **clips}
