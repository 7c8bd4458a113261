from __future__ import annotations

import pytest

from hts_battery.errors import MixedCalculatorError
from hts_battery.thermo.corrections import comparable_energy, require_one_calculator


def test_chgnet_is_never_corrected_twice() -> None:
    found = comparable_energy(
        entry_id="a", formula="Mn4O8", energy=-96.0, calculator="chgnet 0.4.2"
    )
    assert found.energy_per_atom == -8.0
    assert found.uncorrected_energy == -96.0
    assert found.adjustments == ()
    assert "MP2020" in found.correction_scheme


def test_gpaw_is_flagged_and_an_unknown_engine_says_so() -> None:
    gpaw = comparable_energy(
        entry_id="a", formula="O2", energy=-9.0, calculator="gpaw 26.7"
    )
    assert gpaw.adjustments == ()
    assert gpaw.flags == ("redox_and_gas_reactions_uncorrected",)
    other = comparable_energy(entry_id="a", formula="O2", energy=-9.0, calculator="x")
    assert "no correction scheme is known for x" in other.correction_scheme


@pytest.mark.parametrize(
    ("formula", "energy", "calculator", "message"),
    [
        ("Li2O", float("nan"), "chgnet 0.4.2", "not a finite"),
        ("Li0.5O", -1.0, "chgnet 0.4.2", "formula of a cell"),
        ("Li2O", -1.0, "vasp 6.4", "correct_vasp_energies"),
    ],
)
def test_bad_energies_are_refused(
    formula: str, energy: float, calculator: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        comparable_energy(
            entry_id="a", formula=formula, energy=energy, calculator=calculator
        )


def test_one_hull_has_one_calculator() -> None:
    energies = [
        comparable_energy(entry_id=name, formula="O2", energy=-9.0, calculator=name)
        for name in ("chgnet 0.4.2", "gpaw 26.7")
    ]
    assert require_one_calculator(energies[:1]) == "chgnet 0.4.2"
    with pytest.raises(MixedCalculatorError, match=r"chgnet 0\.4\.2.*gpaw 26\.7"):
        require_one_calculator(energies)
    with pytest.raises(ValueError, match="at least one"):
        require_one_calculator([])
