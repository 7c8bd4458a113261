"""Numbers of the local structure: known crystals, and cells that say nothing."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from hts_battery.schemas.candidate import Candidate
from hts_battery.schemas.relaxed import RelaxedCell, Verdict
from hts_battery.structures import order_candidate
from hts_battery.structures.descriptors import nasicon_geometry, tetrahedron_volume
from hts_battery.structures.local_structure import (
    asked_of,
    local_structure,
    mean_and_spread,
)
from hts_battery.structures.relaxation.verdict import compare_relaxed
from hts_battery.structures.site_labels import nasicon_sites


def hedrx() -> RelaxedCell:
    amounts = {"Li": "1.2", "Mn": "0.4", "Ti": "0.4", "O": "2"}
    two = Fraction(2)
    cations = {"Li+": Fraction(6, 5), "Mn3+": Fraction(2, 5), "Ti4+": Fraction(2, 5)}
    ordered = order_candidate(
        Candidate(
            "hedrx",
            {element: Fraction(amount) for element, amount in amounts.items()},
            sites={"cation": two, "anion": two},
            assignments=({"cation": cations, "anion": {"O2-": two}},),
        ),
        atoms=40,
        iterations=200,
    )
    return compare_relaxed(ordered, ordered.to_structure())


@pytest.mark.physics
def test_a_regular_tetrahedron_of_edge_2() -> None:
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(2)
    assert float(tetrahedron_volume(corners)) == pytest.approx(0.942809, abs=1e-6)


@pytest.mark.physics
def test_the_way_through_nazr2p3o12() -> None:
    # A cell near that of the published refinements, whose triangle has edges of 2.772,
    # 4.263 and 4.263 angstrom and lies 3.444 angstrom across; no refinement itself.
    structure = Structure.from_spacegroup(
        "R-3c",
        Lattice.hexagonal(8.8045, 22.7585),
        ["Na", "Zr", "P", "O", "O"],
        [
            (0, 0, 0),
            (0, 0, 0.1456),
            (0.2909, 0, 0.25),
            (0.1866, -0.0148, 0.1947),
            (0.1916, 0.1679, 0.0869),
        ],
    )
    found = nasicon_geometry(structure, nasicon_sites(structure))
    assert found.metal_polyanion == pytest.approx(3.444, abs=2e-3)
    # Heron's formula for edges of 2.772, 4.263 and 4.263.
    height = np.sqrt(4.263**2 - (2.772 / 2) ** 2)
    assert found.bottleneck_area_min == pytest.approx(2.772 * height / 2, rel=3e-2)


def test_a_rocksalt_cell_says_what_is_asked_of_it() -> None:
    cell = hedrx()
    found = local_structure(cell, "hedrx")
    assert tuple(found) == asked_of("hedrx")
    tetrahedra = cell.descriptors.tetrahedra
    assert tetrahedra is not None
    assert found["li4_fraction"] == tetrahedra.fractions[4]
    assert found["li4_fraction_random"] == pytest.approx(0.6**4, abs=1e-6)
    assert found["alpha_LiF_1"] == "Li and F are not both in the cell"
    assert isinstance(found["alpha_LiM_1"], float)


def test_a_transformed_cell_says_nothing() -> None:
    cell = hedrx()
    said = {"verdict": Verdict.TRANSFORMED, "reasons": ("it melted",)}
    away = cell.model_copy(update=said)
    assert set(local_structure(away, "hedrx").values()) == {
        "relaxed into another structure: it melted"
    }


def test_a_cell_whose_atoms_left_their_sites_says_why() -> None:
    cell = hedrx()
    lost = cell.descriptors.model_copy(update={"lithium": None, "tetrahedra": None})
    found = local_structure(cell.model_copy(update={"descriptors": lost}), "hedrx")
    assert set(found.values()) == {
        "the atoms do not stand on the parent's sites one to one"
    }
    nasicon = local_structure(cell, "nasicon")
    assert set(nasicon.values()) == {"the network of its polyhedra is lost"}


def test_mean_and_spread() -> None:
    assert mean_and_spread([1.0, 2.0, 3.0]) == (2.0, 1.0)
    assert mean_and_spread([0.5]) == (0.5, None)
