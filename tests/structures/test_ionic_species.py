"""Parameters of the ionic potential: complete, consistent, and clear where missing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from hts_battery.errors import CalculationError
from hts_battery.schemas.species import parse_species
from hts_battery.structures.ionic import (
    CHARGE_SCALE,
    elements,
    ions,
    species_energies,
    species_energy,
)

if TYPE_CHECKING:
    from pathlib import Path

ENERGIES = {"Mn3+": 1.0, "Mn4+": 3.0}


def test_charges_are_scaled_and_like_ions_do_not_repel() -> None:
    found = ions(["Li", "Mn", "O", "O"], [1, 3, -2, -2])
    assert found.charges.tolist() == pytest.approx(
        [CHARGE_SCALE * charge for charge in (1, 3, -2, -2)]
    )
    assert found.repulsion[0, 1] == found.repulsion[2, 3] == 0
    assert found.repulsion[1, 2] == found.repulsion[2, 1] > found.repulsion[0, 2]


def test_a_shared_charge_lies_between_its_neighbours() -> None:
    assert species_energy("Mn", 3.5, ENERGIES) == 2.0


@pytest.mark.parametrize(
    ("symbols", "charges", "message"),
    [
        (["Mg", "O"], [1, -2], "neutral"),
        (["Mg", "O", "O"], [2, -1, -1], "anions are O2- and F-"),
        (["Li", "Cl"], [1, -1], "no parameters of Cl"),
        (["Mn", "O"] * 2, [7, -2, -3, -2], "no parameters of Mn|anions"),
        (["Li", "Li", "O"], [1, 1, -2], "alkali metals alone"),
    ],
)
def test_what_it_cannot_describe_is_said(
    symbols: list[str], charges: list[float], message: str
) -> None:
    with pytest.raises(CalculationError, match=message):
        ions(symbols, charges)


@pytest.mark.parametrize("name", ["hedrx_18810", "nasicon_2021"])
def test_every_species_of_the_published_campaigns_has_an_energy(
    name: str, project_root: Path
) -> None:
    path = project_root / f"workflows/campaigns/{name}.yaml"
    text = path.read_text(encoding="utf-8")
    named = set(re.findall(r"\b[A-Z][a-z]?\d*[+]", text)) - {"M3+"}
    assert len(named) >= 19
    assert named <= set(species_energies())
    assert {parse_species(one).element for one in named} <= elements()
