from __future__ import annotations

from fractions import Fraction

import pytest

from hts_battery.thermo import Decomposition
from hts_battery.thermo.competing_phases import valence_change

F = Fraction


def mixture(**shares: float) -> Decomposition:
    return Decomposition(
        energy=0.0,
        amounts=shares,
        phases=shares,
        formulas={name: name for name in shares},
        chemical_potentials={},
    )


STATES = {
    "Mn2O3": {"Mn": 3.0, "O": -2.0},
    "MnO": {"Mn": 2.0, "O": -2.0},
    "MnO2": {"Mn": 4.0, "O": -2.0},
    "Mn3O4": {"Mn": 8 / 3, "O": -2.0},
}
MN3 = {"Mn3+": F(2), "O2-": F(3)}


def test_same_valences_do_not_change() -> None:
    found = valence_change(MN3, mixture(Mn2O3=1.0), STATES)
    assert found == (False, {}, ())


def test_disproportionation_changes_valences_although_the_mean_stays() -> None:
    found = valence_change(MN3, mixture(MnO=0.4, MnO2=0.6), STATES)
    assert found.changed
    assert found.fractions == pytest.approx({"Mn": 1.0})


def test_a_mixed_valence_phase_has_both_valences() -> None:
    species = {"Mn2+": F(1), "Mn3+": F(2), "O2-": F(4)}
    assert valence_change(species, mixture(Mn3O4=1.0), STATES).changed is False
    found = valence_change(MN3, mixture(Mn3O4=0.9, O2=0.1), STATES)
    assert found.fractions["Mn"] == pytest.approx(1 / 3)
    assert found.fractions["O"] > 0


def test_missing_valences_are_said() -> None:
    found = valence_change(MN3, mixture(Mn2O3=0.5, LiMnO2=0.5), STATES)
    assert found == (None, {}, ("LiMnO2",))
    part = valence_change(MN3, mixture(Mn2O3=1.0), {"Mn2O3": {"Mn": 3.0}})
    assert part == (None, {}, ("Mn2O3",))
    assert valence_change(None, mixture(MnO=1.0), STATES).changed is None
    # Oxygen is in a phase of unknown valences, tin is not and changes.
    tin = {"Sn4+": F(1), "Mn3+": F(2), "O2-": F(5)}
    found = valence_change(tin, mixture(Sn=0.1, MnO3=0.9), STATES)
    assert found.changed
    assert found.fractions == {"Sn": 1.0}
    assert found.unknown == ("MnO3",)


def test_vacancies_and_absent_species_do_not_count() -> None:
    species = {**MN3, "Vac": F(1), "Mn4+": F(0)}
    assert valence_change(species, mixture(Mn2O3=1.0), STATES).changed is False
