"""A campaign that goes through the Slurm of the tests, and its exact ledger."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from fakes import FakeRelaxMaker
from slurm.rendered_worker import RenderedWorker

from hts_battery.connections.launchpad.queues import asked_job, this_cluster
from hts_battery.connections.records.backlog import Backlog
from hts_battery.connections.records.executions import read_executions
from hts_battery.dispatch.feeder import feed
from hts_battery.dispatch.recovery import recover
from hts_battery.dispatch.submission import plan_submission, submit_campaign
from hts_battery.flows.recipes.screen import ScreenMaker
from hts_battery.schemas.dispatch import EndingKind
from hts_battery.schemas.execution import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from slurm.one_node_slurm import OneNodeSlurm

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.connections.launchpad.launchpad import ExactLaunchPad
    from hts_battery.connections.launchpad.queues import QueueKind
    from hts_battery.dispatch.submission import Submitted
    from hts_battery.schemas.dispatch import FeedReport
    from hts_battery.schemas.recovery import RecoveryReport

_LOOK_SECONDS = 1.0


@dataclass
class QueuedCampaign:
    """
    A campaign, its worker on Slurm and everything between, with a fake engine.

    Parameters
    ----------
    campaign
        The campaign.
    stores, launchpad
        Open, of one database.
    slurm
        The queue.
    folder
        Folder of the worker.
    relax_maker
        The engine.
    name, more
        Worker and what it is rendered with beside the usual.
    """

    campaign: Campaign
    stores: Stores
    launchpad: ExactLaunchPad
    slurm: OneNodeSlurm
    folder: Path
    relax_maker: Any = field(default_factory=FakeRelaxMaker)
    name: str = "slurm"
    more: Mapping[str, str] = field(default_factory=dict)
    recoveries: list[RecoveryReport] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.worker = RenderedWorker(
            self.name,
            self.slurm,
            self.folder,
            self.stores.database.uri,
            self.stores.database.name,
            self.more,
        )

    @property
    def make_maker(self) -> Callable[..., ScreenMaker]:
        return partial(ScreenMaker.from_campaign, relax_maker=self.relax_maker)

    def submit(self, **options: Any) -> Submitted:  # noqa: ANN401 - those of a submission
        retry = options.pop("retry_failed", False)
        submission = plan_submission(self.campaign.spec, self.name, **options)
        return submit_campaign(
            self.campaign, self.stores, submission, retry_failed=retry
        )

    def look(self) -> FeedReport:
        """Recover and feed once, as the feeder does."""
        found = recover(
            self.stores,
            self.launchpad,
            launch_folders=[self.worker.launches],
            listed=self.listed,
            asked=partial(asked_job, environment=self.slurm.environment),
            here=partial(this_cluster, environment=self.slurm.environment),
            grace=1.0,
        )
        self.recoveries.append(found)
        (report,) = feed(self.stores, self.launchpad, make_maker=self.make_maker)
        return report

    def listed(self, _kind: QueueKind) -> frozenset[str]:
        """Ask this Slurm, whatever the environment says."""
        return frozenset(self.slurm.jobs())

    @contextmanager
    def launching(self, *, jobs: int = 4) -> Iterator[Launcher]:
        """Keep a qlaunch running that sends whatever is ready."""
        launcher = Launcher(self.worker, jobs)
        try:
            yield launcher
        finally:
            launcher.stop()

    def finish(self, launcher: Launcher, *, timeout: float = 300.0) -> FeedReport:
        """Look again and again until the campaign is done."""
        deadline = time.monotonic() + timeout
        while True:
            launcher.keep()
            report = self.look()
            if report.is_done:
                return report
            assert time.monotonic() < deadline, (report, self.worker.printed()[-5000:])
            time.sleep(_LOOK_SECONDS)

    def kinds(self) -> Counter[EndingKind | None]:
        """Count how the candidates ended, by the backlog."""
        return Counter(item.ending and item.ending.kind for item in self.backlog.items)

    @property
    def backlog(self) -> Backlog:
        return Backlog.read(self.stores, self.campaign.spec.name)

    def assert_exact(self, **expected: int) -> None:
        """
        Count from the execution record that nobody is lost or computed twice.

        Parameters
        ----------
        expected
            Kind of ending → number of candidates.
        """
        items = {item.content_key: item for item in self.backlog.items}
        members = {self.campaign.key(one) for _, one in self.campaign.members()}
        assert set(items) == members, "each candidate is in the backlog, once"
        assert self.kinds() == {EndingKind(k): n for k, n in expected.items()}
        marks: Counter[tuple[str | None, str | None]] = Counter()
        begun: Counter[tuple[str | None, str | None]] = Counter()
        for one in read_executions(self.worker.executions).executions:
            if one.start.step != "relax":
                continue
            key = one.start.content_key, one.start.ordering_id
            begun[key] += 1
            marks[key] += one.outcome is Outcome.COMPLETED
        twice = [key for key, number in marks.items() if number > 1]
        assert not twice, "nobody has two completion marks"
        stored: Counter[tuple[str, str]] = Counter(
            (doc["metadata"]["content_key"], doc["metadata"]["ordering_id"])
            for doc in self.stores.tasks.query({"metadata.final": True})
        )
        assert set(stored.values()) <= {1}
        computed = {
            key
            for key, item in items.items()
            if item.ending is not None and item.ending.kind is EndingKind.COMPUTED
        }
        assert {key for key, _ in stored} == computed
        for key in stored:
            # A rocket killed after its output was stored has no time to say so.
            assert marks[key] == 1 or begun[key] > marks[key] == 0
        states = self.launchpad.fireworks.distinct("state")
        assert not {"RUNNING", "RESERVED"} & set(states)
        assert self.launchpad.workflows.count_documents({"locked": {"$exists": 1}}) == 0


class Launcher:
    """A qlaunch in the background, started again when it ends."""

    def __init__(self, worker: RenderedWorker, jobs: int) -> None:
        self._worker = worker
        self._jobs = jobs
        self._process: subprocess.Popen[bytes] | None = None
        self.keep()

    def keep(self) -> None:
        """Start it where it does not run."""
        if self._process is not None and self._process.poll() is None:
            return
        worker = self._worker
        with (worker.folder / "qlaunch.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own words
                [
                    *(sys.executable, "-m"),
                    *(
                        "hts_battery.connections.launchpad.fireworks_commands",
                        "qlaunch",
                    ),
                    *("-c", str(worker.config), "--launch_dir", str(worker.launches)),
                    *("-r", "--loglvl", "WARNING", "rapidfire"),
                    *("--nlaunches", "infinite", "-m", str(self._jobs), "--sleep", "1"),
                ],
                env=worker.environment,
                cwd=worker.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
