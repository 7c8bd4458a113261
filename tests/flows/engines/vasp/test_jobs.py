"""VASP flows with the stand-in and the real custodian, as one process runs them."""

from __future__ import annotations

import json
import time
from copy import deepcopy
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from atomate2.vasp.files import copy_vasp_outputs, write_vasp_input_set
from atomate2.vasp.flows.mp import MPGGADoubleRelaxStaticMaker
from jobflow import Job
from monty.json import MontyDecoder, MontyEncoder
from pymatgen.core import Structure
from pymatgen.io.vasp import Incar, Kpoints, Poscar, Vasprun
from vasp_runs import memory_store, quick_options, run_flow, small_cell

from hts_battery.compositions import load_space
from hts_battery.flows.engines.registry import engine
from hts_battery.flows.engines.vasp.jobs import Past, VaspJobMaker, mp_gga_maker
from hts_battery.flows.execution.failures import known_policy
from hts_battery.flows.execution.recorded import recorded
from hts_battery.schemas.campaign import RelaxationSpec
from hts_battery.schemas.failure import FailureClass, RunRecord
from hts_battery.structures.inputs import calculator_structure
from hts_battery.structures.ordering import order_candidate
from hts_battery.vasp_standin import VASP_MARK
from hts_battery.vasp_standin.faults import (
    FAULTS_VARIABLE,
    SECONDS_VARIABLE,
    STATE_VARIABLE,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hts_battery.schemas.candidate import Candidate

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:No POTCAR file with matching TITEL"  # there are none in a rehearsal
    ),
    pytest.mark.filterwarnings(
        "ignore::pymatgen.io.vasp.outputs.UnconvergedVASPWarning"  # failures on purpose
    ),
    pytest.mark.filterwarnings("ignore:subprocess returned a non-zero return code"),
]

