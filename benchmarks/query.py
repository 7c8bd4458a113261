"""
Queries of analysts on 18,810 summaries in the embedded server, beside raw pymongo.

Summaries are synthetic (``tests/synthetic_summaries.py``): 4 to 8 of 23 metals, oxides
and oxyfluorides, E_hull drawn evenly from -10 to 130 meV/atom. Asked are the filters of
``docs/analyst.md``, pages of a ranking, the aggregates, an export of everything, and
twenty readers at once. The yardstick sends the same stages through pymongo's
collection and reads the documents; runs alternate, the shortest of each counts. Ratios
are our time over that of the yardstick. Processor seconds are those of this process and
the server together, which a busy machine changes less than the clock.

Prints one JSON object a line.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from guide import questions  # noqa: E402 - found through the path above
from synthetic_summaries import fill  # noqa: E402 - likewise

from hts_battery.connections import embedded  # noqa: E402 - likewise
from hts_battery.connections.database import database  # noqa: E402 - likewise
from hts_battery.connections.indexes import ensure_indexes  # noqa: E402 - likewise
from hts_battery.connections.stores import open_stores  # noqa: E402 - likewise
from hts_battery.errors import HTSBatteryError  # noqa: E402 - likewise
from hts_battery.query import ScreeningDatabase  # noqa: E402 - likewise
from hts_battery.query.exporting import exported  # noqa: E402 - likewise
from hts_battery.query.exports import ExportFormat  # noqa: E402 - likewise
from hts_battery.query.filters import filter_criteria  # noqa: E402 - likewise
from hts_battery.query.index_plans import planned  # noqa: E402 - likewise
from hts_battery.query.snapshots import read_snapshot  # noqa: E402 - likewise
from hts_battery.query.statistics import Statistics  # noqa: E402 - likewise

if TYPE_CHECKING:
    from collections.abc import Callable

    from hts_battery.connections.stores import Stores

CAMPAIGN = "first"
TEMPERATURE = 1473.0
RUNS = 4
MOST = 2_000
PAGE = 50
READERS = 20
ORDER = {"energy_above_hull": 1, "candidate_id": 1}


class Printer:
    """Prints figures, as JSON lines or for people."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def __call__(  # noqa: D102 - the class says it
        self,
        figure: str,
        value: float,
        unit: str,
        *,
        peer: str | None = None,
        ratio: float | None = None,
    ) -> None:
        line = {
            "figure": figure,
            "value": round(value, 4),
            "unit": unit,
            "peer": peer,
            "ratio": None if ratio is None else round(ratio, 3),
        }
        beside = "" if ratio is None else f"  {ratio:.2f} x {peer}"
        text = f"{figure:<70}{value:>10.3f} {unit}{beside}"
        sys.stdout.write((json.dumps(line) if self.as_json else text) + "\n")
        sys.stdout.flush()


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", dest="as_json")
    parser.add_argument("--summaries", type=int, default=18_810)
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="how long the readers read"
    )
    asked = parser.parse_args()
    printer = Printer(as_json=asked.as_json)
    with (
        tempfile.TemporaryDirectory() as folder,
        database(None, name="benchmark", data_dir=Path(folder)) as found,
        open_stores(found) as stores,
    ):
        ensure_indexes(stores)
        start = time.perf_counter()
        fill(stores, asked.summaries, campaign=CAMPAIGN)
        printer("summaries written and aggregated", time.perf_counter() - start, "s")
        filters(stores, printer)
        pages(stores, printer)
        exports(stores, printer, Path(folder))
        readers(stores, printer, asked.seconds)


class Seconds(NamedTuple):
    """What a call took."""

    wall: float
    processor: float
    """Of this process and the server."""


def shortest(stores: Stores, *calls: Callable[[], Any]) -> list[Seconds]:
    """Return the shortest of several runs of each call, in turn."""
    times: list[list[Seconds]] = [[] for _ in calls]
    for _ in range(RUNS):
        for call, found in zip(calls, times, strict=True):
            used, start = processor_seconds(stores), time.perf_counter()
            call()
            wall = time.perf_counter() - start
            found.append(Seconds(wall, processor_seconds(stores) - used))
    return [
        Seconds(min(one.wall for one in found), min(one.processor for one in found))
        for found in times
    ]


def processor_seconds(stores: Stores) -> float:
    """Return what this process and the database server have used so far."""
    server = stores.database.server
    pid = embedded.status(server.data_dir).pid if server else None
    times = psutil.Process(pid).cpu_times() if pid else None
    return time.process_time() + (times.user + times.system if times else 0.0)


