from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hts_battery.errors import OrderingError
from hts_battery.structures import sqs
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


def test_one_thread_and_one_seed_a_sublattice() -> None:
    settings = sqs._configuration(CELL, OXYFLUORIDE, iterations=10, seed=7)  # noqa: SLF001 - what the other program is told
    assert settings["thread_config"] == 1
    assert settings["seed"] == [
        sublattice_seed(7, "cation"),
        sublattice_seed(7, "anion"),
    ]


def test_of_equal_objectives_the_smallest_decoration_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shuffles = [random_decoration(CELL, OXYFLUORIDE, seed=seed) for seed in range(4)]
    canonical = sorted(canonical_decoration(CELL, s) for s in shuffles)
    for order in (shuffles, shuffles[::-1]):
        monkeypatch.setattr(sqs, "_refined", lambda *_, order=order: list(order))
        result = generate_sqs(CELL, OXYFLUORIDE, iterations=10, seed=0)
        assert result.decoration == canonical[0]


PROGRAM = """
from hts_battery.structures.cells import build_cell, compact_supercell
from hts_battery.structures.electrostatic import lowest_electrostatic
from hts_battery.structures.sqs import generate_sqs
cell = build_cell("rocksalt", compact_supercell("rocksalt", 20))
counts = {"cation": {"Li+": 13, "Mn3+": 4, "Ti4+": 3}, "anion": {"O2-": 17, "F-": 3}}
print(generate_sqs(cell, counts, iterations=20_000, seed=5))
print(lowest_electrostatic(cell, counts, iterations=20_000, seed=5))
"""


def test_other_processes_threads_and_hashes_give_the_same_cells() -> None:
    printed = [
        subprocess.run(  # noqa: S603 - this interpreter and a text that stands above
            [sys.executable, "-c", PROGRAM],
            env=os.environ | {"PYTHONHASHSEED": threads, "OMP_NUM_THREADS": threads},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for threads in ("1", "2")
    ]
    assert printed[0] == printed[1]
    assert "Mn3+" in printed[0]


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


def test_shells_of_unlike_sites_are_searched_in_silence(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The sodium sites of NASICON differ in neighbours; nobody is warned of it."""
    cell = build_cell("nasicon", ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
    generate_sqs(
        cell,
        {
            "alkali": {"Na+": 6, "Vac": 2},
            "metal": {"Zr4+": 4},
            "polyanion": {"Si4+": 4, "P5+": 2},
            "oxygen": {"O2-": 24},
        },
        iterations=1000,
        seed=0,
    )
    assert capfd.readouterr().err == ""
