from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from jobflow import JobStore
from maggma.stores import MemoryStore
from monty.json import MontyDecoder, MontyEncoder
from pymatgen.core import Lattice, Structure

from hts_battery.errors import CalculationError, ConfigurationError
from hts_battery.flows.engines.gpaw.process import (
    GPAWProcess,
    gpaw_command,
    runner_file,
)
from hts_battery.flows.engines.gpaw.settings import (
    GPAWSettings,
    hubbard_u,
    materials_project_moments,
    materials_project_u,
)
from hts_battery.schemas.campaign import RelaxationSpec
from hts_battery.settings import HTSBatterySettings, get_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from jobflow import Flow, Job

    from hts_battery.connections.database.stores import Stores

STAND_IN = """
import json, sys
print(json.dumps({"ready": {"gpaw": "0.0", "processes": 1}}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    with open("requests.jsonl", "a") as log:
        log.write(line)
    if "structure" in request:
        start = request["structure"]["positions"]
        moments = request["structure"]["moments"]
        stress = request["stress"]
    here = request.get("structure", request)["positions"]
    # Springs that pull the first atom towards x = 0.1.
    pull = [[-4.0 * (here[0][0] - 0.1), 0.0, 0.0]] + [[0.0] * 3] * (len(here) - 1)
    energy = -10.0 + 2.0 * (here[0][0] - 0.1) ** 2
    print(json.dumps({"result": {
        "energy": energy, "free_energy": energy, "forces": pull,
        "stress": [-0.01] * 3 + [0.0] * 3 if stress else None,
        "moments": [0.9 * moment for moment in moments], "scf_steps": 7,
        "k_points": 8, "irreducible_k_points": 4, "bands": 12,
        "datasets": {"Mn": "ab"}, "seconds": 0.1}}), flush=True)
"""
"""Answers as the runner does, without GPAW: the runner's path in its arguments is
ignored."""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Have this worker start a stand-in for GPAW."""
    program = tmp_path / "stand_in.py"
    program.write_text(STAND_IN)
    use_command(monkeypatch, f"{sys.executable} {program}")
    yield program
    get_settings.cache_clear()


def use_command(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("HTS_BATTERY_GPAW_COMMAND", command)
    get_settings.cache_clear()


@pytest.fixture
def job_store() -> JobStore:
    return JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})


@pytest.fixture
def run(
    job_store: JobStore, tmp_path: Path, execution_folder: Path
) -> Callable[[Flow | Job], dict[str, Any]]:
    """Run a flow as campaigns do and return the output of its last job."""
    from jobflow import Flow, Job  # noqa: PLC0415 - takes seconds to import

    from hts_battery.flows.recipes.local import run_flow_locally  # noqa: PLC0415 - likewise

    assert execution_folder

    def running(made: Flow | Job) -> dict[str, Any]:
        flow = Flow([made], output=made.output) if isinstance(made, Job) else made
        job_store.connect()
        folder = tmp_path / "launches"
        run_flow_locally(flow, job_store, folder)
        docs = list(job_store.query({}, load=False))
        assert docs, (folder / "jobs.log").read_text()
        output: dict[str, Any] = max(docs, key=lambda doc: doc["completed_at"])[
            "output"
        ]
        return output

    return running


def rocksalt(metals: list[str], anion: str, a: float) -> Structure:
    places = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    return Structure(
        Lattice.cubic(a),
        [*metals, *[anion] * 4],
        places + [[(x + 0.5) % 1, y, z] for x, y, z in places],
    )


def manganite() -> Structure:
    """Eight atoms, moments as a decorated candidate carries them."""
    structure = rocksalt(["Li", "Li", "Mn", "Mn"], "O", 4.2)
    structure.add_site_property("magmom", [0.0, 0.0, 4.0, 4.0, 0.0, 0.0, 0.0, 0.0])
    return structure


# What the settings mean.


def test_u_values_are_those_of_the_materials_project_for_oxides_and_fluorides() -> None:
    table = materials_project_u()
    assert set(table) == {"O", "F"}
    assert hubbard_u(["Li", "Mn", "Ti", "O"], table) == {"Mn": 3.9}
    assert hubbard_u(["Li", "Mn", "Fe", "O", "F"], table) == {"Mn": 3.9, "Fe": 5.3}
    assert hubbard_u(["Mn", "S"], table) == {}
    assert hubbard_u(["Mn"], table) == {}


def test_start_moments_by_element_are_those_of_the_materials_project() -> None:
    table = materials_project_moments()
    assert table["Mn"] == 5.0
    assert "O" not in table


def test_settings_become_gpaw_keywords() -> None:
    settings = GPAWSettings(hubbard_u={"O": {"Mn": 3.9}})
    keywords = settings.parameters(["Mn", "O"])
    assert keywords["mode"] == {"name": "pw", "ecut": 800.0}
    assert keywords["kpts"] == {"density": 1.8, "gamma": True}
    assert keywords["setups"] == {"Mn": ":d,3.9"}
    assert "basis" not in keywords
    orbitals = GPAWSettings(mode="lcao").parameters(["Li", "F"])
    assert orbitals["mode"] == {"name": "lcao"}
    assert orbitals["basis"] == "dzp"


def test_only_a_high_cutoff_moves_cells() -> None:
    assert GPAWSettings().moves_cells
    assert not GPAWSettings(cutoff=600).moves_cells
    assert not GPAWSettings(mode="lcao").moves_cells


def test_labels_tell_apart_what_may_not_be_compared() -> None:
    settings = (
        GPAWSettings(),
        GPAWSettings(cutoff=600),
        GPAWSettings(mode="lcao"),
        GPAWSettings(kpoint_density=3),
        GPAWSettings(hubbard_u={}),
    )
    assert len({one.label for one in settings}) == len(settings)


# The process.


def test_the_command_is_the_workers_or_this_interpreter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    named = HTSBatterySettings(gpaw_command="mpirun -np 4 gpaw python")
    assert gpaw_command(named) == ("mpirun", "-np", "4", "gpaw", "python")
    monkeypatch.setattr(
        "hts_battery.flows.engines.gpaw.process.find_spec", lambda _: object()
    )
    assert gpaw_command(HTSBatterySettings()) == (sys.executable,)
    monkeypatch.setattr(
        "hts_battery.flows.engines.gpaw.process.find_spec", lambda _: None
    )
    with pytest.raises(ConfigurationError, match=r"hts_battery\[gpaw\].*gpaw_command"):
        gpaw_command(HTSBatterySettings())


def test_a_missing_program_is_named_with_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="gpaw_command: cannot start no-such"):
        GPAWProcess(["no-such-program"], tmp_path)


def test_an_interpreter_without_gpaw_says_so(tmp_path: Path) -> None:
    blocked = tmp_path / "site"
    blocked.mkdir()
    (blocked / "gpaw.py").write_text("raise ImportError('no GPAW here')")
    command = ["env", f"PYTHONPATH={blocked}", sys.executable]
    with pytest.raises(CalculationError, match="no GPAW here") as caught:
        GPAWProcess(command, tmp_path)
    assert caught.value.kind == "ImportError"
    assert "site/gpaw.py" in caught.value.evidence


def test_a_process_that_dies_leaves_its_last_words(tmp_path: Path) -> None:
    program = tmp_path / "dies.py"
    program.write_text("import sys; sys.exit('out of memory')")
    with pytest.raises(CalculationError, match="status 1") as caught:
        GPAWProcess([sys.executable, str(program)], tmp_path)
    assert caught.value.kind == "ProcessEnded"
    assert "out of memory" in caught.value.evidence


def test_a_process_that_dies_between_requests_is_noticed(
    stand_in: Path, tmp_path: Path
) -> None:
    stand_in.write_text("print('{\"ready\": {}}', flush=True)")
    process = GPAWProcess([sys.executable, str(stand_in)], tmp_path)
    with pytest.raises(CalculationError, match="ProcessEnded"):
        process.ask({"positions": [[0.0] * 3] * 100_000})
    process.close()


def test_the_runner_needs_nothing_but_an_interpreter() -> None:
    # It runs where this package is not installed.
    text = runner_file().read_text("utf-8")
    assert "import hts_battery" not in text
    assert "from hts_battery" not in text
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", f"import runpy; runpy.run_path({str(runner_file())!r})"],
        check=True,
        capture_output=True,
    )
    assert done.stdout == b""


# The maker, with the stand-in.


def test_a_relaxation_goes_through_one_process(
    stand_in: Path, run: Callable[[Job], dict[str, Any]]
) -> None:
    from hts_battery.flows.engines.gpaw.jobs import gpaw_maker  # noqa: PLC0415 - atomate2 takes seconds

    assert stand_in
    maker = gpaw_maker(
        "gpaw",
        GPAWSettings(),
        RelaxationSpec(fmax=0.01, steps=20, relax_cell=False),
    )
    output = run(maker.make(manganite()))
    assert output["state"] == "successful"
    assert output["is_force_converged"]
    assert output["forcefield_version"] == "0.0 PBE+U pw800 k1.8"
    assert output["structure"]["sites"][0]["xyz"][0] == pytest.approx(0.1, abs=0.01)
    record = output["gpaw"]
    assert record["start_moments"] == [0, 0, 4, 4, 0, 0, 0, 0]
    assert record["start_moments_from"] == "structure"
    assert record["moments"][2] == pytest.approx(3.6)
    assert record["hubbard_u"] == {"Mn": 3.9}
    assert record["parameters"]["mode"]["ecut"] == 800
    assert record["pressure"] == pytest.approx(1.602, abs=1e-3)
    # atomate2 counts the last step twice.
    assert len(record["calls"]) == output["output"]["n_steps"] - 1 > 1


def test_one_step_is_a_single_point(
    stand_in: Path, run: Callable[[Job], dict[str, Any]]
) -> None:
    from hts_battery.flows.engines.gpaw.jobs import gpaw_maker  # noqa: PLC0415 - atomate2 takes seconds

    assert stand_in
    maker = gpaw_maker("gpaw-lcao", GPAWSettings(mode="lcao"), RelaxationSpec(steps=1))
    output = run(maker.make(manganite()))
    assert len(output["gpaw"]["calls"]) == 1
    assert output["gpaw"]["pressure"] is None
    assert output["output"]["energy"] == pytest.approx(-10 + 2 * 0.1**2)


def test_a_structure_without_moments_starts_as_the_materials_project_does() -> None:
    from hts_battery.flows.engines.gpaw.jobs import with_moments  # noqa: PLC0415 - atomate2 takes seconds

    bare = manganite().remove_site_property("magmom")
    structure, source = with_moments(bare)
    assert source == "MPRelaxSet by element"
    assert structure.site_properties["magmom"] == [0, 0, 5, 5, 0, 0, 0, 0]
    decorated = manganite().add_oxidation_state_by_element({"Li": 1, "Mn": 3, "O": -2})
    structure, source = with_moments(decorated)
    assert source == "structure"
    assert {site.species_string for site in structure} == {"Li", "Mn", "O"}


def test_a_failure_of_gpaw_is_raised_by_its_name(
    stand_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hts_battery.flows.engines.gpaw.jobs import gpaw_maker  # noqa: PLC0415 - atomate2 takes seconds

    stand_in.write_text(
        "import json; print(json.dumps({'ready': {}}), flush=True); input()\n"
        "print(json.dumps({'error': {'kind': 'KohnShamConvergenceError', "
        "'message': '', 'trace': ['in scf.py']}}), flush=True)"
    )
    monkeypatch.chdir(tmp_path)
    maker = gpaw_maker("gpaw", GPAWSettings(), RelaxationSpec(steps=1))
    with pytest.raises(CalculationError) as caught:
        maker.make.original(maker, manganite())
    assert caught.value.kind == "KohnShamConvergenceError"
    assert caught.value.evidence == "in scf.py"


def test_a_cell_is_not_moved_without_a_stress() -> None:
    from hts_battery.flows.engines.gpaw.jobs import gpaw_maker  # noqa: PLC0415 - atomate2 takes seconds

    for settings in (GPAWSettings(mode="lcao"), GPAWSettings(cutoff=600)):
        with pytest.raises(ConfigurationError, match="relax_cell to false"):
            gpaw_maker("gpaw-lcao", settings, RelaxationSpec())


def test_a_maker_survives_the_queue() -> None:
    from hts_battery.flows.engines.gpaw.jobs import gpaw_maker  # noqa: PLC0415 - atomate2 takes seconds

    maker = gpaw_maker("gpaw", GPAWSettings(kpoint_density=2.5), RelaxationSpec())
    text = json.dumps(maker, cls=MontyEncoder)
    back = json.loads(text, cls=MontyDecoder)
    assert back.settings == maker.settings
    assert json.dumps(back, cls=MontyEncoder) == text


# Real GPAW.

needs_gpaw = pytest.mark.skipif(
    find_spec("gpaw") is None, reason="GPAW is not installed (docs/gpaw.md says how)"
)


@pytest.mark.dft
@pytest.mark.slow
@needs_gpaw
def test_lithium_fluoride(run: Callable[[Job], dict[str, Any]]) -> None:
    from hts_battery.flows.engines.gpaw.jobs import gpaw_maker  # noqa: PLC0415 - atomate2 takes seconds

    structure = rocksalt(["Li"] * 4, "F", 4.03).get_primitive_structure()
    maker = gpaw_maker("gpaw", GPAWSettings(), RelaxationSpec(steps=20))
    output = run(maker.make(structure))
    assert output["is_force_converged"]
    assert output["output"]["energy_per_atom"] == pytest.approx(-4.7765, abs=0.01)
    edge = output["structure"]["lattice"]["volume"] ** (1 / 3) * 4 ** (1 / 3)
    assert edge == pytest.approx(4.06, abs=0.02)
    record = output["gpaw"]
    assert abs(record["pressure"]) < 0.5
    assert record["moments"] == [0, 0]
    first, *later = record["calls"]
    # One process keeps its wave functions from step to step.
    assert max(call["scf_steps"] for call in later) < first["scf_steps"]


CAMPAIGN = """\
name: manganite
space:
  family: hedrx
  basis: formula-unit
  step: 1/2
  sublattices:
    cation: {sites: 2, species: [Li+, Mn3+]}
    anion: {sites: 2, species: [O2-]}
