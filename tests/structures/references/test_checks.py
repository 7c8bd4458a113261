"""Every phase of the library is checked, and each check catches what it is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hts_battery.structures.references.checks import phase_problems
from hts_battery.structures.references.library import (
    load_reference_phases,
    reference_groups,
    reference_phase,
)

if TYPE_CHECKING:
    from hts_battery.schemas.reference import ReferencePhase


@pytest.mark.parametrize("group", reference_groups())
def test_every_phase_is_sound(group: str) -> None:
    problems = {
        phase.phase_id: found
        for phase in load_reference_phases()
        if phase.group == group and (found := phase_problems(phase))
    }
    assert problems == {}


@pytest.fixture
def rutile() -> ReferencePhase:
    return reference_phase("TiO2-rutile")


def moved(phase: ReferencePhase, index: int, **changes: object) -> ReferencePhase:
    sites = list(phase.sites)
    sites[index] = sites[index].model_copy(update=changes)
    return phase.model_copy(update={"sites": tuple(sites)})


def test_wrong_formula_is_found(rutile: ReferencePhase) -> None:
    wrong = rutile.model_copy(update={"formula": "Ti2O3"})
    assert any("the formula says O3Ti2" in text for text in phase_problems(wrong))


def test_charge_is_found(rutile: ReferencePhase) -> None:
    index = next(i for i, site in enumerate(rutile.sites) if site.element == "Ti")
    wrong = moved(rutile, index, oxidation_state=3)
    assert any("add up to -2" in text for text in phase_problems(wrong))


def test_short_bond_is_found(rutile: ReferencePhase) -> None:
    index = next(i for i, site in enumerate(rutile.sites) if site.element == "O")
    wrong = moved(rutile, index, position=(0.15, 0.15, 0.0))
    assert any(text.startswith("O-Ti is") for text in phase_problems(wrong))


def test_hidden_symmetry_is_found(rutile: ReferencePhase) -> None:
    wrong = rutile.model_copy(update={"space_group_number": 65})
    assert phase_problems(wrong) == ("space group 136 is found, 65 is stated",)
    named = wrong.model_copy(update={"supergroup": 136})
    assert phase_problems(named) == ()


def test_stretched_element_is_found() -> None:
    lithium = reference_phase("Li-bcc")
    wrong = lithium.model_copy(update={"cell": (7.0, 7.0, 7.0, 90.0, 90.0, 90.0)})
    assert any("Li-Li is 6.06" in text for text in phase_problems(wrong))


def test_stretched_compound_is_found() -> None:
    fluoride = reference_phase("LiF-rocksalt")
    wrong = fluoride.model_copy(update={"cell": (6.0, 6.0, 6.0, 90.0, 90.0, 90.0)})
    assert any("too far" in text for text in phase_problems(wrong))
