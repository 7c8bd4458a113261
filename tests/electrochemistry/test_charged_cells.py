"""Which carriers leave a cell, with which charges, and what a relaxed cell shows."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.core import Lattice, Structure

from hts_battery.electrochemistry.charged_cells import (
    carriers_left,
    cell_flags,
    charged_arrangements,
    charged_charges,
    charged_structure,
    metal_electrons,
    volume_jump,
)
from hts_battery.errors import CompositionError, OrderingError
from hts_battery.schemas.charged_cells import ChargedCell, ChargedCells, ChargedFlag

CHARGES = {"Li": 1, "Na": 1, "Mn": 3, "Co": 3, "Ti": 4, "O": -2}


def rocksalt(metals: list[str], repeat: tuple[int, int, int]) -> Structure:
    """Fill the cations of a rock salt cell one after the other."""
    cell = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.2), ["Li", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    cell.make_supercell(repeat)
    sites = [i for i, site in enumerate(cell) if site.specie.symbol == "Li"]
    for site, metal in zip(sites, metals, strict=True):
        cell.replace(site, metal)
    cell.add_oxidation_state_by_element({m: CHARGES[m] for m in {*metals, "O"}})
    return cell


@pytest.fixture(scope="module")
def cobaltate() -> Structure:
    return rocksalt(["Li", "Co", "Co", "Li", "Li", "Co", "Co", "Li"], (2, 1, 1))


def test_amounts_end_at_the_ceilings_and_one_beyond() -> None:
    # Li12 Mn4 Ti4 O20: manganese goes from 3 to 4, then oxygen is oxidised.
    cell = rocksalt(["Li"] * 4 + ["Mn"] * 4, (2, 1, 1))
    assert metal_electrons(cell, "Li") == 4
    assert carriers_left(cell, "Li") == (4, 0)
    assert metal_electrons(cell, "Li", {"Mn": 3}) == 0
    assert carriers_left(cell, "Li", ceilings={"Mn": 3}) == (4, 2)
    third = carriers_left(cell, "Li", shares=(Fraction(1, 4), Fraction(0)))
    assert third == (4, 1, 0)


def test_metals_give_first_and_then_oxygen(cobaltate: Structure) -> None:
    metals = charged_charges(cobaltate, "Li", 2)
    cobalt = [site.specie.symbol == "Co" for site in cobaltate]
    oxygen = [site.specie.symbol == "O" for site in cobaltate]
    assert metals[cobalt].tolist() == [3.5] * 4
    assert metals[oxygen].tolist() == [-2.0] * 8
    beyond = charged_charges(cobaltate, "Li", 2, ceilings={"Co": 3})
    assert beyond[cobalt].tolist() == [3.0] * 4
    assert beyond[oxygen].tolist() == [-1.75] * 8
    for left in (metals, beyond):
        assert left.sum() == pytest.approx(2.0)  # the two that leave


def test_the_lowest_arrangement_is_that_of_an_independent_ewald_sum(
    cobaltate: Structure,
) -> None:
    """Every way to keep two of four, by pymatgen, with the charges of the state."""
    found = charged_arrangements(cobaltate, "Li", 2, number=10)
    charges = charged_charges(cobaltate, "Li", 2)
    sites = [i for i, site in enumerate(cobaltate) if site.specie.symbol == "Li"]
    theirs = {}
    for kept in combinations(sites, 2):
        cell = cobaltate.copy()
        cell.remove_oxidation_states()
        cell.add_oxidation_state_by_site(charges.tolist())
        cell.remove_sites([i for i in sites if i not in kept])
        theirs[kept] = EwaldSummation(cell, acc_factor=14).total_energy
    lowest = min(theirs.values())
    assert found[0].energy == pytest.approx(lowest, abs=1e-4)
    assert theirs[found[0].kept] == pytest.approx(lowest, abs=1e-4)
    assert len(found) == len({round(energy, 3) for energy in theirs.values()})
    assert all(one.exact for one in found)


def test_a_search_ends_where_all_arrangements_end() -> None:
    """Twelve of twenty-four: more than are tried one by one."""
    cell = rocksalt((["Li"] * 3 + ["Co"]) * 8, (2, 2, 2))
    swaps = charged_arrangements(cell, "Li", 12, number=1, swaps=3000, seed=1)
    again = charged_arrangements(cell, "Li", 12, number=1, swaps=3000, seed=1)
    other = charged_arrangements(cell, "Li", 12, number=1, swaps=3000, seed=2)
    assert not swaps[0].exact
    assert swaps == again
    assert other[0].energy == pytest.approx(swaps[0].energy, abs=0.5)
    assert len(swaps[0].kept) == 12


def test_all_and_none_have_one_arrangement(cobaltate: Structure) -> None:
    (full,) = charged_arrangements(cobaltate, "Li", 4)
    (empty,) = charged_arrangements(cobaltate, "Li", 0)
    assert (len(full.kept), empty.kept) == (4, ())
    assert len(charged_structure(cobaltate, "Li", empty.kept)) == 12
    assert charged_structure(cobaltate, "Li", full.kept) == cobaltate


def test_bad_cells_are_refused(cobaltate: Structure) -> None:
    with pytest.raises(OrderingError, match="holds no Na: there is nothing to take"):
        carriers_left(cobaltate, "Na")
    with pytest.raises(OrderingError, match="5 Li cannot stay: the cell has 4"):
        charged_arrangements(cobaltate, "Li", 5)
    bare = cobaltate.copy()
    bare.remove_oxidation_states()
    with pytest.raises(OrderingError, match="names no oxidation states"):
        charged_arrangements(bare, "Li", 2)
    with pytest.raises(CompositionError, match="no highest charge of N"):
        metal_electrons(
            Structure(Lattice.cubic(4), ["Li", "N"], [[0] * 3, [0.5] * 3]), "Li"
        )


def test_moments_contacts_and_carriers_are_flagged(cobaltate: Structure) -> None:
    oxygen = [i for i, site in enumerate(cobaltate) if site.specie.symbol == "O"]
    cobalt = [i for i, site in enumerate(cobaltate) if site.specie.symbol == "Co"]
    lithium = [i for i, site in enumerate(cobaltate) if site.specie.symbol == "Li"]
    quiet = [0.0] * len(cobaltate)

    def flags(relaxed: Structure, moments: list[float] | None) -> list[ChargedFlag]:
        return list(cell_flags(cobaltate, relaxed, carrier="Li", moments=moments))

    assert flags(cobaltate, None) == flags(cobaltate, quiet) == []
    hole = quiet.copy()
    hole[oxygen[0]] = -0.7
    assert flags(cobaltate, hole) == [ChargedFlag.OXYGEN_MOMENT]
    high = quiet.copy()
    high[cobalt[0]] = 6.5  # no valence of cobalt has so many unpaired electrons
    assert flags(cobaltate, high) == [ChargedFlag.METAL_MOMENT]
    dimer = cobaltate.copy()
    dimer.translate_sites(oxygen[0], [0.1, 0.1, 0], frac_coords=True)
    assert ChargedFlag.OXYGEN_CONTACT in flags(dimer, quiet)
    moved = cobaltate.copy()
    moved.translate_sites(lithium[0], [0, 0, 0.4], frac_coords=True)
    assert flags(moved, None) == [ChargedFlag.CARRIER_MOVED]
    # A cell that moved as a whole, over its border, moved nothing against itself.
    whole = cobaltate.copy()
    whole.translate_sites(range(len(whole)), [0.7, 0.7, 0.7], frac_coords=True)
    assert flags(whole, None) == []
    grown = cobaltate.copy()
    grown.scale_lattice(1.3 * grown.volume)
    assert flags(grown, None) == []


def cell_of(carriers: int, energy: float, volume: float) -> ChargedCell:
    return ChargedCell(
        carriers=carriers,
        formula=f"Li{carriers}Co4O8" if carriers else "Co4O8",
        arrangement=1,
        ewald_energy=-1.0,
        exact=True,
        energy=energy,
        n_atoms=12 + carriers,
        volume=volume,
    )


def cells_of(*cells: ChargedCell, charged: int = 0) -> ChargedCells:
    return ChargedCells(
        candidate_id="c",
        entry_id="e",
        ordering_id="o",
        calculator="chgnet 0.4.2",
        carrier="Li",
        charged=charged,
        cells=cells,
    )


@given(
    energies=st.lists(st.floats(-50, -1), min_size=3, max_size=3),
    metal=st.floats(-5, 5),
    shift=st.floats(-20_000, 20_000),
)
@settings(max_examples=40, deadline=None)
def test_voltages_add_up_and_know_no_zero_of_energy(
    energies: list[float], metal: float, shift: float
) -> None:
    full, middle, empty = (
        cell_of(n, energy, 100.0) for n, energy in zip((4, 1, 0), energies, strict=True)
    )
    found = cells_of(full, middle, empty, charged=1)
    whole = found.voltage(4, 0, metal)
    parts = found.voltage(4, 1, metal), found.voltage(1, 0, metal)
    assert whole is not None
    assert None not in parts
    assert 4 * whole == pytest.approx(3 * parts[0] + parts[1], abs=1e-9)
    moved = cells_of(
        *(
            cell.model_copy(
                update={"energy": cell.energy + shift * (12 + cell.carriers)}
            )
            for cell in (full, middle, empty)
        )
    )
    again = moved.voltage(4, 0, metal + shift)
    assert again == pytest.approx(whole, abs=1e-6)
    assert found.voltage(4, 0, metal, 2) == pytest.approx(whole / 2)


def test_volumes_from_state_to_state() -> None:
    assert volume_jump([100.0]) == 0.0
    assert volume_jump([100.0, 98.0, 90.0]) == pytest.approx(0.0816, abs=1e-4)
    one = cells_of(cell_of(4, -10.0, 100.0))
    assert (one.volume_change, one.voltage(4, 4, -1.0)) == (None, None)
    two = cells_of(cell_of(4, -10.0, 100.0), cell_of(0, -5.0, 95.0))
    assert two.volume_change == pytest.approx(-0.05)
    assert np.isclose(float(two.share), 1.0)
