from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from fakes import FakeRelaxMaker
from pymatgen.core import Lattice, Structure

from hts_battery.campaign.own_references import (
    phases_of_files,
    phases_of_materials_project,
    stored_own_energies,
)
from hts_battery.campaign.references import compute_references, store_references
from hts_battery.connections.materials_project import MaterialsProject
from hts_battery.errors import ConfigurationError, StoreError
from hts_battery.schemas.campaign import RelaxationSpec
from hts_battery.schemas.reference import SourceKind

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.connections.database.stores import Stores
    from hts_battery.structures.references.own_phases import OwnPhase


def oxide() -> Structure:
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(6.44), ["O", "K"], [[0, 0, 0], [0.25] * 3]
    )


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    metal = Structure(Lattice.cubic(5.33), ["K", "K"], [[0] * 3, [0.5] * 3])
    mixed = Structure.from_spacegroup(
        "Fm-3m",
        Lattice.cubic(4.1),
        [{"Li+": 0.5, "Co3+": 0.5}, "O2-"],
        [[0, 0, 0], [0.5] * 3],
    )
    found = {
        name: tmp_path / name for name in ("K.cif", "K2O.vasp", "LiCoO2.cif", "a.cif")
    }
    metal.to(filename=str(found["K.cif"]))
    oxide().to(filename=str(found["K2O.vasp"]), fmt="poscar")
    mixed.to(filename=str(found["LiCoO2.cif"]))
    found["a.cif"].write_text("no cif")
    return found


def usable(found: list[OwnPhase]) -> list[str]:
    return [one.phase.phase_id for one in found if one.phase and not one.problems]


def test_each_file_is_a_phase_or_says_why_not(files: dict[str, Path]) -> None:
    found = phases_of_files(list(files.values()), states={})
    assert usable(found) == ["K-own", "K2O-own"]
    refused = {one.name: "; ".join(one.problems) for one in found if one.problems}
    assert refused.keys() == {"LiCoO2.cif", "a.cif"}
    assert "--order N" in refused["LiCoO2.cif"]
    assert "cannot be read as a CIF" in refused["a.cif"]


def test_orderings_of_a_disordered_file_say_that_they_are_ours(
    files: dict[str, Path],
) -> None:
    found = phases_of_files([files["LiCoO2.cif"]], states={}, order=2)
    assert usable(found) == ["LiCoO2-ordering-1", "LiCoO2-ordering-2"]
    for one in found:
        assert one.phase is not None
        assert one.phase.source.kind is SourceKind.OWN_FILE_ORDERED
        assert "ordered by us" in str(one.phase.note)
        assert len(one.phase.sites) <= 80
    # Too many for a small cell, and states that leave a charge.
    (one,) = phases_of_files([files["LiCoO2.cif"]], states={"Li": 2}, order=1)  # type: ignore[dict-item]
    assert "add up to" in one.problems[0]


def test_an_id_stands_once(files: dict[str, Path], tmp_path: Path) -> None:
    again = tmp_path / "b"
    again.mkdir()
    other = again / "K.cif"
    other.write_text(files["K.cif"].read_text())
    found = phases_of_files([files["K.cif"], other], states={})
    assert usable(found) == ["K-own"]
    assert "stands already in these files" in found[1].problems[0]
    taken = phases_of_files([files["K.cif"]], states={}, phase_id="TiO2-rutile")
    assert "already in the library" in taken[0].problems[0]
    assert usable(phases_of_files([files["K.cif"]], states={}, phase_id="K-mine")) == [
        "K-mine"
    ]
    with pytest.raises(ConfigurationError, match="names one phase"):
        phases_of_files(list(files.values()), states={}, phase_id="x")


class FakeSummary:
    """Answers as mp-api's summary endpoint is documented: documents with fields."""

    def __init__(self, *, as_dict: bool = False) -> None:
        self.asked: list[dict[str, Any]] = []
        self.as_dict = as_dict

    def search(self, **asked: Any) -> list[Any]:  # noqa: ANN401 - as its model
        self.asked.append(asked)
        rows = [
            {"material_id": "mp-971", "structure": oxide(), "theoretical": False},
            {"material_id": "mp-10", "structure": oxide(), "theoretical": True},
        ]
        if self.as_dict:
            return [row | {"structure": oxide().as_dict()} for row in rows]
        return [SimpleNamespace(**row) for row in rows]


class FakeRester:
    """A client with one endpoint."""

    def __init__(self, summary: FakeSummary) -> None:
        self.materials = SimpleNamespace(summary=summary)


@pytest.mark.parametrize("as_dict", [False, True])
def test_structures_of_the_materials_project(as_dict: bool) -> None:
    summary = FakeSummary(as_dict=as_dict)
    connection = MaterialsProject(FakeRester(summary))  # type: ignore[arg-type] # one endpoint of many
    found = phases_of_materials_project(["K", "K-O"], connection, within=0.025)
    assert usable(found) == ["K2O-mp-10", "K2O-mp-971"]
    first, second = (one.phase for one in found)
    assert first is not None
    assert second is not None
    assert "no compound" in str(first.note)
    assert second.note is None
    assert second.source.number == "mp-971"
    assert second.source.licence == "CC-BY-4.0"
    (asked,) = summary.asked
    assert asked["chemsys"] == ["K", "K-O"]
    assert asked["energy_above_hull"] == (0.0, 0.025)
    assert set(asked["fields"]) == {"material_id", "structure", "theoretical"}


def test_an_answer_without_structure_is_an_error() -> None:
    summary = FakeSummary()
    summary.search = lambda **_: [SimpleNamespace(material_id="mp-1")]  # type: ignore[method-assign]
    connection = MaterialsProject(FakeRester(summary))  # type: ignore[arg-type]
    with pytest.raises(StoreError, match="without structure"):
        connection.structures(["K"], within=0.0)


@pytest.mark.mongo
def test_an_own_phase_is_kept_with_its_energy_and_replaced(
    files: dict[str, Path], stores: Stores, execution_folder: Path, tmp_path: Path
) -> None:
    assert execution_folder
    (found,) = phases_of_files([files["K2O.vasp"]], states={})
    assert found.phase is not None
    energies = compute_references(
        [found.phase],
        stores,
        engine_name="chgnet",
        relaxation=RelaxationSpec(),
        launch_folder=tmp_path / "launches",
        relax_maker=FakeRelaxMaker(),
    )
    assert store_references(energies, stores) == 1
    assert store_references(energies, stores) == 0
    (stored,) = stored_own_energies(stores)
    assert stored.phase == found.phase
    assert stored.energy_per_atom == pytest.approx(-2.4)
    # Documents of the library's phases stay as they were.
    doc = energies[0].model_copy(update={"phase": None}).model_dump(mode="json")
    assert "phase" not in doc
