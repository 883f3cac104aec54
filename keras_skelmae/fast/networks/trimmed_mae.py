"""SkeletonMAE on the joints that its loss depends on, where a batch shares one mask."""

import keras
import numpy as np
from keras import ops

from keras_skelmae.fast.ops.channels import neighbour_sum, scaled
from keras_skelmae.layers import GINConv
from keras_skelmae.layers.graph import adjacency_matrix
from keras_skelmae.models.skeleton_mae import SPREAD_FRAMES


def can_trim(mae):
    """Whether a SkeletonMAE can do without some joints: not with statistics of a batch, or a mean of all of them."""
    return mae.remask != "context" and mae.encoder.normalization != "batch" and mae.encoder.graph_conv in ("gin", "gcn")


class TrimmedMAE(keras.Model):
    """A SkeletonMAE for training: the loss and its gradients are the same but for rounding.

    The joints are ordered once by their distance from those that the decoder needs of the encoder, so what each layer
    needs of the one before comes first, and the rest is cut off.

    Args:
        mae: SkeletonMAE that :func:`can_trim`; its weights are trained.

    Input shape:
        dict of ``keypoints`` and ``mask`` as SkeletonMAE has them, and ``trim``, what :meth:`trim` makes of the mask.

    Output shape:
        dict of ``reconstruction``, ``target`` and ``weight`` of the masked joints alone, ``sample``, the target of all
        joints in some frames, and ``features``, what is embedded, for an embedding target.
    """

    def __init__(self, mae, **kwargs):
        super().__init__(autocast=False, **kwargs)  # pixels need more than float16
        self.mae = mae
        self.built = True

    @property
    def metrics(self):
        return [*super().metrics, self.mae.spread_tracker]

    def trim(self, mask):
        """What to compute for one mask of a whole batch.

        Args:
            mask: bool ``(V,)``, True = masked in all frames of the batch; at least one.

        Returns:
            dict of int32 joint numbers: ``masked``; ``encoder``, those that the encoder begins with and those that each
            of its layers gives, the first of the layer before; ``decoder``, those that the decoder begins with.
        """
        encoder = self.mae.encoder.graph
        masked = np.flatnonzero(mask)
        graph = adjacency_matrix(encoder.edges, len(mask)) + np.eye(len(mask), dtype="float32") > 0
        border = np.setdiff1d(np.flatnonzero(graph[masked].any(axis=0)), masked)
        both = np.concatenate([masked, border]).astype("int32")
        fields = [border.astype("int32") if self.mae.remask == "token" else both]
        for _ in range(encoder.num_layers):
            around = np.setdiff1d(np.flatnonzero(graph[fields[0]].any(axis=0)), fields[0])
            fields.insert(0, np.concatenate([fields[0], around]).astype("int32"))
        return {"masked": masked.astype("int32"), "encoder": tuple(fields), "decoder": both}

    def call(self, inputs, training=None):
        mae, trim, mask = self.mae, inputs["trim"], inputs["mask"]
        layers, first = mae.encoder.input_layers, trim["encoder"][0]
        valid, placed = layers.presence(inputs["keypoints"]), layers.place(inputs["keypoints"])
        visible = ops.logical_and(valid, ops.logical_not(mask))

        # === Encoder ===
        seen = layers.embedding.features(placed, visible, training)  # (B, M, T, V, C')
        x = layers.embedding.dense(_take(seen, first))  # (B, M, T, joints, D)
        x = mae.get_layer("masking")(x, joint_mask=_take(mask, first))
        if layers.positions is not None:
            x = x + ops.cast(ops.take(layers.positions.embedding, first, axis=-2), x.dtype)
        x = _convolve(mae.encoder.graph, trim["encoder"], x, training)  # (B, M, T, V', D)

        # === Decoder ===
        x = mae.get_layer("encoder_to_decoder")(x)
        if mae.remask == "token":  # the encoder did without the masked joints, since a token takes their place
            token = ops.cast(mae.get_layer("remasking").token, x.dtype)
            blank = ops.zeros_like(_take(mask, trim["masked"]), dtype=x.dtype)[..., None]  # (B, M, T, masked, 1)
            x = ops.concatenate([blank + token, x], axis=3)
        x = mae.get_layer("head")(_convolve(mae.get_layer("decoder"), [trim["decoder"], trim["masked"]], x, training))
        return {"reconstruction": x, **self._target(placed, valid, mask, trim["masked"], training)}

    def _target(self, placed, valid, mask, masked, training):
        mae, embedding = self.mae, self.mae.encoder.input_layers.embedding
        weight = ops.cast(ops.logical_and(_take(mask, masked), _take(valid, masked)), "float32")
        if mae.target == "embedding":
            features = embedding.features(placed, valid, training)
            goal, sample = embedding.dense(_take(features, masked)), embedding.dense(features[:, :, ::SPREAD_FRAMES])
            goal = ops.stop_gradient(goal) if mae.remedy == "stop_gradient" else goal
            return {"target": goal, "sample": sample, "features": features, "weight": weight}
        dims = mae.preprocessor.num_coordinates
        whole = placed[..., :dims] if mae.target == "coordinates" else mae.get_layer("motion_target")(placed, valid)
        return {"target": _take(whole, masked), "sample": whole[:, :, ::SPREAD_FRAMES], "weight": weight}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        self.mae.track_spread(y_pred["sample"])
        loss = self.mae.reconstruction_loss(y_pred["target"], y_pred["reconstruction"], y_pred["weight"])
        if self.mae.needs_spread:
            dense = self.mae.encoder.input_layers.embedding.dense
            loss = loss + self.mae.spread_loss(variance_of_dense(y_pred["features"], dense))
        return loss


def variance_of_dense(x, dense):
    """Variance of each unit of a Dense layer over all of ``x`` (..., C), from the covariance of its C inputs."""
    flat = ops.reshape(ops.cast(x, "float32"), (-1, x.shape[-1]))
    flat = flat - ops.mean(flat, axis=0)
    covariance = ops.matmul(ops.transpose(flat), flat) / ops.cast(ops.shape(flat)[0], "float32")
    kernel = ops.cast(dense.kernel, "float32")
    return ops.maximum(ops.sum(ops.matmul(covariance, kernel) * kernel, axis=0), 0)


def _take(x, joints):
    return ops.take(x, joints, axis=3)


def _matrix(conv):
    """What a graph convolution multiplies the joints with, beside the joint itself with a weight of its own in GIN."""
    return conv.adjacency if isinstance(conv, GINConv) else conv.propagation


def _convolve(encoder, fields, x, training):
    """A GraphEncoder on the joints that each layer takes and gives; those given are the first of those taken."""
    x = ops.moveaxis(x, -2, 0)  # (joints, ..., C)
    for conv, norm, activation, taken, given in zip(
        encoder.convs, encoder.norms, encoder.activations, fields[:-1], fields[1:], strict=True
    ):
        summed = neighbour_sum(ops.take(ops.take(_matrix(conv), given, axis=0), taken, axis=1), x, 0)
        if isinstance(conv, GINConv):
            itself = x[: ops.shape(given)[0]]
            x = conv.mlp(summed + scaled(itself, 1 + ops.cast(conv.epsilon, x.dtype), training))
        else:
            x = conv.dense(summed)
        x = activation(x if norm is None else norm(x, training=training))
    return ops.moveaxis(x, 0, -2)
