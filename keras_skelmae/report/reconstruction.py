"""Masked body parts and what a masked autoencoder puts in their place, with the error of every joint."""

from dataclasses import dataclass

import keras
import numpy as np

from keras_skelmae.layers import SkeletonNormalization
from keras_skelmae.models import SkeletonMAE, STRLAutoencoder
from keras_skelmae.report.readout import fit_ridge
from keras_skelmae.training.runs import load_model, model_file
from skelmae_datasets import DataError
from skelmae_datasets.masking import part_mask
from skelmae_datasets.sampling import uniform_grid_indices

READOUTS = ("auto", "own", "ridge")
MOST_FITTED, MOST_COMPARED = 400, 100  # sequences the read-out is fitted on, and the errors are averaged over


@dataclass
class Reconstruction:
    """One sequence with body parts masked, its reconstruction, and the errors.

    Attributes:
        sample: its id. layout: SkeletonLayout. channels: of the recording. parts: the masked ones. units: its units.
        keypoints: (M, T, V, C) as recorded. positions: (M, T, V, k) with the masked joints reconstructed, in its units.
        masked: (V,) bool, True = masked, to be reconstructed. frames: (T,) their numbers in the recording.
        readout: how positions come out of the model, a sentence. joints: errors of every masked joint.
        total: the same over all masked joints. compared: the same over other held-out sequences, and their number.
    """

    sample: str
    action: str
    layout: object
    channels: tuple
    units: str
    parts: tuple
    keypoints: np.ndarray
    positions: np.ndarray
    masked: np.ndarray
    frames: np.ndarray
    readout: str
    joints: list
    total: dict
    compared: dict

    def to_dict(self):
        """JSON-able, without the arrays."""
        return {"sample": self.sample, "action": self.action, "parts": list(self.parts), "readout": self.readout,
                "units": self.units, "joints": self.joints, "total": self.total, "compared": self.compared}  # fmt: skip


class _Masker:
    """Clips of sequences through the model with one mask: normalised coordinates, features, the model's answer."""

    def __init__(self, model, store, masked):
        self.model, self.store, self.masked, self.dims = model, store, masked, model.num_coordinates
        self.alone = model.num_people == 1  # each person is a clip of its own then
        outputs = {**model.output, "encoded": _input_of(model, "encoder_to_decoder"),
                   "decoded": model.get_layer("decoder").output}  # fmt: skip
        self.network = keras.Model(model.inputs, outputs)
        self.normalise = SkeletonNormalization(self.dims, model.normalize, model.image_size)

    def clip(self, index):
        """(clips, P, T, V, C) float32 of one sample and the frame numbers; people of their own with `alone`."""
        keypoints = self.store.read(index)[..., : self.dims + self.model.use_score]
        frames = uniform_grid_indices(keypoints.shape[1], self.model.num_frames)
        keypoints = keypoints[:, frames]
        if self.alone:
            return keypoints[:2, None], frames
        padded = np.zeros((1, self.model.num_people, *keypoints.shape[1:]), np.float32)
        padded[0, : len(keypoints)] = keypoints[: self.model.num_people]
        return padded, frames

    def run(self, clips, batch_size=32):
        """Normalised coordinates (B, P, T, V, k), observed (B, P, T, V), features (B, P, T, F), answer."""
        found = []
        for start in range(0, len(clips), batch_size):
            x = clips[start : start + batch_size]
            mask = np.broadcast_to(self.masked, x.shape[:-1])
            answer = self.network.predict_on_batch({"keypoints": x, "mask": np.ascontiguousarray(mask)})
            normalised = keras.ops.convert_to_numpy(self.normalise(x))
            found.append((normalised[..., : self.dims], x[..., : self.dims].any(axis=-1),
                          self._features(answer), np.asarray(answer["reconstruction"])))  # fmt: skip
        return [np.concatenate(parts) for parts in zip(*found, strict=True)]

    def _features(self, answer):
        """(B, P, T', F) of the visible joints after the encoder and of the masked ones after the decoder."""
        encoded, decoded = np.asarray(answer["encoded"]), np.asarray(answer["decoded"])
        visible = encoded if encoded.shape[3] == 1 else encoded[:, :, :, ~self.masked]
        batch, people, length = visible.shape[:3]
        return np.concatenate([visible.reshape(batch, people, length, -1),
                               decoded[:, :, :, self.masked].reshape(batch, people, length, -1)], axis=-1)  # fmt: skip


