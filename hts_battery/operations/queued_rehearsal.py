"""A whole campaign through the queue of a worker, from submission to ranking."""

from __future__ import annotations

import os
import re
import shlex
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hts_battery.campaign.build import build
from hts_battery.campaign.local_run import Progress
from hts_battery.campaign.reference_gaps import campaign_elements, hull_engines
from hts_battery.campaign.run import ensure_references
from hts_battery.connections.launchpad.cancellation import Queues, cancel_queue_jobs
from hts_battery.connections.launchpad.launchpad import open_launchpad
from hts_battery.connections.processes import undisturbed
from hts_battery.connections.workers.configs import render_worker
from hts_battery.connections.workers.launch import is_offline, launch_ready
from hts_battery.dispatch.feeder import feed
from hts_battery.dispatch.offline import ingest
from hts_battery.dispatch.recovery import recover
from hts_battery.dispatch.submission import plan_submission, submit_campaign
from hts_battery.schemas.dispatch import DispatchMode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.connections.launchpad.launchpad import ExactLaunchPad
    from hts_battery.schemas.dispatch import FeedReport, Submission

_SETUP = "HTS_WORKER_SETUP"
_PASS_SECONDS = 2.0
_PING_SECONDS = 10
_PATIENCE_S = 30.0


@dataclass(frozen=True)
class Route:
    """
    The worker that computes.

    ``worker``: name of its folder. ``templates``: folder of the workers. ``jobs``: most
    jobs in its queue at once.
    """

    worker: str
    templates: Path
    jobs: int = 20

    def render(
        self, folder: Path, stores: Stores, variables: Mapping[str, str]
    ) -> Path:
        """
        Fill the worker's files for one database.

        ``folder``: folder of the run; files, outputs of offline jobs and the execution
        record lie below it. ``stores``: the database. ``variables``: what jobs are to
        find in their environment.
        """
        exports = [
            f"export {key}={shlex.quote(text)}" for key, text in variables.items()
        ]
        given = {
            "HTS_PYTHON": sys.executable,
            **os.environ,
            "HTS_BATTERY_MONGO_URI": stores.database.uri,
            "HTS_BATTERY_DATABASE": stores.database.name,
            "HTS_BATTERY_EXECUTION_RECORD": str(folder / "executions"),
            "HTS_OFFLINE_FOLDER": str(folder / "offline"),
            _SETUP: "\n".join([*exports, os.environ.get(_SETUP, "")]).strip(),
        }
        config = folder / "worker"
        render_worker(self.templates, self.worker, config, given)
        # What is lost counts as such after some pings: here after seconds.
        pinging = f"\nPING_TIME_SECS: {_PING_SECONDS}\n"
        path = config / "FW_config.yaml"
        kept = re.sub(r"(?m)^PING_TIME_SECS:.*\n?", "", path.read_text("utf-8"))
        path.write_text(kept.rstrip() + pinging, encoding="utf-8")
        return config


def run_through_queue(  # noqa: PLR0913 - each is named by its caller
    campaign: Campaign,
    stores: Stores,
    route: Route,
    *,
    folder: Path,
    temperatures: Sequence[float],
    variables: Mapping[str, str],
    progress: Progress | None = None,
) -> None:
    """
    Submit a campaign, feed and launch until it is done, and build.

    ``route``: the worker that computes. ``folder``: folder of the run, outside every
    repository; jobs run in ``launches``. ``temperatures`` in K, where the campaign
    names none. ``variables``: what jobs are to find in their environment. ``progress``:
    told what happens. Raises SubmissionError if the launcher of the worker fails.
    """
    progress = progress or Progress()
    config = route.render(folder, stores, variables)
    for name in hull_engines(campaign.spec):
        ensure_references(name, stores, elements=campaign_elements(campaign))
    mode = DispatchMode.CHUNKS if is_offline(config) else None
    submission = plan_submission(campaign.spec, route.worker, mode=mode)
    found = submit_campaign(campaign, stores, submission)
    progress.total("compute", found.new)
    with open_launchpad(stores.database) as launchpad:
        feed = _FeederPass(stores, launchpad, submission, folder)
        try:
            while not _is_done(feed(), progress):
                launch_ready(route.worker, config, folder / "launches", jobs=route.jobs)
                time.sleep(_PASS_SECONDS)
        except BaseException:
            # Its database and folder go: what waits in the queue would find nothing.
            with undisturbed():
                cancel_queue_jobs(
                    launchpad, submission.campaign, queues=Queues(patience=_PATIENCE_S)
                )
            raise
    build(campaign.spec, stores, temperatures=temperatures)


def _is_done(report: FeedReport, progress: Progress) -> bool:
    for _ in range(report.ended):
        progress.advance("compute", f"{report.in_hand} in the queue")
    return report.is_done


@dataclass
class _FeederPass:
    """What the feeder of an operator does at each pass."""

    stores: Stores
    launchpad: ExactLaunchPad
    submission: Submission
    folder: Path

    def __call__(self) -> FeedReport:
        ingest(self.folder / "offline", self.stores, self.launchpad)
        recover(self.stores, self.launchpad, launch_folders=[self.folder / "launches"])
        (report,) = feed(
            self.stores, self.launchpad, campaigns=[self.submission.campaign]
        )
        return report
