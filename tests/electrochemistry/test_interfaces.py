"""Interfaces against published numbers and pymatgen."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pymatgen.analysis.interface_reactions import (
    GrandPotentialInterfacialReactivity,
    InterfacialReactivity,
)
from pymatgen.analysis.phase_diagram import (
    GrandPotentialPhaseDiagram,
    PDEntry,
    PhaseDiagram,
)
from pymatgen.core import Composition, Element

from hts_battery.electrochemistry import interface_reaction
from hts_battery.errors import MissingReferenceError
from hts_battery.thermo import Hull

if TYPE_CHECKING:
    from collections.abc import Sequence

NASICON = "Na3Zr2Si2PO12"


@pytest.mark.physics
@pytest.mark.parametrize(
    ("formula", "electrode", "mutual", "fraction"),
    [
        ("Li3PO4", "Li", -178.00, 0.6154),
        ("LiTi2(PO4)3", "LiCoO2", -83.92, 0.3103),
        ("LiTi2(PO4)3", "Li", -591.06, 0.7059),
        (NASICON, "Na", -162.47, 0.8000),
        (NASICON, "NaCoO2", -24.56, 0.5556),
    ],
)
def test_interfaces_of_the_frozen_library(
    library: Hull, formula: str, electrode: str, mutual: float, fraction: float
) -> None:
    """Computed elsewhere on these energies, meV/atom."""
    found = interface_reaction(library, formula, electrode)
    assert found.mutual is not None
    assert 1000 * found.mutual == pytest.approx(mutual, abs=6e-3)
    assert found.fraction == pytest.approx(fraction, abs=6e-5)
    assert found.total == pytest.approx(found.mutual, abs=1e-9)
    assert found.total_fraction == pytest.approx(found.fraction, abs=1e-9)
    assert found.unit == "eV/atom"


@pytest.mark.physics
def test_total_and_mutual_at_a_voltage(library: Hull) -> None:
    found = interface_reaction(
        library, "LiTi2(PO4)3", "LiCoO2", carrier="Li", voltage=3.5
    )
    assert found.total == pytest.approx(-0.115086, abs=6e-7)
    assert found.mutual == pytest.approx(-0.081188, abs=6e-7)
    assert found.total_fraction == pytest.approx(3 / 7)
    assert found.fraction == pytest.approx(9 / 13)
    assert found.unit == "eV/atom without Li"
    assert found.reaction is not None
    assert found.reaction.equation == (
        "LiTi2(PO4)3 + 2 LiCoO2 + 2 Li -> 2 LiCoPO4 + Li3PO4 + 2 TiO2"
    )
    assert found.products == {"LiCoPO4": 2.0, "Li3PO4": 1.0, "TiO2": 2.0}


def test_what_does_not_react_says_so(library: Hull) -> None:
    found = interface_reaction(library, "Li2O", "Li")
    assert (found.mutual, found.total) == (0.0, 0.0)
    assert (found.fraction, found.reaction, found.products) == (None, None, {})
    same = interface_reaction(library, "LiCoO2", "LiCoO2")
    assert (same.mutual, same.fraction) == (0.0, None)


def test_an_own_energy_enters_the_total_only(library: Hull) -> None:
    above = float(library.lower_energies("Li3PO4")) + 0.05
    found = interface_reaction(library, "Li3PO4", "Li", energies_per_atom=above)
    at_hull = interface_reaction(library, "Li3PO4", "Li")
    assert at_hull.mutual is not None
    assert at_hull.fraction is not None
    assert found.mutual == pytest.approx(at_hull.mutual)
    assert found.total == pytest.approx(at_hull.mutual - 0.05 * at_hull.fraction)
    # Far above the hull it decomposes alone rather than with a partner that is inert.
    alone = interface_reaction(library, "Li3PO4", "Li2O", energies_per_atom=above)
    assert (alone.mutual, alone.fraction) == (0.0, None)
    assert alone.total == pytest.approx(-0.05)
    assert alone.total_fraction == 1.0
    same = interface_reaction(library, "Li3PO4", "Li3PO4", energies_per_atom=above)
    assert same.total == pytest.approx(-0.05)


def test_a_batch_answers_as_one_by_one(library: Hull) -> None:
    formulas = ["Li3PO4", "Kr", "LiTi2(PO4)3", "Li"]
    batch = interface_reaction(library, formulas, "LiCoO2", carrier="Li", voltage=2.0)
    assert len(batch) == 4
    assert np.isnan(batch.mutual).tolist() == [False, True, False, True]
    assert batch.reasons[1] is not None
    assert batch.reasons[1].startswith("no reference phase for Kr")
    assert batch.reasons[3] == (
        "Li is the open carrier: at a voltage nothing else is there"
    )
    one = interface_reaction(
        library, "LiTi2(PO4)3", "LiCoO2", carrier="Li", voltage=2.0
    )
    assert batch[2].mutual == pytest.approx(one.mutual)
    assert batch[2].reaction == one.reaction
    assert batch.products[2] == one.products
    assert [r.formula for r in batch] == formulas
    assert len(interface_reaction(library, [], "Li")) == 0
    with pytest.raises(IndexError, match="reaction 4 of 4"):
        batch[4]


def test_bad_input_is_refused_in_one_line(library: Hull) -> None:
    with pytest.raises(ValueError, match=r"a voltage of 3\.0 V: say of which carrier"):
        interface_reaction(library, "Li3PO4", "LiCoO2", voltage=3.0)
    with pytest.raises(ValueError, match="the electrode Li is the open carrier"):
        interface_reaction(library, "Li3PO4", "Li", carrier="Li", voltage=1.0)
    with pytest.raises(ValueError, match="below 0 V"):
        interface_reaction(library, "Li3PO4", "LiCoO2", carrier="Li", voltage=-1.0)
    with pytest.raises(MissingReferenceError, match="Kr"):
        interface_reaction(library, "Li3PO4", "Kr")
    with pytest.raises(MissingReferenceError, match="Kr"):
        interface_reaction(library, "KrO2", "Li")
    with pytest.raises(ValueError, match="Li is the open carrier"):
        interface_reaction(library, "Li", "LiCoO2", carrier="Li", voltage=1.0)


def diagram(hull: Hull, formulas: Sequence[str]) -> PhaseDiagram:
    inside = {el for formula in formulas for el in Composition(formula)}
    return PhaseDiagram(
        [
            PDEntry(Composition(f), e * Composition(f).num_atoms)
            for f, e in zip(hull.formulas, hull.energies_per_atom, strict=True)
            if inside.issuperset(Composition(f))
        ]
    )


def drawn(count: int, system: Sequence[str], seed: int) -> list[str]:
    draw = random.Random(seed)  # noqa: S311 - a drawing, not a secret
    return [
        "".join(f"{el}{draw.randint(1, 6)}" for el in system if draw.random() < 0.8)
        + f"{system[-1]}1"
        for _ in range(count)
    ]


def test_equal_to_pymatgen(library: Hull) -> None:
    """Energies of both kinds and the fraction, where the minimum is one point."""
    electrode = "LiCoO2"
    system = ("Li", "P", "Ti", "Co", "O")
    peer = diagram(library, ["".join(system)])
    first = Composition(electrode)
    for formula in drawn(60, system, seed=3):
        found = interface_reaction(library, formula, electrode)
        theirs = InterfacialReactivity(
            Composition(formula), first, peer, use_hull_energy=True
        )
        fraction, energy = theirs.minimum
        assert found.mutual == pytest.approx(energy, abs=1e-8)
        if energy < -1e-6:
            assert found.fraction == pytest.approx(fraction, abs=1e-6)


def test_equal_to_pymatgen_at_a_voltage(library: Hull) -> None:
    electrode, voltage = "LiCoO2", 3.1
    system = ("Li", "P", "Ti", "Co", "O")
    peer = diagram(library, ["".join(system)])
    metal = peer.el_refs[Element("Li")].energy_per_atom
    grand = GrandPotentialPhaseDiagram(
        peer.all_entries, {Element("Li"): metal - voltage}
    )
    for formula in drawn(30, system, seed=4):
        found = interface_reaction(
            library, formula, electrode, carrier="Li", voltage=voltage
        )
        for include, ours in ((False, found.mutual), (True, found.total)):
            theirs = GrandPotentialInterfacialReactivity(
                Composition(formula),
                Composition(electrode),
                grand,
                pd_non_grand=peer,
                include_no_mixing_energy=include,
            )
            assert ours == pytest.approx(theirs.minimum[1], abs=1e-8)


@given(st.floats(0.01, 3.0), st.floats(0.01, 3.0))
def test_a_reaction_by_hand(oxide: float, phosphide: float) -> None:
    """Two possible products: the best of either and both, each at its own ratio."""
    hull = Hull(["Li", "P", "O2", "Li2O", "Li3P"], [0.0, 0.0, 0.0, -oxide, -phosphide])
    found = interface_reaction(hull, "PO", "Li")
    assert found.mutual is not None
    ways = {
        2: -3 * oxide / 4,  # PO + 2 Li -> P + Li2O
        3: -4 * phosphide / 5,  # PO + 3 Li -> O + Li3P
        5: -(3 * oxide + 4 * phosphide) / 7,
    }
    assert found.mutual == pytest.approx(min(ways.values()))
    lithium = min(ways, key=ways.__getitem__)
    assume(sorted(ways.values())[1] > found.mutual + 1e-6)
    assert found.fraction == pytest.approx(2 / (2 + lithium))
