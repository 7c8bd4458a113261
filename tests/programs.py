"""Programs of the project, run as files beside their own modules."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]


def run_program(path: str) -> dict[str, Any]:
    """Run a file of the project as Python would from its folder; return its names."""
    file = PROJECT / path
    sys.path.insert(0, str(file.parent))
    try:
        return runpy.run_path(str(file))
    finally:
        sys.path.remove(str(file.parent))
