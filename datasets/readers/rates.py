"""How fast a file says that a recording is: a rate for all of it, or a time for each frame, in any usual unit."""

import re

import numpy as np

from ..errors import DataError
from ..store.writer import check_rate
from ..transforms.sampling import interpolate_frames
from .json_file import told
from .people import MAX_VALUES

_RATES = ("fps", "frame_rate", "framerate", "frameRate", "frames_per_second", "video_fps")
_HEADS = ("metadata", "meta", "info", "meta_info", "video_info", "video")  # objects that may have the rate
_TIMES = {"timestamp_ms": 1e-3, "timestampMs": 1e-3, "time_ms": 1e-3, "timestamp_s": 1.0, "time_s": 1.0,
    "time_sec": 1.0, "time_seconds": 1.0, "timestamp": None, "time": None}  # fmt: skip
_UNITS = (1.0, 1e-3, 1e-6, 1e-9)  # seconds to nanoseconds: what a time is in where its key does not say
_USUAL = 5, 500  # frames per second between which exactly one unit can be right
JITTER = 0.25  # how far, in steps, a frame may be from its place in an even rate
_NEAR = 0.3  # how far, in steps, a step that jitters may be from the usual one
_ROUNDED = 0.05  # of a step, by which the last frame may come early
_DOUBT = 0.02  # of a rate, at most
_MAX_TIME = 1e19  # nanoseconds since 1970 are less
_PAUSE = 2.5  # steps without a frame in which nobody is taken to have been seen
_ALIKE = 2e-3  # a rate so near to a whole number is that: times are often rounded


def rate_in(content, source):
    """Frames per second that an object of JSON tells, itself or in its metadata; None where it does not.

    Raises: DataError where it is no rate.
    """
    for place in [content, *(content.get(head) for head in _HEADS)] if isinstance(content, dict) else ():
        key = next((key for key in _RATES if isinstance(place, dict) and place.get(key)), None)  # null or 0: unknown
        if key is not None:
            if isinstance(place[key], bool | list | dict):
                raise DataError(source, key, "frames per second", told(place[key]))
            return check_rate(source, place[key])
    return None


def time_in(content):
    """(key, time) of a frame of JSON, None where it has none."""
    for key in _TIMES if isinstance(content, dict) else ():
        time = content.get(key)
        if isinstance(time, int | float) and not isinstance(time, bool) and abs(time) < _MAX_TIME:
            return key, time
    return None


def time_key(name):
    """The key of a time that the column of a table is called by, such as Time or time (s); None for another."""
    plain = re.sub(r"[\s()\[\]_]+", "_", name).strip("_").lower()
    return next((key for key in _TIMES if key.lower() == plain), None)


def timed(found, frames):
    """What the times of frames tell.

    Args:
        found: `time_in` of each frame. frames: (F,) their numbers.
    Returns: (frames per second or None, (F,) seconds in the order of the numbers, where these are not even, or None, a
        note or "").
    """
    there = [row for row, each in enumerate(found) if each]
    keys = {found[row][0] for row in there}
    if len(there) < 2 or len(keys) > 1:
        return None, None, ""
    (key,), numbers = keys, np.asarray(frames)[there]
    order = np.argsort(numbers, kind="stable")
    times, numbers = np.array([found[row][1] for row in there], "float64")[order], numbers[order]
    steps = np.diff(times)
    if not steps.min() > 0:
        return None, None, f"{key} does not rise from frame to frame and is not used"
    (step, doubt), scale = usual_step(steps), _TIMES[key]
    if scale is None:
        scale = next((unit for unit in _UNITS if 1 / _USUAL[1] <= step * unit <= 1 / _USUAL[0]), None)
    if scale is None or not 1e-4 <= step * scale <= 1e4:
        return None, None, f"{key} grows by {step:g} from frame to frame, of no sure unit, and is not used"
    seconds = (times - times[0]) * scale
    even = seconds[-1] / (numbers[-1] - numbers[0])
    late = np.abs(seconds - (numbers - numbers[0]) * even).max()
    if late <= JITTER * even:
        return _round(1 / even, 2 * late / seconds[-1]), None, ""
    if len(there) < len(found):
        return None, None, f"{key} is not even, absent of some frames, and not used"
    return _round(1 / (step * scale), doubt), seconds, ""


def usual_step(steps):
    """(from one frame to the next, by what part of it that is in doubt), of steps (N,) with gaps among them: of those
    of one frame the mean where they jitter about one rate, for what one is late the next is early, else the median."""
    usual = float(np.median(steps))
    single = steps[steps < 1.5 * usual]
    jitters = (np.abs(single - usual) <= _NEAR * usual).all()
    return (float(single.mean()), float(np.ptp(single) / single.sum())) if jitters else (usual, 0.0)


def seconds_rate(step, doubt=0.0):
    """Frames per second by the step from one frame to the next where that can be seconds, else None."""
    return _round(1 / step, doubt) if 1 / _USUAL[1] <= step <= 1 / _USUAL[0] else None


def _round(fps, doubt=0.0):
    """A rate as a whole number where it is nearly one, or nearly by what is in doubt: times are often rounded."""
    near = max(_ALIKE, min(doubt, _DOUBT))
    return float(round(fps)) if abs(fps - round(fps)) <= near * fps else float(fps)


def evened(recording, seconds, fps, channels):
    """(a recording (M, F, V, C) of frames at these seconds (F,) at an even rate, a note); nobody is seen in a pause.

    Raises: DataError where there would be too many frames.
    """
    count = int(seconds[-1] * fps + _ROUNDED) + 1
    if count * recording[:, 0].size > MAX_VALUES:
        raise DataError("", "times", f"frames within {MAX_VALUES} values", f"{seconds[-1]:g} seconds")
    times = np.arange(count) / fps
    places = np.interp(times, seconds, np.arange(len(seconds), dtype="float64"))
    found = interpolate_frames(recording, places[None], channels)[:, 0]
    before = np.minimum(places.astype("int64"), len(seconds) - 2)
    near = np.minimum(times - seconds[before], seconds[before + 1] - times)
    pause = (seconds[before + 1] - seconds[before] > _PAUSE / fps) & (near > 0.5 / fps)
    found[:, pause] = 0
    steps = 1e3 * np.diff(seconds)
    return found, f"frames are not evenly {steps.min():.3g} to {steps.max():.3g} ms apart: resampled by their times"
