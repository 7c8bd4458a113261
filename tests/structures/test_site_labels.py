from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from hts_battery.errors import OrderingError
from hts_battery.structures.cells import build_cell, compact_supercell
from hts_battery.structures.site_labels import (
    INTERSTITIAL,
    nasicon_sites,
    site_occupancies,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

ELEMENTS = {"alkali": "Na", "metal": "Zr", "polyanion": "P", "oxygen": "O"}
HEXAGONAL = [
    [np.sqrt(3) * 8.73382, 0, 0],
    [0, 8.73382, 0],
    [0, 0, 21.91438],
]


def parent(
    cells: int, *, sodium: float = 1.0, seed: int = 0
) -> tuple[Structure, list[str]]:
    """Cell of the parent with some of its sodium, and the labels of its atoms."""
    cell = build_cell("nasicon", compact_supercell("nasicon", cells))
    random = np.random.default_rng(seed)
    kept = [
        i
        for i, name in enumerate(cell.sublattices)
        if name != "alkali" or random.random() < sodium
    ]
    structure = Structure(
        Lattice(cell.lattice),
        [ELEMENTS[cell.sublattices[i]] for i in kept],
        cell.coordinates[kept],
    )
    labels = [
        "polyanion 18e" if cell.sublattices[i] == "polyanion" else cell.labels[i]
        for i in kept
    ]
    return structure, labels


def strained(
    structure: Structure, deformation: NDArray[np.float64], noise: float, seed: int
) -> Structure:
    """Deform the cell and move every atom by a random vector of one length."""
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(len(structure), 3))
    vectors *= noise / np.linalg.norm(vectors, axis=1)[:, None]
    lattice = Lattice(structure.lattice.matrix @ deformation)
    return Structure(
        lattice,
        structure.species,
        lattice.get_cartesian_coords(structure.frac_coords) + vectors,
        coords_are_cartesian=True,
    )


@pytest.mark.parametrize("cells", [1, 2, 3, 7, 10])
def test_every_site_of_the_parent_has_its_label(cells: int) -> None:
    structure, labels = parent(cells)
    found = nasicon_sites(structure)
    assert list(found.labels) == labels
    # Per formula unit: 1 on 6b, 3 on 18e, 2 on 12c, 3 centres, 12 oxygen.
    units = 2 * cells
    assert Counter(found.labels) == {
        "6b": units,
        "18e": 3 * units,
        "12c": 2 * units,
        "polyanion 18e": 3 * units,
        "36f-1": 6 * units,
        "36f-2": 6 * units,
    }
    # The empty cavities lie where the parent has its sodium.
    for cavity in found.cavities:
        assert cavity.atom is not None
        there = structure.frac_coords[cavity.atom]
        distance, _ = structure.lattice.get_distance_and_image(cavity.position, there)
        assert distance < 0.002


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 3),
    st.lists(st.floats(-0.06, 0.06), min_size=9, max_size=9),
    st.integers(0, 10**6),
)
def test_labels_survive_strain_and_displacement(
    cells: int, strain: list[float], seed: int
) -> None:
    structure, labels = parent(cells, sodium=0.6, seed=seed)
    deformation = np.eye(3) + np.array(strain).reshape(3, 3)
    found = nasicon_sites(strained(structure, deformation, 0.3, seed))
    assert list(found.labels) == labels


@pytest.mark.physics
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_labels_survive_the_monoclinic_cell_of_a_published_distortion(
    noise: float,
) -> None:
    # Both cells of Na3V2(PO4)3 from Chotard et al., Chemistry of Materials (2015),
    # "Discovery of a sodium-ordered form of Na3V2(PO4)3 below ambient temperature":
    # hexagonal a 8.73382, c 21.91438; C2/c a 15.1244, b 8.7287, c 21.6143, beta
    # 90.163. The monoclinic axes are 2a + b, b and c of the hexagonal cell.
    beta = np.radians(90.163)
    after = [
        [15.1244, 0, 0],
        [0, 8.7287, 0],
        [21.6143 * np.cos(beta), 0, 21.6143 * np.sin(beta)],
    ]
    deformation = np.linalg.solve(np.array(HEXAGONAL), np.array(after))
    structure, labels = parent(3, sodium=0.75, seed=5)
    # Once, and five times as large.
    for times in (1, 5):
        stretch = np.eye(3) + times * (deformation - np.eye(3))
        found = nasicon_sites(strained(structure, stretch, noise, seed=times))
        assert list(found.labels) == labels


