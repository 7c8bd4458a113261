from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted import PlantedModule
from pymatgen.core import Lattice, Structure

from hts_battery.errors import ConfigurationError, ForeignClassError
from hts_battery.structures.structure_files import (
    disordered_sites,
    exact_occupancy,
    is_disordered,
    read_structure_file,
)

if TYPE_CHECKING:
    from pathlib import Path

CIF = """\
data_mine
_cell_length_a 4.0
_cell_length_b 4.0
_cell_length_c 4.0
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P m -3 m'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Cs1 Cs 0 0 0 1
Cl1 Cl 0.5 0.5 0.5 1
"""


@pytest.fixture
def salt() -> Structure:
    return Structure(Lattice.cubic(4), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def test_the_name_says_the_form(tmp_path: Path, salt: Structure) -> None:
    (tmp_path / "a.cif").write_text(CIF)
    salt.to(filename=str(tmp_path / "POSCAR-b"), fmt="poscar")
    salt.to(filename=str(tmp_path / "c.vasp"), fmt="poscar")
    (tmp_path / "d.json").write_text(json.dumps(salt.as_dict()))
    entry = {"energy": -1.0, "structure": salt.as_dict()}
    (tmp_path / "e.json").write_text(json.dumps([entry, salt.as_dict()]))
    (tmp_path / "f.cif.gz").write_bytes(gzip.compress(CIF.encode()))
    # The byte-order mark and the accents of older files.
    (tmp_path / "g.cif").write_bytes(b"\xef\xbb\xbf" + CIF.encode())
    (tmp_path / "h.cif").write_bytes(b"# Wyckoff, Universit\xe9\n" + CIF.encode())
    counts = {"e.json": 2}
    for path in tmp_path.iterdir():
        found = read_structure_file(path)
        assert len(found.structures) == counts.get(path.name, 1), path
        for one in found.structures:
            assert one.composition.reduced_formula == "CsCl"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.cif", "", "the file is empty"),
        ("a.cif", "data_x\n_cell_length_a 4\n", "cannot be read as a CIF"),
        ("a.cif", CIF.partition("loop_")[0], "cannot be read as a CIF"),
        ("POSCAR", "what\n1.0\n", "cannot be read as a POSCAR"),
        ("a.json", "{", "cannot be read as pymatgen's JSON"),
        ("a.json", "{}", "keys lattice and sites"),
        ("a.json", "[1]", "keys lattice and sites"),
        ("a.txt", CIF, "by its name no structure"),
        ("a.cif", CIF.replace("Cl1 Cl", "Zz1 Zz"), "a.cif: "),
        ("a.cif", CIF.replace("Cl1 Cl", "X1 X"), "not an element: X"),
    ],
)
def test_a_broken_file_is_one_line(
    tmp_path: Path, name: str, content: str, says: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=says) as caught:
        read_structure_file(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_no_file_and_a_folder_and_a_huge_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        read_structure_file(tmp_path / "none.cif")
    with pytest.raises(ConfigurationError, match="directory"):
        read_structure_file(tmp_path)
    huge = tmp_path / "huge.cif"
    with huge.open("wb") as file:
        file.truncate(60_000_000)
    with pytest.raises(ConfigurationError, match="no crystal structure"):
        read_structure_file(huge)


def test_a_document_that_names_another_class_imports_nothing(
    tmp_path: Path, salt: Structure, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = PlantedModule(tmp_path, monkeypatch)
    content = salt.as_dict() | {"properties": {"x": module.naming()}}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ForeignClassError):
        read_structure_file(path)
    assert not module.was_imported


def test_what_the_reader_mended_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.cif"
    path.write_text(CIF.replace("0.5 0.5 0.5 1", "0.5 0.5 0.5 1.02"))
    assert any("ccupanc" in note for note in read_structure_file(path).notes)
    # A third that a file rounds is nothing to say.
    path.write_text(CIF.replace("0.5 0.5 0.5 1", "0.3333 0.3333 0.3333 1"))
    assert not any("ideal" in note for note in read_structure_file(path).notes)


@given(st.integers(1, 12), st.data())
def test_fractions_come_back_from_decimals(
    denominator: int, data: st.DataObject
) -> None:
    numerator = data.draw(st.integers(1, denominator))
    assert float(exact_occupancy(numerator / denominator)) == pytest.approx(
        numerator / denominator, abs=1e-9
    )


def test_disorder_is_named_site_by_site(salt: Structure) -> None:
    assert not is_disordered(salt)
    salt.replace(0, {"Cs": 0.5, "K": 0.25})
    assert is_disordered(salt)
    (held,) = disordered_sites(salt).values()
    assert held == {"Cs": 0.5, "K": 0.25}
