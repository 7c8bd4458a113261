"""The benchmark of the depth of the hull, with an older library kept for tests."""

from __future__ import annotations

import csv
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from programs import run_program

from hts_battery.thermo.hull_depth import HullDepth, competitive, lowest_phases

PROJECT = Path(__file__).resolve().parents[1]
LIBRARY = PROJECT / "tests" / "data" / "references_chgnet_837.csv"


@pytest.fixture(scope="module")
def program() -> dict[str, Any]:
    return run_program("benchmarks/hull_depth.py")


@pytest.fixture(scope="module")
def lowest() -> dict[str, float]:
    with LIBRARY.open(encoding="utf-8") as file:
        used = [row for row in csv.DictReader(file) if not row["rejected"]]
    return lowest_phases(
        [row["formula"] for row in used],
        [float(row["energy_per_atom"]) for row in used],
    )


@pytest.mark.physics
@pytest.mark.parametrize(
    ("campaign", "digest", "by_composition", "by_phase"),
    [
        ("nasicon_2021", "c38d27faaca0a417", (24.1, 76.8), (26.7, 84.9)),
        pytest.param(
            "hedrx_18810",
            "8fbc9151f0d0a40d",
            (16.5, 39.4),
            (16.5, 39.7),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_older_library_was_too_shallow(
    program: dict[str, Any],
    lowest: dict[str, float],
    campaign: str,
    digest: str,
    by_composition: tuple[float, float],
    by_phase: tuple[float, float],
) -> None:
    """
    Median and 90th percentile in meV/atom over 1,000 drawn members.

    Found elsewhere with other draws: 16/40 and 25/72 by composition, 16/40 and 27/76
    by competitive phase.
    """
    members = program["draw"](campaign)
    assert sha256(" ".join(members).encode()).hexdigest()[:16] == digest
    good = competitive(list(lowest), list(lowest.values()))
    for library, expected in ((lowest, by_composition), (good, by_phase)):
        answers = HullDepth(library).at(members)
        found = np.percentile([1000 * (one.risk or 0) for one in answers], [50, 90])
        assert found == pytest.approx(expected, abs=0.06)


def test_what_is_open_is_named_by_weight(program: dict[str, Any]) -> None:
    answers = HullDepth(["Li2O", "MoO3"]).at(["Li6MoO6", "Li2O2"])
    assert next(iter(program["weights"](answers))) == "Li4MoO5"
