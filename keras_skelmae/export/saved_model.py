"""SavedModel: plain TensorFlow, TensorFlow Serving."""

from pathlib import Path

import keras

from keras_skelmae.export.serving import INPUT, OUTPUT, greatest_difference, metadata, serving_model, write_metadata


def write_saved_model(model, folder):
    """Write the folder; return the greatest difference of what TensorFlow serves from the Keras model."""
    import tensorflow as tf

    serving = serving_model(model)
    names = tf.constant(metadata(model)["classes"])
    archive = keras.export.ExportArchive()
    archive.track(serving)
    shape = (None, *serving.input_shape[1:])
    archive.add_endpoint("serve", lambda keypoints: {OUTPUT: serving(keypoints, training=False)},
                         [tf.TensorSpec(shape, tf.float32, INPUT)])
    archive.add_endpoint("class_names", lambda: {"class_names": names}, [])
    archive.write_out(str(folder), verbose=False)
    extra = Path(folder) / "assets.extra"
    extra.mkdir(exist_ok=True)
    write_metadata(model, extra / "metadata.json")
    served = tf.saved_model.load(str(folder)).signatures["serving_default"]
    return greatest_difference(lambda case: served(keypoints=tf.constant(case))[OUTPUT].numpy(), model)
