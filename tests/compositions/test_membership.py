"""Why a formula is no member: the sum, the step, the bound or the charge."""

from __future__ import annotations

from typing import Any

import pytest

from hts_battery.compositions import load_space
from hts_battery.errors import CompositionError

HEDRX: dict[str, Any] = {
    "family": "hedrx",
    "basis": "formula-unit",
    "step": 0.1,
    "sublattices": {
        "cation": {
            "sites": 2,
            "species": {"Li+": {}, "Mn2+": {}, "Mn3+": {}, "Ti4+": {}, "Nb5+": {}},
            "metals": {"maximum": 2, "amount": {"maximum": 0.6}},
        },
        "anion": {"sites": 2, "species": {"O2-": {}, "F-": {}}},
    },
    "contents": {"Li": [1.0, 1.2], "F": {"first": 0, "last": 0.4, "step": 0.2}},
    "elements": {"Nb": {"maximum": 0.2}},
    "exclusions": [["Ti4+", "Nb5+"]],
}
VACANT: dict[str, Any] = {
    "family": "layered",
    "basis": "sublattice-fraction",
    "step": 0.1,
    "sublattices": {
        "alkali": {"sites": 1, "species": ["Li+", "Vac"]},
        "metal": {"sites": 1, "species": ["Co3+", "Ni3+"]},
        "oxygen": {"sites": 2, "species": ["O2-"]},
    },
}
PAIRS: dict[str, Any] = {
    "rule": "nasicon-pairs",
    "carrier_amounts": {"first": 0, "last": 4, "step": 0.5},
    "metals": ["Zr4+", "Hf4+", "Sc3+", "Al3+"],
    "polyanion_centres": ["P5+", "Si4+"],
}


@pytest.mark.parametrize(
    ("space", "formula", "reason"),
    [
        (HEDRX, "LiMn0.5Ti0.4O2", "the cations add up to 1.9 per formula unit, not 2"),
        (
            HEDRX,
            "Li2.4Mn0.8Ti0.6O4",
            "the cations add up to 1.9 per formula unit, not 2",
        ),
        (HEDRX, "Li1.2Mn0.4Ti0.4O1.9", "the anions add up to 1.9 per formula unit"),
        (HEDRX, "LiCoO2", "it holds Co, and the space has F, Li, Mn, Nb, O, Ti"),
        (HEDRX, "Li1.2Mn0.45Ti0.35O2", "Mn 0.45 is no whole number of steps of"),
        (
            HEDRX,
            "Li1.1Mn0.5Ti0.4O2",
            "Li 1.1 is none of the amounts in contents",
        ),
        (HEDRX, "Li1.2Mn0.2Nb0.6O2", "Nb 0.6 is above the maximum 0.2 of elements.Nb"),
        (HEDRX, "Li1.2Mn0.1Ti0.7O2", "Ti 0.7 is above the maximum 0.6 of sublattices"),
        (
            HEDRX,
            "Li1.0Mn0.4Ti0.4Nb0.2O2",
            (
                "its number of different metals on cation is 3, and "
                "sublattices.cation.metals asks for 0 to 2"
            ),
        ),
        (HEDRX, "Li1.2Ti0.6Nb0.2O2", "exclusions.0 keeps Ti4+ and Nb5+ apart"),
        (
            HEDRX,
            "Li1.0Mn0.4Ti0.6O1.6F0.4",
            (
                "a charge of +0.6 per formula unit is left at the least, with every "
                "metal in its lowest oxidation state"
            ),
        ),
        (
            HEDRX,
            "Li1.2Mn0.6Ti0.2O2",
            (
                "a charge of -0.2 per formula unit is left at the least, with every "
                "metal in its highest oxidation state"
            ),
        ),
        (VACANT, "Li1.1CoO2", "the atoms on alkali add up to 1.1 per formula unit"),
        (VACANT, "Li0.9CoO2", "a charge of -0.1 per formula unit is left"),
        (PAIRS, "Na3Zr2Si2P0.9O12", "the polyanion centres add up to 2.9 for 12 O"),
        (PAIRS, "NaZr1.9P3O12", "the metals add up to 1.9 for 12 O, not 2"),
        (PAIRS, "Na2Zr2P3O12", "a charge of +1 per formula unit is left"),
        (PAIRS, "NaCoP3O12", "it holds Co, and the space has"),
        (PAIRS, "NaZr2P3", "it holds no O"),
        (
            PAIRS,
            "Na2ZrSc0.5Al0.5P3O12",
            "it has 3 metals, and the pair rule at most two",
        ),
        (PAIRS, "Na1.2Zr1.8Sc0.2P3O12", "Na 1.2 is none of carrier_amounts: 0 to 4"),
        (PAIRS, "NaZr1.5Hf0.5P3O12", "the pair rule gives these metals"),
    ],
)
def test_the_reason_is_the_formulas_own(
    space: dict[str, Any], formula: str, reason: str
) -> None:
    loaded = load_space(space)
    with pytest.raises(CompositionError) as caught:
        loaded.index(formula)
    said = str(caught.value)
    assert said.startswith(f"{formula} is not in {loaded.name}: ")
    assert reason in said


def test_members_of_any_number_of_formula_units_are_found() -> None:
    space = load_space(HEDRX)
    for candidate in space:
        tenfold = "".join(f"{el}{10 * n}" for el, n in candidate.amounts.items())
        assert space[space.index(tenfold)] == candidate
