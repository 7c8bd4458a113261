from __future__ import annotations

from fractions import Fraction

import pytest

from hts_battery.schemas.candidate import Candidate
from hts_battery.schemas.entropy import (
    EntropyConvention,
    EntropyOptions,
    SodiumSites,
    SpeciesBasis,
)
from hts_battery.thermo.entropy import mixing_words, other_entropies, other_options

F = Fraction


def hedrx(cations: dict[str, str], anions: dict[str, str]) -> Candidate:
    amounts: dict[str, Fraction] = {}
    assignment = {
        name: {species: F(amount) for species, amount in held.items()}
        for name, held in (("cation", cations), ("anion", anions))
    }
    for held in assignment.values():
        for species, amount in held.items():
            element = species.rstrip("+-0123456789")
            amounts[element] = amounts.get(element, F(0)) + amount
    return Candidate(
        "hedrx",
        amounts,
        sites={"cation": F(2), "anion": F(2)},
        assignments=(assignment,),
    )


@pytest.mark.physics
def test_the_other_convention_of_an_oxyfluoride_counts_cations_only() -> None:
    """Ideal mixing at 1473 K, each by its own sum, in meV/atom."""
    candidate = hedrx(
        {"Li+": "1.3", "Mn3+": "0.4", "Ti4+": "0.3"}, {"O2-": "1.7", "F-": "0.3"}
    )
    first, *_ = other_entropies(candidate, EntropyOptions())
    assert mixing_words(first.options) == "cations only, by element"
    assert 1473e3 * first.entropy == pytest.approx(56.261, abs=1e-3)
    back, *_ = other_entropies(candidate, first.options)
    assert 1473e3 * back.entropy == pytest.approx(83.089, abs=1e-3)


@pytest.mark.physics
def test_oxidation_states_that_mix_are_another_convention() -> None:
    candidate = hedrx(
        {
            "Li+": "1.3",
            **dict.fromkeys(("Mn2+", "Co2+", "Mn3+", "Cr3+", "Ti4+"), "0.1"),
            "Nb5+": "0.2",
        },
        {"O2-": "1.7", "F-": "0.3"},
    )
    found = {
        mixing_words(one.options): 1473e3 * one.entropy
        for one in other_entropies(candidate, EntropyOptions())
    }
    by_species = "cations and anions, by species (oxidation states mix)"
    assert found[by_species] == pytest.approx(106.745, abs=1e-3)


@pytest.mark.parametrize("nasicon", [True, False])
@pytest.mark.parametrize("species", list(SpeciesBasis))
def test_other_conventions_are_other_ones_and_differ(
    species: SpeciesBasis, *, nasicon: bool
) -> None:
    options = EntropyOptions(species=species)
    others = other_options(options, nasicon=nasicon)
    assert options not in others
    assert len(set(map(mixing_words, others))) == len(others)


def test_a_nasicon_is_shown_beside_the_published_convention() -> None:
    resolved = EntropyOptions(sodium_sites=SodiumSites.RESOLVED)
    published, *_ = other_options(resolved, nasicon=True)
    assert published.convention is EntropyConvention.OUYANG2021
    # The published convention is not defined for sites told apart.
    assert EntropyOptions.model_validate(published.model_dump()) == published
    textbook, *_ = other_options(published, nasicon=True)
    assert textbook.convention is EntropyConvention.TEXTBOOK
