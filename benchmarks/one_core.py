"""One thread for numerical libraries, so that processor seconds are those of a core."""

from __future__ import annotations

import os
import sys


def on_one_core() -> None:
    """Start the program again with one thread where numpy was given more."""
    if os.environ.get("OMP_NUM_THREADS") != "1":
        one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | one)  # noqa: S606 - this very script
