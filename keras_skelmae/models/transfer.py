"""Weights of a pre-trained encoder into a classifier, by layer name."""

MUST_AGREE = ("num_coordinates", "use_score", "units", "encoder_layers", "streams", "normalization", "backbone",
              "joint_positions")
SHARED_LAYERS = ("stream_normalization", "joint_embedding", "joint_positions")


def transfer_encoder(source, classifier):
    """Copy the joint embedding and the graph encoder of ``source`` into every STRL layer and person.

    Args:
        source: SkeletonMAE or SkeletonEncoder.
        classifier: STRLClassifier, changed in place.

    Raises:
        ValueError: naming the setting in which the two differ.
    """
    if source.layout.edges != classifier.layout.edges or source.layout.num_joints != classifier.layout.num_joints:
        raise ValueError(f"pre-trained encoder: expected layout {classifier.layout.name!r}, "
                         f"found {source.layout.name!r}")
    for key in MUST_AGREE:
        if getattr(source, key) != getattr(classifier, key):
            raise ValueError(f"pre-trained encoder: expected {key} = {getattr(classifier, key)!r}, "
                             f"found {getattr(source, key)!r}")
    names = {layer.name for layer in source.layers}
    for name in SHARED_LAYERS:
        if name in names:
            classifier.get_layer(name).set_weights(source.get_layer(name).get_weights())
    weights = source.get_layer("encoder").get_weights()
    for index in range(classifier.num_layers):
        for encoder in classifier.get_layer(f"spatial_{index}").encoders:
            encoder.set_weights(weights)
