from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fakes import FakeRelaxMaker

from hts_battery.campaign.campaign_file import load_campaign
from hts_battery.campaign.local_run import Progress, last_error, run_candidates
from hts_battery.campaign.registration import register
from hts_battery.connections.executions import ledger

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hts_battery.campaign.campaign_file import Campaign
    from hts_battery.connections.stores import Stores

pytestmark = pytest.mark.mongo


@pytest.fixture
def run(stores: Stores, execution_folder: Path, tmp_path: Path) -> Callable[..., int]:
    def call(
        campaign: Campaign,
        *,
        relax_maker: FakeRelaxMaker | None = None,
        retry_failed: bool = False,
        progress: Progress | None = None,
    ) -> int:
        return run_candidates(
            campaign,
            stores,
            launch_folder=tmp_path / "launches",
            execution_folder=execution_folder,
            relax_maker=relax_maker or FakeRelaxMaker(),
            retry_failed=retry_failed,
            progress=progress,
        )

    return call


def test_progress_is_told_before_and_after(
    small_campaign: Campaign, run: Callable[..., int]
) -> None:
    told: list[tuple[str, object]] = []
    progress = Progress(
        total=lambda stage, total: told.append((stage, total)),
        advance=lambda stage, what: told.append((stage, what)),
    )
    assert run(small_campaign, progress=progress) == 2
    assert told == [
        ("compute", 2),
        ("compute", "Li1.3Mn0.4Ti0.3O1.7F0.3"),
        ("compute", "Li1.2Mn0.4Ti0.4O2"),
    ]
    told.clear()
    assert run(small_campaign, progress=progress) == 0
    assert told == [("compute", 0)]


def test_what_another_campaign_computed_is_not_computed_again(
    campaign_file: Callable[..., Path],
    small_campaign: Campaign,
    run: Callable[..., int],
    execution_folder: Path,
) -> None:
    run(small_campaign)
    other = load_campaign(campaign_file(("name: small", "name: other")))
    assert run(other) == 0
    assert ledger(execution_folder).total.completed == 4


def test_other_settings_are_another_calculation(
    campaign_file: Callable[..., Path],
    small_campaign: Campaign,
    run: Callable[..., int],
    stores: Stores,
) -> None:
    run(small_campaign)
    other = load_campaign(campaign_file(("seed: 3", "seed: 4")))
    assert run(other) == 2
    assert stores.tasks.count({"metadata.step": "relax"}) == 4


def test_a_failure_is_kept_until_it_succeeds(
    small_campaign: Campaign,
    run: Callable[..., int],
    stores: Stores,
    execution_folder: Path,
) -> None:
    register(small_campaign, stores)
    run(small_campaign, relax_maker=FakeRelaxMaker(error="disk full"))
    failures = list(stores.failures.query({}))
    assert [doc["error_class"] for doc in failures] == ["builtins.RuntimeError"] * 2
    assert [doc["error_message"] for doc in failures] == ["disk full"] * 2
    assert run(small_campaign) == 0
    assert run(small_campaign, retry_failed=True) == 2
    assert stores.failures.count() == 0
    counted = ledger(execution_folder)
    assert (counted.total.failed, counted.total.completed) == (2, 6)
    assert counted.computed_twice == ()


def test_a_second_failure_replaces_the_first(
    small_campaign: Campaign, run: Callable[..., int], stores: Stores
) -> None:
    run(small_campaign, relax_maker=FakeRelaxMaker(error="first"))
    run(small_campaign, relax_maker=FakeRelaxMaker(error="second"), retry_failed=True)
    assert stores.failures.distinct("error_message") == ["second"]
    assert stores.failures.count() == 2


def test_an_end_without_an_error_says_so(tmp_path: Path) -> None:
    assert last_error("unknown", tmp_path / "none") == {
        "error_class": None,
        "error_message": "ended without an error",
    }
