"""A campaign that is dispatched through FireWorks, in this process."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import jobflow
import pytest
from fakes import FakeRelaxMaker
from fireworks import FWorker
from fireworks.core.rocket_launcher import rapidfire

from hts_battery.campaign.spec_file import load_campaign
from hts_battery.connections.launchpad.launchpad import open_launchpad
from hts_battery.connections.records.backlog import Backlog
from hts_battery.connections.records.executions import read_executions
from hts_battery.dispatch.feeder import feed
from hts_battery.dispatch.submission import plan_submission, submit_campaign
from hts_battery.flows.recipes.screen import ScreenMaker
from hts_battery.schemas.dispatch import EndingKind
from hts_battery.schemas.execution import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fireworks import LaunchPad

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.dispatch.submission import Submitted
    from hts_battery.flows.recipes.recipe import RecipeMaker
    from hts_battery.schemas.dispatch import FeedReport

MEMBERS = 44  # of the small space
MORE = (("[Li+, Mn3+, Ti4+]", "[Li+, Mn3+, Cr3+, Fe3+, Ti4+, Nb5+]"),)
SMALL = "formulas, formulas: [Li1.3Mn0.4Ti0.3O1.7F0.3, Li1.2Mn0.4Ti0.4O2]}"


@dataclass
class Dispatch:
    """A campaign, the worker ``here`` and its rockets, with a fake engine."""

    campaign: Campaign
    stores: Stores
    launchpad: LaunchPad
    folder: Path
    relax_maker: Any = field(default_factory=FakeRelaxMaker)
    prerelax_maker: Any = None
    recipe: Any = ScreenMaker
    """Maker of its recipe."""

    def submit(self, **options: Any) -> Submitted:  # noqa: ANN401 - those of the command
        subset = options.pop("subset", None)
        retry = options.pop("retry_failed", False)
        worker = options.pop("worker", "here")
        submission = plan_submission(self.campaign.spec, worker, **options)
        return submit_campaign(
            self.campaign, self.stores, submission, subset=subset, retry_failed=retry
        )

    def feed(self, **options: Any) -> FeedReport:  # noqa: ANN401 - those of feed()
        (report,) = feed(
            self.stores, self.launchpad, make_maker=self.make_maker, **options
        )
        return report

    @property
    def make_maker(self) -> Callable[..., RecipeMaker]:
        return partial(
            self.recipe.from_campaign,
            relax_maker=self.relax_maker,
            prerelax_maker=self.prerelax_maker,
        )

    def launch(self, worker: str = "here", rockets: int = 0) -> None:
        """Launch every rocket of a worker, or a number of them."""
        rapidfire(
            self.launchpad,
            FWorker(name=worker),
            m_dir=str(self.folder),
            nlaunches=rockets,
            # Or it waits for ever for what was taken back.
            max_loops=1 if rockets else -1,
            sleep_time=0.1,
            strm_lvl="CRITICAL",
        )

    def finish(self, worker: str = "here") -> FeedReport:
        """Feed and launch until there is nothing more to do."""
        for _ in range(50):
            report = self.feed()
            if report.is_done:
                return report
            self.launch(worker)
        raise AssertionError(f"still not done: {report}")

    def assert_each_once(self, execution_folder: Path) -> None:
        """Count that every candidate is in one state and was computed once."""
        items = list(Backlog.read(self.stores, self.campaign.spec.name).items)
        kinds = [item.ending and item.ending.kind for item in items]
        assert kinds == [EndingKind.COMPUTED] * len(items)
        relaxed = sorted(
            one.start.content_key or ""
            for one in read_executions(execution_folder).executions
            if one.start.step == "relax" and one.outcome is Outcome.COMPLETED
        )
        assert relaxed == sorted(item.content_key for item in items)

    def states(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for doc in self.launchpad.fireworks.find({}, ["state"]):
            found[doc["state"]] = found.get(doc["state"], 0) + 1
        return found


@pytest.fixture
def sample_file(campaign_file: Callable[..., Path]) -> Callable[..., Path]:
    """Write a campaign of some sampled candidates in small random cells."""

    def write(count: int, *changes: tuple[str, str], name: str = "sample.yaml") -> Path:
        return campaign_file(
            (SMALL, f"sample, count: {count}, seed: 1}}"),
            ("iterations: 500, seed: 3", "n_orderings: {random: 1}, seed: 3"),
            *changes,
            name=name,
        )

    return write


@pytest.fixture
def many(request: pytest.FixtureRequest) -> int:
    """Return the number of candidates that are dispatched."""
    return int(getattr(request, "param", 6))


@pytest.fixture
def dispatch(
    stores: Stores,
    execution_folder: Path,
    tmp_path: Path,
    sample_file: Callable[..., Path],
    many: int,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Dispatch]:
    """Return a campaign of six candidates or more, ready to be dispatched."""
    assert execution_folder
    monkeypatch.setattr(jobflow.SETTINGS, "JOB_STORE", stores.job_store)
    folder = tmp_path / "rockets"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with open_launchpad(stores.database) as launchpad:
        file = sample_file(many, *(MORE if many > MEMBERS else ()))
        yield Dispatch(load_campaign(file), stores, launchpad, folder)
