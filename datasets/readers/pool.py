"""Several processes that read: results in the order of the tasks, a bounded number held at a time."""

import multiprocessing
import os
import threading
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice

from ..errors import DataError


def read_in_order(read, tasks, workers, batch):
    """Yield read(task) for every task, in order, from so many processes; in this one where workers is 1.

    Args:
        read: a function that can be pickled, and raises nothing that is to be told.
        tasks: iterable. workers: processes. batch: tasks that one is given at a time, of which three wait.
    Raises: DataError where a process ends.
    """
    if workers <= 1:
        yield from map(read, tasks)
        return
    tasks = iter(tasks)
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _end_with_the_parent) as pool:
        waiting = deque()
        try:
            while True:
                while len(waiting) < 3 * workers and (given := list(islice(tasks, batch))):
                    waiting.append(pool.submit(_read_batch, read, given))
                if not waiting:
                    return
                yield from waiting.popleft().result()
        except BrokenProcessPool:
            raise DataError("workers", "", "", "a process ended; try fewer workers") from None


def _end_with_the_parent():
    """In a worker: a killed parent cannot end it, and it would wait for work for ever."""

    def wait():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _read_batch(read, tasks):
    return [read(task) for task in tasks]
