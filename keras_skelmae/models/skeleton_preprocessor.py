"""From a recording of any length to the clip a model takes."""

import keras
import numpy as np

from skelmae_datasets import SkeletonLayout, get_layout
from skelmae_datasets.layout_map import layout_map
from skelmae_datasets.runs.saved_model import DataForm, check_score
from skelmae_datasets.transforms.presence import seen_only
from skelmae_datasets.transforms.sampling import (
    SAMPLINGS,
    grid_places,
    interpolate_frames,
    loop_grid_indices,
    stretch_places,
    uniform_sample_indices,
    uniform_sample_test_indices,
)

DEFAULT_IMAGE_SIZE = (1080, 1920)
MOST_PEOPLE = 2  # modelled where nothing else is asked for
HIGHEST_SCORE = 1.5  # peaks of heat maps lie a little above 1


@keras.saving.register_keras_serializable(package="keras_skelmae")
class SkeletonPreprocessor(DataForm):
    """What a model's data are, and the way from a recording ``(M, T, V, C)`` to a clip ``(M', T', V, C')``.

    Every model has one, and it is saved with the model. Training, evaluation, prediction, streaming and reconstruction
    all take clips from it. Coordinates stay in the units of the recording: the model places them by itself.

    Args:
        layout: SkeletonLayout, its dict, a built-in name such as "coco17", or a TOML file.
        channels: names of the channels, the coordinates first: ("x", "y") or ("x", "y", "z"), and
            "score" after them or not.
        num_frames: int, frames of a clip, T'.
        num_people: int, people of a clip, M'; absent ones are zeros.
        units: "pixels" or "metres".
        normalize: "clip", "image" or "none", how the model places coordinates, see SkeletonNormalization.
        image_size: (height, width) in pixels, for "image"; recordings of another known size are scaled to it.
        sampling: "stretch" (places evenly spaced in time, interpolated between frames) or "pyskl" (frames as they are,
            short recordings looped), in training and ever after.
        graph_layout: the layout that the network has, where it is another one, as with published weights: the model
            takes joints of ``layout`` and maps them to it by their names.

    Raises:
        DataError: the two layouts have too few joints in common. ValueError: naming the argument, what was expected
            and what was found.
    """

    def __init__(
        self,
        layout,
        channels=("x", "y"),
        num_frames=64,
        num_people=MOST_PEOPLE,
        units="pixels",
        normalize="clip",
        image_size=DEFAULT_IMAGE_SIZE,
        sampling="stretch",
        graph_layout=None,
    ):
        self.layout = _layout(layout)
        self.graph_layout = self.layout if graph_layout is None else _layout(graph_layout)
        self.channels = [str(name) for name in channels]
        if self.channels[:2] != ["x", "y"] or self.channels[2:] not in ([], ["z"], ["score"], ["z", "score"]):
            raise ValueError(f"channels: expected x, y, then z, score or both in this order, found {self.channels}")
        for name, value in (("num_frames", num_frames), ("num_people", num_people)):
            if value < 1:
                raise ValueError(f"{name}: expected at least 1, found {value}")
        if normalize == "image" and "z" in self.channels:
            raise ValueError("normalize: expected clip or none with 3 coordinates, found 'image'")
        if self.maps_joints and "score" in self.channels:
            raise ValueError(f"channels: expected coordinates alone with another graph_layout, found {self.channels}")
        if sampling not in SAMPLINGS:
            raise ValueError(f"sampling: expected one of {SAMPLINGS}, found {sampling!r}")
        self.sampling = sampling
        self.num_frames, self.num_people = int(num_frames), int(num_people)
        self.units, self.normalize = units, normalize
        self.image_size = [int(side) for side in image_size]

    @classmethod
    def for_data(
        cls, data, num_frames=64, num_people=0, use_score=False, normalize="clip", sampling="stretch", images=None
    ):
        """The preprocessor of a store: its layout, channels, units and image size.

        Args:
            data: SkeletonStore.
            num_people: int; 0 for as many as the store holds, at most 2.
            use_score: bool, whether the model sees the estimator's confidence.
            normalize: as above, or "auto": "image" for pixels, else "clip".
            sampling: as above.
            images: None, or the indices of the samples whose image size counts; None for all.
        """
        if use_score:
            check_score(data)
        channels = [name for name in data.channels if name != "score" or use_score]
        if normalize == "auto":
            normalize = "image" if data.units == "pixels" and data.num_coordinates == 2 else "clip"
        sizes = data.image_size if images is None else data.image_size[images]
        size = tuple(sizes.max(axis=0)) if sizes.all(axis=1).any() else DEFAULT_IMAGE_SIZE
        people = num_people or int(np.clip(data.people.max(), 1, MOST_PEOPLE))
        return cls(data.layout, channels, num_frames, people, data.units, normalize, size, sampling)

    @property
    def maps_joints(self):
        """Whether the network has other joints than the recordings."""
        return self.graph_layout.joints != self.layout.joints

    @property
    def joint_map(self):
        """LayoutMap from the joints of the recordings to the network's."""
        return layout_map(self.layout, self.graph_layout)

    @property
    def clip_shape(self):
        """(M', T', V, C')."""
        return (self.num_people, self.num_frames, self.layout.num_joints, len(self.channels))

    def observed(self, keypoints):
        """The model's channels of keypoints in any array, joints not seen at zero in all of them.

        Args:
            keypoints: (..., V, C) numbers of the model's channels, or with the score of an estimator, from 0 to 1, as
                one more: it says then which joints were seen, see ``skelmae_datasets.transforms.presence``.

        Returns:
            (..., V, C') float32.

        Raises:
            ValueError: another number of joints or channels, or a channel more that is no score.
        """
        joints, channels = self.clip_shape[2:]
        told = f"{joints}, {channels}) of {', '.join(self.channels)}"
        try:
            with np.errstate(over="ignore"):
                keypoints = np.asarray(keypoints, np.float32)
        except (TypeError, ValueError):
            raise ValueError(f"keypoints: expected numbers (..., {told}, found others") from None
        more = "score" not in self.channels and keypoints.shape[-1:] == (channels + 1,)
        if keypoints.ndim < 2 or keypoints.shape[-2] != joints or not (more or keypoints.shape[-1] == channels):
            raise ValueError(f"keypoints: expected (..., {told}, found {keypoints.shape}")
        scores = keypoints[..., -1][np.isfinite(keypoints[..., -1])] if more else np.zeros(0)
        if len(scores) and not 0 <= scores.min() <= scores.max() <= HIGHEST_SCORE:
            found = f"values from {scores.min():g} to {scores.max():g}"
            raise ValueError(f"keypoints: expected (..., {told}, or a score from 0 to 1 as one more, found {found}")
        return seen_only(keypoints, [*self.channels, *["score"] * more])[..., :channels]

    def times(self, counts, num_clips=1):
        """Where in recordings of so many frames their clips are taken from, as :meth:`clips` takes it.

        Returns:
            (N, clips, T'): places in time, or numbers of frames with PYSKL's sampling.
        """
        length = self.num_frames
        if self.sampling == "stretch":
            return np.stack([grid_places(count, length, num_clips) for count in counts])
        if num_clips == 1:
            return np.stack([loop_grid_indices(count, length)[None] for count in counts])
        return np.stack([uniform_sample_test_indices(count, length, num_clips) for count in counts])

    def random_times(self, counts, rng, shortest=1.0):
        """The same for training: (N, 1, T'), at random from a part of at least ``shortest`` of each recording."""
        draw = stretch_places if self.sampling == "stretch" else uniform_sample_indices
        return draw(counts, self.num_frames, rng, (shortest, 1.0))[:, None]

    def clips(self, recording, times, image_size=(0, 0)):
        """Clips of a recording.

        Args:
            recording: (M, T, V, C), its channels the model's and maybe more.
            times: (clips, T'), places in time or numbers of frames.
            image_size: (height, width) of the recording in pixels; 0: not known.

        Returns:
            (clips, M', T', V, C') float32.
        """
        recording = recording[: self.num_people, ..., : len(self.channels)]
        taken = interpolate_frames(recording, times, self.channels)  # (M, clips, T', V, C')
        x = np.zeros((len(times), self.num_people, *taken.shape[2:]), np.float32)
        x[:, : len(taken)] = taken.swapaxes(0, 1)
        x[..., : self.num_coordinates] *= self.image_scale(image_size)
        return x

    def image_scale(self, image_size):
        """Factors on the coordinates from an image of that size to the model's; 1 where that does not matter."""
        if self.normalize != "image" or not all(image_size):
            return np.ones(self.num_coordinates, np.float32)
        return np.divide(self.image_size, image_size, dtype=np.float32)[::-1]

    def __call__(self, recording, image_size=(0, 0)):
        """A recording as one clip.

        Args:
            recording: (M, T, V, C), see :meth:`observed`; the first M' people are taken. image_size: as in
                :meth:`clips`.

        Returns:
            (M', T', V, C') float32.

        Raises:
            ValueError: naming the shape that was expected.
        """
        if np.ndim(recording) != 4 or 0 in np.shape(recording)[:2]:
            joints, channels = self.clip_shape[2:]
            raise ValueError(f"keypoints: expected (M, T, {joints}, {channels}), found {np.shape(recording)}")
        recording = self.observed(recording)
        return self.clips(recording, self.times([recording.shape[1]])[0], image_size)[0]

    def get_config(self):
        own = self.graph_layout.to_dict()
        return {
            "layout": self.layout.to_dict(),
            "channels": self.channels,
            "num_frames": self.num_frames,
            "num_people": self.num_people,
            "units": self.units,
            "normalize": self.normalize,
            "image_size": self.image_size,
            "sampling": self.sampling,
            **({} if own == self.layout.to_dict() else {"graph_layout": own}),
        }

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def _layout(layout):
    return SkeletonLayout.from_dict(layout) if isinstance(layout, dict) else get_layout(layout)
