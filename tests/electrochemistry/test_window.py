"""Stability windows against published numbers, pymatgen, and what must hold."""

from __future__ import annotations

import random
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pymatgen.analysis.phase_diagram import (
    GrandPotentialPhaseDiagram,
    PDEntry,
    PhaseDiagram,
)
from pymatgen.core import Composition, Element

from hts_battery.electrochemistry import (
    OxygenGas,
    decomposition_energy,
    stability_window,
)
from hts_battery.electrochemistry.window import (
    AT_THE_METAL,
    BELOW_HULL,
    METASTABLE,
    PLATEAU,
    SECOND_ALKALI,
)
from hts_battery.errors import MissingReferenceError
from hts_battery.schemas.formula import atomic_fractions, parse_formula
from hts_battery.thermo import Hull

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOM = OxygenGas(298.15, 1.0)
NASICON = "Na3Zr2Si2PO12"


@pytest.mark.physics
@pytest.mark.parametrize(
    ("formula", "carrier", "reduction", "oxidation", "with_gas"),
    [
        ("Li2O", "Li", 0.0, 2.8433, 2.8433),  # to Li2O2, which frees no gas
        ("LiF", "Li", 0.0, 6.3040, 6.3040),
        ("Li3PO4", "Li", 0.4628, 4.6285, 4.4700),
        ("LiTi2(PO4)3", "Li", 2.2826, 4.1922, 4.0337),
        ("Li2ZrO3", "Li", 0.0365, 3.3555, 3.1970),
        ("LiCoO2", "Li", 1.8241, 3.0803, 3.0803),
        ("Na3PO4", "Na", 0.0, 4.0684, 3.9099),
        ("NaZr2(PO4)3", "Na", 1.2875, 4.7448, 4.5863),
        (NASICON, "Na", 1.1083, 3.3643, 3.2058),
    ],
)
def test_windows_of_the_frozen_library(
    library: Hull,
    formula: str,
    carrier: str,
    reduction: float,
    oxidation: float,
    with_gas: float,
) -> None:
    """Computed elsewhere on these energies; with O2 at 298.15 K 0.1585 V lower."""
    window = stability_window(library, formula, carrier=carrier)
    assert window.reduction == pytest.approx(reduction, abs=6e-5)
    assert window.oxidation == pytest.approx(oxidation, abs=6e-5)
    warm = stability_window(library, formula, carrier=carrier, oxygen=ROOM)
    assert warm.oxidation == pytest.approx(with_gas, abs=6e-5)
    assert warm.reduction == pytest.approx(window.reduction, abs=1e-9)
    assert (window.flags == (AT_THE_METAL,)) == (reduction == 0)


@pytest.mark.physics
def test_a_candidate_below_the_hull_and_its_tolerance(library: Hull) -> None:
    lower = float(library.lower_energies(NASICON)) - 0.020
    window = stability_window(library, NASICON, lower, carrier="Na")
    assert window.reduction == pytest.approx(0.948, abs=5e-4)
    assert window.oxidation == pytest.approx(3.514, abs=5e-4)
    assert window.energy_above_hull == pytest.approx(-0.020)
    assert window.rankable
    same = stability_window(library, NASICON, carrier="Na", tolerance=0.020)
    assert same.reduction == pytest.approx(window.reduction, abs=1e-9)
    assert same.oxidation == pytest.approx(window.oxidation, abs=1e-9)


@pytest.mark.physics
def test_decomposition_energies_of_the_frozen_library(library: Hull) -> None:
    found = decomposition_energy(library, NASICON, carrier="Na", voltages=[0, 1, 4, 2])
    assert 1000 * found == pytest.approx([203.08, 13.54, 84.77, 0.0], abs=5e-3)


