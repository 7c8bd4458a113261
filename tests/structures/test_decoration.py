from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from hts_battery.errors import OrderingError
from hts_battery.structures import decoration as module
from hts_battery.structures.cells import (
    build_cell,
    compact_supercell,
    site_permutations,
)
from hts_battery.structures.decoration import (
    canonical_decoration,
    decorated_structure,
)
from hts_battery.structures.neighbours import minimum_distance
from hts_battery.structures.ordering import random_decoration

CELL = build_cell("rocksalt", compact_supercell("rocksalt", 8))
COUNTS = {"cation": {"Li+": 4, "Mn3+": 4}, "anion": {"O2-": 8}}


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), index=st.integers(0, 10**6))
def test_symmetry_images_have_one_canonical_decoration(seed: int, index: int) -> None:
    decoration = np.array(random_decoration(CELL, COUNTS, seed=seed))
    permutations = site_permutations("rocksalt", CELL.supercell)
    image = decoration[permutations[index % len(permutations)]].tolist()
    canonical = canonical_decoration(CELL, decoration.tolist())
    assert canonical_decoration(CELL, image) == canonical
    assert canonical_decoration(CELL, canonical) == canonical
    assert sorted(canonical) == sorted(decoration.tolist())


def test_symmetry_images_are_one_crystal_and_others_are_not() -> None:
    found: dict[tuple[str, ...], Structure] = {}
    for seed in range(30):
        canonical = canonical_decoration(
            CELL, random_decoration(CELL, COUNTS, seed=seed)
        )
        found.setdefault(canonical, decorated_structure(CELL, canonical))
    structures = list(found.values())
    assert len(structures) > 3
    assert not any(
        first.matches(second)
        for k, first in enumerate(structures)
        for second in structures[:k]
    )


def test_vacancies_leave_empty_sites() -> None:
    cell = build_cell("layered", compact_supercell("layered", 2))
    decoration = ["Li+", "Vac", "Co3+", "Co4+", "O2-", "O2-", "O2-", "O2-"]
    structure = decorated_structure(cell, decoration)
    assert structure.composition.reduced_formula == "Li(CoO2)2"
    assert structure.site_properties["parent_site"] == [0, 2, 3, 4, 5, 6, 7]
    assert structure.charge == 0


def test_a_charged_cell_is_refused() -> None:
    cell = build_cell("rocksalt", ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
    with pytest.raises(OrderingError, match=r"charge -1"):
        decorated_structure(cell, ["Li+", "O2-"])


def test_atoms_too_close_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MINIMUM_DISTANCE", 2.5)
    cell = build_cell("rocksalt", ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
    with pytest.raises(OrderingError, match=r"2\.11 angstrom apart"):
        decorated_structure(cell, ["Mg2+", "O2-"])


def test_minimum_distance_sees_images_and_far_atoms() -> None:
    sparse = Structure(Lattice.cubic(12.0), ["Cs", "Cs"], [[0, 0, 0], [0.5, 0, 0]])
    assert minimum_distance(sparse) == pytest.approx(6.0)
