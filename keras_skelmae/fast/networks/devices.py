"""Several devices and several processes: every one computes on its rows of the same global batch."""

import functools
import os

import keras
import numpy as np

from skelmae_datasets import DataError

VARIABLES = ("SKELMAE_COORDINATOR", "SKELMAE_NUM_PROCESSES", "SKELMAE_PROCESS_ID")
_STATE = {"process": 0, "processes": 1, "devices": 1}  # of this process, set once by use_devices


def is_writer():
    """Whether this process writes the run folder: the first of them does."""
    return _STATE["process"] == 0


def device_count():
    """Devices of all processes together."""
    return _STATE["devices"]


def use_devices(devices=None, environment=os.environ):
    """Spread what follows over several devices, and over several processes where the environment names them.

    Every process runs the same command with SKELMAE_COORDINATOR (host:port of the first), SKELMAE_NUM_PROCESSES and
    SKELMAE_PROCESS_ID (from 0) set. Weights are on every device, a batch is cut into equal parts, and statistics and
    gradients are those of the whole batch, so the figures are those of one device. JAX only.

    Args:
        devices: int, devices of this process; None = one, or with several processes all of it.
        environment: mapping that the three variables are looked up in.

    Raises:
        ValueError: another backend than JAX; more devices than there are; variables that make no sense.
    """
    address, processes, process = _processes(environment)
    if processes == 1 and (devices is None or devices == 1) or processes > 1 and _STATE["processes"] == processes:
        return  # nothing to spread over, or done already: JAX joins other processes once
    if keras.config.backend() != "jax":
        raise ValueError(
            f"--devices and several processes: expected the JAX backend (skelmae --backend jax), found "
            f"{keras.config.backend()}: batch statistics would be each device's own there"
        )
    import jax

    if processes > 1:
        if os.environ.get("JAX_PLATFORMS", "cpu") == "cpu":
            jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(address, num_processes=processes, process_id=process)
    here = jax.local_device_count()
    wanted = here if devices is None else devices
    if wanted > here or (processes > 1 and wanted != here):
        kind = jax.local_devices()[0].platform
        hint = "; XLA_FLAGS=--xla_force_host_platform_device_count=N makes N of a CPU" if kind == "cpu" else ""
        raise ValueError(
            f"--devices: expected {'' if processes > 1 else 'at most '}{here}, the {kind} devices of this "
            f"process, found {wanted}{hint}"
        )
    chosen = keras.distribution.list_devices()
    chosen = chosen if processes > 1 else chosen[:wanted]
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=chosen, auto_shard_dataset=False))
    _STATE.update(process=process, processes=processes, devices=len(chosen))


def _processes(environment):
    """(address, number of processes, number of this one) of the environment; (None, 1, 0) without."""
    values = [environment.get(name) for name in VARIABLES]
    if not any(values):
        return None, 1, 0
    for name, value in zip(VARIABLES, values, strict=True):
        if not value:
            raise ValueError(f"{name}: expected a value beside {', '.join(set(VARIABLES) - {name})}, found none")
    address, *numbers = values
    for name, number in zip(VARIABLES[1:], numbers, strict=True):
        if not number.isdecimal():
            raise ValueError(f"{name}: expected a whole number, found {number!r}")
    count, number = map(int, numbers)
    if not number < count:
        raise ValueError(f"SKELMAE_PROCESS_ID: expected below SKELMAE_NUM_PROCESSES = {count}, found {number}")
    return address, count, number


class ProcessBatches(keras.utils.PyDataset):
    """This process's rows of the batches of a SkeletonBatches; the sequences of the other rows are not read.

    In validation a last batch that the devices cannot share evenly is filled up with rows of weight 0.
    """

    def __init__(self, data):
        super().__init__()
        self.data, count = data, device_count()
        if data.batch_size % count:
            raise ValueError(f"batch_size: expected a multiple of {count} devices, found {data.batch_size}")
        if data.training and len(data.items) < data.batch_size:
            raise DataError(
                data.store.path,
                "batch_size",
                f"at most the {len(data.items)} sequences there are, with {count} devices",
                data.batch_size,
            )
        data.share = (_STATE["process"], _STATE["processes"])

    def __len__(self):
        return len(self.data)

    def on_epoch_end(self):
        self.data.on_epoch_end()

    def __getitem__(self, number):
        batch = self.data[number]
        rows = len(keras.tree.flatten(batch)[0])
        if not self.data.training:
            whole = -(-rows // device_count()) * device_count()
            weight = np.ones(rows, np.float32)
            batch = keras.tree.map_structure(lambda x: np.concatenate([x, np.repeat(x[:1], whole - rows, 0)]), batch)
            batch = (*batch, np.concatenate([weight, np.zeros(whole - rows, np.float32)]))
            rows = whole
        share = rows // _STATE["processes"]
        start = _STATE["process"] * share
        return keras.tree.map_structure(lambda x: x[start : start + share], batch)


def shared_batches(data):
    """``data`` itself on one device, else this process's share of it."""
    return data if device_count() == 1 else ProcessBatches(data)


def kept_on_device(function):
    """``function`` of a mask, what it gives kept on the device where `fit` takes it so: with JAX.

    Of the matrices that a shared mask needs these are nine small copies per step.
    """
    if keras.config.backend() != "jax":
        return function

    @functools.lru_cache(maxsize=256)
    def kept(mask):
        return keras.tree.map_structure(keras.ops.convert_to_tensor, function(np.frombuffer(mask, bool)))

    return lambda mask: kept(np.asarray(mask, bool).tobytes())
