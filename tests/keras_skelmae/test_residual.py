"""A residual layer of STRL against a plain NumPy reading of an ST-GCN++ block, and the optimiser of its recipe."""

import keras
import numpy as np
import pytest

from keras_skelmae.layers import AdaptiveGCNConv, GraphEncoder, SpatialModeling
from keras_skelmae.models.residual_layer import residual_layer
from keras_skelmae.optimizers import SGD

EDGES = [(1, 0), (2, 1), (3, 1), (4, 3)]
B, T, V = 2, 9, 5


def to_numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def block(width_in, width_out, stride, people=1):
    """A functional model of one residual layer, all weights random."""
    inputs = keras.Input((people, T, V, width_in))
    encoder = GraphEncoder(width_out, EDGES, 1, graph_conv="adaptive").get_config()
    spatial = SpatialModeling(encoder, people, share_people=True, residual="add", name="spatial")
    presence = keras.ops.any(keras.ops.abs(inputs) > 0, axis=(-2, -1))
    x, _ = residual_layer(inputs, presence, spatial, stride, 0.3, "0")
    model, rng = keras.Model(inputs, x), np.random.default_rng(3)
    for weight in model.weights:
        positive = "variance" in weight.name
        weight.assign(rng.uniform(0.5, 1.5, weight.shape) if positive else 0.3 * rng.normal(size=weight.shape))
    return model


def peer_block(x, model, stride):
    """ST-GCN++'s block on ``x`` (B, T, V, C), inference, with the model's weights; loops where they are plainest."""
    spatial, temporal = model.get_layer("spatial"), model.get_layer("temporal_0")
    encoder = spatial.encoders[0]

    def normalised(y, norm):
        gamma, beta, mean, variance = (to_numpy(part) for part in norm.weights[:4])
        return gamma * (y - mean) / np.sqrt(variance + norm.epsilon) + beta

    # graph: every target joint w sums the joints v of three graphs by their learned weights
    conv = encoder.convs[0]
    graphs, y = to_numpy(conv.adjacency), np.zeros((*x.shape[:3], conv.units)) + to_numpy(conv.dense[0].bias)
    for k in range(3):
        kernel = to_numpy(conv.dense[k].kernel)
        for w in range(V):
            for v in range(V):
                y[:, :, w] += graphs[k, w, v] * (x[:, :, v] @ kernel)
    y = normalised(y, encoder.norms[0])
    residual = x
    if spatial.input_conv is not None:
        residual = x @ to_numpy(spatial.input_conv.kernel) + to_numpy(spatial.input_conv.bias)
        residual = normalised(residual, spatial.input_norm)
    y = np.maximum(y + residual, 0)

    # time: four dilated convolutions, a maximum, and a 1x1 branch that is neither normalised nor cut at zero
    z = y @ to_numpy(temporal.pointwise.kernel) + to_numpy(temporal.pointwise.bias)
    plain = z.shape[-1] - temporal.branch_units[-1]
    z = np.concatenate([np.maximum(normalised(z[..., :plain], temporal.norm_in), 0), z[..., plain:]], -1)
    padded, out = np.pad(z, ((0, 0), (4, 4), (0, 0), (0, 0))), []
    starts = np.cumsum([0, *temporal.branch_units])
    for t in range(0, T, stride):
        parts = []
        for index, dilation in enumerate((1, 2, 3, 4)):
            branch = padded[..., starts[index] : starts[index + 1]]
            taps = np.split(to_numpy(temporal.kernels[index]), 3, axis=1)
            parts.append(sum(branch[:, 4 + t + (tap - 1) * dilation] @ taps[tap] for tap in range(3)))
        parts.append(padded[:, 3 + t : 6 + t, :, starts[4] : starts[5]].max(axis=1))
        parts.append(padded[:, 4 + t, :, starts[5] :])
        out.append(np.concatenate(parts, -1))
    out = np.maximum(normalised(np.stack(out, 1), temporal.norm_out), 0)
    fusion = temporal.fusion
    out = normalised(out @ to_numpy(fusion.dense.kernel) + to_numpy(fusion.dense.bias), fusion.norm)
    skip = x[:, ::stride]
    names = [layer.name for layer in model.layers]
    if "skip_0" in names:
        update = model.get_layer("skip_0")
        skip = normalised(skip @ to_numpy(update.dense.kernel) + to_numpy(update.dense.bias), update.norm)
    return np.maximum(out + skip, 0)


@pytest.mark.parametrize(("width_in", "width_out", "stride"), [(16, 16, 1), (7, 16, 1), (16, 20, 2), (16, 16, 2)])
def test_a_residual_layer_contains_a_block_of_st_gcn_plus_plus(width_in, width_out, stride, tiny):
    model = block(width_in, width_out, stride)
    spatial = model.get_layer("spatial")
    # what the block has beside ST-GCN++'s: a slope below zero, which is one there, and the pooled vector
    slope = spatial.encoders[0].activations[0].weights[0]
    slope.assign(np.ones(slope.shape))
    spatial.pooled_conv.set_weights([np.zeros((width_out, width_out))])
    x = np.random.default_rng(0).normal(size=(B, T, V, width_in)).astype("float32")
    found = to_numpy(tiny.forward(model, x[:, None]))[:, 0]
    np.testing.assert_allclose(found, peer_block(x.astype("float64"), model, stride), atol=1e-5, rtol=1e-5)
    spatial.pooled_conv.set_weights([np.ones((width_out, width_out))])
    assert np.abs(to_numpy(tiny.forward(model, x[:, None]))[:, 0] - found).max() > 1e-3  # the pooled vector counts


def test_the_graphs_begin_at_the_skeleton():
    layer = AdaptiveGCNConv(4, EDGES)
    layer.build((1, V, 3))
    itself, parents, children = to_numpy(layer.adjacency)
    np.testing.assert_array_equal(itself, np.eye(V))
    assert parents[1].tolist() == [1, 0, 0, 0, 0] and parents[0].tolist() == [0] * V  # the root has no parent
    assert children[1].tolist() == [0, 0, 0.5, 0.5, 0]  # the mean of two children


def test_absent_people_change_nothing_and_their_number_does_not_either(tiny):
    model = block(6, 8, 2, people=2)
    x = np.random.default_rng(1).normal(size=(B, 2, T, V, 6)).astype("float32")
    x[:, 1] = 0
    swapped = x[:, ::-1].copy()
    first, second = (to_numpy(tiny.forward(model, clips)) for clips in (x, swapped))
    np.testing.assert_allclose(first[:, 0], second[:, 1], atol=1e-5)


def test_sgd_moves_the_weights_as_pytorch_does():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=(3, 2)), rng.normal(size=(5, 3, 2))
    peer = torch.nn.Parameter(torch.tensor(start))
    optimizer = torch.optim.SGD([peer], 0.1, 0.9, weight_decay=0.05, nesterov=True)
    for gradient in gradients:
        peer.grad = torch.tensor(gradient)
        optimizer.step()
    kernel, bias = (keras.Variable(start, name=name, dtype="float32") for name in ("kernel", "bias"))
    ours = SGD(0.1, 0.9, l2=0.05)
    for gradient in gradients:
        ours.apply([keras.ops.convert_to_tensor(gradient, "float32")] * 2, [kernel, bias])
    np.testing.assert_allclose(to_numpy(kernel), peer.detach().numpy(), atol=1e-5)
    assert np.abs(to_numpy(bias) - to_numpy(kernel)).max() > 1e-3  # it does not decay
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(ours))
    assert (type(again), again.l2, again.momentum) == (SGD, 0.05, 0.9)
