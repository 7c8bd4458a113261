from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError
from pymatgen.core import Lattice, Structure

from hts_battery.schemas.structure import (
    OrderedCell,
    OrderingMethod,
    ordering_id,
)


@pytest.fixture
def cell() -> OrderedCell:
    structure = Structure(
        Lattice.cubic(4.0), ["Li+", "F-"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    return OrderedCell.model_validate(
        {
            "ordering_id": "a" * 20,
            "candidate_id": "b" * 20,
            "family": "hedrx",
            "formula": "LiF",
            "amounts": {"Li": 2, "F": "2"},
            "deviation": {},
            "is_exact": True,
            "assignment": {"cation": {"Li+": 2}, "anion": {"F-": 2}},
            "prototype": "rocksalt",
            "supercell": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
            "formula_units": "1/2",
            "n_atoms": 2,
            "decoration": ("Li+", "F-"),
            "method": "sqs",
            "score": 0.0,
            "correlation_errors": {},
            "electrostatic_energy": -5.2,
            "seed": 0,
            "iterations": 0,
            "generator": "none",
            "minimum_distance": 2.0,
            "magnetic_order": "ferromagnetic",
            "structure": structure,
        }
    )


def test_a_structure_is_stored_plain_and_read_back(cell: OrderedCell) -> None:
    assert isinstance(cell.structure, dict)
    assert cell.to_structure().charge == 0
    assert OrderedCell.model_validate_json(cell.model_dump_json()) == cell
    assert cell.method is OrderingMethod.SQS


def test_it_is_frozen_and_closed(cell: OrderedCell) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        cell.seed = 1  # type: ignore[misc] # the point of the test
    with pytest.raises(ValidationError, match="colour"):
        OrderedCell.model_validate(cell.model_dump() | {"colour": "grey"})


def test_a_deviation_is_seen(cell: OrderedCell) -> None:
    plain = cell.model_dump() | {"deviation": {"Li": "1/100"}}
    with pytest.raises(ValidationError, match="is_exact True contradicts"):
        OrderedCell.model_validate(plain)
    assert not OrderedCell.model_validate(plain | {"is_exact": False}).is_exact


def test_the_id_depends_on_every_part() -> None:
    base = {
        "prototype": "rocksalt",
        "supercell": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
        "decoration": ("Li+", "F-"),
    }
    ids = {
        ordering_id("x", **base),
        ordering_id("y", **base),
        ordering_id("x", **base | {"prototype": "layered"}),
        ordering_id("x", **base | {"supercell": ((1, 0, 0), (0, 1, 0), (0, 0, 2))}),
        ordering_id("x", **base | {"decoration": ("F-", "Li+")}),
    }
    assert len(ids) == 5


def test_the_words_load_no_pymatgen() -> None:
    code = (
        "import sys; import hts_battery.schemas.structure; "
        "print([m for m in ('pymatgen', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter, our own words
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"
