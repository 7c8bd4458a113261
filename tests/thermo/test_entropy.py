from __future__ import annotations

import csv
from fractions import Fraction
from math import factorial, log
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hts_battery.errors import CompositionError, ConfigurationError
from hts_battery.schemas.candidate import Candidate
from hts_battery.schemas.entropy import (
    EntropyConvention,
    EntropyOptions,
    SodiumSites,
    SpeciesBasis,
)
from hts_battery.thermo import (
    candidate_entropy,
    mixing_entropy,
    nasicon_mixing_entropy,
)
from hts_battery.thermo.entropy import KB_EV_PER_K

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

F = Fraction
MEV = 1000.0
SIX_METALS = {
    "Li+": F("1.3"),
    "Mn2+": F("0.1"),
    "Co2+": F("0.1"),
    "Mn3+": F("0.1"),
    "Cr3+": F("0.1"),
    "Ti4+": F("0.1"),
    "Nb5+": F("0.2"),
}


def hedrx(cations: dict[str, Fraction], anions: dict[str, Fraction]) -> Candidate:
    amounts: dict[str, Fraction] = {}
    for species, amount in (cations | anions).items():
        element = species.rstrip("+-0123456789")
        amounts[element] = amounts.get(element, F(0)) + amount
    return Candidate(
        "hedrx",
        amounts,
        sites={"cation": F(2), "anion": F(2)},
        assignments=({"cation": cations, "anion": anions},),
    )


def nasicon(
    sodium: str, metals: dict[str, Fraction], centres: dict[str, Fraction]
) -> Candidate:
    amounts = {"Na": F(sodium), "O": F(12)}
    for species, amount in (metals | centres).items():
        amounts[species.rstrip("+-0123456789")] = amount
    return Candidate(
        "nasicon",
        {element: amount for element, amount in amounts.items() if amount},
        sites={"alkali": F(4), "metal": F(2), "polyanion": F(3), "oxygen": F(12)},
        assignments=(
            {
                "alkali": {"Na+": F(sodium), "Vac": 4 - F(sodium)},
                "metal": metals,
                "polyanion": centres,
                "oxygen": {"O2-": F(12)},
            },
        ),
    )


LI12 = hedrx({"Li+": F("1.2"), "Mn3+": F("0.4"), "Ti4+": F("0.4")}, {"O2-": F(2)})
LI13 = hedrx(
    {"Li+": F("1.3"), "Mn3+": F("0.4"), "Ti4+": F("0.3")},
    {"O2-": F("1.7"), "F-": F("0.3")},
)
SIX = hedrx(SIX_METALS, {"O2-": F("1.7"), "F-": F("0.3")})


def at_1473(candidate: Candidate, **options: object) -> float:
    result = candidate_entropy(candidate, EntropyOptions.model_validate(options))
    return result.entropy * 1473 * MEV


@pytest.mark.physics
def test_disordered_rock_salt_per_site_per_formula_unit_and_per_atom() -> None:
    result = candidate_entropy(LI12)
    cation, anion = result.terms
    assert cation.entropy_per_formula_unit / KB_EV_PER_K / 2 == pytest.approx(
        0.950271, abs=1e-6
    )
    assert cation.entropy_per_formula_unit / KB_EV_PER_K == pytest.approx(
        1.900541, abs=1e-6
    )
    assert anion.entropy_per_formula_unit == 0
    assert result.entropy_per_formula_unit * 1473 * MEV == pytest.approx(
        241.242, abs=1e-3
    )
    assert result.entropy * 1473 * MEV == pytest.approx(60.310, abs=1e-3)


@pytest.mark.physics
@pytest.mark.parametrize(
    ("candidate", "options", "expected"),
    [
        (LI13, {"count_anions": False}, 56.261),
        (LI13, {}, 83.089),
        (SIX, {}, 102.346),
        (SIX, {"species": "oxidation_state"}, 106.745),
    ],
)
def test_oxyfluorides_at_1473_k(
    candidate: Candidate, options: dict[str, object], expected: float
) -> None:
    assert at_1473(candidate, **options) == pytest.approx(expected, abs=1e-3)


