"""Hops by topology: how many there are, through what, and which are equal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from hts_battery.errors import HopError, OrderingError
from hts_battery.structures.neighbours import nearest_image
from hts_battery.structures.site_labels import nasicon_sites
from hts_battery.transport.barriers import hop_start
from hts_battery.transport.hops import (
    chosen_hops,
    hops_of,
    nasicon_hops,
    rocksalt_hops,
)

if TYPE_CHECKING:
    from hts_battery.transport.hops import Hop

_CATIONS = [
    (x, y, z)
    for x in range(4)
    for y in range(4)
    for z in range(4)
    if (x + y + z) % 2 == 0
]
_SPINEL = {
    tuple((np.array(one) + shift) % 4)
    for one in ((2, 2, 2), (1, 3, 0), (3, 0, 1), (0, 1, 3))
    for shift in ((0, 0, 0), (0, 2, 2), (2, 0, 2), (2, 2, 0))
}


def is_lithium(order: str, place: tuple[int, int, int]) -> bool:
    x, _, z = place
    if order == "spinel-like":
        return place not in _SPINEL
    if order == "layered":
        return sum(place) // 2 % 2 == 0
    return (-1) ** x * [1, -1, -1, 1][z] == 1


def lithium_titanate(order: str) -> Structure:
    """LiTiO2, 64 atoms, a = 4.14 Å."""
    anions = [
        (x, y, z)
        for x in range(4)
        for y in range(4)
        for z in range(4)
        if (x + y + z) % 2
    ]
    symbols = ["Li" if is_lithium(order, p) else "Ti" for p in _CATIONS]
    places = np.array(_CATIONS + anions) / 4
    return Structure(Lattice.cubic(8.28), symbols + ["O"] * 32, places)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        # Every tetrahedron of gamma-LiFeO2 has two of each; the spinel-like order has
        # those of one kind and of three with one; the layered three with one.
        ("spinel-like", {0: 48, 2: 48}),
        ("layered", {1: 96}),
        ("gamma-LiFeO2", {2: 64}),
    ],
)
def test_tetrahedra_of_the_three_orders(order: str, expected: dict[int, int]) -> None:
    hops = rocksalt_hops(lithium_titanate(order))
    assert {hop.metals: hop.equal for hop in hops} == expected
    for hop in hops:
        assert hop.length == pytest.approx(8.28 / 2 / np.sqrt(2))
        (move,) = hop.moves
        # Through the middle of a tetrahedron, at √3/4 of an edge of the cube of a/2.
        assert np.linalg.norm(move.via) == pytest.approx(8.28 / 8 * np.sqrt(3))


def test_a_relaxed_cell_has_the_same_hops_and_less_symmetry() -> None:
    cell = lithium_titanate("gamma-LiFeO2")
    cell.perturb(0.08, seed=1)
    hops = rocksalt_hops(cell)
    assert Counter(hop.label for hop in hops) == {"o-t-o 2-TM": 64}
    assert {hop.equal for hop in hops} == {1}


def test_a_turned_and_strained_cell_has_the_same_hops() -> None:
    cell = lithium_titanate("layered")
    cell.apply_strain([0.01, -0.02, 0.03])
    cell.make_supercell([[1, 1, 0], [0, 1, 0], [0, 0, 1]])
    assert sum(hop.equal for hop in rocksalt_hops(cell)) == 96


def test_room_is_made_for_a_hop() -> None:
    cell = lithium_titanate("layered")
    (hop,) = rocksalt_hops(cell)
    start, moves = hop_start(cell, hop)
    assert len(start) == 63
    (move,) = moves
    assert hop.vacancy is not None
    goal = start[move.atom].coords + move.end - cell[hop.vacancy].coords
    away = nearest_image(cell.lattice.get_fractional_coords(goal))
    assert np.abs(away).max() < 1e-9
    assert start[move.atom].specie.symbol == "Li"


def test_sodium_on_6b_has_six_equal_ways_out(nzp36: Structure) -> None:
    (hop,) = nasicon_hops(nzp36)
    assert (hop.label, hop.kind, hop.equal) == ("6b-18e", "single", 12)
    assert (hop.vacancy, hop.metals) == (None, None)
    assert np.linalg.norm(hop.moves[0].via) < hop.length


def test_concerted_hops_keep_as_many_of_each_site(nzsp40: Structure) -> None:
    hops = nasicon_hops(nzsp40)
    kinds = Counter()
    for hop in hops:
        kinds[hop.kind] += hop.equal
    # Two 6b ions, each with two empty and four taken 18e cavities around it.
    assert kinds == {"single": 4, "concerted": 16}
    before = labels(nzsp40)
    for hop in hops:
        after = nzsp40.copy()
        for move in hop.moves:
            after.translate_sites(
                [move.atom],
                nzsp40.lattice.get_fractional_coords(move.end),
            )
        moved = Counter(labels(after))
        assert (moved == Counter(before)) is (hop.kind == "concerted")


def labels(cell: Structure) -> list[str]:
    sites = nasicon_sites(cell)
    return [
        sites.labels[n] for n, site in enumerate(cell) if site.specie.symbol == "Na"
    ]


def test_hops_are_chosen_in_turn(nzsp40: Structure) -> None:
    hops = nasicon_hops(nzsp40)
    both = chosen_hops(hops, ("single", "concerted"), 2)
    assert {hop.kind for hop in both} == {"single", "concerted"}
    assert len(chosen_hops(hops, ("single",), 10)) == 2
    with pytest.raises(HopError, match="no hop is turned"):
        chosen_hops(hops, ("turned",), 3)


def test_what_has_no_hops_says_why(nzp36: Structure) -> None:
    with pytest.raises(HopError, match="no K ion has an empty cavity"):
        nasicon_hops(nzp36, carrier="K")
    caesium = Structure(Lattice.cubic(4.1), ["Cs", "Cl"], [[0, 0, 0], [0.5] * 3])
    with pytest.raises(HopError, match="not 12: no rock salt"):
        hops_of(caesium, carrier="Cs")
    with pytest.raises(HopError, match="not a NASICON"):
        hops_of(caesium, carrier="Cs")
    with pytest.raises(OrderingError):
        nasicon_hops(caesium)
    oxygen = Structure(Lattice.cubic(4.1), ["O"], [[0, 0, 0]])
    with pytest.raises(HopError, match="no cations"):
        rocksalt_hops(oxygen)
    alone = lithium_titanate("layered")
    alone.replace_species({"Li": "Ti"})
    with pytest.raises(HopError, match="nothing hops"):
        rocksalt_hops(alone)


def test_a_cell_about_the_tolerance_has_no_symmetry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was met after a relaxation of Na3Zr4SiP5O24: spglib found nothing at all."""

    def fails(*_: object) -> None:
        raise ValueError("Symmetry detection failed")

    monkeypatch.setattr(
        "hts_battery.transport.hops.SpacegroupAnalyzer.get_symmetry_operations", fails
    )
    hops = rocksalt_hops(lithium_titanate("layered"))
    assert len(hops) == 96
    assert {hop.equal for hop in hops} == {1}


def mean_length(hops: list[Hop]) -> float:
    return float(np.mean([hop.length for hop in hops]))


def test_lengths_follow_the_cell() -> None:
    cell = lithium_titanate("layered")
    small = rocksalt_hops(cell)
    cell.scale_lattice(cell.volume * 1.1**3)
    assert mean_length(rocksalt_hops(cell)) == pytest.approx(1.1 * mean_length(small))
