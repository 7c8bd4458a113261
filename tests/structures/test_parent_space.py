from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from pymatgen.core import Lattice, Structure

from hts_battery.compositions import load_space
from hts_battery.errors import ConfigurationError
from hts_battery.structures.parent_space import (
    LARGEST_PARENT,
    given_species,
    parent_space,
)

if TYPE_CHECKING:
    from pathlib import Path


def nasicon(sodium: tuple[float, float] = (0.9, 0.7)) -> Structure:
    first, second = sodium
    return Structure.from_spacegroup(
        "R-3c",
        Lattice.hexagonal(8.6476, 21.6169),
        [{"Na": first}, {"Na": second}, "Zr", {"P": 1 / 3, "Si": 2 / 3}, "O", "O"],
        [
            [0, 0, 0],
            [0.624, 0, 0.25],
            [0, 0, 0.1465],
            [0.2911, 0, 0.25],
            [0.1746, -0.0306, 0.1934],
            [0.1925, 0.1675, 0.09],
        ],
        labels=["Na1", "Na2", "Zr", "X", "O1", "O2"],
    )


def test_sublattices_species_and_sites_of_nasicon(tmp_path: Path) -> None:
    parent = parent_space(nasicon(), "mine")
    found = {one.name: one for one in parent.sublattices}
    assert parent.formula_units == 6
    assert parent.space_group == "R-3c"
    sites = {name: one.sites for name, one in found.items()}
    assert sorted(sites.values()) == [1, 2, 3, 3, 12]
    assert sites["o"] == 12
    assert sites["zr"] == 2
    assert sorted(one.species for one in parent.sublattices) == [
        ("Na+", "Vac"),
        ("Na+", "Vac"),
        ("O2-",),
        ("Si4+", "P5+"),
        ("Zr4+",),
    ]
    assert parent.amounts["Na"] == Fraction(3)
    assert parent.amounts["Si"] == Fraction(2)
    # Na3Zr2Si2PO12 is neutral, and a member.
    assert parent.problem is None
    path = tmp_path / "space.yaml"
    path.write_text(parent.as_yaml("a.cif"))
    space = load_space(path)
    assert space.count == load_space(parent.mapping).count
    assert space.index("Na3Zr2Si2PO12") >= 0


def rocksalt(cations: dict[str, float]) -> Structure:
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.1), [cations, "O"], [[0, 0, 0], [0.5] * 3]
    )


def test_unknown_states_are_all_offered_and_named(tmp_path: Path) -> None:
    parent = parent_space(rocksalt({"Li": 0.6, "Mn": 0.4}), "mine")
    mixed = parent.sublattices[0]
    assert mixed.open_elements == ("Mn",)
    assert {"Mn2+", "Mn3+", "Mn4+", "Li+"} <= set(mixed.species)
    text = parent.as_yaml("a.cif")
    assert "no oxidation state of Mn: keep those that you mean" in text
    path = tmp_path / "space.yaml"
    path.write_text(text)
    assert load_space(path).count > 1
    stated = parent_space(
        rocksalt({"Li": 0.6, "Mn": 0.4}), "mine", states=given_species(["Mn3+", "Mn4+"])
    )
    assert stated.sublattices[0].species == ("Li+", "Mn3+", "Mn4+")
    assert "keep those" not in stated.as_yaml("a.cif")


@pytest.mark.parametrize("twentieths", [1, 3, 10, 15])
def test_the_composition_of_the_file_lies_on_the_grid(twentieths: int) -> None:
    share = twentieths / 20
    parent = parent_space(rocksalt({"Li+": share, "Co3+": 1 - share}), "mine")
    assert parent.step <= Fraction(1, 10)
    for amount in parent.amounts.values():
        assert (amount / parent.step).denominator == 1
    assert (parent.problem is None) == (twentieths == 10)


@pytest.mark.parametrize(
    ("structure", "says"),
    [
        (rocksalt({"Li": 1}), "nothing varies"),
        (rocksalt({"Li": 0.5, "Xe": 0.5}), "no oxidation state of Xe.*--state Xe3"),
        (
            Structure(
                Lattice.cubic(50),
                [{"Li": 0.5}] * (LARGEST_PARENT + 1),
                [[i / 600, 0, 0] for i in range(LARGEST_PARENT + 1)],
            ),
            f"at most {LARGEST_PARENT}",
        ),
    ],
)
def test_what_makes_no_parent_says_why(structure: Structure, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        parent_space(structure, "mine")
