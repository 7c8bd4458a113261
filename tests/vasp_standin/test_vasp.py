from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp import Chgcar, Incar, Kpoints, Oszicar, Outcar, Poscar, Vasprun
from pymatgen.io.vasp.outputs import UnconvergedVASPWarning

from hts_battery.vasp_standin import VASP_MARK
from hts_battery.vasp_standin.faults import FAULTS_VARIABLE, SECONDS_VARIABLE
from hts_battery.vasp_standin.vasp import main
from hts_battery.vasp_standin.vasp_inputs import (
    InputError,
    read_incar,
    read_inputs,
    read_poscar,
)

if TYPE_CHECKING:
    from pathlib import Path

RELAX = {
    "ALGO": "Fast",
    "EDIFF": 4e-4,
    "ENCUT": 520,
    "IBRION": 2,
    "ISIF": 3,
    "ISMEAR": -5,
    "ISPIN": 2,
    "LDAU": True,
    "LDAUJ": [0, 0, 0, 0],
    "LDAUL": [0, 2, 0, 0],
    "LDAUU": [0, 3.9, 0, 0],
    "LORBIT": 11,
    "LWAVE": False,
    "MAGMOM": [0, 5, 4, 0, 0, 0, 0, 0],
    "NELM": 20,
    "NSW": 30,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    species = ["Li", "Mn", "Mn", "Ti", "O", "O", "O", "O"]
    cations = [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    anions = [[0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5], [0.5, 0.5, 0.5]]
    structure = Structure(Lattice.cubic(4.3), species, [*cations, *anions])
    structure.perturb(0.05)
    Poscar(structure).write_file(tmp_path / "POSCAR")
    Incar(RELAX).write_file(tmp_path / "INCAR")
    Kpoints.gamma_automatic((3, 3, 3)).write_file(tmp_path / "KPOINTS")
    (tmp_path / "POTCAR.spec").write_text("Li_sv\nMn_pv\nTi_pv\nO\n")
    return tmp_path


def change(folder: Path, **tags: object) -> None:
    Incar({**RELAX, **tags}).write_file(folder / "INCAR")


def vasprun(folder: Path) -> Vasprun:
    return Vasprun(folder / "vasprun.xml", parse_potcar_file=False)


def test_a_relaxation_is_read_by_pymatgen(folder: Path) -> None:
    assert main(folder, {}) == 0
    run, out = vasprun(folder), Outcar(folder / "OUTCAR")
    oszicar = Oszicar(folder / "OSZICAR")
    assert run.converged
    assert run.run_type == "GGA+U"
    assert run.hubbards == {"Li": 0, "Mn": 3.9, "Ti": 0, "O": 0}
    assert run.eigenvalue_band_properties[0] > 1
    energies = [step["e_0_energy"] for step in run.ionic_steps]
    assert energies == sorted(energies, reverse=True)
    assert float(run.final_energy) == pytest.approx(energies[-1])
    assert float(oszicar.final_energy) == pytest.approx(energies[-1], abs=1e-6)
    assert len(oszicar.electronic_steps) == len(energies) == len(oszicar.ionic_steps)
    assert out.final_energy == pytest.approx(energies[-1])
    moments = [row["tot"] for row in out.magnetization]
    assert moments == pytest.approx([0, 4.65, 3.72, 0, 0, 0, 0, 0], abs=1e-3)
    assert out.total_mag == pytest.approx(sum(moments))
    assert len(out.data["onsite_density_matrices"]) == 2
    relaxed = Structure.from_file(folder / "CONTCAR")
    assert relaxed.matches(run.final_structure)
    assert relaxed.volume != pytest.approx(run.initial_structure.volume)
    assert Chgcar.from_file(folder / "CHGCAR").structure.composition.num_atoms == 8


def test_every_output_says_that_it_is_a_rehearsal(folder: Path) -> None:
    main(folder, {})
    assert VASP_MARK in vasprun(folder).vasp_version
    assert VASP_MARK in (folder / "OUTCAR").read_text().splitlines()[0]


def test_a_run_is_the_same_twice_and_in_a_process_of_its_own(folder: Path) -> None:
    main(folder, {})
    first = (folder / "CONTCAR").read_bytes(), (folder / "OSZICAR").read_bytes()
    done = subprocess.run(
        [sys.executable, "-m", "hts_battery.vasp_standin.vasp"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "reached required accuracy" in done.stdout
    second = (folder / "CONTCAR").read_bytes(), (folder / "OSZICAR").read_bytes()
    assert first == second


def test_a_static_run_keeps_the_cell(folder: Path) -> None:
    change(folder, NSW=0, IBRION=-1)
    main(folder, {})
    run = vasprun(folder)
    assert len(run.ionic_steps) == 1
    assert run.final_structure == run.initial_structure


def test_forces_decide_where_ediffg_is_negative(folder: Path) -> None:
    change(folder, EDIFFG=-0.02, NSW=200)
    main(folder, {})
    steps = vasprun(folder).ionic_steps
    assert abs(steps[-1]["forces"]).max() < 0.02 < abs(steps[0]["forces"]).max()


def test_kspacing_replaces_a_kpoints_file(folder: Path) -> None:
    (folder / "KPOINTS").unlink()
    change(folder, KSPACING=0.3)
    main(folder, {})
    assert vasprun(folder).kpoints.kpts == [(5, 5, 5)]


def test_a_stopcar_ends_it_after_the_step(folder: Path) -> None:
    (folder / "STOPCAR").write_text("LSTOP = .TRUE.")
    assert main(folder, {FAULTS_VARIABLE: "walltime", SECONDS_VARIABLE: "0"}) == 0
    assert Outcar(folder / "OUTCAR").is_stopped
    assert len(vasprun(folder).ionic_steps) == 1


def test_electrons_that_do_not_converge_use_every_loop(folder: Path) -> None:
    main(folder, {FAULTS_VARIABLE: "electronic"})
    with pytest.warns(UnconvergedVASPWarning):
        run = vasprun(folder)
    assert not run.converged_electronic
    assert {len(step["electronic_steps"]) for step in run.ionic_steps} == {20}


def test_ions_that_do_not_converge_use_every_step(folder: Path) -> None:
    change(folder, NSW=5)
    main(folder, {FAULTS_VARIABLE: "ionic"})
    with pytest.warns(UnconvergedVASPWarning):
        assert not vasprun(folder).converged_ionic


def test_moments_can_be_lost(folder: Path) -> None:
    main(folder, {FAULTS_VARIABLE: "magnetic"})
    assert vasprun(folder).converged
    assert Outcar(folder / "OUTCAR").total_mag == 0


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        ("out-of-memory", 137, "OOM Killed"),
        ("node", 143, "Node failure"),
        ("filesystem", 38, "No space left on device"),
    ],
)
def test_a_killed_run_leaves_half_its_files(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    fault: str,
    status: int,
    words: str,
) -> None:
    assert main(folder, {FAULTS_VARIABLE: fault}) == status
    assert words in capsys.readouterr().err
    assert "</modeling>" not in (folder / "vasprun.xml").read_text()
    # One ionic step was finished: its geometry is there to go on from.
    Poscar.from_file(folder / "CONTCAR")


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        ("executable", 127, "cannot open shared object file"),
        ("bad-input", 1, "Error reading item"),
    ],
)
def test_what_cannot_start_writes_nothing(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    fault: str,
    status: int,
    words: str,
) -> None:
    assert main(folder, {FAULTS_VARIABLE: fault}) == status
    shown = capsys.readouterr()
    assert words in shown.out + shown.err
    assert not (folder / "vasprun.xml").exists()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("INCAR", "ENCUT = plenty", "item 'ENCUT'"),
        ("INCAR", "ISPIN = 2\nMAGMOM = 4.0", "item 'MAGMOM'"),
        ("INCAR", "LDAU = .TRUE.\nLDAUU = 1 2", "item 'LDAUU'"),
        ("POSCAR", "short\n1.0\n", "cut short"),
        ("KPOINTS", "mesh\n0\nGamma\n", "KPOINTS"),
        ("POTCAR.spec", "Li_sv Mn_pv O Ti_pv", "POTCAR has Li Mn O Ti"),
    ],
)
def test_wrong_inputs_are_refused_as_vasp_does(
    folder: Path, name: str, text: str, words: str
) -> None:
    (folder / name).write_text(text)
    with pytest.raises(InputError, match=words):
        read_inputs(folder)


