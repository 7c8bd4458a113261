"""
What it costs to hand a campaign to FireWorks, and whether that grows with the campaign.

submission
    The first candidates of the campaign of 18,810 submitted into an empty database:
    members listed, candidates, members and backlog written. Then the same submission
    again, which adds nothing, and one look of the feeder, which fills the window.
    The peer writes the same small job of a candidate with jobflow's
    ``flow_to_workflow`` and FireWorks' ``add_wf``, one by one, as their documentation
    does; it writes no candidate documents.
checkout
    A rocket's checkout of one Firework while the window is full, beside a launchpad
    that holds one Firework for each of some candidates, which is the peer.
launcher
    A Firework with a trivial job from checkout to the end, beside the same job run in
    this process. The peer is the job alone; nothing of it is saved.

Everything in this process, on an embedded server of its own; times by the clock.
Prints one JSON object a line; ``ratio`` is the peer's time over ours.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import jobflow
from fireworks import FWorker
from fireworks.core.rocket_launcher import rapidfire
from jobflow import JobStore, run_locally
from jobflow.managers.fireworks import flow_to_workflow
from maggma.stores import MemoryStore

from hts_battery.campaign.campaign_file import read_campaign
from hts_battery.campaign.feeding import feed
from hts_battery.campaign.submission import plan_submission, submit_campaign
from hts_battery.connections.database import database
from hts_battery.connections.launchpad import open_launchpad, submit
from hts_battery.connections.stores import ensure_indexes, open_stores
from hts_battery.flows.screen import ScreenMaker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fireworks import LaunchPad

    from hts_battery.campaign.campaign_file import Campaign
    from hts_battery.connections.stores import Stores

PROJECT = Path(__file__).resolve().parents[1]
CAMPAIGN = PROJECT / "workflows" / "campaigns" / "hedrx_18810.yaml"
WORKER = "here"
CHECKOUTS = 20


def line(
    figure: str,
    value: float,
    unit: str,
    peer: str | None = None,
    ratio: float | None = None,
) -> None:
    """Print one figure."""
    found = {"figure": figure, "value": value, "unit": unit}
    print(json.dumps({**found, "peer": peer, "ratio": ratio}), flush=True)


def seconds(work: Callable[[], object]) -> float:
    """Time some work by the clock."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


@contextmanager
def opened(folder: Path, name: str) -> Iterator[tuple[Stores, LaunchPad]]:
    """Open an empty database of the embedded server, and its launchpad."""
    with ExitStack() as stack:
        server = stack.enter_context(database(None, name=name, data_dir=folder))
        stores = stack.enter_context(open_stores(server))
        ensure_indexes(stores)
        yield stores, stack.enter_context(open_launchpad(server))


def checkout(launchpad: LaunchPad) -> float:
    """Seconds of one checkout, the first one left out."""
    worker = FWorker(name=WORKER)
    launchpad.checkout_fw(worker, "nowhere")
    return (
        seconds(
            lambda: [launchpad.checkout_fw(worker, "nowhere") for _ in range(CHECKOUTS)]
        )
        / CHECKOUTS
    )


# The peers


def one_by_one(campaign: Campaign, launchpad: LaunchPad, count: int) -> float:
    """Seconds a candidate, submitted as the documentation of jobflow shows it."""
    maker = ScreenMaker.from_campaign(campaign.spec)
    members = list(replace(campaign, limit=count).members())

    def work() -> None:
        for _, candidate in members:
            launchpad.add_wf(flow_to_workflow(maker.make(candidate)))

    return seconds(work) / len(members)


def full_launchpad(campaign: Campaign, launchpad: LaunchPad, count: int) -> float:
    """Seconds of a checkout where every candidate has its Firework."""
    maker = ScreenMaker.from_campaign(campaign.spec)
    members = replace(campaign, limit=count).members()
    submit([maker.make(candidate) for _, candidate in members], launchpad, WORKER)
    return checkout(launchpad)


# Ours


def submission(options: argparse.Namespace) -> None:
    """Submit campaigns of growing size; compare with one by one."""
    campaign = read_campaign(CAMPAIGN)
    with opened(options.folder, "peer") as (_, launchpad):
        theirs = one_by_one(campaign, launchpad, options.peer)
    with opened(options.folder, "full") as (_, launchpad):
        full = full_launchpad(campaign, launchpad, options.full)
    peer = f"jobflow {version('jobflow')} flow_to_workflow and add_wf one by one"
    everything = f"{options.full} Fireworks, one a candidate"
    line("submission of a candidate", theirs, f"s, {peer}, {options.peer} candidates")
    line("checkout", full, f"s, {everything}")
    for size in options.sizes:
        with opened(options.folder, f"size_{size}") as (stores, launchpad):
            share = replace(campaign, limit=size)
            plan = plan_submission(share.spec, WORKER, window=options.window)
            submitting = partial(submit_campaign, share, stores, plan)
            first = seconds(submitting) / size
            again = seconds(submitting) / size
            filling = seconds(lambda: feed(stores, launchpad))
            idle = seconds(lambda: feed(stores, launchpad))
            taking = checkout(launchpad)
        what = f"{size} candidates"
        line(f"submission of a candidate, {what}", first, "s", peer, theirs / first)
        line(f"candidates submitted, {what}", 1 / first, "1/s", peer, theirs / first)
        line(f"second submission of a candidate, {what}", again, "s")
        line(
            f"first look of the feeder, {what}",
            filling,
            f"s, window of {options.window} Fireworks",
        )
        line(f"look with nothing to do, {what}", idle, "s")
        line(f"checkout, {what}", taking, "s", everything, full / taking)


def launcher(options: argparse.Namespace) -> None:
    """Run trivial jobs through FireWorks and without it."""
    jobs = [jobflow.job(os.path.basename)("a/b") for _ in range(options.jobs)]
    with opened(options.folder, "launcher") as (stores, launchpad):
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
    line(
        "launcher overhead of a job",
        (through - alone) / options.jobs,
        "s",
        "the job alone",
        alone / through,
    )


def main() -> None:
    """Run the groups that are asked for."""
    groups = {"submission": submission, "launcher": launcher}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="JSON lines, as always")
    parser.add_argument("--only", choices=groups, help="one group")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 18_810])
    parser.add_argument("--window", type=int, default=200)
    parser.add_argument("--peer", type=int, default=200, help="candidates one by one")
    parser.add_argument("--full", type=int, default=2000, help="Fireworks of the peer")
    parser.add_argument("--jobs", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        options.folder = Path(name)
        # Where jobs find the folder of the execution record.
        os.environ["HTS_BATTERY_DATA_DIR"] = name
        for group, work in groups.items():
            if options.only in (None, group):
                work(options)


if __name__ == "__main__":
    main()
