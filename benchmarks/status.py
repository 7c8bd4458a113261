"""
Asking where a campaign stands: quickly from its backlog, and from every output.

Runs on its own embedded server. The candidates are those of
``workflows/campaigns/hedrx_18810.yaml``, registered as they are in earnest; what came
of them is made up: of each hundred, in sending order, the first half has ended (one in
ten failed), then come two hundred Fireworks of twenty candidates, then what waits. Of
what was computed all but a tenth is ranked. Tasks, entries and summaries are
as small as they can be.

Prints one JSON object a line; beside the time, processor seconds of client and
server together, which a busy machine changes less. The peer of the quick answer is the
exact one, in the same run; both must agree, or the program stops.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from figures import Printer

from hts_battery.campaign.built_states import note_built_states
from hts_battery.campaign.plan import Assumptions, plan_campaign
from hts_battery.campaign.registration import register
from hts_battery.campaign.spec_file import read_campaign
from hts_battery.campaign.status import campaign_status
from hts_battery.connections.database import embedded
from hts_battery.connections.database.database import database
from hts_battery.connections.database.indexes import ensure_indexes
from hts_battery.connections.database.stores import open_stores
from hts_battery.connections.launchpad.launchpad import open_launchpad
from hts_battery.connections.records.backlog import dispatching, write_submission
from hts_battery.dispatch.submission import plan_submission
from hts_battery.schemas.dispatch import (
    BLOCK_SIZE,
    BacklogBlock,
    BacklogItem,
    Ending,
    EndingKind,
)
from hts_battery.schemas.failure import FailureClass

if TYPE_CHECKING:
    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores

ROOT = Path(__file__).resolve().parents[1]
CAMPAIGN = ROOT / "workflows/campaigns/hedrx_18810.yaml"
COUNT = "count: 18810"
WINDOW, CHUNK = 200, 20
UNBUILT = 10
REPEATS = 5


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", dest="as_json")
    parser.add_argument("--candidates", type=int, default=18_810)
    parser.add_argument(
        "--quick-only", action="store_true", help="leave the exact answer out"
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / CAMPAIGN.name
        text = CAMPAIGN.read_text(encoding="utf-8")
        path.write_text(
            text.replace(COUNT, f"count: {asked.candidates}"), encoding="utf-8"
        )
        with (
            database(None, name="benchmark", data_dir=folder) as opened,
            open_stores(opened) as stores,
        ):
            ensure_indexes(stores)
            with open_launchpad(opened):
                pass
            measure(path, stores, asked)


def measure(path: Path, stores: Stores, asked: argparse.Namespace) -> None:
    """Fill the database and ask."""
    show = Printer(as_json=asked.as_json)
    campaign = read_campaign(path)
    register(campaign, stores)
    fill(campaign, stores)
    size = asked.candidates
    folder = path.parent / "executions"

    def ask(*, exact: bool) -> tuple[float, float, dict[str, int]]:
        start, before = time.perf_counter(), processor(path.parent)
        found = campaign_status(path, stores, execution_folder=folder, exact=exact)
        spent = processor(path.parent) - before
        return time.perf_counter() - start, spent, found.states

    quick = [ask(exact=False) for _ in range(REPEATS)]
    seconds = statistics.median(one[0] for one in quick)
    spent = statistics.median(one[1] for one in quick)
    peer, ratio = None, None
    if not asked.quick_only:
        exact, _, states = ask(exact=True)
        if states != quick[0][2]:
            raise SystemExit(f"{quick[0][2]} is not {states}")
        show(f"exact status of {size} candidates", exact, "s")
        peer, ratio = "every output read", exact / seconds
    show(
        f"status of {size} candidates",
        seconds,
        "s",
        peer=peer,
        ratio=ratio,
    )
    figure = f"processor, client and server, of a status of {size} candidates"
    show(figure, spent, "s")
    start = time.perf_counter()
    plan_campaign(path, stores, Assumptions(), execution_folder=folder)
    took = time.perf_counter() - start
    show(f"plan of {size} candidates", took, "s")


def processor(folder: Path) -> float:
    """Add up processor seconds of this process and of the server."""
    server = psutil.Process(embedded.status(folder).pid).cpu_times()
    return time.process_time() + server.user + server.system


def fill(campaign: Campaign, stores: Stores) -> None:
    """Make up what came of the candidates."""
    now = datetime.now(UTC)
    members = list(
        stores.members.query(
            {"campaign": campaign.spec.name},
            properties=["candidate_id", "content_key"],
        )
    )
    half = len(members) // 2
    ended, sent = members[:half], members[half : half + WINDOW * CHUNK]
    items = [
        BacklogItem(
            content_key=doc["content_key"],
            candidate_id=doc["candidate_id"],
            formula="Li1.2Mn0.4Ti0.4O2",
            dispatch_id=f"old-{number // CHUNK}",
            fw_id=number // CHUNK,
            asked=campaign.spec.structure.n_orderings,
            ending=ending(number, now),
        )
        for number, doc in enumerate(ended)
    ]
    items += [
        BacklogItem(
            content_key=doc["content_key"],
            candidate_id=doc["candidate_id"],
            formula="Li1.2Mn0.4Ti0.4O2",
            dispatch_id=f"new-{number // CHUNK}",
            fw_id=half + number // CHUNK,
            asked=campaign.spec.structure.n_orderings,
        )
        for number, doc in enumerate(sent)
    ]
    items += [
        BacklogItem(
            content_key=doc["content_key"],
            candidate_id=doc["candidate_id"],
            formula="Li1.2Mn0.4Ti0.4O2",
        )
        for doc in members[len(items) :]
    ]
    with dispatching(stores, "benchmark") as lease:
        submission = plan_submission(campaign.spec, "slurm", budget=10_000.0)
        write_submission(stores, submission, lease)
    stores.backlog.collection.insert_many(
        [
            BacklogBlock(
                campaign=campaign.spec.name,
                block=start // BLOCK_SIZE,
                revision=1,
                items=tuple(items[start : start + BLOCK_SIZE]),
            ).model_dump(mode="json")
            for start in range(0, len(items), BLOCK_SIZE)
        ]
    )
    fill_launchpad(campaign.spec.name, half, len(sent) // CHUNK, stores, now)
    fill_outputs(campaign.spec.name, items[:half], stores)


def ending(number: int, now: datetime) -> Ending:
    """Say how one candidate ended."""
    failed = number % 10 == 0
    return Ending(
        kind=EndingKind.FAILED if failed else EndingKind.COMPUTED,
        failure_class=FailureClass.WALLTIME if failed else None,
        reason="builtins.RuntimeError: no time left" if failed else None,
        seconds=30.0,
        node_hours=30 / 3600,
        launches=1,
        time=now - timedelta(seconds=number),
    )


def fill_launchpad(
    campaign: str, first: int, count: int, stores: Stores, now: datetime
) -> None:
    """Put workflows of one Firework each beside our collections."""
    beside: Any = stores.campaigns.collection.database
    states = ["RUNNING" if number < count // 4 else "READY" for number in range(count)]
    tags = [
        {"hts_dispatch_id": f"new-{number}", "hts_campaign": campaign}
        for number in range(count)
    ]
    beside.workflows.insert_many(
        [
            {
                "nodes": [first + number],
                "fw_states": {str(first + number): states[number]},
                "metadata": tags[number],
                "state": states[number],
                "name": f"hts {campaign} {number}",
                "updated_on": now,
            }
            for number in range(count)
        ]
    )
    beside.fireworks.insert_many(
        [
            {"fw_id": first + number, "state": states[number], "spec": tags[number]}
            for number in range(count)
        ]
    )
    beside.launches.insert_many(
        [
            {
                "launch_id": number,
                "fw_id": first + number,
                "state": "RUNNING",
                "state_history": [{"state": "RUNNING", "created_on": now}],
            }
            for number in range(count // 4)
        ]
    )


def fill_outputs(campaign: str, items: list[BacklogItem], stores: Stores) -> None:
    """Write tasks, failures, entries and summaries of what has ended."""
    good = [one for one in items if one.ending and one.ending.reason is None]
    bad = [one for one in items if one.ending and one.ending.reason is not None]
    stores.tasks.collection.insert_many(
        [
            {
                "uuid": f"order-{one.content_key}",
                "index": 1,
                "completed_at": "2026-11-25",
                "metadata": {
                    "content_key": one.content_key,
                    "step": "order",
                    "asked": {str(method): n for method, n in one.asked.items()},
                    "calculation": {"engine": "chgnet"},
                },
                "output": [{"ordering_id": "o", "method": "sqs"}],
            }
            for one in good
        ]
    )
    stores.tasks.collection.insert_many(
        [
            {
                "uuid": f"task-{one.content_key}",
                "index": 1,
                "completed_at": "2026-11-25",
                "metadata": {
                    "content_key": one.content_key,
                    "step": "relax",
                    "ordering_id": "o",
                    "n_orderings": 1,
                    "final": True,
                    "calculation": {"engine": "chgnet"},
                },
                "output": {
                    "nsites": 40,
                    "output": {"energy": -200.0, "elapsed_time": 25.0},
                },
            }
            for one in good
        ]
    )
    stores.failures.collection.insert_many(
        [
            {
                "content_key": one.content_key,
                "candidate_id": one.candidate_id,
                "failures": [
                    {
                        "step": "relax",
                        "ordering_id": None,
                        "error_class": "builtins.RuntimeError",
                        "error_message": "no time left",
                    }
                ],
            }
            for one in bad
        ]
    )
    built = good[len(good) // UNBUILT :]
    stores.entries.collection.insert_many(
        [
            {
                "entry_id": one.content_key,
                "content_key": one.content_key,
                "kind": "candidate",
                "state": "used",
                "reason": None,
                "ordering_id": "o",
                "ordering_method": "sqs",
                "ordering_series": {"sqs": ["o"]},
            }
            for one in built
        ]
    )
    stores.summary.collection.insert_many(
        [{"campaign": campaign, "candidate_id": one.candidate_id} for one in built]
    )
    note_built_states(stores, campaign, run_id="2026", digest=None)


if __name__ == "__main__":
    main()
