from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Composition, Lattice, Structure

from hts_battery.thermo.entry_structures import read_composition, read_structure

if TYPE_CHECKING:
    from pathlib import Path

SALT = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(4.2), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
)
FORMULA = SALT.composition


def site(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    """Structure of magnesium oxide whose first site is another."""
    found: dict[str, Any] = SALT.as_dict()
    found["sites"][0] |= changes
    return found


def occupied(*shares: tuple[str, float]) -> list[dict[str, Any]]:
    return [{"element": name, "occu": share} for name, share in shares]


def test_species_say_oxidation_states_where_all_of_an_element_do() -> None:
    found = read_composition({"Li+": 6, "Mn3+,spin=4": 2, "Mn4+": 2, "O2-": 10.0})
    assert found.composition == Composition("Li6Mn4O10")
    assert found.oxidation_states == {"Li": 1.0, "Mn": 3.5, "O": -2.0}
    assert read_composition({"Mn3+": 2, "Mn": 2}).oxidation_states == {}
    assert read_composition({"Fe2.5+": 1}).oxidation_states == {"Fe": 2.5}


@given(shift=st.floats(-1, 1), images=st.lists(st.integers(-2, 2), min_size=3))
def test_a_cell_is_read_wherever_its_origin_is(shift: float, images: list[int]) -> None:
    moved = SALT.copy()
    moved.translate_sites(range(len(moved)), [shift] * 3, to_unit_cell=False)
    stored = moved.as_dict()
    stored["sites"][0]["abc"] = (np.array(moved[0].frac_coords) + images[:3]).tolist()
    found = read_structure(stored, FORMULA)
    assert found is not None
    assert found.distance_matrix == pytest.approx(SALT.distance_matrix, abs=1e-6)


def test_a_cell_is_read_in_every_form() -> None:
    stored = SALT.as_dict()
    cartesian = {**stored, "sites": [dict(one) for one in stored["sites"]]}
    for one in cartesian["sites"]:
        del one["abc"]
    lengths = {k: stored["lattice"][k] for k in ("a", "b", "c")}
    angles = dict.fromkeys(("alpha", "beta", "gamma"), 90.0)
    charged = SALT.copy().add_oxidation_state_by_element({"Mg": 2, "O": -2})
    mixed = occupied(("Mg", 0.25), ("Mg", 0.75))
    for form in (
        stored,
        cartesian,
        {**stored, "lattice": lengths | angles},
        {**stored, "lattice": SALT.lattice.matrix},
        charged.as_dict(),
        site(species=mixed),
        site(species=occupied(("Mg", 0.9999), ("Ca", 0))),
        site(abc={"@module": "numpy", "@class": "array", "data": [0, 0, 0]}),
    ):
        found = read_structure(form, FORMULA)
        assert found is not None
        assert found.composition == FORMULA
        assert [one.specie.symbol for one in found] == ["Mg"] * 4 + ["O"] * 4
    assert read_structure(None, FORMULA) is None


@pytest.mark.parametrize(
    ("structure", "says"),
    [
        ([], "no mapping"),
        ({}, "the structure has no sites"),
        ({"sites": []}, "the structure has no sites"),
        ({**SALT.as_dict(), "lattice": None}, "the lattice says no a, b"),
        ({**SALT.as_dict(), "lattice": {"matrix": [[1, 0]]}}, "no three vectors"),
        ({**SALT.as_dict(), "lattice": {"matrix": np.eye(3)}}, "of 8 atoms has 1 ang"),
        ({**SALT.as_dict(), "lattice": {"matrix": np.eye(3) * np.nan}}, "not finite"),
        (site(abc=None), "the coordinates"),
        (site(abc=[0, 0, "x"]), "holds what is no number"),
        (site(abc=[0.5, 0.5, 0.5]), "atoms 1 and 5 of the structure are"),
        (site(species=None), "site 1 of the structure names no species"),
        (site(species=occupied(("Mg", 0.5))), "disordered: site 1 holds Mg 0.5,"),
        (site(species=occupied(("Mg", 0))), "disordered: site 1 holds nothing,"),
        (
            site(species=occupied(("Mg", 0.5), ("Ca", 0.5))),
            "disordered: site 1 holds Ca 0.5, Mg 0.5,",
        ),
        (site(species=occupied(("D", 1))), "D is an isotope"),
        (site(species=occupied(("X0+", 1))), "X is no element"),
        (site(species=occupied(("Ca", 1))), "the structure holds"),
    ],
)
def test_what_is_no_cell_of_the_entry_is_refused(structure: object, says: str) -> None:
    with pytest.raises((TypeError, ValueError), match=says):
        read_structure(structure, FORMULA)


def test_nothing_that_a_structure_names_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "planted_module.py").write_text("class Thing: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    thing = {"@module": "planted_module", "@class": "Thing"}
    assert read_structure(site(properties={"x": thing}), FORMULA) is not None
    assert "planted_module" not in sys.modules
