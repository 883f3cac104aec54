"""The pre-trained half of SkeletonMAE."""

import keras
from keras import ops

from keras_skelmae.layers import GraphEncoder, PositionEmbedding
from keras_skelmae.models.joint_embedding import JointEmbedding, as_layout
from keras_skelmae.models.settings import keep_settings

ENCODER_KEYS = ("layout", "num_coordinates", "use_score", "num_frames", "num_people", "units", "encoder_layers",
                "normalize", "image_size", "streams", "normalization", "backbone", "joint_positions")


@keras.saving.register_keras_serializable(package="keras_skelmae")
class SkeletonEncoder(keras.Model):
    """The pre-trained half of SkeletonMAE: raw keypoints -> joint features; arguments as in SkeletonMAE.

    Input shape:
        ``(B, M, T, V, C)`` in pixels or metres.

    Output shape:
        ``(B, M, T, V, units)``.
    """

    def __init__(self, layout, num_coordinates=2, use_score=False, num_frames=64, num_people=2, units=64,
                 encoder_layers=3, normalize="clip", image_size=(1080, 1920), streams=("joint",),
                 normalization="batch", backbone="gin", joint_positions=False, weights_from=None,
                 name="skeleton_encoder", **kwargs):
        layout = as_layout(layout)

        # === Functional graph ===
        inputs = keras.Input((num_people, num_frames, layout.num_joints, num_coordinates + bool(use_score)),
                             name="keypoints")
        embedding = JointEmbedding(inputs, layout, units=units, num_coordinates=num_coordinates,
                                   normalize=normalize, image_size=image_size, streams=streams)
        x, presence = embedding(), embedding.presence
        if joint_positions:
            x = PositionEmbedding(axis=-2, name="joint_positions")(x)
        here = ops.any(presence, axis=-1) if num_people > 1 else None
        x = GraphEncoder(units, layout.edges, encoder_layers, normalization, backbone, name="encoder")(x, presence=here)
        super().__init__(inputs=inputs, outputs=x, name=name, **kwargs)
        if weights_from is not None:
            for layer in self.layers:
                layer.set_weights(weights_from.get_layer(layer.name).get_weights() if layer.weights else [])

        # === Config ===
        keep_settings(self, layout=layout, num_coordinates=num_coordinates, use_score=use_score, num_frames=num_frames,
                      num_people=num_people, units=units, encoder_layers=encoder_layers, normalize=normalize,
                      image_size=image_size, streams=streams, normalization=normalization, backbone=backbone,
                      joint_positions=joint_positions)

    def get_config(self):
        return {"name": self.name, "layout": self.layout.to_dict(),
                **{key: getattr(self, key) for key in ENCODER_KEYS[1:]}}

    @classmethod
    def from_config(cls, config):
        return cls(**config)
