"""Masked body parts and what a masked autoencoder puts in their place, with the error of every joint."""

from collections import namedtuple
from dataclasses import dataclass

import keras
import numpy as np

from keras_skelmae.models import SkeletonMAE, load_model
from keras_skelmae.report.readout import fit_ridge
from skelmae_datasets import DataError, SkeletonLayout
from skelmae_datasets.runs.splits import sample_index
from skelmae_datasets.transforms.masking import part_mask
from skelmae_datasets.transforms.sampling import interpolate_frames, uniform_grid_indices

READOUTS = ("auto", "own", "ridge")
MOST_FITTED, MOST_COMPARED = 400, 100  # sequences the read-out is fitted on, and the errors are averaged over
BATCH = 32
ANSWER = "positions are the model's own answer"
READ_OUT = (
    "positions are read out by a ridge regression from the encoder's features of the visible joints and the decoder's "
    "of the masked ones, fitted on {count} other sequences, since {why}"
)
SEEN = "; this sequence is of the split that was trained on"


@dataclass
class Reconstruction:
    """One sequence with body parts masked, its reconstruction, and the errors."""

    sample: str  # its id
    action: str  # the name of its class, "" where it has none
    layout: SkeletonLayout
    channels: tuple  # of the recording
    units: str  # of the recording
    parts: tuple  # the masked ones
    keypoints: np.ndarray  # (M, T, V, C) as recorded
    positions: np.ndarray  # (M, T, V, k) with the masked joints reconstructed, in the units of the recording
    masked: np.ndarray  # (V,) bool, True = masked, to be reconstructed
    frames: np.ndarray  # (T,) their numbers in the recording
    readout: str  # how positions come out of the model, a sentence
    joints: list  # errors of every masked joint
    total: dict  # the same over all masked joints
    compared: dict  # the same over other held-out sequences, and how many these are

    @property
    def parts_told(self):
        """The masked parts in words."""
        return ", ".join(part.replace("_", " ") for part in self.parts)

    def to_dict(self):
        """JSON-able, without the arrays."""
        keys = ("sample", "action", "parts", "readout", "units", "joints", "total", "compared")
        return {key: getattr(self, key) for key in keys} | {"parts": list(self.parts)}


Clips = namedtuple("Clips", "recorded placed observed features answer")
Clips.__doc__ = """One person each through the model: coordinates (B, T, V, k) as recorded and as the model places them,
observed (B, T, V) bool, features (B, T, F) of the visible joints after the encoder and of the masked ones after the
decoder, and the model's answer (B, T, V, C')."""


class _Masker:
    """Sequences of a store through a masked autoencoder with one mask, every person a clip of its own."""

    def __init__(self, model, store, masked):
        self.model, self.store, self.masked = model, store, masked
        self.preprocessor = model.preprocessor
        encoded, decoded = model.get_layer("encoder_to_decoder").input, model.get_layer("decoder").output
        encoded, decoded = (keras.ops.moveaxis(found, 0, 3) for found in (encoded, decoded))  # (B, M, T, V, D)
        outputs = {"encoded": encoded, "decoded": decoded, "answer": model.output["reconstruction"]}
        self.network = keras.Model(model.inputs, outputs)

    def clip(self, index):
        """(people, T, V, C) float32 of one sequence."""
        recording = self.store.read(index)[..., : self.preprocessor.clip_shape[-1]]
        return self.preprocessor(recording, self.store.image_size[index])[: max(1, len(recording))]

    def run(self, indices):
        """Clips of sequences."""
        clips = np.concatenate([self.clip(index) for index in indices])
        parts = [self.through(clips[start : start + BATCH]) for start in range(0, len(clips), BATCH)]
        return Clips(*map(np.concatenate, zip(*parts, strict=True)))

    def through(self, x):
        """Clips of keypoints (B, T, V, C)."""
        masked, dims = self.masked, self.preprocessor.num_coordinates
        mask = np.tile(masked, (*x[:, None].shape[:3], 1))
        found = self.network.predict_on_batch({"keypoints": x[:, None], "mask": mask})
        encoded, decoded, answer = (np.asarray(found[key])[:, 0] for key in ("encoded", "decoded", "answer"))
        features = np.concatenate([encoded[:, :, ~masked], decoded[:, :, masked]], axis=2)
        placed = keras.ops.convert_to_numpy(self.model.encoder.input_layers.place(x[:, None]))[:, 0, ..., :dims]
        recorded = x[..., :dims]
        return Clips(recorded, placed, recorded.any(axis=-1), features.reshape(*x.shape[:2], -1), answer)


