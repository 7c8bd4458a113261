from __future__ import annotations

import json
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from emmet.core.tasks import TaskDoc
from pymatgen.core import Lattice, Structure
from pymatgen.io.validation.common import (
    LightElectronicStep,
    LightIonicStep,
    LightOutcar,
    LightVasprun,
    VaspFiles,
    VaspInputSafe,
)
from pymatgen.io.vasp.inputs import Incar, Kpoints
from pymatgen.io.vasp.sets import MPStaticSet

from hts_battery.thermo.vasp_corrections import validate_vasp_files, validate_vasp_task

if TYPE_CHECKING:
    from hts_battery.schemas.energy import TaskValidation

MGO = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(4.21), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
).get_primitive_structure()


def checked(*, kpoints: Kpoints | None = None, **incar: object) -> TaskValidation:
    """Verdict on a converged static calculation of MgO with some settings changed."""
    inputs = MPStaticSet(MGO)
    mesh = kpoints or inputs.kpoints
    settings = Incar(dict(inputs.incar) | incar)
    energies = [
        LightElectronicStep(e_0_energy=e, e_fr_energy=e, e_wo_entrp=e, eentropy=0.0)
        for e in (-9.0, -11.5, *[-11.9 - 1e-6 * n for n in range(8)])
    ]
    step = LightIonicStep(
        e_0_energy=-11.9,
        e_fr_energy=-11.9,
        forces=[[0.0] * 3] * 2,
        electronic_steps=energies,
    )
    files = VaspFiles(
        user_input=VaspInputSafe(incar=settings, structure=MGO, kpoints=mesh),
        vasprun=LightVasprun(
            vasp_version="6.4.2",
            final_energy=-11.9,
            final_structure=MGO,
            kpoints=mesh,
            parameters=settings,
            bandgap=4.5,
            ionic_steps=[step],
            potcar_symbols=["PAW_PBE Mg_pv 13Apr2007", "PAW_PBE O 08Apr2002"],
        ),
        outcar=LightOutcar(
            drift=[[0.0] * 3], magnetization=[{"tot": 0.0}, {"tot": 0.0}]
        ),
    )
    return validate_vasp_files(files)


def test_the_projects_own_settings_are_valid() -> None:
    found = checked()
    assert found.valid, found.reasons
    assert found.reasons == ()
    assert any("pseudopotentials" in warning for warning in found.warnings)
    assert found.package_versions["pymatgen-io-validation"]
    assert type(found).model_validate(found.model_dump(mode="json")) == found


@pytest.mark.parametrize(
    ("incar", "word"),
    [
        ({"ENCUT": 400}, "ENCUT"),
        ({"LDAU": True, "LDAUU": [3.9, 0], "LDAUL": [2, 0], "LDAUJ": [0, 0]}, "LDAUU"),
        ({"EDIFF": 1e-2}, "EDIFF"),
        ({"GGA": "PS"}, "functional: is pbesol"),
        ({"LREAL": "Auto", "ENCUT": 300}, "ENCUT"),
    ],
)
def test_settings_that_change_the_energy_are_found(
    incar: dict[str, Any], word: str
) -> None:
    found = checked(**incar)
    assert not found.valid
    assert any(word in reason for reason in found.reasons)


def test_too_few_k_points_are_found() -> None:
    found = checked(kpoints=Kpoints.gamma_automatic((2, 2, 2)))
    assert any("KPOINTS" in reason.upper() for reason in found.reasons)


def test_a_document_that_cannot_be_read_is_not_valid() -> None:
    for task in ({}, {"calcs_reversed": []}, {"output": {"energy": "low"}}):
        found = validate_vasp_task(task)
        assert not found.valid
        assert "cannot be checked" in found.reasons[0]


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Task document, as stored, of a calculation by the stand-in for VASP."""
    folder = tmp_path_factory.mktemp("vasp")
    inputs = MPStaticSet(MGO)
    for name, part in (
        ("INCAR", inputs.incar),
        ("KPOINTS", inputs.kpoints),
        ("POSCAR", inputs.poscar),
    ):
        part.write_file(folder / name)
    (folder / "POTCAR.spec").write_text("Mg_pv\nO\n")
    run = [sys.executable, "-m", "hts_battery.vasp_standin.vasp"]
    subprocess.run(run, cwd=folder, check=True, capture_output=True)  # noqa: S603 - ours
    with warnings.catch_warnings():
        # What the stand-in does not write, the reader warns of.
        warnings.simplefilter("ignore")
        document = TaskDoc.from_directory(folder)
    stored: dict[str, Any] = json.loads(document.model_dump_json())
    stored["calcs_reversed"][0]["input"]["parameters"]["NBANDS"] = 16
    return stored


def test_a_stored_task_document_is_checked(task: dict[str, Any]) -> None:
    found = validate_vasp_task(task)
    assert found.valid, found.reasons
    assert any("not checked" in warning for warning in found.warnings)
    lower = json.loads(json.dumps(task))
    lower["calcs_reversed"][0]["input"]["parameters"]["ENMAX"] = 400
    lower["calcs_reversed"][0]["input"]["incar"]["ENCUT"] = 400
    refused = validate_vasp_task(lower)
    assert any("ENCUT" in reason for reason in refused.reasons)


def test_a_task_document_that_lacks_a_parameter_is_not_valid(
    task: dict[str, Any],
) -> None:
    lacking = json.loads(json.dumps(task))
    del lacking["calcs_reversed"][0]["input"]["parameters"]["NBANDS"]
    found = validate_vasp_task(lacking)
    assert not found.valid
    assert "cannot be checked" in found.reasons[0]
