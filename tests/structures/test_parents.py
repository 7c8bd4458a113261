from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.groups import SpaceGroup

from hts_battery.errors import OrderingError
from hts_battery.schemas.species import parse_species
from hts_battery.structures import cells as parents
from hts_battery.structures.cells import conventional_vectors, parent_sites
from hts_battery.structures.prototypes import load_prototype, prototype_names

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", prototype_names())
def test_sites_are_those_of_the_formula_and_lie_apart(name: str) -> None:
    prototype = load_prototype(name)
    parent = parent_sites(name)
    found = Counter(parent.sublattices)
    assert found == {
        n: s.sites * prototype.formula_units for n, s in prototype.sublattices.items()
    }
    structure = Structure(
        parent.lattice, ["H"] * len(parent.labels), parent.coordinates
    )
    distances = structure.distance_matrix + 10 * np.eye(len(structure))
    assert distances.min() > 1.2


@pytest.mark.parametrize("name", prototype_names())
def test_labels_carry_the_multiplicity_of_the_orbit(name: str) -> None:
    prototype, parent = load_prototype(name), parent_sites(name)
    volume = np.linalg.det(conventional_vectors(prototype.lattice))
    centring = round(volume / abs(np.linalg.det(parent.lattice)))
    orbits = zip(parent.sublattices, parent.labels, strict=True)
    for (_, label), count in Counter(orbits).items():
        multiplicity = int(re.match(r"\d+", label)[0])
        assert count * centring == multiplicity


@pytest.mark.parametrize("name", prototype_names())
def test_expansion_agrees_with_pymatgens(name: str) -> None:
    prototype, parent = load_prototype(name), parent_sites(name)
    species, positions = [], []
    for sublattice in prototype.sublattices.values():
        for position in sublattice.positions.values():
            species.append(parse_species(sublattice.reference).element)
            positions.append([float(x) for x in position])
    group = SpaceGroup.from_int_number(prototype.space_group)
    lattice = Lattice.from_parameters(*prototype.lattice.model_dump().values())
    expected = Structure.from_spacegroup(group.symbol, lattice, species, positions)
    ours = Structure(
        parent.lattice,
        [
            parse_species(prototype.sublattices[n].reference).element
            for n in parent.sublattices
        ],
        parent.coordinates,
    )
    assert ours.matches(expected, scale=False, primitive_cell=True)


@pytest.mark.physics
def test_rocksalt_is_periclase(shared_data: Path) -> None:
    periclase = Structure.from_file(
        shared_data / "structures" / "oxides__MgO-Periclase.cif", primitive=True
    )
    parent = parent_sites("rocksalt")
    ours = Structure(parent.lattice, ["Mg", "O"], parent.coordinates)
    assert ours.volume == pytest.approx(periclase.volume, abs=1e-6)
    assert ours.get_distance(0, 1) == pytest.approx(4.2112 / 2)


@pytest.mark.physics
def test_spinel_is_that_of_the_mineral(shared_data: Path) -> None:
    mineral = Structure.from_file(
        shared_data / "structures" / "oxides__MgAl2O4-Spinel.cif", primitive=True
    )
    parent = parent_sites("spinel")
    ours = Structure(parent.lattice, ["Mg"] * 2 + ["Al"] * 4 + ["O"] * 8, parent[1])
    # The mineral mixes Mg and Al on both sites: compare the sites, not the species.
    mineral = Structure(
        mineral.lattice,
        ["O" if "O" in site.species_string else "Mg" for site in mineral],
        mineral.frac_coords,
    )
    ours.replace_species({"Al": "Mg"})
    assert ours.matches(mineral, scale=False, ltol=1e-3, stol=1e-3)


@pytest.mark.physics
def test_nasicon_has_the_published_sites_and_bonds() -> None:
    """Distances of Na3Cr2(PO4)3, Solid State Ionics 18-19 (1986) 959, recomputed."""
    parent = parent_sites("nasicon")
    names, labels = np.array(parent.sublattices), np.array(parent.labels)
    assert Counter(parent.labels) == {
        "6b": 2,
        "18e": 12,
        "12c": 4,
        "36f-1": 12,
        "36f-2": 12,
    }
    distances = Lattice(parent.lattice).get_all_distances(
        parent.coordinates, parent.coordinates
    )
    oxygen = names == "oxygen"
    phosphorus_oxygen = np.sort(distances[names == "polyanion"][:, oxygen], axis=1)
    assert phosphorus_oxygen[:, :4] == pytest.approx(1.521, abs=0.002)
    assert phosphorus_oxygen[:, 4].min() > 2.5
    chromium_oxygen = np.sort(distances[names == "metal"][:, oxygen], axis=1)
    assert chromium_oxygen[:, :3] == pytest.approx(1.943, abs=0.002)
    assert chromium_oxygen[:, 3:6] == pytest.approx(1.987, abs=0.002)
    sodium = np.sort(distances[labels == "6b"][:, oxygen], axis=1)
    assert sodium[:, :6] == pytest.approx(2.499, abs=0.002)
    assert sodium[:, 6].min() > 3.4


@pytest.mark.physics
def test_the_second_sodium_has_eight_neighbours_at_the_height_of_phosphorus() -> None:
    """As in Na4Fe2(PO4)3, Acta Cryst. E 65 (2009) i30, 10.1107/S1600536809009210."""
    parent = parent_sites("nasicon")
    names, labels = np.array(parent.sublattices), np.array(parent.labels)
    heights = (parent.coordinates @ parent.lattice)[:, 2]
    second = (names == "alkali") & (labels == "18e")
    assert set(np.round(heights[second], 6)) <= set(
        np.round(heights[names == "polyanion"], 6)
    )
    distances = np.sort(
        Lattice(parent.lattice).get_all_distances(
            parent.coordinates[second], parent.coordinates[names == "oxygen"]
        ),
        axis=1,
    )
    # Nearest images only; the eight lie below 2.9, the next beyond 3.2 angstrom.
    assert (distances < 2.9).sum(axis=1).tolist() == [8] * 6
    assert (distances[:, 8] > 3.2).all()


@pytest.mark.parametrize("name", ["layered", "gamma_lifeo2"])
def test_ordered_rocksalts_stand_on_the_sites_of_rocksalt(name: str) -> None:
    parent, rocksalt = parent_sites(name), parent_sites("rocksalt")
    species = ["O" if n == "oxygen" else "Mg" for n in parent.sublattices]
    ordered = Structure(parent.lattice, species, parent.coordinates)
    cubic = Structure(rocksalt.lattice, ["Mg", "O"], rocksalt.coordinates)
    assert ordered.matches(cubic, scale=False, ltol=1e-4, stol=1e-4)


def test_right_angles_are_exact() -> None:
    vectors = conventional_vectors(load_prototype("rocksalt").lattice)
    assert np.array_equal(vectors, 4.2112 * np.eye(3))


def test_an_orbit_of_another_size_than_stated_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rocksalt = load_prototype("rocksalt")
    wrong = rocksalt.model_copy(
        update={
            "sublattices": {
                name: sublattice.model_copy(update={"sites": 3})
                for name, sublattice in rocksalt.sublattices.items()
            }
        }
    )
    monkeypatch.setattr(parents, "load_prototype", lambda _: wrong)
    parent_sites.cache_clear()
    with pytest.raises(OrderingError, match=r"sublattice cation has 1 sites"):
        parent_sites("rocksalt")