HEDRX = {
    "family": "hedrx",
    "basis": "formula-unit",
    "step": 0.1,
    "sublattices": {
        "cation": {"sites": 2, "species": ["Li+", "Mn2+", "Mn3+", "Ti4+", "Cr3+"]},
        "anion": {"sites": 2, "species": ["O2-", "F-"]},
    },
}
NASICON = {
    "rule": "nasicon-pairs",
    "name": "pairs",
    "family": "nasicon",
    "carrier": "Na+",
    "carrier_amounts": {"first": 1, "last": 4, "step": 1},
    "metals": ["Fe3+", "V3+", "Zr4+"],
    "polyanion_centres": ["Si4+", "P5+"],
}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No failures, no allocation; what custodian writes into the environment goes."""
    monkeypatch.setenv("CUSTODIAN_WALLTIME_START", "to be removed")
    for name in (FAULTS_VARIABLE, SECONDS_VARIABLE, "CUSTODIAN_WALLTIME_START"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda text: monkeypatch.setenv(FAULTS_VARIABLE, text)


def one_job(step: str = "relax 1", **options: Any) -> VaspJobMaker:  # noqa: ANN401 - fields
    maker = mp_gga_maker(quick_options(**options))
    if step == "static":
        return maker.static_maker
    return maker.relax_maker.relax_maker1


def test_a_flow_of_three_calculations_gives_energy_structure_and_moments(
    tmp_path: Path,
) -> None:
    start = small_cell()
    maker = engine("rehearsal:vasp-mp-gga").relax_maker(RelaxationSpec())
    # As a queue does it: through JSON.
    maker = json.loads(json.dumps(maker, cls=MontyEncoder), cls=MontyDecoder)
    flow = maker.make(start)
    ran = run_flow(flow, tmp_path)
    assert ran.steps() == [
        ("relax 1", "successful"),
        ("relax 2", "successful"),
        ("static", "successful"),
    ]
    assert ran.documents[-1]["uuid"] == flow.output.uuid
    output = ran.output(-1)
    record = RunRecord.model_validate(ran.run(-1))
    assert output["output"]["energy"] < ran.output(0)["output"]["energy"] < 0
    assert record.calculator == engine("rehearsal:vasp-mp-gga").calculator()
    assert record.converged
    assert (record.attempts, record.failures, record.corrections) == (1, (), ())
    assert record.potential_functional == "PBE"
    assert record.versions["pymatgen"]
    # The document has the atoms in the order they were given, whatever VASP's has.
    final = Structure.from_dict(output["structure"])
    assert final.species == start.species
    assert final.site_properties["site_label"] == start.site_properties["site_label"]
    assert final.site_properties["magmom"] == pytest.approx(
        [0, 3.72, 0, 4.65, 0, 0, 0, 0], abs=1e-3
    )
    assert max(a.distance(b) for a, b in zip(start, final, strict=True)) < 0.5
    symbols = [site.specie.symbol for site in start]
    files = Poscar.from_file(ran.folder(-1) / "POSCAR.gz").structure
    assert [symbols[n] for n in record.site_order] == [s.species_string for s in files]
    assert symbols != [s.species_string for s in files]


def test_every_document_of_a_rehearsal_says_so(tmp_path: Path) -> None:
    ran = run_flow(one_job().make(small_cell()), tmp_path)
    assert ran.run(0)["rehearsal"]
    assert VASP_MARK in ran.output(0)["vasp_version"]
    assert VASP_MARK in ran.run(0)["calculator"]


def test_moments_are_the_candidates_at_first_and_carried_afterwards(
    tmp_path: Path,
) -> None:
    # atomate2#862 and pymatgen#3431: they were reset between steps.
    ran = run_flow(mp_gga_maker(quick_options()).make(small_cell()), tmp_path)
    moments = []
    for number in range(3):
        incar = Incar.from_file(ran.folder(number) / "INCAR.orig.gz")
        poscar = Poscar.from_file(ran.folder(number) / "POSCAR.orig.gz").structure
        found = zip(poscar, incar["MAGMOM"], strict=True)
        moments.append([m for site, m in found if site.species_string == "Mn"])
    assert moments == [[4, 5], [3.72, 4.65], [3.72, 4.65]]


def test_mp24_runs_as_well(tmp_path: Path) -> None:
    maker = engine("rehearsal:vasp-mp24").relax_maker(RelaxationSpec())
    ran = run_flow(maker.make(small_cell()), tmp_path)
    assert [step for step, _ in ran.steps()] == ["relax 1", "relax 2", "static"]
    assert ran.output(-1)["run_type"] == "r2SCAN"
    assert ran.run(-1)["potential_functional"] == "PBE_64"
    assert not (ran.folder(1) / "WAVECAR.gz").exists()


def candidates() -> list[tuple[str, Candidate]]:
    hedrx, nasicon = load_space(HEDRX), load_space(NASICON)
    return [
        *(("hedrx", one) for one in hedrx.sample(3, seed=4)),
        *(("nasicon", one) for one in nasicon.sample(2, seed=1)),
    ]


@pytest.mark.parametrize("number", range(5))
def test_inputs_are_those_of_the_materials_project_but_for_moments(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, candidate = candidates()[number]
    cell = order_candidate(candidate, atoms=None, iterations=50, max_deviation=1)
    structure = calculator_structure(cell, magmom=True)
    # All three calculations for one candidate of each family, the first for the rest.
    whole = number in {0, 3}
    maker = mp_gga_maker(quick_options())
    ours = maker if whole else maker.relax_maker.relax_maker1
    ran = run_flow(ours.make(structure), tmp_path / "ours")
    theirs = MPGGADoubleRelaxStaticMaker()
    makers = [
        theirs.relax_maker.relax_maker1,
        theirs.relax_maker.relax_maker2,
        theirs.static_maker,
    ][: 3 if whole else 1]
    assert len(ran.documents) == len(makers)
    given = structure.copy()
    for step, their_maker in enumerate(makers):
        folder = tmp_path / f"theirs{step}"
        folder.mkdir()
        monkeypatch.chdir(folder)
        if step:
            copy_vasp_outputs(ran.folder(step - 1), **their_maker.copy_vasp_kwargs)
        given.remove_site_property("magmom")
        write_vasp_input_set(
            given,
            deepcopy(their_maker.input_set_generator),
            from_prev=step > 0,
            potcar_spec=True,
        )
        same_inputs(ran.folder(step), folder)
        given = Structure.from_dict(ran.output(step)["structure"])


def same_inputs(ours: Path, theirs: Path) -> None:
    our_tags = Incar.from_file(ours / "INCAR.orig.gz")
    their_tags = Incar.from_file(theirs / "INCAR")
    assert len(our_tags.pop("MAGMOM")) == len(their_tags.pop("MAGMOM"))
    assert our_tags == their_tags
    assert ("LDAUU" in our_tags) == our_tags.get("LDAU", False)
    ours_points = Kpoints.from_file(ours / "KPOINTS.orig.gz")
    assert ours_points.as_dict() == Kpoints.from_file(theirs / "KPOINTS").as_dict()
    assert (ours / "POTCAR.spec").read_text() == (theirs / "POTCAR.spec").read_text()
    our_cell = Poscar.from_file(ours / "POSCAR.orig.gz").structure
    assert our_cell == Poscar.from_file(theirs / "POSCAR").structure


@pytest.mark.parametrize(
    ("fault", "failure_class", "sign", "tags"),
    [
        ("out-of-memory:1", FailureClass.OUT_OF_MEMORY, "oom_kill", {"KPAR": 1}),
        ("node:1", FailureClass.NODE, "Node failure", {}),
        ("filesystem:1", FailureClass.NODE, "No space left", {}),
    ],
)
def test_a_killed_relaxation_goes_on_from_its_last_geometry(
    tmp_path: Path,
    fail: Callable[[str], None],
    fault: str,
    failure_class: FailureClass,
    sign: str,
    tags: dict[str, Any],
) -> None:
    fail(fault)
    ran = run_flow(one_job().make(small_cell()), tmp_path)
    assert ran.steps() == [("relax 1", "failed"), ("relax 1", "successful")]
    first, second = ran.run(0), RunRecord.model_validate(ran.run(1))
    (failure,) = second.failures
    assert failure.failure_class is failure_class
    assert sign in failure.reason
    assert any(sign in line for line in failure.last_lines)
    assert failure.rehearsal
    assert first["failures"] == ran.run(1)["failures"]
    assert second.settings == tags
    assert second.attempts == 2
    assert second.seconds > failure.seconds > 0
    # One ionic step was done: its geometry, in VASP's order, starts the second.
    last = Poscar.from_file(ran.folder(0) / "CONTCAR").structure
    restarted = Poscar.from_file(ran.folder(1) / "POSCAR.orig.gz").structure
    assert restarted.lattice == last.lattice
    assert restarted == last
    moments = Incar.from_file(ran.folder(1) / "INCAR.orig.gz")["MAGMOM"]
    assert sorted(moments) == [0] * 6 + [4, 5]


def test_the_queue_learns_what_a_repetition_needs(
    tmp_path: Path, fail: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fail("out-of-memory:2")
    made = one_job().make(small_cell())
    made.config.manager_config = {
        "_fworker": "slurm",
        "_queueadapter": {"walltime": "02:00:00", "mem": "16G"},
    }
    asked = []

    run = Job.run

    def seen(self: Job, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - jobflow's
        asked.append(self.config.manager_config["_queueadapter"])
        return run(self, *args, **kwargs)

    monkeypatch.setattr(Job, "run", seen)
    ran = run_flow(made, tmp_path)
    factors = [one["metadata"].get("resources") for one in ran.documents]
    assert factors == [None, {"memory": 2}, {"memory": 4}]
    assert [one["mem"] for one in asked] == ["16G", "32G", "64G"]
    assert {one["walltime"] for one in asked} == {"02:00:00"}


def test_lost_moments_are_tried_once_more_from_the_beginning(
    tmp_path: Path, fail: Callable[[str], None]
) -> None:
    fail("magnetic:1")
    ran = run_flow(one_job().make(small_cell()), tmp_path)
    assert ran.steps() == [("relax 1", "failed"), ("relax 1", "successful")]
    (failure,) = RunRecord.model_validate(ran.run(1)).failures
    assert failure.failure_class is FailureClass.WRONG_STATE
    assert "(Mn) 4.00 became 0.00" in failure.reason
    starts = [
        Poscar.from_file(ran.folder(n) / name).structure
        for n, name in ((0, "POSCAR.orig"), (1, "POSCAR.orig.gz"))
    ]
    assert starts[0] == starts[1]
    assert not (ran.folder(1) / "ICHARG").exists()
    assert "ICHARG" not in Incar.from_file(ran.folder(1) / "INCAR.orig.gz")


def test_moments_that_are_lost_again_are_kept_with_a_flag(
    tmp_path: Path, fail: Callable[[str], None]
) -> None:
    fail("magnetic")
    ran = run_flow(one_job().make(small_cell()), tmp_path)
    assert ran.steps() == [("relax 1", "failed"), ("relax 1", "successful")]
    record = RunRecord.model_validate(ran.run(1))
    assert record.converged
    assert [one.failure_class for one in record.failures] == [
        "wrong magnetic or charge state"
    ] * 2
    assert ran.output(1)["output"]["energy"] < 0


def now(seconds_ago: float) -> str:
    moment = datetime.fromtimestamp(time.time() - seconds_ago).astimezone()
    return moment.strftime("%a %b %d %H:%M:%S UTC %Y")


def test_a_relaxation_stopped_for_time_goes_on_in_the_next_allocation(
    tmp_path: Path, fail: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fail("walltime:1")
    # The allocation of an hour is nearly over: custodian writes STOPCAR.
    monkeypatch.setenv("CUSTODIAN_WALLTIME_START", now(3590))
    job = one_job(wall_time=3600).make(small_cell())
    store = memory_store()
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "first")
    response = job.run(store)
    # pymatgen takes a relaxation that was asked to stop for a converged one.
    run = Vasprun("vasprun.xml", parse_potcar_file=False)
    assert run.converged
    failed = response.output
    assert failed.state == "failed"
    (failure,) = failed.run["failures"]
    assert failure["failure_class"] == "walltime"
    assert failure["handler"] == "WalltimeHandler"
    # A new allocation: the replacement goes on with geometry, moments and density.
    monkeypatch.setenv("CUSTODIAN_WALLTIME_START", now(0))
    monkeypatch.chdir(tmp_path / "second")
    ((again, _),) = response.replace.iterflow()
    assert (again.uuid, again.index) == (job.uuid, 2)
    output = again.run(store).output
    assert output.run["converged"]
    assert output.run["attempts"] == 2
    tags = Incar.from_file("INCAR.orig.gz")
    assert tags["ICHARG"] == 1
    assert sorted(tags["MAGMOM"])[-2:] == [3.72, 4.65]
    contcar = Poscar.from_file(tmp_path / "first" / "CONTCAR").structure
    assert Poscar.from_file("POSCAR.orig.gz").structure == contcar


def test_a_static_calculation_is_stopped_between_electronic_steps(
    tmp_path: Path, fail: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fail("walltime:1")
    monkeypatch.setenv("CUSTODIAN_WALLTIME_START", now(3590))
    monkeypatch.chdir(tmp_path)
    response = one_job("static", wall_time=3600).make(small_cell()).run(memory_store())
    assert "LABORT" in (tmp_path / "STOPCAR").read_text()
    assert response.output.run["failures"][0]["failure_class"] == "walltime"


def test_time_is_counted_from_the_start_of_the_allocation(
    tmp_path: Path, fail: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Slurm says when the allocation began and ends; an earlier job of the same worker
    # has used most of it.
    fail("walltime:1")
    begin = int(time.time()) - 3590
    monkeypatch.setenv("SLURM_JOB_START_TIME", str(begin))
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(begin + 3600))
    monkeypatch.chdir(tmp_path)
    response = one_job().make(small_cell()).run(memory_store())
    assert response.output.run["failures"][0]["failure_class"] == "walltime"


def test_custodian_corrects_and_the_document_tells(
    tmp_path: Path, fail: Callable[[str], None]
) -> None:
    fail("electronic:1")
    ran = run_flow(one_job().make(small_cell()), tmp_path)
    assert ran.steps() == [("relax 1", "successful")]
    (correction,) = RunRecord.model_validate(ran.run(0)).corrections
    assert correction.handler == "UnconvergedErrorHandler"
    assert correction.actions == (
        {"dict": "INCAR", "action": {"_set": {"ALGO": "Normal"}}},
    )


@pytest.mark.slow
def test_electrons_that_never_converge_are_given_up_after_the_ladder(
    tmp_path: Path, fail: Callable[[str], None]
) -> None:
    fail("electronic")
    ran = run_flow(mp_gga_maker(quick_options()).make(small_cell()), tmp_path)
    # Two remedies, then the end; the calculations behind it are not made.
    assert ran.steps() == [("relax 1", "failed")] * 3
    failures = RunRecord.model_validate(ran.run(2)).failures
    assert [one.failure_class for one in failures] == ["electronic non-convergence"] * 3
    assert failures[0].handler == "UnconvergedErrorHandler"
    assert failures[0].error_class == "NonRecoverableError"
    assert "electronic loop not converged" in failures[0].reason
    remedies = known_policy().rule(FailureClass.ELECTRONIC).remedies
    tags = Incar.from_file(ran.folder(1) / "INCAR.orig")
    for name, value in remedies[0].settings["vasp"].items():
        assert tags[name] == value


@pytest.mark.slow
def test_ions_that_never_converge_are_given_up_after_two_more_runs(
    tmp_path: Path, fail: Callable[[str], None]
) -> None:
    fail("ionic")
    options = {"custodian": {"polling_time_step": 0.1, "monitor_freq": 50}}
    ran = run_flow(one_job(**options).make(small_cell()), tmp_path)
    assert ran.steps() == [("relax 1", "failed")] * 3
    failures = RunRecord.model_validate(ran.run(2)).failures
    assert [one.failure_class for one in failures] == ["ionic non-convergence"] * 3
    assert failures[0].error_class == "MaxCorrectionsPerJobError"


@pytest.mark.parametrize(
    ("fault", "failure_class", "sign"),
    [
        ("executable", "licence or executable missing", "cannot open shared object"),
        ("bad-input", "bad input", "Error reading item"),
    ],
)
def test_what_no_repetition_mends_is_given_up_at_once(
    tmp_path: Path,
    fail: Callable[[str], None],
    fault: str,
    failure_class: str,
    sign: str,
) -> None:
    fail(fault)
    ran = run_flow(mp_gga_maker(quick_options()).make(small_cell()), tmp_path)
    assert ran.steps() == [("relax 1", "failed")]
    (failure,) = ran.run(0)["failures"]
    assert failure["failure_class"] == failure_class
    assert sign in failure["reason"]


def test_a_command_that_does_not_exist_is_a_missing_executable(tmp_path: Path) -> None:
    ran = run_flow(one_job(command="/opt/none/vasp_std").make(small_cell()), tmp_path)
    (failure,) = ran.run(0)["failures"]
    assert failure["failure_class"] == "licence or executable missing"
    assert failure["error_class"] == "FileNotFoundError"


def test_giving_up_is_seen_by_whatever_runs_the_flow(
    tmp_path: Path, fail: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fail("bad-input")
    monkeypatch.chdir(tmp_path)
    store = memory_store()
    response = one_job().make(small_cell()).run(store)
    ((last, _),) = response.replace.iterflow()
    with pytest.raises(Exception, match=r"bad input: relax 1: .* at attempt 1"):
        last.run(store)


def test_what_nobody_knows_is_raised_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    maker = one_job()
    maker.maker.task_document_kwargs["no_such_keyword"] = 1
    with pytest.raises(TypeError, match="no_such_keyword") as caught:
        maker.make(small_cell()).run(memory_store())
    assert any("unknown" in note for note in caught.value.__notes__)


def test_a_repeated_attempt_survives_the_way_through_fireworks() -> None:
    # FireWorks lets monty decode a whole job, inner dictionaries first: the first
    # repetition of every VASP job on a queue failed before it began.
    structure = small_cell()
    past = Past(start=structure.as_dict())
    text = json.dumps(past, cls=MontyEncoder)
    found = MontyDecoder().decode(text)
    assert found == past
    assert Structure.from_dict(found.start) == structure


def test_a_node_gets_the_options_of_a_maker_through_fireworks() -> None:
    from jobflow.managers.fireworks import flow_to_workflow  # noqa: PLC0415 - slow

    one = recorded(one_job().make(small_cell()))
    (firework,) = flow_to_workflow(one).fws
    text = json.dumps(firework.to_dict(), default=str)
    back = json.loads(text)["spec"]["_tasks"][0]["job"]
    maker = MontyDecoder().process_decoded(back).maker
    assert maker.options == quick_options()
