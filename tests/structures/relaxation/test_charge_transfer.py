from __future__ import annotations

import pytest

from hts_battery.schemas.relaxed import RelaxationThresholds
from hts_battery.schemas.species_table import species_properties
from hts_battery.structures.relaxation.verdict import moment_bounds

LIMITS = RelaxationThresholds()


@pytest.mark.physics
@pytest.mark.parametrize(
    ("species", "moment"),
    [
        # What CHGNet 0.4.2 gives for relaxed Li1.3Mn0.4Ti0.3O1.7F0.3, the six-metal
        # oxyfluoride and Na3V2(PO4)3.
        ("Mn3+", 3.83),
        ("Mn3+", 3.88),
        ("Mn2+", 4.62),
        ("Ti4+", 0.09),
        ("Co2+", 2.81),
        ("Cr3+", 2.75),
        ("V3+", 1.92),
        ("O2-", 0.09),
    ],
)
def test_moments_of_ions_in_their_state_are_within_the_bounds(
    species: str, moment: float
) -> None:
    least, largest = moment_bounds(
        species_properties(species).unpaired_electrons, LIMITS
    )
    assert least <= moment <= largest


@pytest.mark.parametrize(
    ("given", "moment"),
    [
        # An ion of one species with the moment that the other one shows above.
        ("Mn3+", 4.62),
        ("Mn2+", 3.88),
        ("Ti4+", 0.9),
        ("Co3+", 2.81),
        ("Co2+", 0.0),
        ("Ni3+", 0.0),
        ("V3+", 1.0),
    ],
)
def test_moments_of_another_valence_are_outside(given: str, moment: float) -> None:
    electrons = species_properties(given).unpaired_electrons
    least, largest = moment_bounds(electrons, LIMITS)
    assert not least <= moment <= largest


def test_the_bounds_are_the_thresholds() -> None:
    limits = RelaxationThresholds(
        moment_lost_share=0.1, moment_lost_least=0.2, moment_gained=0.3
    )
    assert moment_bounds(5, limits) == (4.5, 5.3)
    assert moment_bounds(1, limits) == (0.8, 1.3)
    assert moment_bounds(0, limits) == (0, 0.3)