@pytest.mark.parametrize("name", ["INCAR", "POSCAR", "POTCAR.spec"])
def test_a_missing_input_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(InputError, match=name.split(".", maxsplit=1)[0]):
        read_inputs(folder)


def test_titles_come_from_a_potcar_where_there_is_one(folder: Path) -> None:
    titles = [f"   TITEL  = PAW_PBE {name} now" for name in ("Li", "Mn", "Ti", "O")]
    (folder / "POTCAR").write_text("\n".join(titles))
    assert read_inputs(folder).titles[1] == "PAW_PBE Mn now"


def test_incar_values_have_the_types_of_their_tags() -> None:
    tags = read_incar("ENCUT = 520 ! eV\nNSW = 9; LWAVE = .FALSE.\nALGO = F\nPOTIM=.5")
    assert tags == {
        "ENCUT": 520.0,
        "NSW": 9,
        "LWAVE": False,
        "ALGO": "F",
        "POTIM": 0.5,
    }


def test_a_poscar_may_be_cartesian_and_scaled_by_volume() -> None:
    text = (
        "x\n-64\n1 0 0\n0 1 0\n0 0 1\nLi F\n1 1\nSelective\nCart\n0 0 0 T T T\n.5 .5 .5"
    )
    cell = read_poscar(text)
    assert cell.volume == pytest.approx(64)
    assert cell.fractional[1] == pytest.approx([0.5, 0.5, 0.5])


