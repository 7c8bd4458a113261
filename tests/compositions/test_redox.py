"""Which metal keeps an electron: the pairs that react, and the assignment chosen."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

import pytest

from hts_battery.compositions import load_space
from hts_battery.compositions.redox import REACTS_FROM, RedoxScale, package_scale
from hts_battery.schemas.species_table import METAL_ROLES, species_table

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.compositions.space import CompositionSpace
    from hts_battery.schemas.candidate import Assignment

# What gives an electron to which of the others, in oxides.
IMPOSSIBLE = {
    "Ti3+": "V4+ V5+ Fe3+ Co3+ Ni3+ Cu2+ Mn3+ Mn4+ Mo5+ Mo6+ Sb5+",
    "V3+": "V5+ Fe3+ Co3+ Ni3+ Cu2+ Mn3+ Mn4+ Mo6+ Sb5+",
    "V4+": "Co3+ Ni3+ Mn3+ Mn4+ Cu2+",
    "Mo4+": "Fe3+ Co3+ Ni3+ Cu2+ Mn3+ Mn4+ V5+ Sb5+",
    "Mo5+": "Fe3+ Co3+ Ni3+ Cu2+ Mn3+ Mn4+ V5+",
    "Fe2+": "Co3+ Ni3+ Mn3+ Mn4+ V5+ Cu2+",
    "Mn2+": "Co3+ Ni3+ Mn4+",
    "Mn3+": "Ni3+",
    "Co2+": "Ni3+",
}
PAIRS = {(giver, taker) for giver, text in IMPOSSIBLE.items() for taker in text.split()}
# Reported side by side in the compounds named.
POSSIBLE = {
    ("Ni2+", "Mn4+"): "LiNi0.5Mn0.5O2",
    ("Ni2+", "Co3+"): "LiNi0.5Co0.5O2",
    ("Co3+", "Mn4+"): "LiCoMnO4",
    ("Mn3+", "Mn4+"): "LiMn2O4",
    ("Co2+", "Co3+"): "Co3O4",
    ("Fe2+", "Fe3+"): "Fe3O4",
    ("Mn2+", "Fe3+"): "MnFe2O4",
    ("Co2+", "Fe3+"): "CoFe2O4",
    ("Cu2+", "Mn3+"): "CuMn2O4",
    ("Mn2+", "V5+"): "MnV2O6",
    ("Cu2+", "V5+"): "CuV2O6",
    ("Fe3+", "V5+"): "FeVO4",
    ("Fe2+", "Ti4+"): "FeTiO3",
    ("Fe2+", "V3+"): "FeV2O4",
    ("Mn2+", "Ti4+"): "MnTiO3",
    ("Fe3+", "Mo6+"): "Fe2(MoO4)3",
    ("Fe2+", "Sb5+"): "FeSb2O6",
    ("Ru4+", "Mn4+"): "Li2Ru0.5Mn0.5O3",
    ("Ti3+", "Nb5+"): "SrTiO3 doped with Nb",
}


@pytest.fixture(scope="module")
def space(project_root: Path) -> CompositionSpace:
    return load_space(project_root / "workflows/campaigns/hedrx_18810.yaml")


@pytest.mark.physics
@pytest.mark.parametrize("pair", sorted(PAIRS), ids="-".join)
def test_a_pair_that_reacts_is_found_from_the_potentials(pair: tuple[str, str]) -> None:
    giver, taker = pair
    assert package_scale().reacting(pair) == pair
    assert package_scale().react(giver, taker)
    assert package_scale().react(taker, giver)


def test_no_other_pair_of_the_reconstruction_reacts(space: CompositionSpace) -> None:
    species = space.spec.species  # type: ignore[attr-defined] # a space on a grid
    found = map(package_scale().reacting, combinations(species, 2))
    assert set(filter(None, found)) == PAIRS


@pytest.mark.physics
@pytest.mark.parametrize("pair", POSSIBLE, ids="-".join)
def test_species_of_one_compound_do_not_react(pair: tuple[str, str]) -> None:
    assert not package_scale().react(*pair)


def test_every_element_of_several_states_has_all_its_potentials() -> None:
    states: dict[str, list[tuple[int, str]]] = {}
    for text, one in species_table().items():
        if one.role in METAL_ROLES:
            states.setdefault(one.element, []).append((one.charge, text))
    for element, found in states.items():
        ladder = [species_table()[text] for _, text in sorted(found)]
        assert ladder[0].potential is None
        potentials = [one.potential or 0 for one in ladder[1:]]
        assert all(one.potential is not None for one in ladder[1:])
        assert all("; potential " in one.source for one in ladder[1:])
        # Cr4+ and Cr5+ fall into Cr3+ and Cr6+; every other middle state is stable.
        if element != "Cr":
            assert potentials == sorted(potentials)


def test_energies_are_sums_of_couples_over_the_lowest_state() -> None:
    scale = package_scale()
    table = species_table()
    found = scale.energies(["V5+", "V3+", "V4+"])
    assert found == {
        "V3+": 0,
        "V4+": table["V4+"].potential,
        "V5+": int(table["V4+"].potential or 0) + int(table["V5+"].potential or 0),
    }
    # Two electrons from Sb3+ to Sb5+.
    assert scale.energies(["Sb3+", "Sb5+"]) == {
        "Sb3+": 0,
        "Sb5+": 2 * int(table["Sb5+"].potential or 0),
    }
    assert scale.energies(["W6+"]) == {"W6+": 0}
    assert scale.energies(["Pr4+", "Pr3+"]) is None


def test_a_gap_in_the_potentials_is_not_bridged() -> None:
    table = dict(species_table())
    table["V4+"] = table["V4+"].model_copy(update={"potential": None})
    scale = RedoxScale(table)
    assert scale.energies(["V3+", "V5+"]) is None
    assert scale.energies(["V4+", "V5+"]) == {
        "V4+": 0,
        "V5+": table["V5+"].potential,
    }
    assert not scale.react("V3+", "Fe3+")
    assert scale.react("V4+", "Mn4+")


def energy(assignment: Assignment) -> Fraction:
    """Energy of all electrons, couple by couple."""
    total = Fraction(0)
    for here in assignment.values():
        for text, amount in here.items():
            one = species_table()[text]
            rungs = sorted(
                (
                    each
                    for each in species_table().values()
                    if each.element == one.element and each.charge <= one.charge
                ),
                key=lambda each: each.charge,
            )
            for lower, upper in pairwise(rungs):
                step = (upper.charge - lower.charge) * int(upper.potential or 0)
                total += amount * step
    return total


def reacts(assignment: Assignment) -> bool:
    present = {text for here in assignment.values() for text in here}
    return any(package_scale().react(*pair) for pair in combinations(present, 2))


@pytest.mark.parametrize("name", ["hedrx_18810", "hedrx_full"])
def test_electrons_are_where_the_potentials_put_them(
    project_root: Path, name: str
) -> None:
    space = load_space(project_root / "workflows/campaigns" / f"{name}.yaml")
    several = mended = 0
    for one in space.sample(150, seed=3):
        energies = [energy(each) for each in one.assignments]
        assert energies[0] == min(energies)
        several += len(energies) > 1
        if reacts(one.assignment):
            assert all(map(reacts, one.assignments))
        else:
            mended += any(map(reacts, one.assignments))
    assert several > 75
    assert mended > 30


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("Li1.2Ti0.4Fe0.2Zr0.1Sn0.1O2", "Ti4+ Fe2+"),  # not Ti3+ and Fe3+
        ("Li1.1Mn0.1Ni0.1Ga0.5Sn0.2O2", "Ni2+ Mn4+"),
    ],
)
def test_known_choices(space: CompositionSpace, formula: str, expected: str) -> None:
    member = space[space.index(formula)]
    assert set(expected.split()) <= set(member.assignment["cation"])


def test_differences_below_the_rounding_do_not_react() -> None:
    table = {text: species_table()[text] for text in ("Fe2+", "Fe3+", "Mn2+", "Mn3+")}
    base = int(table["Fe3+"].potential or 0)
    for difference, reaction in ((REACTS_FROM - 1, False), (REACTS_FROM, True)):
        shifted = {"potential": base + difference}
        table["Mn3+"] = table["Mn3+"].model_copy(update=shifted)
        assert RedoxScale(table).react("Fe2+", "Mn3+") is reaction


def test_unknown_potentials_leave_the_choice_to_the_preferences() -> None:
    space = load_space(
        {
            "family": "hedrx",
            "basis": "formula-unit",
            "step": 0.1,
            "sublattices": {
                "cation": {
                    "sites": 2,
                    "species": ["Li+", "Mn2+", "Mn3+", "V3+", "V4+", "Pr3+", "Pr4+"],
                },
                "anion": {"sites": 2, "species": ["O2-"]},
            },
            "contents": {"Li": [1.0]},
        }
    )
    known = space[space.index("LiMn0.5V0.5O2")].assignment["cation"]
    assert set(known) == {"Li+", "Mn2+", "V4+"}
    unknown = space[space.index("LiMn0.4V0.4Pr0.2O2")].assignment["cation"]
    assert set(unknown) == {"Li+", "Mn3+", "V3+", "Pr3+"}
