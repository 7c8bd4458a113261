"""
What flows cost beside atomate2's own, and whether CHGNet gains from batches.

submission
    Our one small job of a candidate beside its DFT flow built first. Both ways end as
    JSON text, which is what a launchpad stores. The peer is atomate2's
    ``MPGGADoubleRelaxStaticMaker`` for an ordered cell of 64 atoms, which somebody has
    to order first; ordering is not counted. Times are processor seconds of one core.
relaxations
    The same four cells relaxed with CHGNet for a fixed number of ionic steps by both
    sides in turn: by atomate2's ``ForceFieldRelaxMaker`` through ``run_locally`` into
    a store in memory, handed the ordered structures; and by our whole flow (order,
    relax, execution record, embedded server), handed the candidates. The processor
    time of our server counts as ours. Energies of both sides must agree.
batches
    CHGNet on 40-atom cells, one by one and in batches, on one thread.
processes
    One process with two threads, as OpenMP makes them and with threads that wait
    without spinning, beside two processes with one thread each, in turn.

Prints one JSON object a line; ``ratio`` is the peer's time over ours; in the last two
groups the time of single cells, or of the one process, over the other's.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil
from atomate2.vasp.flows.mp import MPGGADoubleRelaxStaticMaker
from figures import Printer
from jobflow import JobStore, run_locally
from maggma.stores import MemoryStore
from monty.json import MontyEncoder

from hts_battery.campaign.spec_file import load_campaign
from hts_battery.connections.database import embedded
from hts_battery.connections.database.database import database
from hts_battery.connections.database.indexes import ensure_indexes
from hts_battery.connections.database.stores import open_stores
from hts_battery.flows.recipes.local import run_flow_locally
from hts_battery.flows.recipes.screen import ScreenMaker, candidate_orderings
from hts_battery.structures.inputs import calculator_structure
from hts_battery.structures.ordering import order_candidate

if TYPE_CHECKING:
    from collections.abc import Callable

    from chgnet.model import CHGNet
    from jobflow import Flow
    from pymatgen.core import Structure

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.candidate import CandidateDoc

OXYFLUORIDES = """\
name: {name}
space:
  family: hedrx
  basis: formula-unit
  step: {step}
  sublattices:
    cation: {{sites: 2, species: [Li+, Mn3+, Ti4+]}}
    anion: {{sites: 2, species: [O2-, F-]}}
selection: {{method: sample, count: 8, seed: 1}}
structure: {structure}
engine: {engine}
"""
NASICONS = """\
name: {name}
space:
  family: nasicon
  basis: formula-unit
  step: {step}
  sublattices:
    alkali: {{sites: 4, species: [Na+, Vac]}}
    metal: {{sites: 2, species: [Zr4+, Ti4+]}}
    polyanion: {{sites: 3, species: [Si4+, P5+]}}
    oxygen: {{sites: 12, species: [O2-]}}