@pytest.mark.physics
def test_published_values_of_plain_sublattices() -> None:
    half = {"Li": 0.5, "A": 0.25, "B": 0.25}
    assert mixing_entropy([(2, half), (2, {"O": 1})], 4) * 1473 * MEV == pytest.approx(
        65.988, abs=1e-3
    )
    layered = [(1, {"Li": 1}), (1, {"Co": 1}), (2, {"O": 1})]
    assert mixing_entropy(layered, 4) == 0
    five = dict.fromkeys(("Mg", "Co", "Ni", "Cu", "Zn"), F("0.2"))
    entropy = mixing_entropy([(1, five), (1, {"O": 1})], 2)
    assert entropy * 2 / KB_EV_PER_K == pytest.approx(log(5), abs=1e-12)
    assert entropy * 1473 * MEV == pytest.approx(102.146, abs=1e-3)


@pytest.mark.physics
def test_counting_the_arrangements_of_a_small_cell_is_too_small() -> None:
    # 20 cations of Li1.2Mn0.4Ti0.4: 12 Li, 4 Mn, 4 Ti.
    arrangements = factorial(20) // (factorial(12) * factorial(4) * factorial(4))
    per_site = candidate_entropy(LI12).entropy_per_formula_unit / KB_EV_PER_K / 2
    assert log(arrangements) / 20 / per_site == pytest.approx(0.84, abs=0.005)


@pytest.mark.physics
def test_metals_without_lithium_is_the_forbidden_variant_and_not_ours() -> None:
    metals = {"Mn": F("0.4") / F("0.7"), "Ti": F("0.3") / F("0.7")}
    forbidden = mixing_entropy([(F("0.7"), metals)], 4) * 1473 * MEV
    assert forbidden == pytest.approx(15.170, abs=1e-3)
    assert at_1473(LI13, count_anions=False) == pytest.approx(56.261, abs=1e-3)


@pytest.mark.physics
@pytest.mark.parametrize(
    ("formula", "kb_per_formula_unit", "at_1000_k", "at_1473_k", "published"),
    [
        ("Na3Zr2Si2PO12", 4.15888, 17.919, 26.395, 18.231),
        ("NaZr2(PO4)3", 2.24934, 10.769, 15.862, 3.231),
        ("Na3HfZrSi2PO12", 5.54518, 23.892, 35.193, 25.258),
    ],
)
def test_nasicon_entropies(
    formula: str,
    kb_per_formula_unit: float,
    at_1000_k: float,
    at_1473_k: float,
    published: float,
) -> None:
    entropy = nasicon_mixing_entropy(formula)
    atoms = 17 + (1 if formula.startswith("NaZr") else 3)
    assert entropy * atoms / KB_EV_PER_K == pytest.approx(kb_per_formula_unit, abs=1e-5)
    assert entropy * 1000 * MEV == pytest.approx(at_1000_k, abs=1e-3)
    assert entropy * 1473 * MEV == pytest.approx(at_1473_k, abs=1e-3)
    other = nasicon_mixing_entropy(formula, convention="ouyang2021")
    assert other * 1000 * MEV == pytest.approx(published, abs=1e-3)


@pytest.mark.physics
def test_published_nasicon_entropies(shared_data: Path) -> None:
    path = shared_data / "nasicon_2021" / "published_entropy.csv"
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert len(rows) == 300
    worst = max(
        abs(
            nasicon_mixing_entropy(row["formula"], "ouyang2021") * 1000 * MEV
            - float(row["s_ideal_times_1000K_meV_per_atom"])
        )
        for row in rows
    )
    assert worst <= 0.05 + 1e-9


@pytest.mark.parametrize("convention", list(EntropyConvention))
def test_candidate_and_formula_agree(convention: EntropyConvention) -> None:
    candidate = nasicon("3", {"Zr4+": F(1), "Hf4+": F(1)}, {"Si4+": F(2), "P5+": F(1)})
    result = candidate_entropy(candidate, EntropyOptions(convention=convention))
    assert result.entropy == pytest.approx(
        nasicon_mixing_entropy("Na3HfZrSi2PO12", convention), rel=1e-12
    )
    atoms = 20 if convention is EntropyConvention.TEXTBOOK else 17
    assert result.atoms_per_formula_unit == atoms
    assert result.options.convention is convention


def test_empty_sodium_sublattice_has_no_entropy() -> None:
    candidate = nasicon("0", {"Zr4+": F(2)}, {"P5+": F(2), "S6+": F(1)})
    for convention in EntropyConvention:
        sodium = candidate_entropy(
            candidate, EntropyOptions(convention=convention)
        ).terms[0]
        assert sodium.sublattice == "alkali"
        assert sodium.entropy_per_formula_unit == 0


