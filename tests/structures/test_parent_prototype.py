from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from hts_battery.compositions import load_space
from hts_battery.errors import ConfigurationError
from hts_battery.schemas.decoding import read_structure
from hts_battery.structures import order_candidate
from hts_battery.structures.cells import parent_sites
from hts_battery.structures.decoration import MINIMUM_DISTANCE
from hts_battery.structures.neighbours import minimum_distance
from hts_battery.structures.parent_prototype import parent_prototype, prototype_yaml
from hts_battery.structures.parent_space import parent_space
from hts_battery.structures.prototypes import load_prototype, use_prototypes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LATTICES = {
    # One group of each centring: A and F are polar, R has hexagonal axes.
    "P2_1/c": Lattice.monoclinic(7.1, 8.3, 9.7, 103),
    "C2/m": Lattice.monoclinic(12.1, 8.3, 7.7, 107),
    "Amm2": Lattice.orthorhombic(8.1, 9.3, 10.7),
    "I4/mmm": Lattice.tetragonal(8.3, 14.1),
    "Fdd2": Lattice.orthorhombic(12.1, 13.3, 10.7),
    "R-3m": Lattice.hexagonal(8.3, 23.1),
    "P6_3/mmc": Lattice.hexagonal(8.3, 13.1),
}
MIXED = {"Mg2+": 0.5, "Zn2+": 0.5}


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "prototypes"
    folder.mkdir()
    yield folder
    for path in folder.iterdir():
        path.unlink()
    use_prototypes(folder)


def rocksalt_like(symbol: str, lattice: Lattice) -> Structure:
    """Put a mixed cation and an oxygen on general positions that are apart."""
    draw, matrix = np.random.default_rng(3), lattice.matrix
    while True:
        found = Structure.from_spacegroup(
            symbol, Lattice(matrix), [MIXED, "O2-"], draw.random((2, 3))
        )
        if minimum_distance(found) > MINIMUM_DISTANCE:
            return found
        matrix = 1.1 * matrix


def known(structure: Structure, folder: Path) -> str:
    """Write the prototype of a structure into a folder in use; return its name."""
    # Cells are kept by name in a process, so that each test has its own.
    family = f"parent-{uuid4().hex}"
    parent = parent_space(structure, family)
    found = parent_prototype(structure, parent, source="a.cif")
    (folder / f"{family}.yaml").write_text(prototype_yaml(found), encoding="utf-8")
    use_prototypes(folder)
    assert load_prototype(family) == found
    return family


@pytest.mark.parametrize("symbol", LATTICES)
def test_its_sites_are_those_of_the_file(symbol: str, own: Path) -> None:
    structure = rocksalt_like(symbol, LATTICES[symbol])
    found = parent_sites(known(structure, own))
    charge = {"o": "O2-"}
    rebuilt = Structure(
        found.lattice,
        [charge.get(name, "Mg2+") for name in found.sublattices],
        found.coordinates,
    )
    plain = structure.copy()
    plain.replace_species({"Zn2+": "Mg2+"})
    matcher = StructureMatcher(ltol=0.01, stol=0.01, angle_tol=0.1, scale=True)
    assert matcher.fit(rebuilt, plain.get_primitive_structure(0.01))
    assert len(rebuilt) <= len(structure)


def spinel(shares: dict[str, float]) -> Structure:
    return Structure.from_spacegroup(
        "Fd-3m",
        Lattice.cubic(8.25),
        ["Li+", shares, "O2-"],
        [[0, 0, 0], [5 / 8] * 3, [0.3867] * 3],
    )


def test_a_member_of_the_files_composition_has_the_files_cell(own: Path) -> None:
    structure = spinel({"Mn3+": 0.5, "Mn4+": 0.25, "Ti4+": 0.25})
    name = known(structure, own)
    parent, found = parent_space(structure, name), load_prototype(name)
    mixed, lithium, oxygen = (found.sublattices[one.name] for one in parent.sublattices)
    assert (mixed.coordination, mixed.reference) == (6, "Mn3+")
    assert (lithium.coordination, lithium.reference) == (4, "Li+")
    # One tetrahedral and three octahedral neighbours, as in the package's spinel.
    assert oxygen.coordination == 4
    assert found.formula_units == Fraction(2)
    space = load_space(parent.mapping)
    candidate = space[space.index("LiMn1.5Ti0.5O4")]
    cell = order_candidate(candidate, atoms=28, iterations=50)
    ordered = read_structure(cell.structure)
    volume = ordered.volume / len(ordered)
    assert volume == pytest.approx(structure.volume / len(structure), rel=1e-5)


def test_what_may_be_vacant_sets_no_size(own: Path) -> None:
    sodium = {"Na+": 0.5}
    structure = Structure.from_spacegroup(
        "R-3m",
        Lattice.hexagonal(2.95, 16.5),
        [sodium, {"Co3+": 0.5, "Ni4+": 0.5}, "O2-"],
        [[0, 0, 0.5], [0, 0, 0], [0, 0, 0.2605]],
    )
    found = load_prototype(known(structure, own))
    (bond,) = found.bonds
    assert bond[1] == "o"
    assert not bond[0].startswith("na")
    assert np.isclose(found.lattice.gamma, 120)


@pytest.mark.parametrize(
    ("structure", "family", "says"),
    [
        (spinel({"Mn3+": 0.5, "Ti4+": 0.5}), "spinel", "prototype spinel of the pack"),
        (spinel({"Mn3+": 0.5, "Ti4+": 0.5}), "rocksalt", "rocksalt of the package"),
        (
            Structure(
                Lattice.cubic(5),
                [{"Li+": 0.5}, {"Li+": 0.5}, "O2-"],
                [[0, 0, 0], [0.1, 0, 0], [0.5] * 3],
            ),
            "mine",
            "two of its sites are 0.50 angstrom apart",
        ),
        (
            Structure(Lattice.cubic(4), [{"Mg2+": 0.5, "Ca2+": 0.5}], [[0, 0, 0]]),
            "mine",
            "no cation has an anion within 6 angstrom",
        ),
    ],
)
def test_what_cannot_be_ordered_says_why(
    structure: Structure, family: str, says: str
) -> None:
    parent = parent_space(structure, family)
    with pytest.raises(ConfigurationError, match=says):
        parent_prototype(structure, parent, source="a.cif")
