from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from fakes import FakeRelaxMaker, fake_reference_energies
from pymatgen.core import Lattice, Structure

from hts_battery.builders.entries import reference_entry
from hts_battery.campaign.reference_import import read_json
from hts_battery.errors import ConfigurationError
from hts_battery.flows.execution.recorded import RecordedJob
from hts_battery.flows.recipes import references
from hts_battery.flows.recipes.references import (
    ReferenceMaker,
    checked_energy_file,
    energy_file,
    known_energies,
    reference_energy,
    reference_key,
    shipped_energies,
    structure_digest,
    write_energy_file,
)
from hts_battery.schemas.calculation import read_task
from hts_battery.schemas.campaign import RelaxationSpec
from hts_battery.schemas.energy import TaskValidation
from hts_battery.structures.references.library import (
    reference_phase,
    reference_structure,
)
from hts_battery.thermo import vasp_corrections

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from hts_battery.schemas.reference import ReferenceEnergyFile

PHASE = reference_phase("LiF-rocksalt")


def rocksalt(a: float = 4.03) -> Structure:
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(a), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )


def finished(scale: float = 1.0, *, converged: bool = True) -> dict[str, Any]:
    """Make the output of a relaxation that changed the volume by a factor."""
    structure = reference_structure(PHASE)
    structure.scale_lattice(structure.volume * scale)
    maker = FakeRelaxMaker(converged=converged)
    output: dict[str, Any] = maker.make.original(maker, structure)
    return output


def test_a_digest_is_stable() -> None:
    # A changed number here makes every stored energy look outdated.
    assert structure_digest(rocksalt()) == "1f0fba1422cc13ec"
    assert structure_digest(rocksalt(4.03 + 1e-8)) == structure_digest(rocksalt())


def test_a_digest_sees_a_moved_atom_another_cell_and_another_species() -> None:
    start = structure_digest(rocksalt())
    moved = rocksalt()
    moved.translate_sites([0], [0.001, 0, 0])
    swapped = rocksalt()
    swapped.replace_species({"Li": "Na"})
    others = {structure_digest(one) for one in (moved, swapped, rocksalt(4.04))}
    assert len(others | {start}) == 4


def test_a_digest_does_not_mind_a_lattice_translation() -> None:
    moved = rocksalt()
    moved.translate_sites([0], [1, 0, 0], to_unit_cell=False)
    assert structure_digest(moved) == structure_digest(rocksalt())


def test_a_digest_does_not_mind_rounding_at_the_edge_of_the_cell() -> None:
    # 1 - 1e-9 rounds to 1.0, and 0 to 0.0: the same place.
    moved = rocksalt()
    moved.translate_sites([0], [-1e-9, 0, 0], to_unit_cell=False)
    assert structure_digest(moved) == structure_digest(rocksalt())


def test_the_key_of_a_phase_changes_with_its_settings() -> None:
    key = reference_key(PHASE, "chgnet", RelaxationSpec())
    assert key == reference_key(PHASE, "chgnet", RelaxationSpec())
    assert key != reference_key(PHASE, "chgnet", RelaxationSpec(fmax=0.04))


def test_the_flow_of_a_phase_is_tagged_and_recorded() -> None:
    flow = ReferenceMaker(relax_maker=FakeRelaxMaker()).make(PHASE)
    ((job, _),) = flow.iterflow()
    assert isinstance(job, RecordedJob)
    assert job.metadata == {
        "step": "reference",
        "phase_id": PHASE.phase_id,
        "engine": "chgnet",
        "final": True,
        "content_key": reference_key(PHASE, "chgnet", RelaxationSpec()),
    }


def test_a_finished_relaxation_becomes_an_energy() -> None:
    pytest.importorskip("chgnet")
    energy = reference_energy(PHASE, finished(), "chgnet")
    assert energy.rejected is None
    assert energy.energy_per_atom == -2.4
    assert energy.space_group_number == 225
    assert energy.max_force == pytest.approx(0.01)
    assert energy.start_digest == structure_digest(reference_structure(PHASE))
    # The version that the node reported, as documents of candidates do.
    assert energy.calculator == "chgnet fake"


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (None, "the job failed"),
        (finished(converged=False), "relaxation not converged after 7 steps"),
        (
            finished(1.7),
            "the volume changed by a factor of 1.70, allowed are 0.75 to 1.3",
        ),
        (
            finished(0.7),
            "the volume changed by a factor of 0.70, allowed are 0.75 to 1.3",
        ),
    ],
)
def test_an_unusable_energy_says_why(
    output: dict[str, Any] | None, reason: str
) -> None:
    pytest.importorskip("chgnet")
    energy = reference_energy(PHASE, output, "chgnet")
    assert energy.rejected == reason


def read_energies(path: Path) -> ReferenceEnergyFile:
    return checked_energy_file(read_json(path), path)