def test_terms_add_up_and_uncounted_ones_stay_visible() -> None:
    result = candidate_entropy(LI13, EntropyOptions(count_anions=False))
    by_name = {term.sublattice: term for term in result.terms}
    assert not by_name["anion"].counted
    assert by_name["anion"].entropy_per_formula_unit > 0
    assert result.entropy_per_formula_unit == by_name["cation"].entropy_per_formula_unit
    assert by_name["cation"].fractions["Li"] == F(13, 20)
    assert result.entropy == result.entropy_per_formula_unit / 4


def test_species_are_told_apart_by_the_option() -> None:
    by_element = candidate_entropy(SIX).terms[0].fractions
    by_state = (
        candidate_entropy(SIX, EntropyOptions(species=SpeciesBasis.OXIDATION_STATE))
        .terms[0]
        .fractions
    )
    assert by_element["Mn"] == F(1, 10)
    assert by_state["Mn2+"] == by_state["Mn3+"] == F(1, 20)


def test_entropy_document_survives_storage() -> None:
    result = candidate_entropy(SIX)
    assert type(result).model_validate(result.model_dump(mode="json")) == result


def test_site_resolved_sodium() -> None:
    assert nasicon_mixing_entropy("NaZr2(PO4)3", sodium_on_6b=1) == 0
    three = nasicon_mixing_entropy("Na3Zr2Si2PO12", sodium_on_6b=1)
    by_hand = mixing_entropy(
        [
            (3, {"Si": F(2, 3), "P": F(1, 3)}),
            (3, {"Na": F(2, 3), "Vac": F(1, 3)}),
        ],
        20,
    )
    assert three == pytest.approx(by_hand, rel=1e-12)
    even = nasicon_mixing_entropy("NaZr2(PO4)3", sodium_on_6b=F(1, 4))
    assert even == pytest.approx(nasicon_mixing_entropy("NaZr2(PO4)3"), rel=1e-12)


RESOLVED = EntropyOptions(sodium_sites=SodiumSites.RESOLVED)
NZP = nasicon("1", {"Zr4+": F(2)}, {"P5+": F(3)})
NZSP = nasicon("3", {"Zr4+": F(2)}, {"Si4+": F(2), "P5+": F(1)})


@pytest.mark.physics
def test_sodium_ordered_on_6b_has_no_entropy() -> None:
    occupancies = {"6b": {"Na": 6}, "18e": {"Vac": 18}, "12c": {"Zr": 12}}
    ordered = candidate_entropy(NZP, RESOLVED, site_occupancies=occupancies)
    assert ordered.entropy == 0
    assert [term.sublattice for term in ordered.terms] == [
        "alkali 6b",
        "alkali 18e",
        "metal",
        "polyanion",
        "oxygen",
    ]
    together = candidate_entropy(NZP, site_occupancies=occupancies)
    assert together.entropy * 1000 * MEV == pytest.approx(10.769, abs=1e-3)


def test_resolved_occupancies_are_means_of_cells() -> None:
    found = candidate_entropy(
        NZSP,
        RESOLVED,
        # Two sites labelled 18e in the cell: the polyanion's are passed over.
        site_occupancies={
            "6b": {"Na": 1.5, "Vac": 0.5},
            "18e": {"Na": 4.5, "Vac": 1.5, "Si": 4, "P": 2},
        },
    )
    even = candidate_entropy(NZSP)
    assert found.entropy == pytest.approx(even.entropy, rel=1e-12)
    full = candidate_entropy(
        NZSP,
        RESOLVED,
        site_occupancies={"6b": {"Na": 2}, "18e": {"Na": 4, "Vac": 2}},
    )
    assert full.entropy == pytest.approx(
        nasicon_mixing_entropy("Na3Zr2Si2PO12", sodium_on_6b=1), rel=1e-12
    )
    thirds = {"6b": {"Na": 0.666667, "Vac": 0.333333}, "18e": {"Na": 7, "Vac": 2}}
    assert candidate_entropy(NZSP, RESOLVED, site_occupancies=thirds).entropy > 0


