"""What the tests of all folders share: TensorFlow's steps run eagerly where compiling them is not the point."""

import contextlib

import pytest


@pytest.fixture(scope="session")
def eager():
    """A context manager: TensorFlow without tracing a step first, which takes longer than the few steps of a test.

    With False inside of it a step is traced and compiled as for a user.
    """

    @contextlib.contextmanager
    def context(on=True):
        import keras

        if keras.config.backend() != "tensorflow":
            yield
            return
        import tensorflow as tf

        before = tf.config.functions_run_eagerly()
        tf.config.run_functions_eagerly(on)
        try:
            yield
        finally:
            tf.config.run_functions_eagerly(before)

    return context


@pytest.fixture(scope="module")
def eager_module(eager):
    """See ``eager``; for a whole module."""
    with eager():
        yield


@pytest.fixture
def compiled(eager):
    """See ``eager``; a test whose steps are compiled, though those of its module are not."""
    with eager(False):
        yield