selection: {{method: formulas, formulas: [Na2TiZrSiP2O12, Na3Zr2Si2PO12, NaZr2P3O12]}}
structure: {structure}
engine: {engine}
"""
RELAXATION = "relaxation: {{fmax: {fmax}, steps: {steps}}}\n"
FMAX = 0.0001  # eV/angstrom; not reached, so that both sides take every step
FAMILIES = (
    (OXYFLUORIDES, 0.1, "{n_orderings: {random: 1}, atoms: 40}"),
    (NASICONS, 0.5, "{n_orderings: {random: 1}, atoms: null}"),
)
EACH = 2
BATCHES = (1, 2, 4, 8)
ENERGY_TOLERANCE = 1e-5  # eV/atom; single precision
show = Printer()


class Seconds(NamedTuple):
    """Time by the clock and of the processor."""

    wall: float
    processor: float


def read_campaign(text: str, folder: Path) -> Campaign:
    """Read a campaign from a text."""
    file = folder / f"hts_benchmark_{os.getpid()}.yaml"
    file.write_text(text, encoding="utf-8")
    campaign = load_campaign(file)
    file.unlink()
    return campaign


# Submission


def cost(build: Callable[[], Flow], repetitions: int) -> tuple[float, int]:
    """Seconds and bytes of one flow, built and written as text."""
    size = len(json.dumps(build(), cls=MontyEncoder))
    start = time.process_time()
    for _ in range(repetitions):
        json.dumps(build(), cls=MontyEncoder)
    return (time.process_time() - start) / repetitions, size


def submission(options: argparse.Namespace) -> None:
    """Compare what one candidate costs to submit."""
    campaign = read_campaign(
        OXYFLUORIDES.format(
            name="submission",
            step=0.0625,
            structure="{n_orderings: {sqs: 1}, atoms: 64, iterations: 500, seed: 3}",
            engine="vasp-mp-gga",
        ),
        options.folder,
    )
    _, candidate = next(campaign.members())
    maker = ScreenMaker.from_campaign(campaign.spec)
    cell = order_candidate(candidate.to_candidate(), atoms=64, iterations=500, seed=3)
    structure = calculator_structure(cell, magmom=True)
    peer = f"atomate2 {version('atomate2')} MPGGADoubleRelaxStaticMaker, 64 atoms"
    ours = cost(lambda: maker.make(candidate), options.repetitions)
    theirs = cost(
        lambda: MPGGADoubleRelaxStaticMaker().make(structure), options.repetitions
    )
    for which, figure, unit in (
        (0, "submission of a candidate", "s"),
        (1, "bytes of a submitted candidate", "bytes"),
    ):
        show(figure, theirs[which], f"{unit}, {peer}")
        show(figure, ours[which], unit, peer, theirs[which] / ours[which])


# Relaxations


def timed(work: Callable[[], float], pid: int | None = None) -> tuple[float, Seconds]:
    """Return what some work returns and its time, that of another process added."""

    def processor() -> float:
        times = psutil.Process(pid).cpu_times() if pid else None
        return time.process_time() + (times.user + times.system if times else 0.0)

    wall, start = time.perf_counter(), processor()
    found = work()
    return found, Seconds(time.perf_counter() - wall, processor() - start)


def peer_energy(structure: Structure, steps: int, folder: Path) -> float:
    """Relax as atomate2's documentation does; return the energy in eV/atom."""
    from atomate2.forcefields.jobs import ForceFieldRelaxMaker  # noqa: PLC0415 - torch

    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    job = ForceFieldRelaxMaker(
        force_field_name="CHGNet", steps=steps, relax_kwargs={"fmax": FMAX}
    ).make(structure)
    with redirect_stdout(StringIO()):
        found = run_locally(
            job, store=store, root_dir=folder, log=False, ensure_success=True
        )
    return float(found[job.uuid][1].output.output.energy_per_atom)


def our_energy(
    maker: ScreenMaker, candidate: CandidateDoc, stores: Stores, folder: Path
) -> float:
    """Run our flow of a candidate; return the stored energy in eV/atom."""
    if not run_flow_locally(maker.make(candidate), stores.job_store, folder):
        raise SystemExit(f"{candidate.formula} failed; see {folder / 'jobs.log'}")
    found = stores.tasks.query_one(
        {"metadata.candidate_id": candidate.candidate_id, "metadata.final": True},
        ["output.output.energy_per_atom"],
    )
    return float(found["output"]["output"]["energy_per_atom"])


