from __future__ import annotations

from typing import Any

import pytest
from pymatgen.analysis.phase_diagram import GrandPotPDEntry, PDEntry
from pymatgen.core import Element
from pymatgen.core.entries import (
    CompositionEnergyAdjustment,
    ComputedEntry,
    ConstantEnergyAdjustment,
    ManualEnergyAdjustment,
    TemperatureEnergyAdjustment,
)

from hts_battery.thermo.entry_structures import check_kind, correction_of

ENTRY = {"composition": {"Mg": 1, "O": 1}, "energy": -12.0}
PHASE = PDEntry("MgO", -3.1)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"@class": "GibbsComputedStructureEntry", "temp": 900}, "Gibbs.*900 K"),
        ({"@class": "ComputedStructureEntry", "temp": 900}, "Gibbs.*900 K"),
        ({"formation_enthalpy_per_atom": -3.1}, "Gibbs"),
        ({"data": {"gibbs_model": "SISSO"}}, "data.gibbs_model is SISSO"),
        ({"data": {"temp": 1500}}, "data.temp is 1500"),
        ({"@class": "ExpEntry"}, "measured formation enthalpy"),
        ({"thermodata": []}, "measured formation enthalpy"),
        (PHASE.as_dict(), "PDEntry: does not say whether its energy is a total one"),
        ({"attribute": None, "name": "MgO"}, "PDEntry: does not say"),
        (
            GrandPotPDEntry(PHASE, {Element("O"): -5.0}).as_dict(),
            "a grand potential at fixed chemical potentials",
        ),
        ({"@class": "PourbaixEntry"}, "in water"),
        ({"@class": "SlabEntry"}, "a slab, no bulk phase"),
        ({"miller_index": [1, 0, 0]}, "a slab, no bulk phase"),
        ({"@class": "DefectEntry"}, "a defect"),
        ({"@class": "ComputedReaction"}, "a reaction, no phase"),
        ({"@class": "CorrelatedEntry"}, "an object of the class CorrelatedEntry"),
        ({"structure": {"@class": "Slab"}}, "its structure is a slab"),
        ({"structure": {"@class": "Molecule"}}, "its structure is a molecule"),
        ({"structure": {"@class": "Thing"}}, "an object of the class Thing"),
    ],
)
def test_what_holds_no_total_energy_is_refused(
    entry: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        check_kind(ENTRY | entry)


@pytest.mark.parametrize("module", ["pymatgen.core.entries", "somewhere.else", None])
def test_the_module_of_an_entry_does_not_matter(module: str | None) -> None:
    check_kind(ENTRY | {"@class": "ComputedEntry", "@module": module})
    check_kind(ENTRY)
    check_kind(ENTRY | {"temp": None, "structure": {"@class": "IStructure"}})


def adjusted(*adjustments: object) -> dict[str, Any]:
    entry = ComputedEntry("MgO", -12.0, energy_adjustments=list(adjustments))
    found: dict[str, Any] = entry.as_dict()
    return found


def test_corrections_of_every_kind_are_summed() -> None:
    entry = adjusted(
        ConstantEnergyAdjustment(1.0),
        ManualEnergyAdjustment(0.5),
        CompositionEnergyAdjustment(-0.687, 2),
    )
    check_kind(entry)
    assert correction_of(entry) == pytest.approx(1.5 - 1.374)
    assert correction_of({"correction": -0.4}) == -0.4
    assert correction_of({"correction": -0.4, "energy_adjustments": []}) == -0.4
    assert correction_of({}) == correction_of({"energy_adjustments": None}) == 0
    with pytest.raises(ValueError, match="the correction 'Odd' does not say its value"):
        correction_of({"energy_adjustments": [{"@class": "Odd"}]})


def test_a_correction_for_a_temperature_makes_a_free_energy() -> None:
    with pytest.raises(ValueError, match="a correction for 300 K: a free energy"):
        check_kind(adjusted(TemperatureEnergyAdjustment(-1e-4, 300, 2)))
