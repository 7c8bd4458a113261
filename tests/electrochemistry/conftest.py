"""The library whose energies the published truths of this room belong to."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hts_battery.thermo import Hull

LIBRARY = Path(__file__).resolve().parents[1] / "data" / "references_chgnet_837.csv"


@pytest.fixture(scope="session")
def library() -> Hull:
    """The phases of commit 51c7166 with their CHGNet energies, rejected ones out."""
    with LIBRARY.open(encoding="utf-8") as file:
        used = [row for row in csv.DictReader(file) if not row["rejected"]]
    return Hull(
        [row["formula"] for row in used],
        [float(row["energy_per_atom"]) for row in used],
        ids=[row["phase_id"] for row in used],
    )
