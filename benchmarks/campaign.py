"""
A whole campaign through every room, and what the engine costs beside the calculator.

The rooms are the commands that an operator types, each a process of its own, on an
embedded server in ``--folder``: check, submit, launch (rockets of worker ``local``
beside a feeder, through FireWorks), build, query, export. For each room: seconds by the
clock, seconds of the processors (its processes and the server), growth of the
database, and the peak memory of every process. Interrupted, the same command goes on:
rooms that ended are kept in ``rooms.json``.

The calculator is what an engine is hired for: the search for the ordering and the
evaluation of its energy. It is measured in this process on members spread over the
campaign; the overhead of a candidate is everything else.

With ``--kills N`` the feeder and the rockets are killed (SIGKILL) in turn, one every
``--kill-after`` seconds while the campaign is launched, and started again. With
``--worker slurm`` the jobs go through the queue that ``sbatch`` reaches here, by
``hts launchpad launch``, which is killed in turn with the feeder and a rocket in the
queue; what the jobs of a queue cost is not measured.

At the end stands the ledger, counted from the append-only execution record: each
candidate in exactly one terminal state, no calculation completed twice, or the program
stops.
Prints one JSON object a line.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil
from figures import Printer

from hts_battery.campaign.spec_file import read_campaign
from hts_battery.connections.records.executions import read_executions
from hts_battery.flows.engines.ionic import rescaled
from hts_battery.flows.engines.registry import engine
from hts_battery.flows.recipes.continuation import starting_structure
from hts_battery.flows.recipes.screen import candidate_orderings
from hts_battery.schemas.execution import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hts_battery.campaign.spec_file import Campaign

PROJECT = Path(__file__).resolve().parents[1]
CAMPAIGN = PROJECT / "workflows/campaigns/hedrx_18810_ionic.yaml"
LOCAL = "local"
PING_SECONDS = 5
"""A rocket of the queue that is silent for some of these is asked after."""
SAMPLE = 50
REGISTERED = ("check", "submit")
"""Rooms that every candidate of the file passes, whatever becomes of it."""
NOT_RUN = ("cancelled",)
TERMINAL = ("ranked", "unjudged", "rejected", "failed", "gated", "cancelled")
MIB = 1024**2
HTS = (str(Path(sys.executable).with_name("hts")),)
show = Printer()


class Room(NamedTuple):
    """What one room took: seconds, seconds of processors, bytes, MiB at the peak."""

    clock: float
    clients: float
    server: float
    stored: int
    peaks: dict[str, float]


class Running(NamedTuple):
    """A process of a room and what it is called."""

    name: str
    process: subprocess.Popen[bytes]


def main() -> None:
    """Read the options, run the rooms that have not ended, print every figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="accepted; always JSON")
    parser.add_argument("--campaign", type=Path, default=CAMPAIGN)
    parser.add_argument("--folder", type=Path, required=True, help="kept, to go on")
    parser.add_argument("--count", type=int, help="a sample of so many members")
    parser.add_argument("--worker", default=LOCAL, help="of launchpad_configs")
    parser.add_argument("--processes", type=int, default=2, help="rockets at once")
    parser.add_argument("--kills", type=int, default=0, help="processes to kill")
    parser.add_argument("--kill-after", type=float, default=60.0, help="in s, each")
    asked = parser.parse_args()
    folder = asked.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    copy = campaign_copy(asked.campaign, folder, asked.count)
    run = Run(folder, copy, asked.worker)
    run.kills = [asked.kill_after * (n + 1) for n in range(asked.kills)]
    run.measure(asked.processes)


def campaign_copy(path: Path, folder: Path, count: int | None) -> Path:
    """Write the campaign file beside its results, smaller where asked."""
    text = path.read_text(encoding="utf-8")
    if count is not None:
        text = re.sub(r"count: \d+", f"count: {count}", text)
        text = text.replace("method: all", f"method: sample, count: {count}, seed: 1")
    copy = folder / path.name
    copy.write_text(text, encoding="utf-8")
    return copy