@pytest.mark.physics
def test_reactions_at_both_ends(library: Hull) -> None:
    window = stability_window(library, "NaZr2(PO4)3", carrier="Na")
    assert window.reduction_reaction is not None
    assert window.oxidation_reaction is not None
    assert window.reduction_reaction.equation == (
        "NaZr2(PO4)3 + 5 Na -> 2 Na3PO4 + 2 ZrO2 + P"
    )
    assert window.oxidation_reaction.equation == (
        "4 NaZr2(PO4)3 -> 4 Na + 6 ZrP2O7 + 2 ZrO2 + O2(g)"
    )
    assert window.oxidation_reaction.gases == ("O2",)
    assert window.oxidation_products == {"O2": 0.25, "ZrP2O7": 1.5, "ZrO2": 0.5}
    # A free error: 18 atoms on one carrier.
    assert window.oxidation_slope == pytest.approx(18)
    assert window.reduction_slope == pytest.approx(18 / 5)
    metal = stability_window(library, "Li2O", carrier="Li")
    assert metal.reduction_reaction is None
    assert metal.reduction_products == {"Li": 1.0}
    assert metal.reduction_slope == 0


def test_a_batch_answers_as_one_by_one(library: Hull) -> None:
    formulas = ["Li3PO4", "KrLi", "LiCoO2", "FePO4", "Na2LiPO4"]
    batch = stability_window(library, formulas, carrier="Li")
    assert len(batch) == len(formulas)
    assert np.isnan(batch.reduction).tolist() == [False, True, False, False, False]
    assert np.isnan(batch.oxidation).tolist() == [False, True, False, True, False]
    assert batch.reasons[1] == (
        "no reference phase for Kr in Kr-Li: a hull needs every element"
    )
    assert batch.reasons[3] == "FePO4 holds no Li to give off: no oxidation limit"
    assert batch.flags[4] == (SECOND_ALKALI,)
    one = stability_window(library, "LiCoO2", carrier="Li")
    assert batch[2] == one
    assert batch[-3] == one
    assert list(batch)[1].reduction is None
    assert list(batch)[1].width is None
    assert not batch[1].rankable
    assert batch.oxidation_products[2] == {"LiCo2O4": 0.5}
    assert set(batch.reduction_products[0]) == {"Li2O", "P"}
    with pytest.raises(IndexError, match="window 5 of 5"):
        batch[5]
    empty = stability_window(library, [], carrier="Li")
    assert len(empty) == 0


SMALL = Hull(["Li", "O2", "Li2O", "Li2O2"], [0.0, 0.0, -2.0, -1.7])


def test_a_composition_on_a_plateau_has_no_width() -> None:
    window = stability_window(SMALL, "Li4O3", carrier="Li")
    assert window.flags == (PLATEAU,)
    assert window.reduction == window.oxidation == pytest.approx(2.6)
    assert window.reduction_reaction is not None
    assert window.oxidation_reaction is not None
    assert window.reduction_reaction.equation == "Li4O3 + 2 Li -> 3 Li2O"
    assert window.oxidation_reaction.equation == "2 Li4O3 -> 2 Li + 3 Li2O2"


def test_flags_say_how_a_candidate_stands_to_the_hull() -> None:
    lower = float(SMALL.lower_energies("LiO2"))

    def flags(above: float, tolerance: float = 0.0) -> tuple[str, ...]:
        window = stability_window(
            SMALL, "LiO2", lower + above, carrier="Li", tolerance=tolerance
        )
        assert window.rankable == (BELOW_HULL not in window.flags)
        return window.flags

    assert flags(0.03) == (PLATEAU, METASTABLE)
    assert flags(0.03, tolerance=0.04) == ()
    assert flags(-0.049) == ()
    assert flags(-0.051) == (BELOW_HULL,)


def test_a_metastable_candidate_has_the_window_of_its_products(library: Hull) -> None:
    above = float(library.lower_energies(NASICON)) + 0.03
    metastable = stability_window(library, NASICON, above, carrier="Na")
    moved = stability_window(library, NASICON, carrier="Na")
    assert metastable.flags == (METASTABLE,)
    assert metastable.reduction == moved.reduction
    assert metastable.oxidation == moved.oxidation


