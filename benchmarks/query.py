"""
Queries of analysts on 18,810 summaries in the embedded server, beside raw pymongo.

Summaries are synthetic (``tests/synthetic_summaries.py``): 4 to 8 of 23 metals, oxides
and oxyfluorides, E_hull drawn evenly from -10 to 130 meV/atom. Asked are the filters of
``docs/analyst.md``, pages of a ranking, groups, an export of everything, twenty readers
at once, and a filter of 50,000 to a million rows, with the memory that it takes. The
yardstick of a filter sends the query of the mongo shell in that page through pymongo's
collection, with the same fields; runs alternate, the median of each counts. Ratios
are the time of the yardstick over ours. Processor seconds are those of this process and
the server together, which a busy machine changes less than the clock.

Prints one JSON object a line. ``--data-dir FOLDER`` makes the data there once and finds
them there again; ``--only NAME`` measures one part.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil
import pyarrow as pa
from figures import Printer
from pymatgen.core import Lattice, Structure

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from guide import questions, shell_query  # noqa: E402 - found through the path above
from synthetic_summaries import (  # noqa: E402 - likewise
    CAMPAIGN as SYNTHETIC,
)
from synthetic_summaries import (  # noqa: E402 - likewise
    TEMPERATURES,
    fill,
    synthetic_summaries,
)

from hts_battery.builders.summary_table import (  # noqa: E402 - likewise
    arrow_table,
    part_documents,
)
from hts_battery.connections.database import embedded  # noqa: E402 - likewise
from hts_battery.connections.database.database import (  # noqa: E402 - likewise
    database,
)
from hts_battery.connections.database.indexes import (  # noqa: E402 - likewise
    ensure_indexes,
)
from hts_battery.connections.database.stores import open_stores  # noqa: E402 - likewise
from hts_battery.errors import HTSBatteryError  # noqa: E402 - likewise
from hts_battery.query import ScreeningDatabase  # noqa: E402 - likewise
from hts_battery.query.exports import ExportFormat  # noqa: E402 - likewise
from hts_battery.query.selection import (  # noqa: E402 - likewise
    default_fields,
    fields_of,
)
from hts_battery.query.snapshots import (  # noqa: E402 - likewise
    Asked,
    exported,
    read_snapshot,
)
from hts_battery.query.summary_table import TableCache  # noqa: E402 - likewise
from hts_battery.schemas.summary_table import (  # noqa: E402 - likewise
    PART_ROWS,
    CampaignTable,
    TableHead,
    table_row,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from hts_battery.connections.database.stores import Stores

CAMPAIGN = "first"
TEMPERATURE = 1473.0
RUNS = 5
MOST = 2_000
PAGE = 50
CELLS = 1_000
TWO_PARTS = 'elements HAS ALL "Mn","Ti" AND e_hull_1473 <= -0.05'
MILLION = 1_000_000
READERS = 20
TICK = 0.01
"""Seconds; the server's processor time is known to that."""
ORDER = {"energy_above_hull": 1, "candidate_id": 1}


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", dest="as_json")
    parser.add_argument("--summaries", type=int, default=18_810)
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="how long the readers read"
    )
    parser.add_argument("--data-dir", type=Path, help="folder that keeps the data")
    parser.add_argument("--only", choices=sorted(PARTS), help="one part alone")
    asked = parser.parse_args()
    show = Printer(as_json=asked.as_json)
    with tempfile.TemporaryDirectory() as folder:
        data_dir = asked.data_dir or Path(folder)
        data_dir.mkdir(parents=True, exist_ok=True)
        with (
            database(None, name="hts_battery", data_dir=data_dir) as found,
            open_stores(found) as stores,
        ):
            make_data(stores, show, asked.summaries)
            load = Path("/proc/loadavg").read_text("utf-8").split()[0]
            show("load of the last minute", float(load), "processes")
            for name, part in PARTS.items():
                if asked.only in (None, name):
                    part(stores, show, asked.seconds)


