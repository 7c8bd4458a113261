from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from pymatgen.entries.computed_entries import ComputedEntry

from hts_battery.campaign.reference_import import (
    from_materials_project,
    import_rules,
    library_oxidation_states,
    read_file,
    subsystems,
)
from hts_battery.campaign.references import store_references
from hts_battery.connections.materials_project import MaterialsProject
from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.connections.database.stores import Stores

LABEL = "vasp mp-gga PBE"
R2SCAN_LABEL = "vasp mp24 r2SCAN PBE_64"


def entries() -> list[dict[str, Any]]:
    parameters = {"run_type": "GGA", "hubbards": {}}
    return [
        ComputedEntry("Li4 F4", -38.8, parameters=parameters, entry_id="a").as_dict(),
        ComputedEntry("Li2", -3.8, parameters=parameters, entry_id="b").as_dict(),
        ComputedEntry("Li2", -3.8, parameters={}, entry_id="c").as_dict(),
    ]


class FakeRester:
    """Answers with the same entries, whatever it is asked."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    def get_entries(self, _systems: object, **options: object) -> list[Any]:
        self.asked.append(options["additional_criteria"])
        return entries()


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("wrap", [lambda rows: rows, lambda rows: {"entries": rows}])
def test_a_file_of_entries_is_read(tmp_path: Path, wrap: Any) -> None:  # noqa: ANN401 - a function
    path = write(tmp_path / "a.json", wrap(entries()))
    used, rejected = read_file(path, engine_name="vasp-mp-gga", calculator=LABEL)
    assert [energy.phase_id for energy in used] == ["LiF-a", "Li-b"]
    # The library says what the file does not.
    assert used[0].oxidation_states == {"Li": 1.0, "F": -1.0}
    assert [one.entry for one in rejected] == ["c"]
    packed = tmp_path / "a.json.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    again, _ = read_file(packed, engine_name="vasp-mp-gga", calculator=LABEL)
    assert len(again) == len(used)


@pytest.mark.mongo
def test_importing_twice_writes_once(tmp_path: Path, stores: Stores) -> None:
    path = write(tmp_path / "a.json", entries())
    used, _ = read_file(path, engine_name="vasp-mp-gga", calculator=LABEL)
    assert store_references(used, stores) == 2
    used, _ = read_file(path, engine_name="vasp-mp-gga", calculator=LABEL)
    assert store_references(used, stores) == 0


@pytest.mark.parametrize(
    ("engine", "calculator", "says"),
    [
        ("vasp-mp-gga", None, "--calculator is missing"),
        ("chgnet", LABEL, "are none of the engine chgnet"),
        ("vasp-mp-gga", "chgnet 0.4.2", "are none of the engine vasp-mp-gga"),
        ("vasp-mp24", LABEL, "are none of the engine vasp-mp24"),
        ("vasp-mp-gga", R2SCAN_LABEL, "are none of the engine vasp-mp-gga"),
        ("rehearsal:vasp-mp-gga", "vasp mp-gga PBE rehearsal", "mean nothing outside"),
        ("rehearsal:vasp-mp24", f"{R2SCAN_LABEL} rehearsal", "mean nothing outside"),
    ],
)
def test_another_calculator_is_refused(
    engine: str, calculator: str | None, says: str
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        import_rules(engine, calculator, source="test")


def test_the_calculator_of_a_force_field_is_its_engine_with_a_version() -> None:
    rules = import_rules(
        "forcefield:MACE-MP-0", "forcefield:MACE-MP-0 0.3.14", source="test"
    )
    assert rules.scheme is None


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.json", "{", "not JSON"),
        ("a.json", "{}", "neither a list of pymatgen entries"),
        ("a.txt", "[]", "ends with .json"),
    ],
)
def test_a_wrong_file_is_refused(
    tmp_path: Path, name: str, text: str, says: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=says):
        read_file(path, engine_name="vasp-mp-gga", calculator=LABEL)
    with pytest.raises(ConfigurationError, match="No such file"):
        read_file(tmp_path / "b.json", engine_name="vasp-mp-gga", calculator=LABEL)


def test_an_engine_is_given_its_own_kind_of_energies() -> None:
    rester = FakeRester()
    connection = MaterialsProject(rester)
    used, rejected = from_materials_project(
        ["F-Li"], connection, engine_name="vasp-mp24"
    )
    assert rester.asked == [{"thermo_types": ["R2SCAN"]}]
    # Whatever the service answers: PBE stands in no hull of r2SCAN.
    assert used == ()
    assert "run type 'GGA' is none of r2SCAN" in rejected[0].reason


def test_the_materials_project_is_for_its_own_engines_only() -> None:
    connection = MaterialsProject(FakeRester())
    used, rejected = from_materials_project(
        ["F-Li"], connection, engine_name="vasp-mp-gga"
    )
    assert (len(used), len(rejected)) == (2, 1)
    assert used[0].source == "Materials Project, thermo type GGA_GGA+U"
    with pytest.raises(ConfigurationError, match="hts references compute --engine chg"):
        from_materials_project(["F-Li"], connection, engine_name="chgnet")


def test_the_library_says_oxidation_states_where_its_phases_agree() -> None:
    states = library_oxidation_states()
    assert states["Li2O"] == {"Li": 1.0, "O": -2.0}
    assert states["MnO"]["Mn"] == 2.0


def test_subsystems_of_many_compositions_stand_once() -> None:
    found = subsystems([{"Li", "Mn", "O"}, {"Li", "O"}], largest=3)
    assert found == ("Li", "Li-Mn", "Li-Mn-O", "Li-O", "Mn", "Mn-O", "O")
