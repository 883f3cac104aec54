"""The version, read by packaging too."""

__version__ = "0.2.0"
