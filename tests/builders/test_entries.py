"""VASP tasks: validated and corrected, or rejected with the reason."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from pymatgen.core import Lattice, Structure

from hts_battery.builders.entries import vasp_comparable_energy
from hts_battery.schemas.calculation import read_task
from hts_battery.schemas.energy import ComparableEnergy, TaskValidation
from hts_battery.thermo import vasp_corrections

ASSIGNMENT = {
    "cation": {"Li+": Fraction(1), "Mn3+": Fraction(1)},
    "anion": {"O2-": Fraction(2)},
}


def cell() -> Structure:
    return Structure(
        Lattice.cubic(4.2),
        ["Li", "Mn", "O", "O"],
        [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0], [0, 0.5, 0]],
    )


def task(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    last = {
        "vasp_version": "6.4.2",
        "run_type": "GGA+U",
        "input": {"hubbards": {"Li": 0.0, "Mn": 3.9, "O": 0.0}, "potcar_spec": []},
    }
    return {
        "state": "successful",
        "calcs_reversed": [last],
        "structure": cell().as_dict(),
        "output": {"energy": -26.0},
    } | changes


def passed(*_: object) -> TaskValidation:
    return TaskValidation(valid=True, reasons=(), warnings=(), package_versions={})


def test_a_valid_task_is_corrected_with_the_oxidation_states_of_its_cell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(vasp_corrections, "validate_vasp_task", passed)
    found = vasp_comparable_energy(
        "a", task(), cell(), ASSIGNMENT, engine="vasp-mp-gga"
    )
    assert isinstance(found, ComparableEnergy)
    total = sum(adjustment.value for adjustment in found.adjustments)
    # MP2020: -0.687 eV for each O of an oxide, -1.668 for each Mn with U.
    assert total == pytest.approx(2 * -0.687 - 1.668)
    assert found.correction_scheme == "MaterialsProject2020Compatibility"


def test_a_task_that_cannot_be_checked_is_rejected() -> None:
    found = vasp_comparable_energy(
        "a", task(), cell(), ASSIGNMENT, engine="vasp-mp-gga"
    )
    assert isinstance(found, str)
    assert "cannot be checked" in found


def test_without_its_cell_no_oxidation_state_is_guessed() -> None:
    found = vasp_comparable_energy("a", task(), cell(), None, engine="vasp-mp-gga")
    assert found == "oxidation states unknown: the ordered cell of this task is lost"


def test_an_r2scan_task_needs_no_oxidation_states_and_gets_no_correction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []

    def valid(_: object, functional: str) -> TaskValidation:
        asked.append(functional)
        return passed()

    monkeypatch.setattr(vasp_corrections, "validate_vasp_task", valid)
    titles = ("Li_sv 10Sep2004", "Mn_pv 02Aug2007", "O 08Apr2002")
    last = {
        "vasp_version": "6.4.2",
        "run_type": "r2SCAN",
        "input": {"potcar_spec": [{"titel": f"PAW_PBE {one}"} for one in titles]},
    }
    document = task(calcs_reversed=[last])
    found = vasp_comparable_energy("a", document, cell(), None, engine="vasp-mp24")
    assert isinstance(found, ComparableEnergy)
    assert found.energy_per_atom == -26.0 / 4
    assert found.adjustments == ()
    assert found.checks["run type"] == "r2SCAN"
    assert found.checks["pseudopotentials"] == "PBE_64 by titles"
    assert asked == ["r2scan"]
    mixed = vasp_comparable_energy(
        "a", document, cell(), ASSIGNMENT, engine="vasp-mp-gga"
    )
    assert isinstance(mixed, str)
    assert "run type 'r2SCAN' is none of GGA, GGA+U" in mixed


def test_reading_a_vasp_task() -> None:
    found = read_task(task(), "vasp-mp-gga")
    assert found.calculator == "vasp-mp-gga 6.4.2"
    assert found.failure is None
    failed = read_task(task(state="failed"), "vasp-mp-gga")
    assert failed.failure == "VASP did not converge: failed"
