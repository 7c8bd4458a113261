from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.io.ase import AseAtomsAdaptor

from hts_battery.structures import calculator_structure, order_candidate

if TYPE_CHECKING:
    from hts_battery.schemas.candidate import Candidate
    from hts_battery.schemas.structure import OrderedCell


@pytest.fixture(scope="module")
def cell(six_metals: Candidate) -> OrderedCell:
    return order_candidate(six_metals, iterations=500, magnetic_order="ferrimagnetic")


def test_engines_get_elements_and_the_moments_they_ask_for(cell: OrderedCell) -> None:
    stored = cell.to_structure()
    bare = calculator_structure(cell, magmom=False)
    assert bare.site_properties == {}
    assert [s.specie.symbol for s in stored] == [str(s.specie) for s in bare]
    assert np.array_equal(bare.frac_coords, stored.frac_coords)
    magnetic = calculator_structure(cell, magmom=True)
    assert magnetic.site_properties == {"magmom": stored.site_properties["magmom"]}
    # Two valences of manganese are one element with two moments.
    manganese = {s.properties["magmom"] for s in magnetic if str(s.specie) == "Mn"}
    assert {abs(moment) for moment in manganese} == {4.0, 5.0}


def test_moments_and_order_survive_ase_there_and_back(cell: OrderedCell) -> None:
    structure = calculator_structure(cell, magmom=True)
    atoms = AseAtomsAdaptor.get_atoms(structure)
    assert atoms.get_chemical_symbols() == [str(s.specie) for s in structure]
    assert np.array_equal(
        atoms.get_initial_magnetic_moments(), structure.site_properties["magmom"]
    )
    back = AseAtomsAdaptor.get_structure(atoms)
    assert back.site_properties["magmom"] == structure.site_properties["magmom"]
    shifts = back.frac_coords - structure.frac_coords
    assert np.allclose(shifts, np.round(shifts))


def test_vasp_writes_the_same_moments(cell: OrderedCell) -> None:
    from pymatgen.io.vasp.sets import MPRelaxSet  # noqa: PLC0415 - a second to import

    inputs = MPRelaxSet(calculator_structure(cell, magmom=True))
    # The set sorts sites by electronegativity; moments go with their atoms.
    written = zip(inputs.structure, inputs.incar["MAGMOM"], strict=True)
    found = {(tuple(s.frac_coords), str(s.specie), moment) for s, moment in written}
    assert found == {
        (tuple(s.frac_coords), s.specie.symbol, s.properties["magmom"])
        for s in cell.to_structure()
    }
