from __future__ import annotations

import pytest

from hts_battery.structures.magnetism import ferromagnetic_moments


@pytest.mark.physics
def test_spin_states_are_those_of_octahedral_sites() -> None:
    species = ["Mn2+", "Fe3+", "Cr3+", "Co2+", "Co3+", "Ni2+", "Ni3+", "Ti4+", "Vac"]
    assert ferromagnetic_moments(species) == (5, 5, 3, 3, 0, 2, 1, 0, 0)
