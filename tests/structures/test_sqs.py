from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hts_battery.errors import OrderingError
from hts_battery.structures.cells import build_cell, compact_supercell
from hts_battery.structures.correlations import correlation_errors, objective
from hts_battery.structures.decoration import canonical_decoration, occupation_of
from hts_battery.structures.ordering import random_decoration
from hts_battery.structures.sqs import generate_sqs, sublattice_seed

CELL = build_cell("rocksalt", compact_supercell("rocksalt", 20))
OXYFLUORIDE = {
    "cation": {"Li+": 13, "Mn3+": 4, "Ti4+": 3},
    "anion": {"O2-": 17, "F-": 3},
}


@pytest.mark.physics
def test_a_quasirandom_cell_has_the_pairs_of_a_random_alloy() -> None:
    result = generate_sqs(CELL, OXYFLUORIDE, iterations=50_000, seed=0)
    # Whole numbers of pairs on 20 sites cannot match the random alloy exactly: what
    # is left is a few percent of the pairs of the first shell.
    assert result.correlation_errors["cation/cation"][0] < 0.04
    assert result.correlation_errors["anion/anion"][0] < 0.02
    assert result.correlation_errors["anion/cation"][0] < 0.02
    shuffled = [
        objective(
            correlation_errors(CELL, random_decoration(CELL, OXYFLUORIDE, seed=seed))
        )
        for seed in range(20)
    ]
    assert result.objective < min(shuffled)
    assert result.objective < 0.65 * sum(shuffled) / len(shuffled)


@pytest.mark.physics
def test_larger_cells_come_nearer_to_random() -> None:
    scores = []
    for cells in (20, 40, 100):
        cell = build_cell("rocksalt", compact_supercell("rocksalt", cells))
        counts = {
            name: {s: n * cells // 20 for s, n in occupation.items()}
            for name, occupation in OXYFLUORIDE.items()
        }
        scores.append(generate_sqs(cell, counts, iterations=20_000, seed=1).objective)
    assert scores == sorted(scores, reverse=True)


@pytest.mark.physics
def test_an_equiatomic_alloy_can_be_random_exactly_in_its_first_shells() -> None:
    # Zunger's definition: pair correlations of the near shells equal to the random.
    cell = build_cell("rocksalt", compact_supercell("rocksalt", 16))
    counts = {"cation": {"Li+": 8, "Co3+": 8}, "anion": {"O2-": 16}}
    result = generate_sqs(cell, counts, iterations=20_000, seed=0)
    errors = result.correlation_errors["cation/cation"]
    assert max(errors[:2]) < 0.05
    assert list(result.correlation_errors) == ["cation/cation"]


def test_the_result_is_canonical_and_has_its_own_scores() -> None:
    result = generate_sqs(CELL, OXYFLUORIDE, iterations=2000, seed=3)
    assert result.decoration == canonical_decoration(CELL, result.decoration)
    assert result.correlation_errors == correlation_errors(CELL, result.decoration)
    assert result.objective == objective(result.correlation_errors)
    assert result.generator.startswith("sqsgenerator 0.5")
    assert occupation_of(CELL, result.decoration) == OXYFLUORIDE


def test_two_valences_of_one_element_are_two_species() -> None:
    counts = {"cation": {"Mn2+": 10, "Mn4+": 10}, "anion": {"O2-": 20}}
    result = generate_sqs(CELL, counts, iterations=5000, seed=0)
    assert occupation_of(CELL, result.decoration) == counts
    assert result.correlation_errors["cation/cation"][0] < 0.06


def test_more_iterations_never_do_much_worse() -> None:
    few = generate_sqs(CELL, OXYFLUORIDE, iterations=200, seed=0).objective
    many = generate_sqs(CELL, OXYFLUORIDE, iterations=100_000, seed=0).objective
    assert many <= few


def test_sites_and_species_must_agree() -> None:
    with pytest.raises(OrderingError, match="anion has 20 sites in the cell, 0 are"):
        generate_sqs(CELL, {"cation": {"Li+": 3}}, iterations=10, seed=0)


def test_seeds_of_sublattices_differ_and_stay() -> None:
    assert sublattice_seed(0, "cation") == 1556848490
    assert sublattice_seed(0, "anion") != sublattice_seed(1, "anion")


@settings(max_examples=15, deadline=None)
@given(
    lithium=st.integers(1, 19), fluorine=st.integers(0, 20), seed=st.integers(0, 2**31)
)
def test_every_mixture_is_ordered(lithium: int, fluorine: int, seed: int) -> None:
    counts = {
        "cation": {"Li+": lithium, "Mn3+": 20 - lithium},
        "anion": {s: n for s, n in {"O2-": 20 - fluorine, "F-": fluorine}.items() if n},
    }
    result = generate_sqs(CELL, counts, iterations=100, seed=seed)
    assert occupation_of(CELL, result.decoration) == counts
    assert 0 <= result.objective < 3