def test_it_starts_quickly(folder: Path) -> None:
    code = "import sys, hts_battery.vasp_standin.vasp as v; v.main()"
    heavy = "assert not {'pymatgen.io.vasp', 'jobflow', 'atomate2'} & set(sys.modules)"
    subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-c", f"{code}\n{heavy}"],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=60,
        check=True,
    )


@pytest.mark.parametrize(
    ("kind", "scale", "places"),
    [
        ("Direct", "1.0", ["0 0 0", "0.5 0.5 0.5"]),
        ("Cartesian", "1.0", ["0 0 0", "2 2 2"]),
        ("Selective dynamics\nDirect", "1.0", ["0 0 0 T T T", "0.5 0.5 0.5 F F F"]),
        ("cartesian", "2.0", ["0 0 0", "1 1 1"]),
        ("direct", "-64.0", ["0 0 0", "0.5 0.5 0.5"]),
    ],
)
def test_every_form_of_a_poscar_is_the_same_cell(
    kind: str, scale: str, places: list[str]
) -> None:
    edge = "4" if scale == "1.0" else "2"
    rows = [f"{edge} 0 0", f"0 {edge} 0", f"0 0 {edge}"]
    found = read_poscar(
        "\n".join(["salt", scale, *rows, "Na Cl", "1 1", kind, *places])
    )
    assert found.volume == pytest.approx(64)
    assert found.types == (("Na", 1), ("Cl", 1))
    assert found.fractional[1].tolist() == pytest.approx([0.5, 0.5, 0.5])


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("LWAVE = .FALSE.", False),
        ("LCHARG = T", True),
        ("NSW = 99", 99),
        ("AEXX = 0.25", 0.25),
        ("ENCUT = 520", 520.0),
        ("METAGGA = R2SCAN", "R2SCAN"),
        ("ALGO = Fast  # for now", "Fast"),
        ("LREAL = Auto", "Auto"),
        ("MAGMOM = 2*5.0 3*0.6", [5.0, 5.0, 0.6, 0.6, 0.6]),
        ("LDAUU = 3.9", [3.9]),
    ],
)
def test_a_tag_is_read_as_vasp_reads_it(line: str, value: object) -> None:
    (found,) = read_incar(f"a comment\n{line}\n").values()
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("INCAR", "ENCUT = many", "ENCUT"),
        ("INCAR", "LDAU = T\nLDAUU = 1 2", "LDAUU"),
        ("KPOINTS", "comment\n0\nGamma\n3 3", "KPOINTS"),
        (
            "POSCAR",
            "salt\n1\n4 0 0\n0 4 0\n0 0 4\nNa\n1 1\nDirect\n0 0 0\n0 0 0",
            "lack",
        ),
        ("POSCAR", "salt\n1\n4 0 0", "cut short"),
    ],
)
def test_a_file_that_is_wrong_is_named(
    folder: Path, name: str, text: str, words: str
) -> None:
    (folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=words):
        read_inputs(folder)


@pytest.mark.parametrize("spacing", [0.0, -0.5])
def test_k_points_need_a_distance_above_zero(folder: Path, spacing: float) -> None:
    (folder / "KPOINTS").unlink()
    change(folder, KSPACING=spacing)
    with pytest.raises(InputError, match="KSPACING"):
        read_inputs(folder)
    change(folder, KSPACING=0.4)
    assert read_inputs(folder).grid == (4, 4, 4)