class Run:
    """One campaign in one folder."""

    def __init__(self, folder: Path, spec: Path, worker: str) -> None:
        self.folder = folder
        self.worker = worker
        self.spec = spec
        self.done = folder / "rooms.json"
        self.environment = os.environ | {
            "HTS_BATTERY_DATA_DIR": str(folder / "data"),
            "OMP_NUM_THREADS": "1",
        }
        self.server: Any = None
        self.kills: list[float] = []

    def measure(self, processes: int) -> None:
        """Go through the rooms in order."""
        status = json.loads(self.hts("db", "up", "--json"))
        self.server = psutil.Process(status["pid"])
        self.environment["HTS_BATTERY_MONGO_URI"] = status["uri"]
        worker = self.folder / "data" / "workers" / self.worker
        if not worker.exists():
            self.hts("launchpad", "render", self.worker)
            config = worker / "FW_config.yaml"
            often = f"PING_TIME_SECS: {PING_SECONDS}"
            text = re.sub(r"PING_TIME_SECS: \d+", often, config.read_text("utf-8"))
            config.write_text(text, encoding="utf-8")
        for name in ("FW_config", "jobflow", "atomate2"):
            key = "FW" if name == "FW_config" else name.upper()
            self.environment[f"{key}_CONFIG_FILE"] = str(worker / f"{name}.yaml")
        self.hts("references", "import", "--engine", "ionic")
        spec = str(self.spec)
        rooms = {
            "check": lambda: self.command("campaign", "check", spec),
            "submit": lambda: self.command(
                *("campaign", "submit", spec, "--worker", self.worker),
                *("--templates", str(PROJECT / "launchpad_configs")),
            ),
            "launch": lambda: self.launch(worker, processes),
            "build": lambda: self.command("build", "all"),
            "build again": lambda: self.command("build", "all"),
            "query": lambda: self.command("query", "stable", "--limit", "50"),
            "export": lambda: self.command(
                "query", "export", "-o", str(self.folder / "all.csv")
            ),
        }
        for name, act in rooms.items():
            if name not in self.kept():
                self.keep(name, act())
        self.report()

    def hts(self, *arguments: str) -> str:
        """Run a command that is not measured."""
        return subprocess.run(  # noqa: S603 - our own commands
            [*HTS, *arguments],
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
            cwd=PROJECT,
        ).stdout

    def start(self, name: str, command: Sequence[str]) -> Running:
        """Start a process of a room; what it prints goes to a log."""
        log = (self.folder / f"{name.partition(' ')[0]}.log").open("ab")
        where = self.folder / "launches"
        where.mkdir(exist_ok=True)
        process = subprocess.Popen(  # noqa: S603 - as above
            command, env=self.environment, stdout=log, stderr=log, cwd=where
        )
        log.close()
        return Running(name, process)

    def command(self, *arguments: str) -> Room:
        """Run one command as a room."""
        return self.room([self.start(arguments[0], [*HTS, *arguments])], {})

    def launch(self, worker: Path, processes: int) -> Room:
        """Feed and run until every candidate has ended."""
        feed = [*HTS, "launchpad", "feed", "--watch"]
        if self.worker != LOCAL:
            launcher = {"launcher": [*HTS, "launchpad", "launch", self.worker]}
            targets = {"rocket in the queue": []} | launcher | {"feeder": feed}
            return self.room([self.start("feeder", feed)], launcher, targets)
        rocket = [
            *(
                sys.executable,
                "-m",
                "hts_battery.connections.launchpad.fireworks_commands",
            ),
            *("rlaunch", "-c", str(worker), "rapidfire"),
        ]
        rockets = {f"rocket {n + 1}": rocket for n in range(processes)}
        return self.room(
            [self.start("feeder", feed)], rockets, {"feeder": feed} | rockets
        )

    def room(
        self,
        first: list[Running],
        again: Mapping[str, Sequence[str]],
        killed: Mapping[str, Sequence[str]] | None = None,
    ) -> Room:
        """
        Wait for the first processes; the others are started whenever they end.

        A rocket that finds nothing to do ends, and looks again a little later. Those
        that may be killed are, in turn, when their time has come.
        """
        kills = list(self.kills) if killed else []
        targets = cycle(killed or {})
        start, before, stored = time.perf_counter(), self.spent(), self.stored()
        clients, peaks = 0.0, defaultdict[str, float](float)
        running = first + [self.start(name, one) for name, one in again.items()]
        waiting = {one.process.pid for one in first}
        while running:
            time.sleep(0.2)
            end([] if waiting else running)
            peaks["server"] = max(peaks["server"], self.memory())
            if kills and time.perf_counter() - start > kills[0]:
                self.kill(running, next(targets))
                kills.pop(0)
            for one, status, usage in ended(running):
                clients += usage.ru_utime + usage.ru_stime
                peaks[one.name] = max(peaks[one.name], usage.ru_maxrss / 1024)
                shot = status == signal.SIGKILL and killed is not None
                if status and not shot and (waiting or one.name not in again):
                    raise SystemExit(f"{one.name} ended with {status}: see its log")
                was_first = one.process.pid in waiting
                waiting.discard(one.process.pid)
                if killed and shot:
                    running.append(self.start(one.name, killed[one.name]))
                    if was_first:
                        waiting.add(running[-1].process.pid)
                elif one.name in again and waiting:
                    running.append(self.start(one.name, again[one.name]))
        return Room(
            time.perf_counter() - start,
            clients,
            self.spent() - before,
            self.stored() - stored,
            {name: round(peak) for name, peak in peaks.items()},
        )

    def kill(self, running: Sequence[Running], name: str) -> None:
        """Kill a process by its name, or one that the queue started."""
        found = [one.process.pid for one in running if one.name == name]
        pid = next(iter(found or queued_rockets(self.folder)), None)
        if pid is None:
            show(f"not there to be killed: {name}", 0, "process")
            return
        os.kill(pid, signal.SIGKILL)
        show(f"killed: {name}", pid, "process")

    def spent(self) -> float:
        """Return the processor seconds of the server so far."""
        times = self.server.cpu_times()
        return float(times.user + times.system)

    def memory(self) -> float:
        """Return the memory of the server now, in MiB."""
        return float(self.server.memory_info().rss / MIB)

    def stored(self) -> int:
        """Return the bytes of the server's files."""
        files = (self.folder / "data" / "database").rglob("*")
        return sum(file.stat().st_size for file in files if file.is_file())

    def kept(self) -> dict[str, Any]:
        """Return the rooms that have ended."""
        if not self.done.exists():
            return {}
        return dict(json.loads(self.done.read_text(encoding="utf-8")))

    def keep(self, name: str, room: Room) -> None:
        """Note that a room has ended."""
        text = json.dumps(self.kept() | {name: room._asdict()}, indent=1)
        self.done.write_text(text, encoding="utf-8")

    def report(self) -> None:
        """Print what each room took, the overhead of a candidate, and the ledger."""
        campaign = read_campaign(self.spec)
        words = ("campaign", "status", str(self.spec), "--exact", "--json")
        status = json.loads(self.hts(*words))
        number = status["candidates"]
        check_ledger(status["states"], number, self.folder / "data")
        if self.worker != LOCAL:
            show(
                "launch: clock", self.kept()["launch"]["clock"], "s", candidates=number
            )
            return
        done = number - sum(status["states"].get(state, 0) for state in NOT_RUN)
        seconds = calculator_seconds(campaign)
        show("calculator: processor", seconds * 1000, "ms a candidate", candidates=done)
        overhead = -seconds
        for name, room in self.kept().items():
            among = number if name in REGISTERED else done
            spent = (room["clients"] + room["server"]) / among
            overhead += spent
            show(f"{name}: processor", spent * 1000, "ms a candidate", candidates=among)
            show(f"{name}: clock", room["clock"], "s", candidates=among)
            stored = room["stored"] / among
            show(f"{name}: stored", stored, "bytes a candidate", candidates=among)
            for process, peak in room["peaks"].items():
                show(f"{name}: peak memory of {process}", peak, "MiB", candidates=among)
        show(
            "overhead",
            overhead,
            "s of processor a candidate",
            peer="the calculator alone",
            ratio=seconds / overhead,
            candidates=done,
        )


