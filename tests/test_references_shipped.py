"""The energies of competing phases that ship: complete, current and sane."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import pytest
from pymatgen.core import Structure

from hts_battery.campaign.references import compute_references
from hts_battery.flows.recipes.references import shipped_energies, structure_digest
from hts_battery.schemas.campaign import RelaxationSpec
from hts_battery.schemas.formula import parse_formula
from hts_battery.structures.references.checks import relaxation_problems
from hts_battery.structures.references.library import (
    load_reference_phases,
    phases_within,
    reference_phase,
    reference_structure,
)
from hts_battery.thermo.hull import Hull

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.reference import ReferenceEnergy, ReferencePhase

ELEMENTS = ("Li", "Mn", "Ti", "Nb", "Cr", "O", "F")
STABLE = (
    "LiF",
    "Li2O",
    "TiO2",
    "MnO",
    "Mn2O3",
    "MnO2",
    "Cr2O3",
    "Nb2O5",
    "MnF2",
    "CrF3",
    "TiF3",
    "Li2TiO3",
    "Li2MnO3",
    "LiCrO2",
    "LiMnO2",
    "LiMn2O4",
    "LiNbO3",
    "Li3NbO4",
    "MnTiO3",
    "MnCr2O4",
    *("MgO", "Al2O3", "Sc2O3", "V2O3", "Fe2O3", "Fe3O4", "CoO", "Co3O4", "NiO", "CuO"),
    *("ZnO", "Ga2O3", "Y2O3", "ZrO2", "MoO2", "In2O3", "SnO2", "HfO2", "Ta2O5", "WO3"),
    *("LiFeO2", "LiCoO2", "LiNiO2", "LiAlO2", "LiScO2", "LiInO2", "LiGaO2", "LiVO2"),
    *("Li2ZrO3", "Li2SnO3", "Li3VO4", "LiTaO3", "Li3TaO4", "Li3SbO4", "MgAl2O4"),
    *("MgF2", "AlF3", "ZnF2", "NiF2", "FeF3", "YF3", "ZrF4", "Li3AlF6", "ZnWO4"),
)
"""Known crystals: their lowest polymorph must be stable, or nearly so."""
TOLERANCE = 0.030  # eV/atom

FILE = shipped_energies("chgnet")
BY_PHASE = {energy.phase_id: energy for energy in FILE.energies}
PHASES = phases_within(ELEMENTS)


@pytest.fixture(scope="module")
def hull() -> Hull:
    used = [energy for energy in FILE.energies if energy.rejected is None]
    return Hull(
        [energy.formula for energy in used],
        [energy.energy_per_atom for energy in used],
        ids=[energy.phase_id for energy in used],
    )


def lowest(formula: str) -> ReferenceEnergy:
    """Return the polymorph with the lowest energy."""
    amounts = parse_formula(formula)
    return min(
        (one for one in FILE.energies if parse_formula(one.formula) == amounts),
        key=lambda one: one.energy_per_atom,
    )


def formation_energy(formula: str) -> float:
    """Return the energy of formation from the elements as they ship, in eV/atom."""
    amounts = parse_formula(formula)
    atoms = sum(amounts.values())
    elements = sum(
        float(amount / atoms) * lowest(symbol).energy_per_atom
        for symbol, amount in amounts.items()
    )
    return lowest(formula).energy_per_atom - elements


def test_every_phase_of_the_quickstart_has_a_usable_energy() -> None:
    missing = [phase.phase_id for phase in PHASES if phase.phase_id not in BY_PHASE]
    assert missing == []
    rejected = {
        phase.phase_id: BY_PHASE[phase.phase_id].rejected
        for phase in PHASES
        if BY_PHASE[phase.phase_id].rejected
    }
    # A few may be unusable, never silently.
    assert len(rejected) <= len(PHASES) // 10, rejected


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.phase_id)
def test_an_energy_belongs_to_todays_structure(phase: ReferencePhase) -> None:
    energy = BY_PHASE[phase.phase_id]
    structure = reference_structure(phase)
    assert energy.start_digest == structure_digest(structure)
    assert energy.n_atoms == len(structure)
    assert energy.formula == phase.formula


def test_every_energy_says_how_it_was_computed() -> None:
    assert FILE.engine == "chgnet"
    assert FILE.settings == RelaxationSpec().model_dump(mode="json")
    for energy in FILE.energies:
        assert energy.converged or energy.rejected
        assert energy.versions["chgnet"] == FILE.versions["chgnet"]
        assert set(energy.versions) == {
            "chgnet",
            "atomate2",
            "ase",
            "torch",
            "pymatgen",
        }
        if energy.rejected is None:
            assert energy.max_force is not None
            assert energy.max_force <= FILE.settings["fmax"]
            assert energy.structure is not None


@pytest.mark.parametrize("engine_name", ["chgnet", "gpaw-fixed-cell", "ionic"])
def test_every_shipped_energy_is_that_of_a_phase_of_the_library(
    engine_name: str,
) -> None:
    phases = {phase.phase_id: phase for phase in load_reference_phases()}
    for energy in shipped_energies(engine_name).energies:
        assert phases[energy.phase_id].formula == energy.formula


def test_the_ionic_engine_has_tried_every_phase(project_root: Path) -> None:
    energies = shipped_energies("ionic").energies
    tried = {energy.phase_id for energy in energies}
    assert tried == {phase.phase_id for phase in load_reference_phases()}
    used = sum(energy.rejected is None for energy in energies)
    text = (project_root / "docs" / "engines.md").read_text(encoding="utf-8")
    assert f"{used:,} of the library's {len(energies):,}" in text


def test_every_element_is_there_as_a_crystal() -> None:
    for symbol in ELEMENTS:
        energy = lowest(symbol)
        assert energy.rejected is None
        # A molecule in a box would leave each atom far more room than a crystal.
        assert energy.volume_per_atom is not None
        assert energy.volume_per_atom < 25


def test_there_are_enough_binary_and_ternary_compounds() -> None:
    compounds = {
        tuple(sorted(parse_formula(energy.formula).items()))
        for energy in FILE.energies
        if energy.rejected is None
        and set(parse_formula(energy.formula)) <= set(ELEMENTS)
        and set(parse_formula(energy.formula)) & {"O", "F"}
        and len(parse_formula(energy.formula)) in (2, 3)
    }
    assert len(compounds) >= 25


def test_every_metal_has_an_oxide_and_a_fluoride() -> None:
    systems = {frozenset(parse_formula(energy.formula)) for energy in FILE.energies}
    for metal, anion in combinations(ELEMENTS, 2):
        if metal not in ("O", "F") and anion in ("O", "F"):
            assert frozenset({metal, anion}) in systems


@pytest.mark.physics
@pytest.mark.parametrize("formula", STABLE)
def test_what_is_known_to_be_stable_is_near_the_hull(hull: Hull, formula: str) -> None:
    energy = lowest(formula)
    assert energy.rejected is None
    (above,) = hull.energies_above_hull([formula], [energy.energy_per_atom])
    assert above < TOLERANCE


@pytest.mark.physics
@pytest.mark.parametrize(
    ("formula", "published"), [("TiO2", -3.48), ("LiF", -3.15), ("Cr2O3", -2.34)]
)
def test_formation_energies_are_those_of_the_literature(
    formula: str, published: float
) -> None:
    assert formation_energy(formula) == pytest.approx(published, abs=0.1)


@pytest.mark.physics
@pytest.mark.parametrize(
    ("phase_id", "space_group"),
    [("LiF-rocksalt", 225), ("TiO2-rutile", 136), ("Cr2O3-corundum", 167)],
)
def test_a_relaxed_crystal_is_still_that_crystal(
    phase_id: str, space_group: int
) -> None:
    assert BY_PHASE[phase_id].space_group_number == space_group
    assert reference_phase(phase_id).space_group_number == space_group


# Phases that relax into another symmetry: the energy is that of the relaxed crystal.
OTHER_SYMMETRY = {
    "Ca2SiO4-P-3m1",
    "Ca3SiO5-Cm",
    "CaCuO2-P21212",
    "CaFeO3-P-1",
    "CaSO4-C222",
    "CoMn2O4-spinel",
    "CuO-tenorite",
    "CuSb2O6-P21c",
    "HfOF2-ordered-oxyfluoride-cube",
    "La2O3-bixbyite",
    "Li22Si5-F23",
    "Li4MnCr3O8-layered-ordering",
    "Li4MnFe3O8-layered-ordering",
    "LiCuO-I-4m2",
    "LiNb6O15F-Pmma",
    "LiV2O5-Pmmn",
    "MgMn2O4-spinel",
    "Mn5Si3O12-blythite",
    "MnF2-P-42m",
    "MnOF2-ordered-oxyfluoride-cube",
    "MoO2-vanadium-dioxide",
    "Na2CaMgP2O8-P-3m1",
    "Na2CaP2O7-sodium-copper-diphosphate",
    "Na3AlF6-Immm",
    "Na5Fe3F14-P42212",
    "NaInS2O8-yavapaiite",
    "NaNb6O15F-Amm2",
    "NaV2O5-Pmmn",
    "NaV2P2O8F3-Cmc21",
    "NaVO2F2-P21",
    "NbO2-I41",
    "Sb2O5-nb2o5-r",
    "Sb2O5-shcherbinaite-type",
    "SnOF2-ordered-oxyfluoride-cube",
    "Ta2O5-Pmmm",
    "Ta2SnO6-thoreaulite",
    "Ta2SnO7-thoreaulite",
    "TaO2F-ordered-oxyfluoride-cube",
    "TiF4-tin-fluoride",
    "V2CuO6-C2",
    "V2ZnO6-C2",
    "VO2-monoclinic",
    "VO2F-ordered-oxyfluoride-cube",
    "W2P2O11-P21",
    "W3O8-C222",
    "WO2-vanadium-dioxide",
    "WO3-Pc",
    "ZrOF2-ordered-oxyfluoride-cube",
}


def test_relaxed_phases_keep_composition_volume_distances_and_shells() -> None:
    left = {
        name: problems
        for name, energy in BY_PHASE.items()
        if energy.rejected is None
        and (problems := relaxation_problems(reference_phase(name), relaxed(energy)))
    }
    assert left == {}


def test_a_rejected_phase_says_what_became_of_it() -> None:
    for name, energy in BY_PHASE.items():
        if energy.rejected is None or not energy.converged:
            continue
        problems = relaxation_problems(reference_phase(name), relaxed(energy))
        assert energy.rejected == "; ".join(problems), name


def test_relaxed_phases_keep_their_symmetry() -> None:
    other = {
        name
        for name, energy in BY_PHASE.items()
        if energy.rejected is None
        and energy.space_group_number
        not in (
            reference_phase(name).space_group_number,
            reference_phase(name).supergroup,
        )
    }
    assert other == OTHER_SYMMETRY


def relaxed(energy: ReferenceEnergy) -> Structure:
    return Structure.from_dict(energy.structure)


@pytest.mark.mongo
@pytest.mark.slow
def test_three_phases_come_out_as_shipped(
    stores: Stores, execution_folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("chgnet")
    phases = [
        reference_phase(name)
        for name in ("LiF-rocksalt", "MnO-rocksalt", "Li2O-antifluorite")
    ]
    energies = compute_references(
        phases,
        stores,
        engine_name="chgnet",
        relaxation=RelaxationSpec(),
        launch_folder=tmp_path / "launches",
    )
    assert list(execution_folder.iterdir())
    for phase, energy in zip(phases, energies, strict=True):
        shipped = BY_PHASE[phase.phase_id]
        assert energy.rejected is None
        assert energy.calculator == shipped.calculator
        assert energy.energy_per_atom == pytest.approx(
            shipped.energy_per_atom, abs=1e-3
        )
        assert energy.space_group_number == shipped.space_group_number
        assert energy.space_group_number == phase.space_group_number
        assert energy.volume_per_atom == pytest.approx(
            shipped.volume_per_atom, rel=1e-2
        )
