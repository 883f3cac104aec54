"""What places in space are measured in: said, or found by the size of the body, as tall as a person."""

import numpy as np

from ..errors import DataError

UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "in": 0.0254}
_TALL = (0.6, 2.7)  # metres that a person's body, arms spread or not, measures along its longest axis


def unit_of(points):
    """(m, cm or mm, or None where the body is of no such size; the size) of places (F, V, 3), those not seen zero."""
    seen = points.any(-1)
    whole = points[seen.sum(1) >= max(2, points.shape[1] // 2)]
    there = whole.any(-1)[..., None]
    high, low = np.where(there, whole, -np.inf).max(1), np.where(there, whole, np.inf).min(1)
    size = float(np.median((high - low).max(-1))) if len(whole) else 0.0
    return next((unit for unit in ("m", "cm", "mm") if _TALL[0] <= size * UNITS[unit] <= _TALL[1]), None), size


def check_said(key, value, allowed, channels):
    """Raise DataError where what is said of x, y, z, not None, is none of those allowed, or there is no z."""
    if value is not None and value not in allowed:
        raise DataError(key, "", f"one of {', '.join(allowed)}", value)
    if value is not None and "z" not in channels:
        raise DataError(key, "", "recordings of x, y, z", ",".join(channels))


def in_metres(points, unit):
    """(..., C) of x, y, z in this unit, and perhaps a score, in metres."""
    if unit == "m":
        return points
    scale = np.ones(points.shape[-1], points.dtype)
    scale[:3] = UNITS[unit]
    return points * scale
