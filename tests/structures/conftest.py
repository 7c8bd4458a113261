"""Candidates built by hand, for the tests of this room."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

import pytest

from hts_battery.compositions import load_space
from hts_battery.schemas.candidate import Candidate
from hts_battery.schemas.species import VACANCY, parse_species

if TYPE_CHECKING:
    from collections.abc import Mapping

# Twelve metals in twentieths of the metal content of Li0.7M1.3(O,F)2.
TWELVE = {
    "family": "hedrx",
    "basis": "metal-fraction",
    "step": "1/20",
    "sublattices": {
        "cation": {
            "sites": 2,
            "species": [
                *("Li+", "Mg2+", "Mn2+", "Fe2+", "Co2+", "Ni2+", "Cu2+", "Zn2+"),
                *("Al3+", "Sc3+", "V3+", "Cr3+", "Ti4+"),
            ],
            "metals": {"minimum": 12},
        },
        "anion": {"sites": 2, "species": ["O2-", "F-"]},
    },
    "contents": {"Li": ["0.7"]},
    "balance": "F",
}


class MakeCandidate(Protocol):
    def __call__(
        self, family: str, **sublattices: Mapping[str, str | int | Fraction]
    ) -> Candidate: ...


def _make_candidate(
    family: str, **sublattices: Mapping[str, str | int | Fraction]
) -> Candidate:
    assignment = {
        name: {species: Fraction(amount) for species, amount in occupation.items()}
        for name, occupation in sublattices.items()
    }
    amounts: dict[str, Fraction] = {}
    for occupation in assignment.values():
        for text, amount in occupation.items():
            element = parse_species(text).element
            if element != VACANCY and amount:
                amounts[element] = amounts.get(element, Fraction(0)) + amount
    return Candidate(
        family,
        amounts,
        sites={n: sum(o.values(), Fraction(0)) for n, o in assignment.items()},
        assignments=(assignment,),
    )


@pytest.fixture(scope="session")
def make_candidate() -> MakeCandidate:
    return _make_candidate


@pytest.fixture(scope="session")
def drx() -> Candidate:
    """Li1.3Mn0.4Ti0.3O1.7F0.3."""
    return _make_candidate(
        "hedrx",
        cation={"Li+": "1.3", "Mn3+": "0.4", "Ti4+": "0.3"},
        anion={"O2-": "1.7", "F-": "0.3"},
    )


@pytest.fixture(scope="session")
def six_metals() -> Candidate:
    """The six-metal compound of 10.1038/s41563-020-00816-0, two valences of Mn."""
    return _make_candidate(
        "hedrx",
        cation={
            "Li+": "1.3",
            "Mn2+": "0.1",
            "Co2+": "0.1",
            "Mn3+": "0.1",
            "Cr3+": "0.1",
            "Ti4+": "0.1",
            "Nb5+": "0.2",
        },
        anion={"O2-": "1.7", "F-": "0.3"},
    )


@pytest.fixture(scope="session")
def nzsp() -> Candidate:
    """Na3Zr2Si2PO12."""
    return _make_candidate(
        "nasicon",
        alkali={"Na+": 3, "Vac": 1},
        metal={"Zr4+": 2},
        polyanion={"Si4+": 2, "P5+": 1},
        oxygen={"O2-": 12},
    )


@pytest.fixture(scope="session")
def twelve_metals() -> Candidate:
    """A member of the metal-fraction grid that needs 800 atoms to be exact."""
    return load_space(TWELVE).sample(1, seed=3)[0]