def test_another_description_of_the_crystal_changes_nothing() -> None:
    structure, labels = parent(1, sodium=0.7, seed=3)
    expected = Counter(labels)
    oblique = structure.copy()
    oblique.make_supercell([[1, 1, 0], [0, 1, 2], [0, 0, 1]])
    oblique.translate_sites(range(len(oblique)), [0.37, 0.81, 0.13])
    oblique = oblique.get_sorted_structure()
    assert Counter(nasicon_sites(oblique).labels) == expected


def test_vacancies_are_counted_on_their_sites() -> None:
    structure, labels = parent(2, sodium=0.5, seed=1)
    counts = site_occupancies(nasicon_sites(structure), structure)
    held = Counter(labels)
    assert counts["6b"] == {"Na": held["6b"], "Vac": 4 - held["6b"]}
    assert counts["18e"] == {"Na": held["18e"], "Vac": 12 - held["18e"]}
    assert counts["12c"] == {"Zr": 8}
    assert counts["polyanion 18e"] == {"P": 12}
    assert list(counts)[:2] == ["6b", "18e"]


def test_sodium_that_moved_to_the_next_cavity_has_its_label() -> None:
    structure, labels = parent(1)
    empty, full = labels.index("18e"), labels.index("6b")
    there = structure.frac_coords[empty]
    structure.remove_sites([empty])
    # From 6b into the emptied 18e cavity: the 6b cavity is empty afterwards.
    structure[full] = "Na", there
    found = nasicon_sites(structure)
    assert site_occupancies(found, structure)["6b"] == {"Na": 1, "Vac": 1}
    assert site_occupancies(found, structure)["18e"] == {"Na": 6}


def test_an_ion_outside_every_cavity_is_said_so() -> None:
    structure, labels = parent(1, sodium=0)
    lantern = [i for i, label in enumerate(labels) if label == "12c"]
    # The middle of a lantern, between its two metals, holds no cavity.
    vectors = structure.lattice.get_all_distances(
        structure.frac_coords[lantern], structure.frac_coords[lantern]
    )
    first, second = np.argwhere(np.abs(vectors - 4.47) < 0.05)[0]
    _, image = structure.lattice.get_distance_and_image(
        structure.frac_coords[lantern[first]], structure.frac_coords[lantern[second]]
    )
    middle = (
        structure.frac_coords[lantern[first]]
        + structure.frac_coords[lantern[second]]
        + image
    ) / 2
    structure.append("Na", middle)
    found = nasicon_sites(structure)
    assert found.labels[-1] == INTERSTITIAL
    assert site_occupancies(found, structure)[INTERSTITIAL] == {"Na": 1}


def test_a_broken_network_says_where() -> None:
    structure, labels = parent(1)
    oxygen = labels.index("36f-1")
    gone = structure.copy()
    gone.remove_sites([oxygen])
    with pytest.raises(OrderingError, match="has 5 oxygen atoms, not 6"):
        nasicon_sites(gone)
    lifted = structure.copy()
    lifted.translate_sites([oxygen], [0.5, 0.5, 0.5])
    with pytest.raises(OrderingError, match="not a NASICON network"):
        nasicon_sites(lifted)


def test_more_ions_than_cavities_are_refused() -> None:
    structure, _ = parent(1)
    structure.append("Na", [0.25, 0.25, 0.25])
    with pytest.raises(OrderingError, match="9 alkali ions and 8 cavities"):
        nasicon_sites(structure)


def test_another_framework_with_the_same_polyhedra_is_not_nasicon() -> None:
    # Corner-sharing octahedra and tetrahedra, but no lanterns: two metals of the
    # parent exchanged with their lanterns' centres.
    structure, labels = parent(2)
    species = [site.specie.symbol for site in structure]
    metal, centre = labels.index("12c"), labels.index("polyanion 18e")
    species[metal], species[centre] = species[centre], species[metal]
    swapped = Structure(structure.lattice, species, structure.frac_coords)
    with pytest.raises(OrderingError, match="not a NASICON network"):
        nasicon_sites(swapped)


def test_what_an_element_is_can_be_said() -> None:
    structure, labels = parent(1)
    vanadate = structure.copy()
    vanadate.replace_species({"P": "V", "Zr": "V"})
    with pytest.raises(OrderingError, match="no polyanion centre"):
        nasicon_sites(vanadate)
    names = {
        "6b": "alkali",
        "18e": "alkali",
        "12c": "metal",
        "polyanion 18e": "polyanion",
    }
    sublattices = [names.get(label, "oxygen") for label in labels]
    found = nasicon_sites(vanadate, sublattices=sublattices)
    assert list(found.labels) == labels
