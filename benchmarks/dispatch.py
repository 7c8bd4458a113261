"""
What it costs to hand a campaign to FireWorks, and whether that grows with the campaign.

submission
    The first candidates of the campaign of 18,810 submitted into an empty database:
    candidates, members and backlog written. Then the same submission again, which adds
    nothing, and one pass of the feeder, which fills the window; what the pass takes a
    candidate that it sends is added to the submission, so that ours is everything until
    a candidate can be launched. The peer writes the same small job of a candidate with
    jobflow's ``flow_to_workflow`` and FireWorks' ``add_wf``, one by one, as their
    documentation does; it writes no candidate documents. Both are handed the members,
    and have loaded their packages.
checkout
    A rocket's checkout of one Firework while the window is full, beside a launchpad
    that holds one Firework for each of some candidates, which is the peer.
launcher
    A Firework with a trivial job from checkout to the end, beside the same job run in
    this process. The peer is the job alone; nothing of it is saved.

Everything in this process, on an embedded server of its own. Times by the clock, and
of the processors of this process and the server, which say more on a loaded machine.
Prints one JSON object a line; ``ratio`` is the peer's time over ours.
"""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import jobflow
import psutil
from figures import Printer
from fireworks import FWorker
from fireworks.core.rocket_launcher import rapidfire
from jobflow import JobStore, run_locally
from jobflow.managers.fireworks import flow_to_workflow
from maggma.stores import MemoryStore

from hts_battery.campaign.spec_file import read_campaign
from hts_battery.connections.database import embedded
from hts_battery.connections.database.database import database
from hts_battery.connections.database.indexes import ensure_indexes
from hts_battery.connections.database.stores import open_stores
from hts_battery.connections.launchpad.launchpad import open_launchpad, submit
from hts_battery.dispatch.feeder import feed
from hts_battery.dispatch.submission import plan_submission, submit_campaign
from hts_battery.flows.recipes.screen import ScreenMaker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fireworks import LaunchPad

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.dispatch.submission import Member
    from hts_battery.schemas.dispatch import FeedReport

PROJECT = Path(__file__).resolve().parents[1]
CAMPAIGN = PROJECT / "workflows" / "campaigns" / "hedrx_18810.yaml"
WORKER = "here"
CHECKOUTS = 20
show = Printer()


class Seconds(NamedTuple):
    """Time by the clock, and of the processors of this process and the server."""

    wall: float
    processor: float

    def over(self, count: int) -> Seconds:
        """Return the time of one of several."""
        return Seconds(self.wall / count, self.processor / count)

    def plus(self, other: Seconds) -> Seconds:
        """Return the time of both."""
        return Seconds(self.wall + other.wall, self.processor + other.processor)


class Ground(NamedTuple):
    """An empty database of the embedded server, its launchpad and its process."""

    stores: Stores
    launchpad: LaunchPad
    server: psutil.Process | None


def seconds(
    work: Callable[[], object], server: psutil.Process | None = None
) -> Seconds:
    """Time some work."""

    def processor() -> float:
        times = server.cpu_times() if server else None
        return time.process_time() + (times.user + times.system if times else 0.0)

    wall, start = time.perf_counter(), processor()
    work()
    return Seconds(time.perf_counter() - wall, processor() - start)


def compared(figure: str, ours: Seconds, peer: str, theirs: Seconds) -> None:
    """Print a figure by both clocks; the load of the machine spoils only one."""
    show(figure, ours.wall, "s", peer, theirs.wall / ours.wall)
    ratio = theirs.processor / ours.processor
    show(f"{figure}, processor", ours.processor, "s", peer, ratio)


@contextmanager
def opened(folder: Path, name: str) -> Iterator[Ground]:
    """Open an empty database of the embedded server, and its launchpad."""
    with ExitStack() as stack:
        found = stack.enter_context(database(None, name=name, data_dir=folder))
        stores = stack.enter_context(open_stores(found))
        ensure_indexes(stores)
        pid = embedded.status(folder).pid
        server = psutil.Process(pid) if pid else None
        yield Ground(stores, stack.enter_context(open_launchpad(found)), server)


def checkout(ground: Ground) -> Seconds:
    """Time one checkout, the first one left out."""
    worker = FWorker(name=WORKER)

    def work() -> None:
        for _ in range(CHECKOUTS):
            ground.launchpad.checkout_fw(worker, "nowhere")

    ground.launchpad.checkout_fw(worker, "nowhere")
    return seconds(work, ground.server).over(CHECKOUTS)


# The peers


def one_by_one(
    campaign: Campaign, ground: Ground, members: Sequence[Member]
) -> Seconds:
    """Time a candidate, submitted as the documentation of jobflow shows it."""
    maker = ScreenMaker.from_campaign(campaign.spec)

    def work() -> None:
        for _, candidate in members:
            ground.launchpad.add_wf(flow_to_workflow(maker.make(candidate)))

    return seconds(work, ground.server).over(len(members))


