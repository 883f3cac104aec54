"""What layers keep of the arguments they were made with."""

import keras


def config_of(layer, *names):
    """dict of a layer's arguments by name, JSON-able: activations and initialisers in Keras's form."""
    return {name: _plain(getattr(layer, name)) for name in names}


def _plain(value):
    if isinstance(value, keras.initializers.Initializer):
        return keras.initializers.serialize(value)
    return keras.activations.serialize(value) if callable(value) else value
