"""Keras's own test of a layer, which it does not publish: `make test-conformance` runs it with the newest Keras."""

import numpy as np
import pytest

from keras_skelmae import layers

testing = pytest.importorskip("keras.src.testing", reason="a Keras with its own tests")

EDGES = [(1, 0), (2, 1), (3, 1)]
SHAPE = (2, 2, 6, 4, 8)  # (B, M, T, V, C)
HERE = np.array([[[True] * 6, [False] * 6], [[True] * 6, [True] * 6]])
SEEN = np.random.default_rng(0).random(SHAPE[:-1]) < 0.5
# Keras's training and mixed-precision checks call a layer with its first argument alone
ALONE = {"run_training_check": False, "run_mixed_precision_check": False}
GRAPH = {"units": 5, "edges": EDGES}
# as the layers of Keras they are
MASKING = ("Dense", "ChannelNormalization", "ChannelPReLU", "PresenceBatchNormalization")

CASES = {  # arguments of the layer, output shape, (trainable, other) weights, what else run_layer_test takes
    "AdaptiveGCNConv": (GRAPH, (2, 2, 6, 4, 5), (5, 0), {}),
    "BodyEmbedding": ({"units": 8, "dropout_rate": 0.1}, (2, 2, 6, 1, 8), (4, 3), {"expected_num_seed_generators": 1}),
    "Dense": ({"units": 5}, (2, 2, 6, 4, 5), (2, 0), {}),
    "ChannelNormalization": ({}, SHAPE, (2, 0), {}),
    "ChannelPReLU": ({}, SHAPE, (1, 0), {}),
    "GATConv": (GRAPH | {"units": 8}, SHAPE, (4, 0), {}),
    "GCNConv": (GRAPH, (2, 2, 6, 4, 5), (2, 0), {}),
    "GINConv": (GRAPH, (2, 2, 6, 4, 5), (6, 0), {}),
    "GraphEncoder": (GRAPH | {"num_layers": 2}, (2, 2, 6, 4, 5), (18, 6), {}),
    "JointEmbedding": (
        {"units": 5, "streams": ["joint", "motion"], "num_coordinates": 2, "bones": EDGES},
        (2, 2, 6, 4, 5),
        (4, 3),
        ALONE | {"call_kwargs": {"visible": SEEN}},
    ),
    "JointMapping": ({"sources": [[0, 1], [], [3]]}, (2, 2, 6, 3, 8), (0, 0), {}),
    "JointMasking": ({}, SHAPE, (1, 0), ALONE | {"call_kwargs": {"joint_mask": SEEN}}),
    # whether joints were seen has no gradient
    "JointPresence": ({"num_coordinates": 2}, (2, 2, 6, 4), (0, 0), {"run_training_check": False}),
    "MultiScaleTemporalConv": ({"units": 8, "strides": 2, "fused": True}, (2, 2, 3, 4, 8), (12, 9), {}),
    "PointwiseUpdate": ({"units": 5}, (2, 2, 6, 4, 5), (4, 3), {}),
    "PositionEmbedding": ({"axis": -2}, SHAPE, (1, 0), {}),
    "PresenceBatchNormalization": ({}, SHAPE, (2, 3), {}),
    "PresencePooling": ({"time": "mean+max"}, (2, 16), (0, 0), ALONE | {"call_kwargs": {"presence": HERE}}),
    "ResampleFrames": ({"num_frames": 4, "num_coordinates": 2}, (2, 2, 4, 4, 8), (0, 0), {}),
    "SkeletonMirror": ({"mirror": [0, 2, 1, 3], "num_coordinates": 2}, SHAPE, (0, 0), {}),
    "SkeletonNormalization": ({"num_coordinates": 2}, SHAPE, (0, 0), {}),
    "SkeletonStreams": (
        {"streams": ["joint", "bone", "distance"], "num_coordinates": 2, "bones": EDGES},
        (2, 2, 6, 4, 14),
        (0, 0),
        ALONE | {"call_kwargs": {"visible": SEEN}},
    ),
    "SpatialModeling": (
        {"encoder": layers.GraphEncoder(5, EDGES, 1, name="encoder").get_config()},
        (2, 2, 6, 4, 5),
        (23, 6),
        {},
    ),
    "TemporalConv": ({"units": 8, "strides": 3}, (2, 2, 2, 4, 8), (4, 3), {}),
}


def test_every_public_layer_conforms():
    assert set(CASES) == set(layers.__all__)


@pytest.mark.conformance
@pytest.mark.parametrize("name", sorted(CASES))
def test_a_layer_conforms(name):
    arguments, shape, (trainable, others), options = CASES[name]
    testing.TestCase().run_layer_test(
        getattr(layers, name),
        init_kwargs=arguments,
        input_data=np.random.default_rng(0).normal(size=SHAPE).astype("float32"),
        expected_output_shape=shape,
        expected_num_trainable_weights=trainable,
        expected_num_non_trainable_weights=others,
        supports_masking=name in MASKING,
        **{"expected_num_seed_generators": 0, **options},
    )
