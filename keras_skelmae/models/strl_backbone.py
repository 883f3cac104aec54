"""The M layers of spatial-temporal representation learning (STRL): the network below the classifier."""

import keras
from keras import ops

from keras_skelmae.fast.ops.frames import thinned
from keras_skelmae.layers import MultiScaleTemporalConv, PointwiseUpdate, PositionEmbedding, SpatialModeling
from keras_skelmae.models.body_layers import body_layers
from keras_skelmae.models.preset import Preset, arguments, own_arguments
from keras_skelmae.models.published import assign_by_path, assign_published, path_of, published_config
from keras_skelmae.models.residual_layer import residual_layer
from keras_skelmae.models.skeleton_encoder import InputLayers, SkeletonEncoder

TEMPORAL = ("each", "last", "body", "residual")


@keras.saving.register_keras_serializable(package="keras_skelmae")
class STRLBackbone(Preset, keras.Model):
    """Embedded joints through M layers of spatial modelling, with time in the last, in each, or over the whole body.

    Args:
        encoder: SkeletonEncoder. It is copied, weights and all, into every layer and person, and never shared. Or its
            config, for weights drawn at random, which differ between the copies. Its preprocessor gives T and M.
        num_layers: int, the paper's M.
        share_people: bool, one encoder for all people instead of one per person.
        temporal: "last" (one multi-scale temporal module at the end), "each" (one in every layer, with a residual
            connection), "residual" (every layer is a residual block of graph and time, see residual_layer) or "body"
            (after the layers the joints become one vector per frame, see BodyEmbedding, and a stack of temporal
            convolutions follows).
        temporal_units: with "residual" the width of each layer; with "body" the width of the body's vector, then that
            of each convolution.
        temporal_strides: one int for each temporal module of "each", "body" and "residual": frames are thinned by it;
            empty for none.
        temporal_dropout: float, with "residual" how probable it is that a sequence passes by a temporal module in
            training, with "body" see BodyEmbedding.
        body_streams: with ``temporal="body"``, what the body's vectors are made of: "features" (of the STRL layers),
            "motion2" (motion over two frames) and streams of SkeletonStreams, each with a stem of its own.

    Input shape:
        ``(B, M, T, V, C)`` in the units of the recording.

    Output shape:
        dict of ``features`` ``(B, M, T', V', D)`` and ``presence`` bool ``(B, M, T')``, True = the person is there; T'
        is T without strides, V' is V, or 1 with ``temporal="body"``.

    Raises:
        ValueError: naming the argument, what was expected and what was found.

    Reference:
        Yan et al., "SkeletonMAE: Graph-based Masked Autoencoder for Skeleton Sequence Pre-training", ICCV 2023.
    """

    parts = (SkeletonEncoder,)

    def __init__(
        self,
        encoder,
        num_layers=3,
        share_people=False,
        temporal="last",
        temporal_units=(),
        temporal_strides=(),
        temporal_dropout=0.0,
        body_streams=("features",),
        name="strl_backbone",
        **kwargs,
    ):
        modules = check_temporal(temporal, temporal_strides, num_layers, temporal_units)
        strides = [int(stride) for stride in temporal_strides] or [1] * modules
        trained = encoder if isinstance(encoder, SkeletonEncoder) else None
        encoder = trained or SkeletonEncoder.from_config(encoder)
        preprocessor, units, normalization = encoder.preprocessor, encoder.units, encoder.normalization
        several = preprocessor.num_people > 1

        # === Layers ===
        inputs = InputLayers(preprocessor, units, encoder.streams, encoder.joint_positions)
        graph, added = encoder.graph.get_config(), temporal == "residual"
        widths = [int(width) for width in temporal_units] if added else [units] * num_layers
        people = (preprocessor.num_people, share_people, "add" if added else "concat")
        spatial = [
            SpatialModeling({**graph, "units": width}, *people, name=f"spatial_{index}")
            for index, width in enumerate(widths)
        ]

        # === Functional graph ===
        keypoints = keras.Input(preprocessor.clip_shape, name="keypoints")
        x = inputs.mapped(keypoints)  # (B, M, T, V, C)
        valid, placed = inputs.presence(x), inputs.place(x)  # (B, M, T, V), (B, M, T, V, C)
        presence = ops.any(valid, axis=-1)  # (B, M, T)
        x = inputs.positioned(inputs.embedding(placed, valid))  # (B, M, T, V, D)
        x = PositionEmbedding(axis=-3, name="temporal_positions")(x)  # (B, M, T, V, D)
        for index, layer in enumerate(spatial):
            if added:
                x, presence = residual_layer(x, presence, layer, strides[index], temporal_dropout, f"{index}")
                continue
            # a lone person's gaps are too few to matter to the statistics
            x = layer(x, presence=presence if several else None)  # (B, M, T, V, D)
            x = PointwiseUpdate(units, normalization, name=f"update_{index}")(x, presence=presence if several else None)
            if temporal == "each":
                module = MultiScaleTemporalConv(
                    units, strides=strides[index], residual=True, normalization=normalization, name=f"temporal_{index}"
                )
                x = module(x, presence=presence if several else None)  # (B, M, T', V, D)
                presence = thinned(presence, strides[index])
        if temporal == "last":
            module = MultiScaleTemporalConv(units, normalization=normalization, name="temporal")
            x = module(x, presence=presence if several else None)
        elif temporal == "body":
            x, presence = body_layers(
                x,
                placed,
                valid,
                presence,
                preprocessor,
                normalization,
                body_streams,
                temporal_units,
                temporal_dropout,
                strides,
            )  # (B, M, T', 1, D), (B, M, T')
        super().__init__(inputs=keypoints, outputs={"features": x, "presence": presence}, name=name, **kwargs)

        # === Config ===
        self.encoder_config = {key: value for key, value in encoder.get_config().items() if key != "trainable"}
        self.input_layers, self.spatial = inputs, spatial
        self.num_layers = num_layers
        self.share_people = share_people
        self.temporal = temporal
        self.temporal_strides = [int(stride) for stride in temporal_strides]
        self.body_streams = [str(stream) for stream in body_streams]
        self.temporal_units = [int(width) for width in temporal_units]
        self.temporal_dropout = temporal_dropout
        self.preprocessor = preprocessor
        if trained is not None:
            self.load_encoder(trained)

    @classmethod
    def from_settings(cls, values, data):
        """A backbone with these settings (dict) for a store or a preprocessor."""
        own = arguments(cls, values)
        encoder = own.pop("encoder", None)
        return cls(encoder or SkeletonEncoder.from_settings(values, data).get_config(), **own)

    @classmethod
    def from_published(cls, name, data=None, load_weights=True, **settings):
        """A published backbone for data whose joints map to it, see ``published_config``."""
        if settings:
            raise ValueError(f"{name}: expected no setting that its weights decide, found {sorted(settings)[0]}")
        backbone = cls.from_config(published_config(name, data))
        if load_weights:
            assign_published(backbone, name)
        return backbone

    def for_people(self, count):
        """The same network, weights and all, for clips of more people; what they take from each other is zero.

        Raises:
            ValueError: every person has an encoder of its own (``share_people``).
        """
        if not self.share_people:
            raise ValueError(f"share_people: expected True to model {count} people, found False")
        config = self.get_config()
        preprocessor = type(self.preprocessor)(**{**self.preprocessor.get_config(), "num_people": count})
        encoder = {**config["encoder"], "preprocessor": keras.saving.serialize_keras_object(preprocessor)}
        other = type(self).from_config({**config, "encoder": encoder})
        given = {path_of(variable): ops.convert_to_numpy(variable.value) for variable in self.weights}
        assign_by_path(other, given, self.name)
        return other

    @property
    def units(self):
        """The encoder's D."""
        return self.encoder_config["units"]

    @property
    def encoder_layers(self):
        """The layers that hold the weights of an encoder: embedding, positions, and the copies of the graph encoder.

        Of layers of several widths those that have the encoder's.
        """
        first = [layer for layer in (self.input_layers.embedding, self.input_layers.positions) if layer is not None]
        widths = [self.units, *(layer.units for layer in self.spatial)]
        same = [layer for layer, width in zip(self.spatial, widths, strict=False) if layer.units == width == self.units]
        return first + [copied for layer in same for copied in layer.encoders]

    def load_encoder(self, encoder):
        """Copy the weights of a SkeletonEncoder of the same settings into every layer and person.

        Raises:
            ValueError: naming the setting in which the two differ.
        """
        own, given = self.encoder_config, encoder.get_config()
        for key in own:
            if key not in ("name", "preprocessor") and own[key] != given[key]:
                raise ValueError(f"encoder: expected {key} = {own[key]!r}, found {given[key]!r}")
        for layer in self.encoder_layers:
            name = layer.name if layer.name in ("joint_embedding", "joint_positions") else "graph_encoder"
            layer.set_weights(encoder.get_layer(name).get_weights())

    def get_config(self):
        kept = {name: getattr(self, name) for name in own_arguments(STRLBackbone) if name != "encoder"}
        return {"encoder": self.encoder_config, **kept, **self.frozen_config()}


def check_temporal(temporal, temporal_strides, num_layers, temporal_units):
    """The number of temporal modules, or ValueError where these arguments of a backbone do not go together."""
    if temporal not in TEMPORAL:
        raise ValueError(f"temporal: expected one of {TEMPORAL}, found {temporal!r}")
    wide = temporal in ("body", "residual")
    if wide != bool(temporal_units) or temporal == "residual" and len(temporal_units) != num_layers:
        wanted = {"residual": f"one width for each of {num_layers} layers", "body": "widths"}.get(temporal, "none")
        raise ValueError(f"temporal_units: expected {wanted} with temporal={temporal!r}, found {list(temporal_units)}")
    counts = {"each": num_layers, "residual": num_layers, "last": 0, "body": len(temporal_units) - 1}
    modules = counts[temporal]
    if temporal_strides and len(temporal_strides) != modules:
        raise ValueError(
            f"temporal_strides: expected one for each of {modules} temporal modules (temporal={temporal!r}), "
            f"found {list(temporal_strides)}"
        )
    return modules
