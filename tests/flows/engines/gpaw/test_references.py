from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hts_battery.errors import MissingReferenceError
from hts_battery.flows.engines.gpaw.settings import GPAWSettings
from hts_battery.flows.recipes.references import shipped_energies, structure_digest
from hts_battery.schemas.formula import parse_formula
from hts_battery.structures.references.library import (
    phases_within,
    reference_phase,
    reference_structure,
)
from hts_battery.thermo import Hull

if TYPE_CHECKING:
    from pathlib import Path

ENGINE = "gpaw-fixed-cell"
ENERGIES = shipped_energies(ENGINE)
BY_PHASE = {one.phase_id: one for one in ENERGIES.energies}


def reaction(products: dict[str, float], educts: dict[str, float]) -> float:
    """Energy of a reaction in eV for the amounts of formula units given."""
    total = 0.0
    for side, sign in ((products, 1), (educts, -1)):
        for phase_id, amount in side.items():
            energy = BY_PHASE[phase_id]
            assert energy.energy_per_atom is not None
            atoms = float(sum(parse_formula(energy.formula).values()))
            total += sign * amount * atoms * energy.energy_per_atom
    return total


def test_they_were_computed_with_the_engines_settings() -> None:
    settings = GPAWSettings.model_validate(ENERGIES.settings["gpaw"])
    assert settings == GPAWSettings(cutoff=600)
    (calculator,) = {one.calculator for one in ENERGIES.energies}
    assert calculator.startswith(f"{ENGINE} ")
    assert calculator.endswith(settings.label)


@pytest.mark.parametrize("energy", ENERGIES.energies, ids=lambda one: one.phase_id)
def test_each_starts_from_todays_structure(energy: object) -> None:
    found = BY_PHASE[energy.phase_id]  # type: ignore[attr-defined]
    start = reference_structure(reference_phase(found.phase_id))
    assert found.start_digest == structure_digest(start)
    assert found.n_atoms == len(start) <= 16


def test_metals_that_carry_a_u_in_oxides_are_left_out() -> None:
    assert not [one for one in BY_PHASE.values() if one.formula == "Mn"]
    hull = Hull(
        [one.formula for one in ENERGIES.energies],
        [one.energy_per_atom for one in ENERGIES.energies],
    )
    assert hull.decomposition("LiMn0.5Ti0.5O2").energy < 0
    with pytest.raises(MissingReferenceError):
        hull.decomposition("LiNiO2")


@pytest.mark.parametrize(
    ("formula", "products"),
    [
        ("Li1.25Mn0.25Ti0.5O2", {"Li2TiO3": 0.75, "LiMnO2": 0.25}),
        (
            "Li1.25Mn0.5Ti0.25O2",
            {"Li2TiO3": 0.375, "Li2MnO3": 0.375, "LiMnO2": 0.25},
        ),
        ("LiMn0.5Ti0.5O2", {"Li2TiO3": 0.75, "MnO": 0.25}),
    ],
)
def test_the_candidates_of_the_documentation_decompose_as_it_says(
    formula: str, products: dict[str, float]
) -> None:
    hull = Hull(
        [one.formula for one in ENERGIES.energies],
        [one.energy_per_atom for one in ENERGIES.energies],
    )
    assert hull.decomposition(formula).amounts == pytest.approx(products)


def test_the_phases_that_are_missing_are_those_that_the_documentation_names(
    project_root: Path,
) -> None:
    small = [
        phase
        for phase in phases_within(["Li", "Mn", "Ti", "O"])
        if len(reference_structure(phase)) <= 16
    ]
    text = (project_root / "docs" / "gpaw.md").read_text(encoding="utf-8")
    assert f"Shipped are {len(BY_PHASE)} of the {len(small)} phases" in text
    said = text.partition("### Which phases")[2]
    for phase in small:
        if phase.phase_id not in BY_PHASE and phase.formula != "Mn":
            assert phase.formula in said, phase.phase_id


def test_known_compounds_form_and_known_polymorphs_are_near() -> None:
    li2o, tio2, mno = "Li2O-antifluorite", "TiO2-rutile", "MnO-rocksalt"
    honeycomb = "Li2TiO3-honeycomb-lithium-manganate"
    assert -2.0 < reaction({honeycomb: 1}, {li2o: 1, tio2: 1}) < -0.5
    assert -1.0 < reaction({"MnTiO3-ilmenite": 1}, {mno: 1, tio2: 1}) < 0
    # PBE puts anatase below rutile, against experiment.
    assert -0.15 < reaction({"TiO2-anatase": 1}, {tio2: 1}) < 0
