"""What a fine-tuning begins with: a backbone for the data, with pre-trained weights or without."""

from dataclasses import dataclass

from keras_skelmae.models import SkeletonEncoder, SkeletonPreprocessor, STRLBackbone, load_model, model_file
from keras_skelmae.models.preset import find_part
from keras_skelmae.models.skeleton_encoder import as_preprocessor
from skelmae_datasets import DataError
from skelmae_datasets.runs.published import is_published, weights_file


@dataclass
class Start:
    """What a fine-tuning begins with."""

    backbone: STRLBackbone
    pretrained: bool
    settings: object  # Settings with the architecture that it has


def load_pretrained(source, data):
    """The model of a run folder or .keras file, or the published backbone of that name for data.

    Args:
        source: path or name. data: SkeletonStore or SkeletonPreprocessor.
    """
    return STRLBackbone.from_published(str(source), data) if is_published(source) else load_model(source)


def pretrained_file(source):
    """The file that holds the weights of a run folder, .keras file or published backbone."""
    return weights_file(str(source)) if is_published(source) else model_file(source)


def starting_point(store, settings, pretrained=None):
    """A backbone for a store, from random initialisation or from a pre-trained model, whose architecture counts then.

    Args:
        store: SkeletonStore. settings: Settings.
        pretrained: None, or a run folder, a .keras file or the name of a published backbone: the backbone is taken
            whole; where there is only an encoder, that is copied into a new backbone.

    Returns:
        Start.

    Raises:
        DataError: the store does not fit the pre-trained model. SettingsError: a setting asked for by name differs.
    """
    if pretrained is None:
        values = settings.flat()
        return Start(STRLBackbone.from_settings(values, as_preprocessor(store, values)), False, settings)
    model = load_pretrained(pretrained, as_preprocessor(store, settings.flat()))
    part = find_part(model, STRLBackbone | SkeletonEncoder)
    if part is None:
        raise DataError(pretrained_file(pretrained), "model", "an encoder or a backbone", type(model).__name__)
    part.preprocessor.check(store, pretrained)
    if isinstance(part, STRLBackbone):
        settings = settings.adopt({**part.encoder_config, **part.get_config(), **_clips(part.preprocessor)}, pretrained)
        return Start(part, True, settings)
    free = ("num_frames", "num_people")
    clips = {key: value for key, value in _clips(part.preprocessor).items() if key not in free}
    settings = settings.adopt({**part.get_config(), **clips}, pretrained)
    wanted = SkeletonPreprocessor.for_data(store, settings.data.num_frames, settings.data.num_people).get_config()
    sizes = {key: wanted[key] for key in free}
    preprocessor = SkeletonPreprocessor(**{**part.preprocessor.get_config(), **sizes})
    encoder = SkeletonEncoder.from_config({**part.get_config(), "preprocessor": preprocessor})
    encoder.set_weights(part.get_weights())
    backbone = STRLBackbone.from_settings({**settings.flat(), "encoder": encoder}, store)
    return Start(backbone, True, settings)


def _clips(preprocessor):
    """A preprocessor's settings by the names of Settings."""
    config = preprocessor.get_config()
    kept = {key: config[key] for key in ("num_frames", "num_people", "normalize", "sampling")}
    return {**kept, "use_score": "score" in preprocessor.channels}