def test_a_file_of_energies_is_read_back_as_written(tmp_path: Path) -> None:
    pytest.importorskip("chgnet")
    energies = [reference_energy(PHASE, finished(), "chgnet")]
    energies += fake_reference_energies()
    written = energy_file(energies, "chgnet", RelaxationSpec())
    path = tmp_path / "energies.json"
    write_energy_file(path, written)
    back = read_energies(path)
    assert [one.phase_id for one in back.energies] == sorted(
        one.phase_id for one in energies
    )
    assert back.settings == written.settings
    assert back.created == written.created
    # What is rounded once stays as it is.
    again = tmp_path / "again.json"
    write_energy_file(again, back)
    assert again.read_text() == path.read_text()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        "again.json",
        "energies.json",
    ]


def test_a_file_without_energies_is_still_json(tmp_path: Path) -> None:
    pytest.importorskip("chgnet")
    path = tmp_path / "energies.json"
    write_energy_file(path, energy_file([], "chgnet", RelaxationSpec()))
    assert read_energies(path).energies == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ('{"engine": "chgnet"}', "settings: Field required"),
    ],
)
def test_a_wrong_file_is_refused_by_name_and_field(
    tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "energies.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=says) as caught:
        read_energies(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_and_a_file_of_bytes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.json: No such file"):
        read_energies(tmp_path / "none.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match=r"bytes\.json"):
        read_energies(tmp_path / "bytes.json")


def test_an_engine_without_shipped_energies_says_how_to_compute_them() -> None:
    with pytest.raises(ConfigurationError, match="hts references compute --engine own"):
        shipped_energies("own")
    assert known_energies("own") == {}


def test_the_shipped_file_is_one_line_per_phase() -> None:
    path = references.files("hts_battery.flows") / "data" / "references_chgnet.json"
    text = path.read_text("utf-8")
    lines = [line for line in text.splitlines() if line.startswith("  {")]
    assert len(lines) == len(json.loads(text)["energies"])


def vasp_output(
    monkeypatch: pytest.MonkeyPatch, *, rehearsal: bool = False, valid: bool = True
) -> dict[str, Any]:
    """Make a VASP task of the phase; its settings are checked elsewhere."""
    verdict = TaskValidation(
        valid=valid, reasons=() if valid else ("ENCUT",), package_versions={}
    )
    monkeypatch.setattr(vasp_corrections, "validate_vasp_task", lambda *_: verdict)
    structure = reference_structure(PHASE)
    last = {
        "vasp_version": "6.4.2",
        "run_type": "GGA",
        "input": {"hubbards": {}, "potcar_spec": []},
    }
    return {
        "state": "successful",
        "calcs_reversed": [last],
        "structure": structure.as_dict(),
        "output": {"energy": -9.7, "forces": [[0.0, 0.0, 0.0]] * 2},
        "run": {
            "calculator": "vasp mp-gga PBE",
            "converged": True,
            "n_steps": 3,
            "rehearsal": rehearsal,
        },
    }


def test_an_energy_of_vasp_is_corrected_and_keeps_what_was_added(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output = vasp_output(monkeypatch)
    energy = reference_energy(PHASE, output, "vasp-mp-gga")
    assert energy.rejected is None
    assert energy.energy_per_atom == pytest.approx(-4.85)
    assert energy.comparable is not None
    (correction,) = energy.comparable.adjustments
    assert "(F)" in correction.name
    assert energy.comparable.uncorrected_energy == -9.7
    assert (energy.n_steps, energy.max_force) == (3, 0.0)
    # Corrected once more it would have the correction twice.
    entry = reference_entry(energy, "digest", phase=PHASE)
    assert entry.energy == energy.comparable
    assert entry.calculator == energy.comparable.calculator


def test_an_energy_of_vasp_with_wrong_settings_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output = vasp_output(monkeypatch, valid=False)
    energy = reference_energy(PHASE, output, "vasp-mp-gga")
    assert energy.rejected == "settings: ENCUT"
    assert energy.comparable is None


def test_an_energy_of_the_stand_in_is_treated_as_vasps_and_named_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output = vasp_output(monkeypatch, rehearsal=True)
    energy = reference_energy(PHASE, output, "rehearsal:vasp-mp-gga")
    assert energy.rejected is None
    assert energy.comparable is not None
    assert energy.comparable.calculator.endswith(" rehearsal")
    assert len(energy.comparable.adjustments) == 1
    real = reference_energy(PHASE, output, "vasp-mp-gga")
    assert real.rejected is not None
    assert "stand-in for VASP" in real.rejected


def test_a_force_field_has_one_name_for_phases_and_candidates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = "forcefield:MACE-MP-0"
    monkeypatch.setattr(references, "package_versions", lambda _: {"mace-torch": "1"})
    output = finished()
    energy = reference_energy(PHASE, output, engine)
    assert energy.calculator == read_task(output, engine).calculator
    assert energy.calculator == f"{engine} fake"