def _folded(x, length):
    """(B, P, T, J, ...) -> (B, P, T', stride * J, ...): frames that share a feature count as joints of one."""
    batch, people, frames, joints = x.shape[:4]
    return x.reshape(batch, people, length, frames // length * joints, *x.shape[4:])


def _input_of(model, name):
    """The tensor that a layer of a functional model takes."""
    return model.get_layer(name).input


def own_readout(model, layout, masked):
    """(whether the model's answer itself are positions, why not)."""
    if model.target != "coordinates":
        return False, f"the model reconstructs the {model.target}, not positions"
    if isinstance(model, SkeletonMAE) and model.remask:
        sees = layout.adjacency[masked][:, ~masked].any(axis=1)
        if not sees.all():
            blind = ", ".join(layout.joints[j] for j in np.flatnonzero(masked)[~sees])
            return False, f"its one-layer decoder sees no visible neighbour of {blind}"
    return True, ""


def reconstruct(model_path, store, parts, sample=None, fit_split="all", readout="auto"):
    """Mask body parts of a sequence and reconstruct them.

    Where the model's target are coordinates that its decoder can know, its answer is taken. Else positions are read
    out by a ridge regression, frame by frame, from the encoder's features of the visible joints and the decoder's of
    the masked ones, fitted on sequences of `fit_split` other than the one shown. The mean pose that errors are
    compared with is that of the same sequences, in the same normalised frame.

    Args:
        model_path: a masked autoencoder, a pre-training run folder or .keras file.
        store: SkeletonStore. parts: names of body parts. sample: an id; by default the first outside of `fit_split`.
        fit_split: split or expression, the sequences to fit on.
        readout: "auto" as told above, "own" the model's answer, "ridge" the regression.

    Returns: Reconstruction.
    Raises: DataError where model, store and parts do not go together; ValueError for an unknown part or read-out, or
        for "own" where the answer is no positions.
    """
    model = load_model(model_path)
    if not isinstance(model, SkeletonMAE | STRLAutoencoder):
        raise DataError(model_file(model_path), "model", "a masked autoencoder", type(model).__name__)
    found, expected = ((of.layout.num_joints, of.num_coordinates) for of in (store, model))
    if found != expected or (model.use_score and not store.has_score):
        wanted = f"{expected[0]} joints, {expected[1]} coordinates{' and a score' if model.use_score else ''}"
        raise DataError(store.path, "keypoints", wanted, f"{found[0]} joints, {', '.join(store.channels)}")
    layout = store.layout
    masked = part_mask(layout, parts)
    if masked.all():
        raise ValueError(f"parts: expected one or more to stay visible, found all of {', '.join(layout.parts)}")
    shown, fitted, compared = _choose(store, sample, store.select(fit_split))
    masker = _Masker(model, store, masked)
    known = masker.run(np.concatenate([masker.clip(i)[0] for i in fitted]))
    mean_pose = _mean_pose(known[0], known[1])
    own, why = own_readout(model, layout, masked)
    if readout not in READOUTS or (readout == "own" and model.target != "coordinates"):
        why = f" although the model reconstructs the {model.target}" if readout == "own" else ""
        raise ValueError(f"readout: expected one of {', '.join(READOUTS)}, found {readout!r}{why}")
    if readout != "auto":
        own, why = readout == "own", "it was asked for" if own else why
    length = known[2].shape[2]
    ridge = None if own else fit_ridge(known[2], *(_folded(x[:, :, :, masked], length) for x in known[:2]))

    def positions(result):
        """(B, P, T, V, k) normalised: the visible joints as they are, the masked ones reconstructed."""
        filled = result[0].copy()
        shape = filled[:, :, :, masked].shape
        filled[:, :, :, masked] = result[3][:, :, :, masked] if own else ridge(result[2]).reshape(shape)
        return filled

    clips, frames = masker.clip(shown)
    result = masker.run(clips)
    filled = positions(result)
    scale, offset = _affine(clips[..., : masker.dims], result[0], result[1])
    others = masker.run(np.concatenate([masker.clip(i)[0] for i in compared])) if len(compared) else None
    joints, total = _errors(filled, result[0], result[1], mean_pose, masked, layout, np.abs(scale))
    far = _errors(positions(others), others[0], others[1], mean_pose, masked, layout)[1] if others else {}
    told = ("positions are the model's own answer" if own else
               "positions are read out by a ridge regression from the encoder's features of the visible joints and "
               f"the decoder's of the masked ones, fitted on {len(fitted)} other sequences, since {why}")  # fmt: skip
    people = max(1, min(len(store.read(shown)), 2 if masker.alone else model.num_people))
    back = np.where(result[1][..., None], filled * scale + offset, 0)
    return Reconstruction(
        sample=store.ids[shown], action=store.classes[store.labels[shown]] if store.labels[shown] >= 0 else "",
        layout=layout, channels=store.channels, units=store.units, parts=tuple(parts),
        keypoints=store.read(shown)[:people, frames], positions=_as_people(back)[:people], masked=masked, frames=frames,
        readout=told, joints=joints, total=total, compared={**far, "sequences": len(compared)})  # fmt: skip


def _choose(store, sample, split):
    """(index shown, indices fitted on, indices compared): apart from each other where there is more than one."""
    if sample is not None and sample not in store.ids:
        raise DataError(store.path, "sample", f"an id such as {', '.join(store.ids[:3])}", repr(sample))
    outside = np.setdiff1d(np.arange(len(store)), split)
    usable = outside[store.frames[outside] > 1]
    first = usable if len(usable) else outside if len(outside) else split
    shown = int(first[0]) if sample is None else store.ids.index(sample)
    split, outside = split[split != shown], outside[outside != shown]
    if not len(split):
        raise DataError(store.path, "split", "sequences other than the one shown to fit on", "none")
    return shown, _spread(split, MOST_FITTED), _spread(outside, MOST_COMPARED)


def _spread(indices, most):
    return indices[uniform_grid_indices(len(indices), most)] if len(indices) > most else indices


def _mean_pose(x, observed):
    """(V, k): each joint's mean over all clips and frames in which it was observed."""
    weight = observed[..., None]
    return (x * weight).sum(axis=(0, 1, 2)) / np.maximum(weight.sum(axis=(0, 1, 2)), 1)


def _affine(x, normalised, observed):
    """Scale and offset (B, 1, 1, 1, k) that take normalised coordinates of observed joints back to recorded ones."""
    scale, offset = np.ones((2, len(x), 1, 1, 1, x.shape[-1]))
    for row in range(len(x)):
        for axis in range(x.shape[-1]):
            a, b = normalised[row, ..., axis][observed[row]], x[row, ..., axis][observed[row]].astype(np.float64)
            if len(a) and np.ptp(a) > 0:
                scale[row, ..., axis] = np.ptp(b) / np.ptp(a)
                offset[row, ..., axis] = b.mean() - a.mean() * scale[row, 0, 0, 0, axis]
    return scale, offset


def _errors(found, true, observed, mean_pose, masked, layout, scale=None):
    """([{joint, part, error, mean_pose, frames}], the same over all): mean distances in the normalised frame.

    With a scale also `error_units` and `mean_pose_units`, in those of the recording.
    """
    parts = {joint: part for part, members in layout.parts.items() for joint in members}
    gaps = {"error": found - true, "mean_pose": mean_pose - true}
    if scale is not None:
        gaps |= {f"{name}_units": gap * scale for name, gap in gaps.items()}
    far = {name: np.linalg.norm(gap, axis=-1) for name, gap in gaps.items()}  # (B, P, T, V)

    def mean(chosen):
        here = observed & chosen
        return {name: float(gap[here].mean()) if here.any() else None for name, gap in far.items()} | {
            "frames": int(here.sum())}  # fmt: skip

    rows = [{"joint": layout.joints[j], "part": parts[j], **mean(np.arange(len(masked)) == j)}
            for j in np.flatnonzero(masked)]  # fmt: skip
    return rows, mean(masked)


def _as_people(x):
    """(clips, P, T, V, k) -> (people, T, V, k)."""
    return x.reshape(-1, *x.shape[2:])
