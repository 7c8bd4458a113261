"""NASICON cells of the shared data folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from pymatgen.core import Structure

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def nzp36(shared_data: Path) -> Structure:
    """NaZr2(PO4)3, sodium on 6b."""
    return _cell(shared_data, "nzp36")


@pytest.fixture
def nzsp40(shared_data: Path) -> Structure:
    """Na3Zr2Si2PO12, 40 atoms."""
    return _cell(shared_data, "nzsp40")


def _cell(folder: Path, name: str) -> Structure:
    text = (folder / "transport" / f"{name}.json").read_text(encoding="utf-8")
    return Structure.from_dict(json.loads(text))
