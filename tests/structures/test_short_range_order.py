"""Short-range order from lists of pairs: known orders, and dense tables' numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hts_battery.disorder.cells import lattice_cell
from hts_battery.disorder.order_parameters import warren_cowley
from hts_battery.structures.cells import build_cell
from hts_battery.structures.correlations import occupations, pair_shells
from hts_battery.structures.descriptors import cation_tetrahedra
from hts_battery.structures.short_range_order import (
    cation_pairs,
    lithium_order,
    short_range_order,
)

DOUBLED = ((2, 0, 0), (0, 2, 0), (0, 0, 2))


@pytest.mark.physics
def test_layers_along_111_are_known() -> None:
    cell = build_cell("rocksalt", ((1, 0, 0), (0, 1, 0), (0, 0, 2)))
    names = ["Li+", "Co3+", "O2-", "O2-"]
    metals, fluorine = lithium_order(cell, names)
    assert (metals, fluorine) == ([0.0, -1.0], None)
    shells = short_range_order(cell, names)["cation/cation"]
    # Four shells of alpha-NaFeO2: 6 of 12, 6 of 6, 12 of 24, none of 12 unlike.
    assert [one["Co3+/Li+"] for one in shells[:4]] == pytest.approx([0, -1, 0, 1])
    found = cation_tetrahedra("rocksalt", cell.supercell)
    assert found is not None
    counts = np.isin(np.array(names), "Li+")[found.sites].sum(axis=1)
    shares = np.bincount(counts, minlength=5) / len(counts)
    assert shares.tolist() == [0, 0.5, 0, 0.5, 0]


@pytest.mark.physics
def test_gamma_lifeo2_is_known() -> None:
    # I4_1/amd: chains of two: each tetrahedron holds two Li and two Fe.
    structure = lattice_cell(
        "gamma_lifeo2", {"cation": {"Li": 0.5, "Fe": 0.5}, "anion": {"O": 1}}, 2
    )
    found = warren_cowley(structure)["Li", "Fe"]
    assert found == pytest.approx([-1 / 3, 1 / 3, 1 / 3, -1 / 3])


def test_li_and_f_are_counted_over_contacts() -> None:
    cell = build_cell("rocksalt", DOUBLED)
    draw = np.random.default_rng(3)
    kinds = {"cation": ["Li+", "Mn3+"], "anion": ["O2-", "F-"]}
    names = [str(draw.choice(kinds[name])) for name in cell.sublattices]
    lithium, fluorine = (np.array(names) == one for one in ("Li+", "F-"))
    rows, columns = cation_pairs(cell.prototype, cell.supercell).contacts
    assert len(rows) == 6 * 8
    joined = np.mean(lithium[rows] & fluorine[columns])
    share = 4 * lithium.mean() * fluorine.mean()
    assert lithium_order(cell, names)[1] == pytest.approx(1 - joined / share)


@pytest.mark.parametrize("names", [["Li+"], ["Mn3+"]])
def test_one_cation_alone_has_no_order(names: list[str]) -> None:
    cell = build_cell("rocksalt", ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
    assert lithium_order(cell, [*names, "F-"])[0] == [None, None]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), prototype=st.sampled_from(["rocksalt", "layered"]))
def test_lists_of_pairs_say_what_whole_tables_say(seed: int, prototype: str) -> None:
    cell = build_cell(prototype, DOUBLED)
    draw = np.random.default_rng(seed)
    kinds = dict.fromkeys(set(cell.sublattices), ("Li+", "Mn3+", "Ti4+"))
    names = [str(draw.choice(kinds[name])) for name in cell.sublattices]
    found = short_range_order(cell, names)
    texts = np.array(names)
    for shells in pair_shells(cell.prototype, cell.supercell):
        rows = texts[cell.sites[shells.first]]
        columns = texts[cell.sites[shells.second]]
        a, b = occupations(list(rows)), occupations(list(columns))
        if a.shape[1] == b.shape[1] == 1:
            continue
        paired = np.einsum("ia,sij,jb->sab", a, shells.counts, b)
        paired /= shells.counts.sum(axis=(1, 2)).reshape(-1, 1, 1)
        alpha = 1 - paired / np.outer(a.mean(axis=0), b.mean(axis=0))
        now = found[f"{shells.first}/{shells.second}"]
        for shell, table in zip(now, alpha, strict=True):
            for pair, value in shell.items():
                first, second = pair.split("/")
                place = (
                    sorted(set(rows)).index(first),
                    sorted(set(columns)).index(second),
                )
                assert value == pytest.approx(table[place], abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_li_and_all_others_are_the_mean_of_the_pairs(seed: int) -> None:
    cell = build_cell("rocksalt", DOUBLED)
    draw = np.random.default_rng(seed)
    kinds = {"cation": ["Li+", "Mn3+", "Ti4+"], "anion": ["O2-", "F-"]}
    names = [str(draw.choice(kinds[name])) for name in cell.sublattices]
    metals, _ = lithium_order(cell, names)
    if None in metals:
        return
    shells = short_range_order(cell, names)["cation/cation"]
    cations = [names[site] for site in cell.sites["cation"]]
    shares = {one: cations.count(one) for one in set(cations) - {"Li+"}}
    for value, shell in zip(metals, shells, strict=False):
        mean = sum(n * shell[f"Li+/{one}"] for one, n in shares.items())
        assert value == pytest.approx(mean / sum(shares.values()), abs=1e-12)