def filters(stores: Stores, printer: Printer) -> None:
    """Measure each filter of the guide that matches up to 2,000 summaries."""
    screening = ScreeningDatabase(stores)
    collection = stores.summary.collection
    for words in dict.fromkeys(question.words for question in questions()):
        plan = planned(filter_criteria(words), Statistics(screening.aggregates()))
        stages = [*plan.stages(), {"$sort": ORDER}]
        count = screening.count(words)
        if not 0 < count <= MOST:
            printer(f"not measured, {count} match: {words}", count, "summaries")
            continue
        ours, raw = shortest(
            stores,
            lambda words=words: list(screening.find(words)),
            lambda stages=stages: list(collection.aggregate(stages)),
        )
        peer = "pymongo"
        ratio = ours.wall / raw.wall
        printer(f"{count} match: {words}", ours.wall, "s", peer=peer, ratio=ratio)
        ratio = ours.processor / max(raw.processor, 0.01)
        name = f"{count} match, processor: {words}"
        printer(name, ours.processor, "s", peer=peer, ratio=ratio)


def pages(stores: Stores, printer: Printer) -> None:
    """Measure pages of a ranking, the most stable, and the aggregates."""
    screening = ScreeningDatabase(stores)
    path = f"energy_above_hull_at.{TEMPERATURE:g}K"
    whole = [{"$sort": {path: 1, "candidate_id": 1}}, {"$limit": PAGE}]

    def page(first: int) -> Callable[[], Any]:
        return lambda: list(
            screening.ranking(
                campaign=CAMPAIGN, temperature=TEMPERATURE, first=first, limit=PAGE
            )
        )

    early, late, top, sorting = shortest(
        stores,
        page(1),
        page(9_001),
        lambda: list(screening.find(sort=["e_hull_1473"], limit=PAGE)),
        lambda: list(stores.summary.collection.aggregate(whole)),
    )
    printer(f"first {PAGE} of a ranking", early.wall, "s")
    printer(f"{PAGE} from rank 9,001", late.wall, "s")
    peer = "pymongo, sorting all"
    ratio = top.wall / sorting.wall
    printer(f"{PAGE} most stable of all", top.wall, "s", peer=peer, ratio=ratio)
    (counts,) = shortest(stores, screening.aggregates)
    printer("aggregates of every campaign", counts.wall, "s")
    (compared,) = shortest(
        stores, lambda: screening.compare(CAMPAIGN, "chgnet", temperature=TEMPERATURE)
    )
    printer("comparison of a campaign with an engine", compared.wall, "s")


def exports(stores: Stores, printer: Printer, folder: Path) -> None:
    """Measure an export of everything, and reading it again."""
    for file_format in (ExportFormat.CSV, ExportFormat.JSON, ExportFormat.PARQUET):
        path = folder / f"all.{file_format}"
        start = time.perf_counter()
        _, save = exported(stores, file_format=file_format)
        manifest = save(path)
        seconds = time.perf_counter() - start
        printer(f"{manifest.n_rows} rows exported as {file_format}", seconds, "s")
        start = time.perf_counter()
        assert read_snapshot(path).verified
        printer(f"the {file_format} read again", time.perf_counter() - start, "s")


def readers(stores: Stores, printer: Printer, seconds: float) -> None:
    """Let twenty readers ask at once."""
    end = time.monotonic() + seconds
    times: list[float] = []
    errors: list[str] = []

    def read(number: int) -> None:
        draw = random.Random(number)  # noqa: S311 - no secret
        screening = ScreeningDatabase(stores)
        ask: list[Callable[[], Any]] = [
            lambda: list(
                screening.ranking(
                    campaign=CAMPAIGN,
                    temperature=TEMPERATURE,
                    first=draw.randrange(1, 15_000),
                    limit=PAGE,
                )
            ),
            lambda: list(screening.find("e_hull_1473 <= -0.1", limit=PAGE)),
            lambda: list(
                screening.find('elements HAS ONLY "Li","O","Mg","Al","Ti","Mn"')
            ),
            screening.aggregates,
        ]
        while time.monotonic() < end:
            start = time.perf_counter()
            try:
                draw.choice(ask)()
            except HTSBatteryError as err:
                errors.append(str(err))
            times.append(time.perf_counter() - start)

    threads = [threading.Thread(target=read, args=(n,)) for n in range(READERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    printer(f"{READERS} readers for {seconds:g} s: queries", len(times), "queries")
    printer(f"{READERS} readers: errors", len(errors), "errors")
    printer(f"{READERS} readers: median", median(times), "s")
    printer(f"{READERS} readers: 95 of 100 within", quantiles(times, n=20)[-1], "s")


if __name__ == "__main__":
    main()
