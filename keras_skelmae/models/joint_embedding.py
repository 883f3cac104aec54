"""Raw coordinates to joint features: what both models begin with."""

import copy

import keras

from keras_skelmae.layers import JointPresence, SkeletonNormalization, SkeletonStreams
from keras_skelmae.layers.graph import make_normalization
from skelmae_datasets.layouts import SkeletonLayout, get_layout


def as_layout(layout):
    """A SkeletonLayout from itself, its dict form, a built-in name or a TOML file."""
    return SkeletonLayout.from_dict(layout) if isinstance(layout, dict) else get_layout(layout)


class JointEmbedding:
    """Raw coordinates -> joint features: the layers both models begin with.

    Both make them here, so that their names, which weight transfer goes by, are the same. ``coordinates`` are the
    normalised ones ``(B, M, T, V, C)``, ``presence`` ``(B, M, T, V)`` says which joints were observed.
    """

    def __init__(self, inputs, layout, *, units, num_coordinates, normalize, image_size, streams):
        self.find = JointPresence(num_coordinates, name="presence")
        self.place = SkeletonNormalization(num_coordinates, normalize, image_size, name="normalize")
        self.streams = SkeletonStreams(streams, num_coordinates, layout.edges, name="streams")
        # motion is an order of magnitude smaller than position
        self.norm = make_normalization("batch", "stream_normalization", None) if len(streams) > 1 else None
        self.dense = keras.layers.Dense(units, name="joint_embedding")
        self._look(inputs)

    def _look(self, inputs):
        self.presence, self.coordinates = self.find(inputs), self.place(inputs)

    def on(self, inputs):
        """The same layers on other inputs."""
        other = copy.copy(self)
        other._look(inputs)
        return other

    def features(self, visible=None, training=None):
        """(B, M, T, V, C') streams side by side; ``visible`` (B, M, T, V), True = seen, keeps the others out."""
        x = self.streams(self.coordinates, self.presence if visible is None else visible)
        return x if self.norm is None else self.norm(x, training=training)

    def __call__(self, visible=None):
        """(B, M, T, V, units) features of joints; visible as in :meth:`features`."""
        return self.dense(self.features(visible))
