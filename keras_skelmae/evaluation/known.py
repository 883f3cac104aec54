"""Whether a clip is like anything that a classifier was trained on, by its features and by how sure the answer is."""

import zlib
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from keras_skelmae.evaluation.calibration import LEAST_CLIPS, SMALLEST
from keras_skelmae.evaluation.features import embed
from keras_skelmae.models import Ensemble
from skelmae_datasets import DataError
from skelmae_datasets.files import write_atomically
from skelmae_datasets.runs.run_folder import KNOWN

FALSE_ALARMS = 0.05  # share of held-out clips of known classes that are said to be none
MOST_CLIPS = 4096  # whose features are looked at
MOST_DIRECTIONS = 128  # in which clips differ, each with a variance of its own
SHRINKAGE = 0.5  # of these variances towards their mean
UNSURE = 4.0  # distances that an answer without any preference counts for


@dataclass
class KnownClasses:
    """Where the features of a classifier's training clips lie, and how strange a clip may be.

    Features are standardised and brought to length 1: how large they are says more about the size of a motion than
    about what it is. A clip's distance is that of Mahalanobis to the nearest class over the one to all clips together:
    the classes have centres of their own and share a covariance, shrunk, whose largest directions are kept and whose
    others have one variance. To it comes how unsure the answer is, see :func:`strangeness`.

    Reference:
        Ren et al., "A Simple Fix to Mahalanobis Distance for Improving Near-OOD Detection", 2021, who take the
        difference of the two distances; Lee et al., NeurIPS 2018, for the one to the classes.
    """

    mean: np.ndarray  # (F,) of the training clips' features
    scale: np.ndarray  # (F,) their standard deviation
    centres: np.ndarray  # (K, F) of the classes; NaN for one without training clips
    directions: np.ndarray  # (F, R) orthonormal, in which clips differ from their class
    variances: np.ndarray  # (R,)
    rest: float  # variance in any other direction
    middle: np.ndarray  # (F,) of all clips
    all_directions: np.ndarray  # (F, R), in which they differ from it
    all_variances: np.ndarray  # (R,)
    all_rest: float
    threshold: float  # greatest strangeness of a known clip
    digest: int  # of the model's weights

    @classmethod
    def fit(cls, model, features, labels):
        """From features (N, F) of training clips, see ``embed``, and their labels (N,); without a threshold as yet."""
        mean, scale = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-6)
        x = _directed(features, mean, scale)[labels >= 0]
        labels = labels[labels >= 0]
        centres = np.full((model.num_classes, x.shape[1]), np.nan, np.float32)
        for label in np.unique(labels):
            centres[label] = x[labels == label].mean(axis=0)
        middle = x.mean(axis=0)
        within, around = _covariance(x - centres[labels]), _covariance(x - middle)
        return cls(mean, scale, centres, *within, middle, *around, np.inf, weights_digest(model))

    def distances(self, features):
        """(N,) float32: features (N, F), their squared distance to the nearest class over that to all clips."""
        x = _directed(np.asarray(features, np.float32), self.mean, self.scale)
        found = np.full(len(x), np.inf, np.float32)
        for centre in self.centres[np.isfinite(self.centres).all(axis=1)]:
            found = np.minimum(found, _squared(x - centre, self.directions, self.variances, self.rest))
        return found / _squared(x - self.middle, self.all_directions, self.all_variances, self.all_rest)

    def known(self, features, probabilities):
        """(N,) bool: which of these clips are like the training clips; False where nobody was seen.

        Args:
            features: (N, F) of the model's backbone, as ``embed`` and ``window_features`` give them.
            probabilities: (N, K) of the model.
        """
        return strangeness(self.distances(features), probabilities) <= self.threshold

    __call__ = known

    def save(self, folder):
        """Write known.npz beside the model."""
        write_atomically(Path(folder) / KNOWN, lambda part: np.savez_compressed(part, **vars(self)))


def _directed(features, mean, scale):
    """Features (N, F), standardised and of length 1."""
    x = (features - mean) / scale
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)