def relaxations(options: argparse.Namespace) -> None:
    """Compare relaxations a minute of both sides on the same cells."""
    tasks: list[tuple[ScreenMaker, CandidateDoc, Structure]] = []
    for text, step, structure in FAMILIES:
        campaign = read_campaign(
            (text + RELAXATION).format(
                name="relaxing",
                step=step,
                structure=structure,
                engine="chgnet",
                fmax=FMAX,
                steps=options.steps,
            ),
            options.folder,
        )
        maker = ScreenMaker.from_campaign(campaign.spec)
        candidates = [candidate for _, candidate in campaign.members()]
        warm_up = (maker, candidates[-1])
        for candidate in candidates[:EACH]:
            (cell,) = candidate_orderings(candidate, campaign.spec.structure)
            tasks.append((maker, candidate, calculator_structure(cell, magmom=False)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Where jobs find the folder of the execution record.
        os.environ["HTS_BATTERY_DATA_DIR"] = name
        with (
            database(None, name="benchmark", data_dir=folder) as server,
            open_stores(server) as stores,
        ):
            ensure_indexes(stores)
            pid = embedded.status(server.server.data_dir).pid if server.server else None
            # What a process loads once is no part of a relaxation's cost.
            peer_energy(tasks[0][2], 2, folder)
            our_energy(*warm_up, stores, folder / "launches")
            theirs, ours = [], []
            for maker, candidate, start in tasks:
                energy, seconds = timed(
                    lambda start=start: peer_energy(start, options.steps, folder)
                )
                theirs.append(seconds)
                again, seconds = timed(
                    lambda maker=maker, candidate=candidate: our_energy(
                        maker, candidate, stores, folder / "launches"
                    ),
                    pid,
                )
                ours.append(seconds)
                if abs(energy - again) > ENERGY_TOLERANCE:
                    raise SystemExit(
                        f"{candidate.formula}: {again} eV/atom, atomate2 has {energy}"
                    )
    peer = f"atomate2 {version('atomate2')} ForceFieldRelaxMaker, {options.steps} steps"
    for field, clock in enumerate(("by the clock", "of one processor")):
        sums = [sum(seconds[field] for seconds in side) for side in (theirs, ours)]
        rates = [60 * len(tasks) / spent for spent in sums]
        show(f"relaxations {clock}", rates[0], f"1/min, {peer}")
        show(f"relaxations {clock}", rates[1], "1/min", peer, sums[0] / sums[1])
    for (_, candidate, start), their, our in zip(tasks, theirs, ours, strict=True):
        show(
            f"relaxation of {candidate.formula}, {len(start)} atoms",
            our.processor,
            "s of processor",
            peer,
            their.processor / our.processor,
        )


# Evaluations


def oxyfluoride_cells(folder: Path, count: int) -> list[Structure]:
    """Order different oxyfluorides of 40 atoms at random."""
    text, step, structure = FAMILIES[0]
    campaign = read_campaign(
        text.format(name="cells", step=step, structure=structure, engine="chgnet"),
        folder,
    )
    candidates = [candidate for _, candidate in campaign.members()][:count]
    return [
        calculator_structure(
            candidate_orderings(candidate, campaign.spec.structure)[0], magmom=False
        )
        for candidate in candidates
    ]


def loaded_model(threads: int) -> CHGNet:
    """Load CHGNet as its calculator does."""
    import torch  # noqa: PLC0415 - only this group needs it
    from chgnet.model import CHGNet  # noqa: PLC0415 - likewise

    torch.set_num_threads(threads)
    with redirect_stdout(StringIO()):  # it greets
        return CHGNet.load(use_device="cpu", verbose=False)


def batches(options: argparse.Namespace) -> None:
    """Compare batches with single cells on one thread."""
    cells = oxyfluoride_cells(options.folder, max(BATCHES))
    model = loaded_model(1)
    model.predict_structure(cells[0])
    start = time.process_time()
    for cell in cells:
        model.graph_converter(cell)
    graphs = (time.process_time() - start) / len(cells)
    show("graph of a cell", graphs, "s of processor, 40 atoms")
    single = Seconds(0, 0)
    for size in BATCHES:
        before = resource.getrusage(resource.RUSAGE_SELF)
        wall = time.perf_counter()
        for first in range(0, len(cells), size):
            model.predict_structure(cells[first : first + size], batch_size=size)
        wall = time.perf_counter() - wall
        after = resource.getrusage(resource.RUSAGE_SELF)
        user = (after.ru_utime - before.ru_utime) / len(cells)
        system = (after.ru_stime - before.ru_stime) / len(cells)
        seconds = Seconds(wall / len(cells), user + system)
        single = seconds if size == 1 else single
        show(
            f"evaluation in batches of {size}",
            seconds.processor,
            f"s of processor, {system:.3f} of them system; {seconds.wall:.3f} s wall",
            "single cells",
            single.processor / seconds.processor,
        )


def evaluate(options: argparse.Namespace) -> None:
    """Evaluate cells one by one when told to on standard input."""
    cells = oxyfluoride_cells(options.folder, max(BATCHES))
    model = loaded_model(options.threads)
    model.predict_structure(cells[0])
    print("ready", flush=True)
    for count in sys.stdin:
        wall, spent = time.perf_counter(), time.process_time()
        for number in range(int(count)):
            model.predict_structure(cells[number % len(cells)])
        wall, spent = time.perf_counter() - wall, time.process_time() - spent
        print(json.dumps([wall, spent]), flush=True)


def processes(options: argparse.Namespace) -> None:
    """Compare one process of two threads with two processes of one, in turn."""
    workers = [worker(2), worker(2, OMP_WAIT_POLICY="passive"), worker(1), worker(1)]
    for one in workers:
        while told(one) != "ready":
            pass
    teams = {
        "one process, two threads": workers[:1],
        "one process, two threads that wait without spinning": workers[1:2],
        "two processes": workers[2:],
    }
    spent: dict[str, list[Seconds]] = {name: [] for name in teams}
    for _ in range(options.rounds):
        for name, team in teams.items():
            each = options.evaluations // len(team)
            for one in team:
                tell(one, str(each))
            found = [Seconds(*json.loads(told(one))) for one in team]
            spent[name].append(
                Seconds(
                    max(one.wall for one in found) / options.evaluations,
                    sum(one.processor for one in found) / options.evaluations,
                )
            )
    for one in workers:
        one.communicate()
    peer = next(iter(teams))
    for name, rounds in spent.items():
        wall = sum(one.wall for one in rounds) / len(rounds)
        processor = sum(one.processor for one in rounds) / len(rounds)
        show(
            f"evaluation by {name}",
            wall,
            f"s wall, {processor:.3f} s of processor",
            peer,
            sum(one.wall for one in spent[peer]) / len(rounds) / wall,
        )


def worker(threads: int, **environment: str) -> subprocess.Popen[str]:
    """Start a process of this program that evaluates when told to."""
    return subprocess.Popen(  # noqa: S603 - this program
        [sys.executable, __file__, "--only", "evaluate", "--threads", str(threads)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment, "OMP_NUM_THREADS": str(threads)},
        cwd=tempfile.gettempdir(),
    )


def tell(process: subprocess.Popen[str], text: str) -> None:
    """Write a line to a process."""
    if process.stdin is None:
        raise SystemExit("a worker has no input")
    process.stdin.write(f"{text}\n")
    process.stdin.flush()


def told(process: subprocess.Popen[str]) -> str:
    """Read a line from a process."""
    found = process.stdout.readline() if process.stdout else ""
    if not found:
        raise SystemExit("a worker ended early")
    return found.strip()


GROUPS = {
    "submission": submission,
    "relaxations": relaxations,
    "batches": batches,
    "processes": processes,
}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="always so; kept for make")
    parser.add_argument("--only", choices=[*GROUPS, "evaluate"], help="one group")
    parser.add_argument("--repetitions", type=int, default=20, help="submissions")
    parser.add_argument("--steps", type=int, default=8, help="of each relaxation")
    parser.add_argument("--evaluations", type=int, default=8, help="a round")
    parser.add_argument("--rounds", type=int, default=2, help="of evaluations")
    parser.add_argument("--threads", type=int, default=1, help="of `evaluate`")
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    options = parser.parse_args()
    if options.only == "evaluate":
        evaluate(options)
        return 0
    for name, group in GROUPS.items():
        if options.only in (None, name):
            show("load_average", os.getloadavg()[0], f"{os.cpu_count()} cores")
            group(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