def test_oxygen_may_hold_nothing_back() -> None:
    hull = Hull(["Li", "Li2O", "Li2O2"], [0.0, -2.0, -1.7])
    window = stability_window(hull, "Li2O2", carrier="Li")
    assert window.oxidation is None
    assert window.reason == "no mixture of the references is Li2O2 with less Li"
    assert window.reduction == pytest.approx(2.6)


def test_bad_input_is_refused_in_one_line() -> None:
    with pytest.raises(MissingReferenceError, match="no reference phase for Na metal"):
        stability_window(SMALL, "Li2O", carrier="Na")
    with pytest.raises(MissingReferenceError, match="no reference phase for Zr in"):
        stability_window(SMALL, "Li2ZrO3", carrier="Li")
    with pytest.raises(ValueError, match="carrier 'O': give one of Li, Na"):
        stability_window(SMALL, "Li2O", carrier="O")
    with pytest.raises(ValueError, match="energy of Li2O is nan, not a finite"):
        stability_window(SMALL, "Li2O", float("nan"), carrier="Li")
    with pytest.raises(ValueError, match="2 formulas but 1 energies"):
        stability_window(SMALL, ["Li2O", "Li2O2"], [-2.0], carrier="Li")
    with pytest.raises(ValueError, match=r"tolerance -0\.1 eV/atom: give 0 or more"):
        stability_window(SMALL, "Li2O", carrier="Li", tolerance=-0.1)
    with pytest.raises(ValueError, match="below 0 V the metal is plated without end"):
        decomposition_energy(SMALL, "Li2O", carrier="Li", voltages=[1, -0.1])
    with pytest.raises(ValueError, match="energy of Li2O is inf, not a finite"):
        decomposition_energy(SMALL, "Li2O", float("inf"), carrier="Li", voltages=1)
    for formula in ("Li2ZrO3", "Kr"):
        with pytest.raises(MissingReferenceError):
            decomposition_energy(SMALL, formula, carrier="Li", voltages=[1])
    without = Hull(["Li", "Li2O"], [0.0, -2.0])
    with pytest.raises(MissingReferenceError):
        decomposition_energy(without, "LiO2", carrier="Li", voltages=[0.0])


def test_two_electrons_an_ion() -> None:
    hull = Hull(["Mg", "O2", "MgO"], [0.0, 0.0, -3.0])
    window = stability_window(hull, "MgO", carrier="Mg")
    assert window.oxidation == pytest.approx(3.0)
    assert window.oxidation_slope == pytest.approx(1.0)


SYSTEMS = (
    "Li-P-O-Ti",
    "Li-P-O-Si",
    "Na-Zr-P-O",
    "Na-Al-S-O",
    "Li-Mn-Co-O",
    "Na-P-Si-O",
)


def drawn(count: int, seed: int = 0) -> list[tuple[str, str, float | None]]:
    """Formulas with carrier; energy relative to the hull for every other one."""
    draw = random.Random(seed)  # noqa: S311 - a drawing, not a secret
    found = []
    for number in range(count):
        carrier, *rest = SYSTEMS[number % len(SYSTEMS)].split("-")
        formula = f"{carrier}{draw.randint(1, 8)}"
        formula += "".join(f"{el}{draw.randint(1, 8)}" for el in rest)
        below = -draw.uniform(0.001, 0.08) if number // len(SYSTEMS) % 2 else None
        found.append((formula, carrier, below))
    return found


class Peer:
    """Phase diagrams of pymatgen from the same energies."""

    def __init__(self, hull: Hull) -> None:
        self.references = [
            PDEntry(Composition(f), e * Composition(f).num_atoms)
            for f, e in zip(hull.formulas, hull.energies_per_atom, strict=True)
        ]
        self.inside = cache(self._inside)

    def _inside(self, symbols: frozenset[str]) -> tuple[PDEntry, ...]:
        return tuple(
            entry
            for entry in self.references
            if symbols.issuperset(el.symbol for el in entry.composition)
        )

    def diagram(self, formula: str, energy: float | None) -> PhaseDiagram:
        composition = Composition(formula)
        entries = self.inside(frozenset(el.symbol for el in composition))
        if energy is not None:
            entries += (PDEntry(composition, energy * composition.num_atoms),)
        return PhaseDiagram(entries)