def takes_answer(model, masked, readout="auto"):
    """(whether the model's answer itself are the positions of masked joints, else why not)."""
    layout, positions, why = model.preprocessor.layout, model.target == "coordinates", ""
    if masked.all():
        raise ValueError(f"parts: expected one or more to stay visible, found all of {', '.join(layout.parts)}")
    blind = [layout.joints[joint] for joint in np.flatnonzero(masked) if not layout.adjacency[joint, ~masked].any()]
    if not positions:
        why = f"the model reconstructs the {model.target}, not positions"
    elif model.remask == "token" and blind:
        why = f"its one-layer decoder sees no visible neighbour of {', '.join(blind)}"
    if readout not in READOUTS or (readout == "own" and not positions):
        although = f" although the model reconstructs the {model.target}" if readout == "own" else ""
        raise ValueError(f"readout: expected one of {', '.join(READOUTS)}, found {readout!r}{although}")
    if readout == "ridge":
        return False, why or "it was asked for"
    return readout == "own" or not why, why


def reconstruct(model, store, parts, sample=None, fit_split="all", readout="auto"):
    """Mask body parts of a sequence and reconstruct them.

    Where the model's target are coordinates that its decoder can know, its answer is taken. Else positions are read
    out by a ridge regression, frame by frame, from the encoder's features of the visible joints and the decoder's of
    the masked ones, fitted on sequences of `fit_split` other than the one shown. The mean pose that errors are
    compared with is that of the same sequences, in the same normalised frame.

    Args:
        model: SkeletonMAE of one person, or the run folder or .keras file of one.
        store: SkeletonStore. parts: names of body parts. sample: an id; by default the first outside of `fit_split`.
        fit_split: split or expression, the sequences to fit on.
        readout: "auto" as told above, "own" the model's answer, "ridge" the regression.

    Returns: Reconstruction.
    Raises: DataError where model, store and parts do not go together; ValueError for an unknown part or read-out, or
        for "own" where the answer is no positions.
    """
    model = _open_model(model, store)
    masked = part_mask(store.layout, parts)
    own, why = takes_answer(model, masked, readout)
    split = store.select(fit_split)
    shown, fitted, compared = _choose_samples(store, sample, split)
    masker = _Masker(model, store, masked)
    known, clips = masker.run(fitted), masker.run([shown])
    fill, mean_pose = _filling(known, masked, own), _mean_pose(known)
    scale, offset = (array / model.preprocessor.image_scale(store.image_size[shown]) for array in _affine(clips))
    distances = _distances(clips, fill(clips), mean_pose, np.abs(scale))
    others = masker.run(compared) if len(compared) else None
    elsewhere = _mean_errors(_distances(others, fill(others), mean_pose), others.observed & masked) if others else {}
    return Reconstruction(
        **_shown(store, shown, model.preprocessor, len(clips.placed)),
        parts=tuple(parts),
        positions=np.where(clips.observed[..., None], fill(clips) * scale + offset, 0),
        masked=masked,
        readout=(ANSWER if own else READ_OUT.format(count=len(fitted), why=why)) + (SEEN if shown in split else ""),
        joints=_errors_of_joints(store.layout, distances, clips.observed, masked),
        total=_mean_errors(distances, clips.observed & masked),
        compared={**elsewhere, "sequences": len(compared)},
    )


def _shown(store, index, preprocessor, people):
    """What is known of a sequence, as a Reconstruction has it."""
    keypoints, label = store.read(index), store.labels[index]
    times = preprocessor.times([keypoints.shape[1]])[0]
    frames, keypoints = np.rint(times[0]).astype(int), interpolate_frames(keypoints, times, store.channels)[:people, 0]
    action = store.classes[label] if label >= 0 else ""
    facts = {"sample": store.ids[index], "action": action, "frames": frames, "keypoints": keypoints}
    return facts | {"layout": store.layout, "channels": store.channels, "units": store.units}


