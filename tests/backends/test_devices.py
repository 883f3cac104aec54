"""Two devices, two processes: the figures of one at the same global batch, and one run folder."""

from __future__ import annotations

import csv
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest_names import QUICK  # noqa: F401