selection: {method: formulas, formulas: [LiMnO2]}
structure: {n_orderings: {sqs: 1}, atoms: 8, iterations: 1000, seed: 0}
engine: gpaw
relaxation: {steps: 2, fmax: 0.05, relax_cell: true}
"""
"""A disordered rocksalt whose cell has two of four cations Mn3+."""


@pytest.mark.dft
@pytest.mark.slow
@pytest.mark.mongo
@needs_gpaw
def test_a_candidate_with_manganese(
    stores: Stores, tmp_path: Path, execution_folder: Path
) -> None:
    from hts_battery.campaign.spec_file import load_campaign  # noqa: PLC0415 - as above
    from hts_battery.flows.recipes.local import run_flow_locally  # noqa: PLC0415 - likewise
    from hts_battery.flows.recipes.screen import ScreenMaker  # noqa: PLC0415 - likewise

    assert execution_folder
    file = tmp_path / "campaign.yaml"
    file.write_text(CAMPAIGN)
    campaign = load_campaign(file)
    ((_, candidate),) = campaign.members()
    flow = ScreenMaker.from_campaign(campaign.spec).make(candidate)
    assert run_flow_locally(flow, stores.job_store, tmp_path / "launches")
    task = stores.tasks.query_one({"metadata.step": "relax"})
    assert task["metadata"]["calculation"]["engine"] == "gpaw"
    output, record = task["output"], task["output"]["gpaw"]
    symbols = [site["label"] for site in output["structure"]["sites"]]
    manganese = [place for place, symbol in enumerate(symbols) if symbol == "Mn"]
    assert len(symbols) == 8
    assert len(manganese) == 2
    assert record["start_moments_from"] == "structure"
    assert {record["start_moments"][place] for place in manganese} == {4.0}
    assert record["hubbard_u"] == {"Mn": 3.9}
    for place, moment in enumerate(record["moments"]):
        assert moment == pytest.approx(4 if place in manganese else 0, abs=0.4)
    energies = [call["energy"] for call in record["calls"]]
    assert len(energies) == 3
    assert energies[-1] < energies[0]
    assert output["output"]["energy_per_atom"] == pytest.approx(-7.0, abs=0.3)
    assert abs(record["pressure"]) < 15
    # Two steps are not a relaxation, and the document says so.
    assert output["state"] == "failed"