def limits(diagram: PhaseDiagram, formula: str, carrier: str) -> tuple[float, float]:
    """Read both limits off pymatgen's element profile, whose sign is the other one."""
    profile = diagram.get_element_profile(Element(carrier), Composition(formula))
    metal = diagram.el_refs[Element(carrier)].energy_per_atom
    evolution = [step["evolution"] for step in profile]
    assert evolution == sorted(evolution, reverse=True)  # from taking in to giving off
    stays = next(i for i, n in enumerate(evolution) if n < 1e-7)
    leaves = next(i for i, n in enumerate(evolution) if n < -1e-7)
    return metal - profile[stays]["chempot"], metal - profile[leaves]["chempot"]


def test_equal_to_pymatgen_on_200_candidates(library: Hull) -> None:
    peer, worst = Peer(library), 0.0
    for formula, carrier, below in drawn(200):
        lowest = float(library.lower_energies(formula))
        energy = None if below is None else lowest + below
        diagram = peer.diagram(formula, energy)
        window = stability_window(library, formula, energy, carrier=carrier)
        theirs = limits(diagram, formula, carrier)
        worst = max(
            worst,
            abs((window.reduction or 0.0) - theirs[0]),
            abs((window.oxidation or 0.0) - theirs[1]),
        )
    assert worst < 1e-8


def test_open_energies_equal_to_pymatgen(library: Hull) -> None:
    peer = Peer(library)
    voltages = [0.0, 1.3, 2.7, 4.4]
    for formula, carrier, below in drawn(40, seed=1):
        composition = Composition(formula)
        energy = float(library.lower_energies(formula)) + (below or 0.03)
        ours = decomposition_energy(
            library, formula, energy, carrier=carrier, voltages=voltages
        )
        diagram = peer.diagram(formula, None)
        metal = diagram.el_refs[Element(carrier)].energy_per_atom
        rest = Composition(
            {e: n for e, n in composition.items() if e.symbol != carrier}
        )
        for voltage, found in zip(voltages, ours, strict=True):
            grand = GrandPotentialPhaseDiagram(
                diagram.all_entries, {Element(carrier): metal - voltage}
            )
            theirs = energy * composition.num_atoms - composition[carrier] * (
                metal - voltage
            )
            theirs -= grand.get_hull_energy(rest)
            assert found == pytest.approx(theirs / composition.num_atoms, abs=1e-8)


ELEMENTS = ("Li", "P", "O", "Ti")
PHASES = st.lists(
    st.tuples(
        st.fixed_dictionaries({el: st.integers(0, 4) for el in ELEMENTS}).filter(
            lambda one: sum(n > 0 for n in one.values()) > 1
        ),
        st.floats(-3.0, 0.2),
    ),
    max_size=12,
)
CANDIDATES = st.fixed_dictionaries(
    {"Li": st.integers(1, 5)} | {el: st.integers(0, 4) for el in ELEMENTS[1:]}
).filter(lambda one: sum(one.values()) > one["Li"])


def invented(
    phases: Sequence[tuple[dict[str, int], float]],
    zeros: dict[str, float] | None = None,
) -> Hull:
    """Build a hull of the elements and invented phases."""
    known = [*(({el: 1}, 0.0) for el in ELEMENTS), *phases]
    return Hull(
        [formula for formula, _ in known],
        [
            energy
            + sum((zeros or {}).get(el, 0) * x for el, x in atomic_fractions(f).items())
            for f, energy in known
        ],
        ids=[str(number) for number in range(len(known))],
    )


def text(amounts: dict[str, int], units: int = 1) -> str:
    return "".join(f"{el}{n * units}" for el, n in amounts.items() if n)