def full_launchpad(
    campaign: Campaign, ground: Ground, members: Sequence[Member]
) -> Seconds:
    """Time a checkout where every candidate has its Firework."""
    maker = ScreenMaker.from_campaign(campaign.spec)
    flows = [maker.make(candidate) for _, candidate in members]
    submit(flows, ground.launchpad, WORKER)
    return checkout(ground)


# Ours


def submission(options: argparse.Namespace) -> None:
    """Submit campaigns of growing size; compare with one by one."""
    campaign = read_campaign(CAMPAIGN)
    members: list[Member] = []
    listing = seconds(
        lambda: members.extend(replace(campaign, limit=max(options.sizes)).members())
    ).over(max(options.sizes))
    show("listing of a member, processor", listing.processor, "s")
    with opened(options.folder, "peer") as ground:
        theirs = one_by_one(campaign, ground, members[: options.peer])
    with opened(options.folder, "full") as ground:
        full = full_launchpad(campaign, ground, members[: options.full])
    peer = f"jobflow {version('jobflow')} flow_to_workflow and add_wf one by one"
    everything = f"{options.full} Fireworks, one a candidate"
    for figure, time_of, what in (
        ("submission of a candidate", theirs, peer),
        ("checkout", full, everything),
    ):
        show(figure, time_of.wall, f"s, {what}")
        show(f"{figure}, processor", time_of.processor, f"s, {what}")
    for size in options.sizes:
        with opened(options.folder, f"size_{size}") as ground:
            found = measured(campaign, ground, members[:size], options)
        what = f"{size} candidates"
        for figure in ("submission of a candidate", "submission and sending of one"):
            compared(f"{figure}, {what}", found[figure], peer, theirs)
        rate = 1 / found["submission of a candidate"].wall
        show(f"candidates submitted, {what}", rate, "1/s")
        for figure in ("second submission of a candidate", "idle look of the feeder"):
            show(f"{figure}, {what}", found[figure].wall, "s")
            show(f"{figure}, {what}, processor", found[figure].processor, "s")
        compared(f"checkout, {what}", found["checkout"], everything, full)


def measured(
    campaign: Campaign,
    ground: Ground,
    members: Sequence[Member],
    options: argparse.Namespace,
) -> dict[str, Seconds]:
    """Submit some members, fill the window, and take what it holds."""
    stores, launchpad, server = ground
    plan = plan_submission(campaign.spec, WORKER, window=options.window)
    submitting = partial(submit_campaign, campaign, stores, plan, members=members)
    written = seconds(submitting, server).over(len(members))
    again = seconds(submitting, server).over(len(members))
    reports: list[FeedReport] = []
    # As `hts campaign submit` does, which has the candidates at hand.
    at_hand = {candidate.candidate_id: candidate for _, candidate in members}
    filling = seconds(
        lambda: reports.extend(feed(stores, launchpad, candidates=at_hand)), server
    )
    return {
        "submission of a candidate": written,
        "submission and sending of one": written.plus(filling.over(reports[0].sent)),
        "second submission of a candidate": again,
        "idle look of the feeder": seconds(lambda: feed(stores, launchpad), server),
        "checkout": checkout(ground),
    }


def launcher(options: argparse.Namespace) -> None:
    """Run trivial jobs through FireWorks and without it."""
    jobs = [jobflow.job(os.path.basename)("a/b") for _ in range(options.jobs)]
    with opened(options.folder, "launcher") as (stores, launchpad, _):
        store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
        alone = seconds(
            lambda: [
                run_locally(
                    jobflow.job(os.path.basename)("a/b"), store=store, log=False
                )
                for _ in range(options.jobs)
            ]
        )
        jobflow.SETTINGS.JOB_STORE = stores.job_store
        submit(jobs, launchpad, WORKER)
        through = seconds(
            lambda: rapidfire(
                launchpad,
                FWorker(name=WORKER),
                m_dir=str(options.folder),
                strm_lvl="CRITICAL",
            )
        )
    each, job = through.over(options.jobs).wall, alone.over(options.jobs).wall
    show("a job through the launcher", each, "s", "the job alone", job / each)
    show("launcher overhead of a job", each - job, "s")


def main() -> None:
    """Run the groups that are asked for."""
    groups = {"submission": submission, "launcher": launcher}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="always so; kept for make")
    parser.add_argument("--only", choices=groups, help="one group")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 18_810])
    parser.add_argument("--window", type=int, default=200)
    parser.add_argument("--peer", type=int, default=200, help="candidates one by one")
    parser.add_argument("--full", type=int, default=2000, help="Fireworks of the peer")
    parser.add_argument("--jobs", type=int, default=30)
    options = parser.parse_args()
    logging.disable(logging.INFO)  # FireWorks tells every step
    with tempfile.TemporaryDirectory() as name:
        options.folder = Path(name)
        # Where jobs find the folder of the execution record.
        os.environ["HTS_BATTERY_DATA_DIR"] = name
        for group, work in groups.items():
            if options.only in (None, group):
                show("load_average", os.getloadavg()[0], f"{os.cpu_count()} cores")
                work(options)


if __name__ == "__main__":
    main()
