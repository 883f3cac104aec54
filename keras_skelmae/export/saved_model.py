"""SavedModel: plain TensorFlow, TensorFlow Serving."""

from pathlib import Path

import keras

from keras_skelmae.export.serving import INPUT, OUTPUT, metadata, serving_model
from skelmae_datasets.files import write_json


def write_saved_model(model, folder):
    """Write the folder; return a function that has TensorFlow serve a batch."""
    import tensorflow as tf

    serving, names = serving_model(model), tf.constant(model.names)
    archive = keras.export.ExportArchive()
    archive.track(serving)
    taken = tf.TensorSpec((None, *serving.input_shape[1:]), tf.float32, INPUT)

    def serve(keypoints):
        for axis, size in enumerate(serving.input_shape[1:], 1):  # a signature does not compare them
            if size is not None:
                told = f"{INPUT}: expected shape {serving.input_shape}, found another size of axis {axis}"
                tf.debugging.assert_equal(tf.shape(keypoints)[axis], size, told)
        return serving(keypoints, training=False)

    archive.add_endpoint("serve", serve, [taken])
    archive.add_endpoint("class_names", lambda: {"class_names": names}, [])
    archive.write_out(str(folder), verbose=False)
    write_json(Path(folder) / "assets.extra" / "metadata.json", metadata(model))
    served = tf.saved_model.load(str(folder)).signatures["serving_default"]
    return lambda case: served(keypoints=tf.constant(case))[OUTPUT].numpy()
