"""Recordings made by computation, where none may be had."""

from .generator import ACTION_NAMES, generate_motion, write_dataset

__all__ = ["ACTION_NAMES", "generate_motion", "write_dataset"]