def _covariance(x):
    """(directions (F, R), variances (R,), variance of the rest) of x (N, F) about 0, shrunk."""
    x = x.astype(np.float64)
    _, values, right = np.linalg.svd(x, full_matrices=False)
    values = values**2 / len(x)
    usual, kept = values.sum() / x.shape[1], min(MOST_DIRECTIONS, len(values))
    left = values[kept:].sum() / max(x.shape[1] - kept, 1)
    variances, rest = ((1 - SHRINKAGE) * part + SHRINKAGE * usual + 1e-9 for part in (values[:kept], left))
    return np.asarray(right[:kept].T, np.float32), np.asarray(variances, np.float32), float(rest)


def _squared(apart, directions, variances, rest):
    """(N,) squared Mahalanobis lengths of apart (N, F)."""
    along = np.square(apart @ directions)  # (N, R)
    across = np.maximum(np.square(apart).sum(axis=1) - along.sum(axis=1), 0)
    return (along / variances).sum(axis=1) + across / rest


def strangeness(distances, probabilities):
    """How little clips are like those trained on: distance, and UNSURE times the entropy of the answer, 0 to 1.

    Args:
        distances: (N,) of KnownClasses. probabilities: (N, K); rows of NaN, where nobody was seen, give NaN.
    """
    probabilities = np.asarray(probabilities, np.float64)
    entropy = -(probabilities * np.log(np.maximum(probabilities, SMALLEST))).sum(axis=1)
    return distances + UNSURE * entropy / np.log(max(probabilities.shape[1], 2))


def choose_threshold(strange, false_alarms=FALSE_ALARMS):
    """The strangeness that so large a share of new clips of known classes exceeds, from those of held-out ones.

    Of N clips the one of rank ``ceil((N + 1) (1 - false_alarms))``, so that the share holds on average for any N; inf
    for fewer than LEAST_CLIPS.
    """
    strange = np.sort(strange[np.isfinite(strange)])
    if len(strange) < LEAST_CLIPS:
        return np.inf
    rank = int(np.ceil((len(strange) + 1) * (1 - false_alarms)))
    return float(strange[min(rank, len(strange)) - 1])


def fit_known(model, store, train, labels):
    """KnownClasses of a classifier from samples it was trained on; None where it has no features of its own.

    Args:
        model: STRLClassifier or Ensemble. store: SkeletonStore. train: samples of it. labels: of all of its
            samples, as ``class_labels`` gives them.
    """
    if isinstance(model, Ensemble) and model.num_members > 1:
        return None
    if len(train) > MOST_CLIPS:
        train = np.sort(np.random.default_rng(0).permutation(train)[:MOST_CLIPS])
    return KnownClasses.fit(model, embed(model, store, train), labels[train])


def load_known(model_path, model):
    """The KnownClasses beside a model, None where there are none.

    Args:
        model_path: run folder or .keras file. model: what was loaded from it.

    Raises:
        DataError: the file is none of that model.
    """
    path = Path(model_path)
    file = (path if path.is_dir() else path.parent) / KNOWN
    if not file.is_file():
        return None
    try:
        with np.load(file, allow_pickle=False) as arrays:
            found = KnownClasses(**{key: arrays[key] for key in KnownClasses.__dataclass_fields__})
        for key in ("rest", "all_rest", "threshold"):
            setattr(found, key, float(getattr(found, key)))
        found.digest = int(found.digest)
        widths = {found.mean.shape, found.scale.shape, found.centres.shape[1:], found.middle.shape}
        widths |= {found.directions.shape[:1], found.all_directions.shape[:1]}
        sound = len(widths) == 1 and found.variances.shape == found.directions.shape[1:]
        sound &= found.all_variances.shape == found.all_directions.shape[1:]
    except Exception as error:  # NumPy's, zlib's and zipfile's have no common base
        raise DataError(file, "", "arrays of known classes", str(error).splitlines()[0]) from error
    if not sound or found.digest != weights_digest(model):
        expected = f"those of {path if path.is_dir() else path.name}; without the file nothing is said to be unknown"
        raise DataError(file, "known classes", expected, "those of another model")
    return found


def weights_digest(model):
    """CRC-32 of a model's weights."""
    digest = 0
    for weight in model.weights:
        digest = zlib.crc32(np.ascontiguousarray(keras.ops.convert_to_numpy(weight)).tobytes(), digest)
    return digest