def end(running: Sequence[Running]) -> None:
    """Ask launchers to end, which do not by themselves."""
    for one in running:
        if one.name == "launcher":
            os.kill(one.process.pid, signal.SIGTERM)  # not reaped here


def queued_rockets(folder: Path) -> Iterator[int]:
    """Yield the rockets of jobs whose worker is rendered in a folder."""
    for one in psutil.process_iter(["pid", "cmdline"]):
        words = one.info["cmdline"] or []
        if "rlaunch" in words and any(word.startswith(str(folder)) for word in words):
            yield one.info["pid"]


def ended(running: list[Running]) -> Iterator[tuple[Running, int, Any]]:
    """Yield processes that have ended, with status and usage, and take them out."""
    for one in list(running):
        pid, status, usage = os.wait4(one.process.pid, os.WNOHANG)
        if pid:
            running.remove(one)
            yield one, status, usage


def check_ledger(states: Mapping[str, int], number: int, data: Path) -> None:
    """Count every candidate once, from the record; stop where the sum is wrong."""
    completed: Counter[tuple[str | None, str | None]] = Counter()
    outcomes: Counter[str] = Counter()
    for one in read_executions(data / "executions").executions:
        outcomes[str(one.outcome)] += 1
        if one.outcome is Outcome.COMPLETED and one.start.content_key is not None:
            completed[one.start.content_key, one.start.step] += 1
    repeated = Counter(key[1] for key, times in completed.items() if times > 1)
    for step, count in repeated.items():
        show(f"ledger: {step} completed twice", count, "executions", candidates=number)
    ended = sum(states.get(state, 0) for state in TERMINAL)
    if repeated or ended != number:
        raise SystemExit(
            f"{ended} of {number} ended, {repeated.total()} completed twice"
        )
    for state, count in states.items():
        show(f"ledger: {state}", count, "candidates", candidates=number)
    for outcome, count in outcomes.items():
        show(f"ledger: executions {outcome}", count, "executions", candidates=number)


def calculator_seconds(campaign: Campaign) -> float:
    """Order and evaluate members spread over the campaign; processor seconds each."""
    maker: Any = engine(campaign.spec.engine).relax_maker(campaign.spec.relaxation)
    spent = 0.0
    members = list(spread(campaign))
    for document in members:
        start = time.process_time()
        for cell in candidate_orderings(document, campaign.spec.structure):
            start_from = starting_structure(cell, None, magmom=False, charge=True)
            maker.run_ase(rescaled(start_from))
        spent += time.process_time() - start
    return spent / len(members)


def spread(campaign: Campaign) -> Iterator[Any]:
    """Yield members at equal distances."""
    members = [document for _, document in campaign.members()]
    yield from members[:: max(1, len(members) // SAMPLE)][:SAMPLE]


if __name__ == "__main__":
    main()
