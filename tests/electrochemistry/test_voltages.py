"""Voltage profiles against pymatgen, and where it has no answer."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pymatgen.apps.battery.insertion_battery import InsertionElectrode
from pymatgen.core import Lattice, Structure
from pymatgen.entries.computed_entries import ComputedStructureEntry

from hts_battery.electrochemistry import voltage_profile
from hts_battery.errors import CompositionError
from hts_battery.schemas.formula import parse_formula


def entry(formula: str, per_atom: float) -> ComputedStructureEntry:
    """Entry with a cell of the composition; where atoms sit does not matter."""
    symbols = [el for el, n in _amounts(formula).items() for _ in range(n)]
    places = [[i / len(symbols), 0.0, 0.0] for i in range(len(symbols))]
    structure = Structure(Lattice.cubic(9.0), symbols, places)
    return ComputedStructureEntry(structure, per_atom * len(symbols))


def _amounts(formula: str) -> dict[str, int]:
    return {el: int(n) for el, n in parse_formula(formula).items()}


STATES = st.lists(
    st.tuples(st.integers(0, 6), st.floats(-0.5, 0.0)), min_size=1, max_size=8
)


@given(STATES, st.floats(-4.0, -3.0))
def test_equal_to_pymatgen(inner: list[tuple[int, float]], full: float) -> None:
    """Energies low enough that pymatgen's three-dimensional hull answers at all."""
    metal = -1.9
    states = [("Mn4O8", -20.0), ("Li8Mn4O8", -20.0 + full)]
    for lithium, below in inner:
        name = f"Li{lithium + 1}Mn4O8"
        atoms, share = 13 + lithium, (lithium + 1) / 8
        total = -20.0 * 12 + share * ((-20.0 + full) * 20 + 20.0 * 12) + below
        states.append((name, total / atoms))
    formulas, energies = [s[0] for s in states], [s[1] for s in states]
    profile = voltage_profile(formulas, energies, metal, carrier="Li")
    theirs = InsertionElectrode.from_entries(
        [entry(f, e) for f, e in states], entry("Li2", metal)
    )
    steps = sorted((pair.frac_discharge, pair.voltage) for pair in theirs.voltage_pairs)
    # It drops what is on the hull within 1e-8; the average does not care.
    assert profile.average == pytest.approx(theirs.get_average_voltage(), abs=1e-9)
    if len(steps) == len(profile.voltages):
        assert profile.voltages == pytest.approx([v for _, v in steps], abs=1e-9)


def test_where_pymatgen_has_no_answer() -> None:
    alone = voltage_profile(["LiCoO2"], [-5.0], -2.0, carrier="Li")
    assert (alone.voltages, alone.average) == ((), None)
    assert alone.amounts == (1,)
    assert (
        alone.reason
        == "one state with another amount of carrier is needed for a voltage"
    )
    empty = voltage_profile(["Co2O4", "CoO2"], [-5.0, -5.1], -2.0, carrier="Li")
    assert (empty.amounts, empty.used, empty.average) == ((0,), (1,), None)
    # Total energies of an all-electron code.
    total = voltage_profile(
        ["LiCoO2", "CoO2"],
        [-(204.0 + 38_000.0 + 4_080.0) / 4, -(38_000.0 - 4.0 + 4_080.0) / 3],
        -204.0 + 4.0,
        carrier="Li",
    )
    assert total.voltages == pytest.approx([8.0])
    negative = voltage_profile(["LiCoO2", "CoO2"], [-1.0, -2.0], -2.0, carrier="Li")
    assert negative.voltages == pytest.approx([-4.0])


def test_only_states_on_the_envelope_count_and_are_named() -> None:
    profile = voltage_profile(
        ["Li2Co2O4", "Co4O8", "LiCo2O4", "LiCo2O4", "Li3Co4O8"],
        [-40.0 / 8, -72.0 / 12, -39.0 / 7, -39.2 / 7, -78.0 / 15],
        -2.0,
        carrier="Li",
    )
    assert profile.framework == "CoO2"
    assert profile.amounts == (0, Fraction(1, 2), 1)
    assert profile.used == (1, 3, 0)
    assert profile.voltages == pytest.approx([1.2, -1.2])
    assert profile.average == pytest.approx(0.0)
    assert profile.between(Fraction(0), Fraction(3, 4)) == pytest.approx(0.4)
    with pytest.raises(ValueError, match="give a range inside 0 to 1"):
        profile.between(Fraction(0), Fraction(2))


@pytest.mark.parametrize(
    ("formulas", "error", "message"),
    [
        ([], ValueError, "at least one state"),
        (
            ["LiCoO2", "NiO2"],
            CompositionError,
            "NiO2 and LiCoO2 differ by more than Li",
        ),
        (["Li2"], CompositionError, "Li2 has no framework beside Li"),
    ],
)
def test_bad_input_is_refused(
    formulas: list[str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        voltage_profile(formulas, [-1.0] * len(formulas), -2.0, carrier="Li")


def test_energies_are_refused() -> None:
    with pytest.raises(ValueError, match="energy of Li metal is nan"):
        voltage_profile(["CoO2"], [-1.0], float("nan"), carrier="Li")
    with pytest.raises(ValueError, match="energy of CoO2 is inf"):
        voltage_profile(["CoO2"], [float("inf")], -1.9, carrier="Li")


@given(
    st.lists(st.tuples(st.integers(0, 8), st.floats(-5, 5)), min_size=2, max_size=9),
    st.floats(-5, 5),
    st.integers(1, 4),
)
def test_voltages_fall_and_do_not_depend_on_cells(
    states: list[tuple[int, float]], metal: float, units: int
) -> None:
    assume(len({n for n, _ in states}) > 1)
    formulas = [f"Li{n}Mn8O16" for n, _ in states]
    larger = [f"Li{n * units}Mn{8 * units}O{16 * units}" for n, _ in states]
    energies = [e for _, e in states]
    profile = voltage_profile(formulas, energies, metal, carrier="Li")
    assert list(profile.voltages) == sorted(profile.voltages, reverse=True)
    assert voltage_profile(
        larger, energies, metal, carrier="Li"
    ).voltages == pytest.approx(profile.voltages, abs=1e-9)
    assert profile.average is not None
    assert profile.voltages[-1] - 1e-9 <= profile.average <= profile.voltages[0] + 1e-9
