"""
Questions of analysts on 18,810 summaries: this code beside another checkout's.

Each side has an embedded database of its own with the same synthetic summaries
(``tests/synthetic_summaries.py``), and each round asks it from a new process; the two
take turns. The first question of a process reads what it needs; the others are the
median of five. The first view is the dashboard's page `/` in headless Chromium, from
the address to its cards, by a server that has just started (``--no-browser``: without).

    python benchmarks/one_table.py --before CHECKOUT --folder FOLDER --rounds 3

Prints one JSON object a line: medians over the rounds, seconds by the clock and of the
processors of process and server. A ratio is theirs over ours.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from threading import Thread
from typing import TYPE_CHECKING

import psutil
from figures import Printer

import hts_battery

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hts_battery.connections.database.database import Database
    from hts_battery.connections.database.stores import Stores

    Times = Mapping[str, Sequence[float]]
    """Question → seconds by the clock, of the processors."""

PROJECT = Path(__file__).resolve().parents[1]
CAMPAIGN = "first"
TWO_PARTS = 'elements HAS ALL "Mn","Ti" AND e_hull_1473 <= -0.05'
TEMPERATURE = 1473.0
PAGE, LATE = 50, 9_001
RUNS = 5
CARDS = "document.querySelector('#overview .cards') !== null"
show = Printer()


def main() -> None:
    """Read the options, let the two take turns, print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="accepted; always JSON")
    parser.add_argument("--before", type=Path, help="other checkout")
    parser.add_argument("--folder", type=Path, required=True, help="keeps the data")
    parser.add_argument("--count", type=int, default=18_810)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-browser", action="store_false", dest="browser")
    parser.add_argument("--side", choices=("fill", "ask"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.side:
        one_side(asked)
        return
    if asked.before is None:
        parser.error("--before names the other checkout")
    sides = {"before": asked.before.resolve(), "ours": PROJECT}
    found: dict[str, list[Times]] = {name: [] for name in sides}
    for name, checkout in sides.items():
        if not (asked.folder / name).exists():
            run_side(checkout, asked.folder / name, asked, "fill")
    for _ in range(asked.rounds):
        for name, checkout in sides.items():
            text = run_side(checkout, asked.folder / name, asked, "ask")
            found[name].append(json.loads(text.splitlines()[-1]))
    compare(found["before"], found["ours"])


def compare(before_rounds: Sequence[Times], our_rounds: Sequence[Times]) -> None:
    """Print the medians of the rounds, and theirs over ours."""
    for question in our_rounds[0]:
        for kind, unit in enumerate(("s", "s of processor")):
            before, ours = (
                median(one[question][kind] for one in rounds)
                for rounds in (before_rounds, our_rounds)
            )
            peer = f"the other checkout, {before:.3g} {unit}"
            show(question, ours, unit, peer, before / max(ours, 1e-9))


def run_side(checkout: Path, folder: Path, asked: argparse.Namespace, side: str) -> str:
    """Run this file with the code of a checkout; return what it printed."""
    command = [sys.executable, __file__, "--side", side, "--folder", str(folder)]
    command += [
        "--count",
        str(asked.count),
        *([] if asked.browser else ["--no-browser"]),
    ]
    variables = os.environ | {"PYTHONPATH": f"{checkout}:{checkout / 'tests'}"}
    done = subprocess.run(  # noqa: S603 - our own command
        command, env=variables, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def one_side(asked: argparse.Namespace) -> None:
    """Write the summaries, or ask; what is imported is the checkout's."""
    from synthetic_summaries import fill  # noqa: PLC0415 - of the checkout asked for

    from hts_battery.connections.database.database import database  # noqa: PLC0415
    from hts_battery.connections.database.indexes import (  # noqa: PLC0415
        ensure_indexes,
    )
    from hts_battery.connections.database.stores import open_stores  # noqa: PLC0415

    asked.folder.mkdir(parents=True, exist_ok=True)
    with database(None, name="hts_battery", data_dir=asked.folder) as opened:
        with open_stores(opened) as stores:
            if asked.side == "fill":
                ensure_indexes(stores)
                fill(stores, asked.count, campaign=CAMPAIGN)
                return
            times = questions(stores)
        if asked.browser:
            times |= first_view(opened)
    sys.stdout.write(json.dumps(times) + "\n")


def questions(stores: Stores) -> dict[str, tuple[float, float]]:
    """Return clock and processor seconds of each question, loading first."""
    from hts_battery.query import ScreeningDatabase  # noqa: PLC0415
    from hts_battery.query.exports import ExportFormat  # noqa: PLC0415
    from hts_battery.query.snapshots import Asked, exported  # noqa: PLC0415

    screening = ScreeningDatabase(stores)

    def export() -> None:
        with tempfile.TemporaryDirectory() as folder:
            _, save = exported(stores, file_format=ExportFormat.CSV, asked=Asked())
            save(Path(folder) / "all.csv")

    def rank(first: int) -> list[object]:
        asked = {"campaign": CAMPAIGN, "temperature": TEMPERATURE, "limit": PAGE}
        return list(screening.ranking(first=first, **asked))

    where = f'campaign = "{CAMPAIGN}"'
    asked: dict[str, Callable[[], object]] = {
        "two-part filter": lambda: screening.table(TWO_PARTS),
        "two-part filter, counted": lambda: screening.count(TWO_PARTS),
        "group by number of metals": lambda: screening.group(
            "n-metals", where, temperature=TEMPERATURE
        ),
        f"page of rank {LATE:,}": lambda: rank(LATE),
        "export of everything, CSV": export,
    }
    times = {"first question of a process": measured(asked["two-part filter"], stores)}
    for name, call in asked.items():
        runs = [measured(call, stores) for _ in range(RUNS)]
        times[name] = (median(a for a, _ in runs), median(b for _, b in runs))
    return times


def measured(call: Callable[[], object], stores: Stores) -> tuple[float, float]:
    """Return what a call took, by the clock and of the processors."""
    used, start = processor_seconds(stores), time.perf_counter()
    call()
    return time.perf_counter() - start, processor_seconds(stores) - used


def processor_seconds(stores: Stores) -> float:
    """Return what this process and the database server have used so far."""
    from hts_battery.connections.database import embedded  # noqa: PLC0415

    server = stores.database.server
    pid = embedded.status(server.data_dir).pid if server else None
    used = psutil.Process(pid).cpu_times() if pid else None
    return time.process_time() + (used.user + used.system if used else 0.0)


def first_view(opened: Database) -> dict[str, tuple[float, float]]:
    """Serve the dashboard; time its first page with an empty cache, and once more."""
    checkout = Path(hts_battery.__file__).parents[1]
    sys.path.insert(0, str(checkout / "benchmarks"))
    from dashboard import chromium, view  # noqa: PLC0415 - of the checkout asked for

    from hts_battery.dashboard.server import (  # noqa: PLC0415
        ServerOptions,
        create_server,
        server_of,
    )

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        options = ServerOptions(port=free.getsockname()[1])
    server = server_of(create_server(opened, options), options)
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    driver = chromium()
    times = {}
    try:
        for name in ("first view, empty cache", "first view, later"):
            used = time.process_time()
            clock = view(driver, f"http://127.0.0.1:{options.port}/", CARDS)
            times[name] = (clock, time.process_time() - used)
    finally:
        driver.quit()
        server.should_exit = True
        thread.join()
    return times


if __name__ == "__main__":
    main()