def make_data(stores: Stores, show: Printer, count: int) -> None:
    """Write summaries, and the cells of a thousand, unless they are there."""
    if stores.summary.count() == count and stores.tasks.count():
        return
    ensure_indexes(stores)
    start = time.perf_counter()
    fill(stores, count, campaign=CAMPAIGN)
    show("summaries written and aggregated", time.perf_counter() - start, "s")
    names = [doc["entry_id"] for doc in ScreeningDatabase(stores).find(limit=CELLS)]
    cell = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.2), ["Li", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    structure = (cell * (2, 2, 1)).as_dict()
    stores.tasks.collection.insert_many(
        {"uuid": name, "index": 1, "output": {"structure": structure}} for name in names
    )


class Seconds(NamedTuple):
    """What a call took, in the median."""

    wall: float
    processor: float
    """Of this process and the server."""


def timed(stores: Stores, *calls: Callable[[], Any]) -> list[Seconds]:
    """Return the median of several runs of each call, in turn."""
    times: list[list[Seconds]] = [[] for _ in calls]
    for _ in range(RUNS):
        for call, found in zip(calls, times, strict=True):
            used, start = processor_seconds(stores), time.perf_counter()
            call()
            wall = time.perf_counter() - start
            found.append(Seconds(wall, processor_seconds(stores) - used))
    return [
        Seconds(
            median(one.wall for one in found), median(one.processor for one in found)
        )
        for found in times
    ]


def processor_seconds(stores: Stores) -> float:
    """Return what this process and the database server have used so far."""
    server = stores.database.server
    pid = embedded.status(server.data_dir).pid if server else None
    times = psutil.Process(pid).cpu_times() if pid else None
    return time.process_time() + (times.user + times.system if times else 0.0)


def filters(stores: Stores, show: Printer, _seconds: float) -> None:
    """Measure each filter of the guide that matches up to 2,000 summaries."""
    screening = ScreeningDatabase(stores)
    collection = stores.summary.collection
    fields = fields_of(default_fields(screening.temperatures()))
    shown = {**dict.fromkeys((field.path for field in fields), 1), "_id": 0}
    asked = {one.words: shell_query(one.shell) for one in questions()}
    for text, query in asked.items():
        count = screening.count(text)
        if not 0 < count <= MOST or query.verb != "find":
            show(f"not measured, {count} match: {text}", count, "summaries")
            continue
        stages = [{"$match": query.argument}, {"$sort": ORDER}, {"$project": shown}]
        ours, raw, whole = timed(
            stores,
            lambda text=text: screening.table(text),
            lambda stages=stages: list(collection.aggregate(stages)),
            lambda text=text: list(screening.find(text)),
        )
        peer = "pymongo"
        ratio = raw.wall / ours.wall
        show(f"{count} match: {text}", ours.wall, "s", peer=peer, ratio=ratio)
        ratio = max(raw.processor, TICK) / max(ours.processor, TICK)
        name = f"{count} match, processor: {text}"
        show(name, ours.processor, "s", peer=peer, ratio=ratio)
        show(f"{count} match, whole documents: {text}", whole.wall, "s")


def pages(stores: Stores, show: Printer, _seconds: float) -> None:
    """Measure pages of a ranking, the most stable, and what is counted."""
    screening = ScreeningDatabase(stores)
    path = f"energy_above_hull_at.{TEMPERATURE:g}K"
    whole = [{"$sort": {path: 1, "candidate_id": 1}}, {"$limit": PAGE}]

    def page(first: int) -> Callable[[], Any]:
        return lambda: list(
            screening.ranking(
                campaign=CAMPAIGN, temperature=TEMPERATURE, first=first, limit=PAGE
            )
        )

    early, late, top, sorting = timed(
        stores,
        page(1),
        page(9_001),
        lambda: list(screening.find(sort=["e_hull_1473"], limit=PAGE)),
        lambda: list(stores.summary.collection.aggregate(whole)),
    )
    show(f"first {PAGE} of a ranking", early.wall, "s")
    show(f"{PAGE} from rank 9,001", late.wall, "s")
    peer = "pymongo, sorting all"
    ratio = sorting.wall / top.wall
    show(f"{PAGE} most stable of all", top.wall, "s", peer=peer, ratio=ratio)
    for name, call in {
        "two-part filter counted": lambda: screening.count(TWO_PARTS),
        "two-part filter, keys": lambda: screening.table(
            TWO_PARTS, fields=["candidate_id"]
        ),
        "groups by number of metals": lambda: screening.group(
            "n-metals", f'campaign = "{CAMPAIGN}"', temperature=TEMPERATURE
        ),
        "values of the flags, counted": lambda: screening.distinct("flags"),
        "comparison of a campaign with an engine": lambda: screening.compare(
            CAMPAIGN, "chgnet", temperature=TEMPERATURE
        ),
    }.items():
        (found,) = timed(stores, call)
        show(name, found.wall, "s")


def exports(stores: Stores, show: Printer, _seconds: float) -> None:
    """Measure an export of everything, one with structures, and reading them again."""
    limits = {
        ExportFormat.CSV: 0,
        ExportFormat.JSON: 0,
        ExportFormat.PARQUET: 0,
        ExportFormat.OPTIMADE: CELLS,
        ExportFormat.CIF: CELLS,
    }
    with tempfile.TemporaryDirectory() as folder:
        for file_format, limit in limits.items():
            path = Path(folder) / f"all.{file_format}"
            start = time.perf_counter()
            asked = Asked(limit=limit)
            _, save = exported(stores, file_format=file_format, asked=asked)
            manifest = save(path)
            seconds = time.perf_counter() - start
            show(f"{manifest.n_rows} rows exported as {file_format}", seconds, "s")
            start = time.perf_counter()
            assert read_snapshot(path).verified
            again = time.perf_counter() - start
            show(f"the {file_format} read again, verified", again, "s")


def readers(stores: Stores, show: Printer, seconds: float) -> None:
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
            lambda: screening.table('elements HAS ALL "Mn","Ti" AND e_hull <= 0.05'),
            lambda: screening.group("n-metals", temperature=TEMPERATURE),
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
    show(f"{READERS} readers for {seconds:g} s: queries", len(times), "queries")
    show(f"{READERS} readers: errors", len(errors), "errors")
    show(f"{READERS} readers: median", median(times), "s")
    show(f"{READERS} readers: 95 of 100 within", quantiles(times, n=20)[-1], "s")


def rows(_stores: Stores, show: Printer, _seconds: float) -> None:
    """Filter tables of growing size, in this process without a server."""
    some = [table_row(doc) for doc in synthetic_summaries(2_000)]
    part = pa.concat_tables([arrow_table(some)] * (PART_ROWS // len(some)))
    for count in (PART_ROWS, MILLION // 5, MILLION):
        docs = [
            document
            for first in range(0, count, PART_ROWS)
            for document in part_documents(SYNTHETIC, "v", first, part)
        ]
        table = TableCache(_reading(docs, count)).get()
        docs.clear()
        where = table.where(TWO_PARTS)
        before = psutil.Process().memory_info().rss
        times = []
        for _ in range(RUNS):
            start = time.perf_counter()
            table.rows(where, ["candidate_id", "energy_above_hull"])
            times.append(time.perf_counter() - start)
        grown = (psutil.Process().memory_info().rss - before) / 1e6
        show(f"{count:,} rows filtered by two parts", median(times), "s")
        show(f"{count:,} rows filtered: memory that grew", grown, "MB")


def _reading(docs: list[dict[str, Any]], count: int) -> Callable[..., Any]:
    """Answer for a database that holds one table."""
    one = CampaignTable(
        campaign=SYNTHETIC, version="v", n_rows=count, temperatures=TEMPERATURES
    )
    head = TableHead(run_id=None, campaigns=(one,)).model_dump(mode="json")

    def read(_collection: str, criteria: dict[str, Any], _fields: object = None) -> Any:  # noqa: ANN401 - documents
        wanted = criteria.get("part_id")
        if wanted == head["part_id"]:
            return [head]
        if "campaign" in criteria:
            return docs
        return [doc for doc in docs if doc["part_id"] == wanted]

    return read


PARTS = {
    "filters": filters,
    "pages": pages,
    "exports": exports,
    "readers": readers,
    "rows": rows,
}


if __name__ == "__main__":
    main()