def test_resolved_sodium_needs_occupancies_that_fit() -> None:
    with pytest.raises(
        CompositionError, match=r"needs the occupancies of 6b; got none"
    ):
        candidate_entropy(NZP, RESOLVED)
    with pytest.raises(CompositionError, match=r"18e; got \['6b'\]"):
        candidate_entropy(NZP, RESOLVED, site_occupancies={"6b": {"Na": 1}})
    with pytest.raises(CompositionError, match=r"hold 4 Na\+ per formula unit"):
        candidate_entropy(
            NZP, RESOLVED, site_occupancies={"6b": {"Na": 1}, "18e": {"Na": 3}}
        )
    with pytest.raises(ConfigurationError, match="NASICON only"):
        candidate_entropy(LI12, RESOLVED, site_occupancies={})
    published = EntropyOptions(convention=EntropyConvention.OUYANG2021)
    with pytest.raises(ConfigurationError, match="NASICON only"):
        candidate_entropy(LI12, published)
    with pytest.raises(ValidationError, match="textbook convention only"):
        EntropyOptions(
            convention=EntropyConvention.OUYANG2021, sodium_sites=SodiumSites.RESOLVED
        )


def test_entropy_belongs_to_what_the_cell_holds() -> None:
    held = {
        "cation": {"Li+": F("1.25"), "Mn3+": F("0.25"), "Ti4+": F("0.5")},
        "anion": {"O2-": F(2)},
    }
    found = candidate_entropy(LI12, assignment=held)
    by_hand = mixing_entropy(
        [(2, {"Li": F(5, 8), "Mn": F(1, 8), "Ti": F(1, 4)}), (2, {"O": 1})], 4
    )
    assert found.entropy == pytest.approx(by_hand, rel=1e-12)
    less_sodium = {
        **NZP.assignment,
        "alkali": {"Na+": F(1, 2), "Vac": F(7, 2)},
        "polyanion": {"P5+": F(5, 2), "S6+": F(1, 2)},
    }
    assert candidate_entropy(NZP, assignment=less_sodium).atoms_per_formula_unit == (
        F(35, 2)
    )


@pytest.mark.parametrize(
    "multiple", ["Na3Zr2Si2PO12", "Na6Zr4Si4P2O24", "Na6Zr4(SiO4)4(PO4)2"]
)
def test_nasicon_in_any_multiple(multiple: str) -> None:
    assert nasicon_mixing_entropy(multiple) == nasicon_mixing_entropy("Na3Zr2Si2PO12")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mixing_entropy([(2, {"Li": 0.5})], 4), "add up to one"),
        (lambda: mixing_entropy([(2, {"Li": 1.5, "A": -0.5})], 4), "negative"),
        (lambda: mixing_entropy([(-2, {"Li": 1})], 4), "sites"),
        (lambda: mixing_entropy([(2, {})], 4), "add up to one"),
        (lambda: mixing_entropy([(2, {"Li": float("nan")})], 4), "add up to one"),
        (lambda: mixing_entropy([(2, {"Li": 1})], 0), "atoms"),
        (lambda: nasicon_mixing_entropy("LiCoO2"), "not a NASICON"),
        (lambda: nasicon_mixing_entropy("NaCl"), "no oxygen"),
        (lambda: nasicon_mixing_entropy("Na5Zr2Si3O12"), "do not fit"),
        (lambda: nasicon_mixing_entropy("NaZr2(PO4)3", "other"), "textbook"),
        (
            lambda: nasicon_mixing_entropy("NaZr2(PO4)3", "ouyang2021", sodium_on_6b=1),
            "textbook",
        ),
        (lambda: nasicon_mixing_entropy("Na3Zr2Si2PO12", sodium_on_6b=2), "6b"),
    ],
)
def test_bad_input_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@given(
    st.lists(st.integers(0, 10), min_size=1, max_size=6).filter(any),
    st.integers(1, 12),
)
def test_entropy_is_bounded_and_symmetric(parts: list[int], sites: int) -> None:
    total = sum(parts)
    fractions = {f"X{i}": F(part, total) for i, part in enumerate(parts)}
    backwards = dict(reversed(fractions.items()))
    entropy = mixing_entropy([(sites, fractions)], sites)
    assert -1e-18 <= entropy <= KB_EV_PER_K * log(len(parts)) + 1e-15
    assert entropy == pytest.approx(mixing_entropy([(sites, backwards)], sites))