@given(PHASES, CANDIDATES, st.floats(-0.3, 0.3))
def test_the_least_decomposition_energy_is_that_above_the_hull(
    phases: list[tuple[dict[str, int], float]], candidate: dict[str, int], above: float
) -> None:
    hull, formula = invented(phases), text(candidate)
    energy = float(hull.lower_energies(formula)) + above
    window = stability_window(hull, formula, energy, carrier="Li")
    assert window.reduction is not None
    assert window.oxidation is not None
    assert 0 <= window.reduction <= window.oxidation
    assert window.energy_above_hull == pytest.approx(above, abs=1e-9)
    low, high = window.reduction, window.oxidation
    grid = [*np.linspace(0, high + 2, 21), low, (low + high) / 2, high]
    found = decomposition_energy(hull, formula, energy, carrier="Li", voltages=grid)
    moved = stability_window(hull, formula, carrier="Li")
    assert moved.reduction is not None
    at_hull = decomposition_energy(
        hull, formula, energy, carrier="Li", voltages=moved.reduction
    )
    assert float(at_hull) == pytest.approx(above, abs=1e-7)
    assert found.min() >= above - 1e-7
    line = found[:21]
    assert (line[2:] - 2 * line[1:-1] + line[:-2] >= -1e-8).all()
    # Where the candidate is stable nothing is gained, at its limits nothing is lost.
    if above < 0:
        assert found[-3:].max() <= 1e-7
        assert found[-1] == pytest.approx(0, abs=1e-7)


@given(PHASES, CANDIDATES, st.floats(-0.3, 0.1), st.integers(2, 6))
def test_units_and_zeros_of_energy_change_nothing(
    phases: list[tuple[dict[str, int], float]],
    candidate: dict[str, int],
    above: float,
    units: int,
) -> None:
    hull, formula = invented(phases), text(candidate)
    energy = float(hull.lower_energies(formula)) + above
    zeros = {"Li": -20_000.0, "O": -2_041.8, "Ti": -23_000.0, "P": -9_300.0}
    shifted = energy + sum(zeros[el] * x for el, x in atomic_fractions(formula).items())
    first = stability_window(hull, formula, energy, carrier="Li")
    for other in (
        stability_window(hull, text(candidate, units), energy, carrier="Li"),
        stability_window(invented(phases, zeros), formula, shifted, carrier="Li"),
    ):
        assert other.reduction == pytest.approx(first.reduction, abs=1e-7)
        assert other.oxidation == pytest.approx(first.oxidation, abs=1e-7)


@given(PHASES, CANDIDATES, st.floats(0.001, 0.3), st.data())
def test_missing_phases_only_widen_at_a_fixed_energy(
    phases: list[tuple[dict[str, int], float]],
    candidate: dict[str, int],
    below: float,
    data: st.DataObject,
) -> None:
    hull, formula = invented(phases), text(candidate)
    energy = float(hull.lower_energies(formula)) - below
    kept = data.draw(st.lists(st.sampled_from(phases))) if phases else []
    full = stability_window(hull, formula, energy, carrier="Li")
    fewer = stability_window(invented(kept), formula, energy, carrier="Li")
    assert (fewer.reduction or 0) <= (full.reduction or 0) + 1e-8
    assert (fewer.oxidation or 0) >= (full.oxidation or 0) - 1e-8


@settings(max_examples=50)
@given(PHASES, CANDIDATES, st.floats(-0.3, 0.3))
def test_reactions_balance_exactly(
    phases: list[tuple[dict[str, int], float]], candidate: dict[str, int], above: float
) -> None:
    hull, formula = invented(phases), text(candidate)
    energy = float(hull.lower_energies(formula)) + above
    window = stability_window(hull, formula, energy, carrier="Li")
    for reaction in (window.reduction_reaction, window.oxidation_reaction):
        if reaction is None:
            continue
        assume(all(reaction.products))
        change: dict[str, float] = {}
        for sign, side in ((-1, reaction.reactants), (1, reaction.products)):
            for name, units in side.items():
                for el, n in parse_formula(name).items():
                    change[el] = change.get(el, 0) + sign * units * n
        assert set(change.values()) == {0}
        assert reaction.reactants[formula] == 1