def _open_model(source, store):
    """The SkeletonMAE of a path, or itself; DataError where it or the store does not fit."""
    given = isinstance(source, keras.Model)
    model, name = (source, "the model") if given else (load_model(source), source)
    if not isinstance(model, SkeletonMAE) or model.num_people != 1:
        raise DataError(name, "model", "a masked autoencoder of one person", type(model).__name__)
    model.preprocessor.check(store, name)
    return model


def _choose_samples(store, sample, split):
    """(index shown, indices fitted on, indices compared): apart from each other where there is more than one."""
    outside = np.setdiff1d(np.arange(len(store)), split)
    usable = outside[store.frames[outside] > 1]
    first = usable if len(usable) else outside if len(outside) else split
    shown = int(first[0]) if sample is None else sample_index(store, sample)
    split, outside = split[split != shown], outside[outside != shown]
    if not len(split):
        raise DataError(store.path, "split", "sequences other than the one shown to fit on", "none")
    return shown, spread(split, MOST_FITTED), spread(outside, MOST_COMPARED)


def spread(indices, most):
    """At most so many of the indices, evenly spaced."""
    return indices[uniform_grid_indices(len(indices), most)] if len(indices) > most else indices


def _filling(known, masked, own):
    """A function of Clips to (B, T, V, k) normalised: visible joints as they are, masked ones reconstructed."""
    ridge = None if own else fit_ridge(known.features, known.placed[:, :, masked], known.observed[:, :, masked])

    def fill(clips):
        filled = clips.placed.copy()
        filled[:, :, masked] = clips.answer[:, :, masked] if own else ridge(clips.features)
        return filled

    return fill


def _mean_pose(clips):
    """(V, k): each joint's mean over all clips and frames in which it was observed."""
    weight = clips.observed[..., None]
    return (clips.placed * weight).sum(axis=(0, 1)) / np.maximum(weight.sum(axis=(0, 1)), 1)


def _affine(clips):
    """Scale and offset (B, 1, 1, k) that take normalised coordinates of observed joints back to recorded ones."""

    def moments(a, b):
        return np.sum(a * b * there, axis=(1, 2), keepdims=True, dtype=np.float64)

    there = clips.observed[..., None]
    x, y, count = clips.placed, clips.recorded, np.maximum(moments(1, 1), 1)
    x_mean, y_mean = moments(x, 1) / count, moments(y, 1) / count
    variance = moments(x - x_mean, x - x_mean)
    scale = np.where(variance > 1e-9, moments(x - x_mean, y - y_mean) / np.maximum(variance, 1e-9), 1)
    return scale, y_mean - x_mean * scale


def _distances(clips, found, mean_pose, scale=None):
    """{"error", "mean_pose"} to distances (B, T, V) in the normalised frame.

    With a scale also `error_units` and `mean_pose_units`, in those of the recording.
    """
    gaps = {"error": found - clips.placed, "mean_pose": mean_pose - clips.placed}
    if scale is not None:
        gaps |= {f"{name}_units": gap * scale for name, gap in gaps.items()}
    return {name: np.linalg.norm(gap, axis=-1) for name, gap in gaps.items()}


def _mean_errors(distances, chosen):
    """Mean distances where (B, T, V) bool says so, None where nowhere, and in how many frames of joints that is."""
    means = {name: float(far[chosen].mean()) if chosen.any() else None for name, far in distances.items()}
    return {**means, "frames": int(chosen.sum())}


def _errors_of_joints(layout, distances, observed, masked):
    """[{joint, part, error, mean_pose, frames, ...}] of the masked joints."""
    parts = {joint: part for part, members in layout.parts.items() for joint in members}
    joints = np.arange(len(masked))
    return [
        {"joint": layout.joints[j], "part": parts[j], **_mean_errors(distances, observed & (joints == j))}
        for j in np.flatnonzero(masked)
    ]
