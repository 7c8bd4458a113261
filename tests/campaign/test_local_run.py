from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fakes import FakeCountedRelaxMaker, FakeRelaxMaker

from hts_battery.campaign.local_run import Progress, run_candidates
from hts_battery.campaign.registration import register
from hts_battery.campaign.spec_file import load_campaign
from hts_battery.connections.records.executions import ledger
from hts_battery.errors import DatabaseOutageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores

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


def test_a_failure_says_where_it_was_raised(
    small_campaign: Campaign, run: Callable[..., int], stores: Stores
) -> None:
    run(small_campaign, relax_maker=FakeRelaxMaker(error="no licence"))
    for doc in stores.failures.query({}):
        (failure,) = doc["failures"]
        assert failure["step"] == "relax"
        assert failure["ordering_id"]
        assert failure["traceback"] == doc["traceback"]
        assert doc["traceback"].endswith("RuntimeError: no licence\n")
        assert "fakes.py" in doc["traceback"]


def test_a_candidate_that_cannot_be_ordered_keeps_the_reason(
    small_campaign: Campaign, run: Callable[..., int], stores: Stores
) -> None:
    structure = small_campaign.spec.structure.model_copy(update={"atoms": 44})
    spec = small_campaign.spec.model_copy(update={"structure": structure})
    refused = replace(small_campaign, spec=spec)
    assert run(refused) == 2
    assert stores.failures.distinct("error_class") == [
        "hts_battery.errors.OrderingError"
    ]
    assert [doc["failures"][0]["step"] for doc in stores.failures.query({})] == [
        "order",
        "order",
    ]
    assert run(refused) == 0


ORDERINGS = (
    "atoms: 40, iterations: 500",
    "n_orderings: {random: 3}, atoms: 40, iterations: 500",
)


def test_only_missing_orderings_are_computed(
    campaign_file: Callable[..., Path],
    run: Callable[..., int],
    stores: Stores,
    tmp_path: Path,
) -> None:
    campaign = load_campaign(campaign_file(ORDERINGS))
    counter = tmp_path / "calls"
    # The fifth relaxation, the second of the second candidate, fails.
    maker = FakeCountedRelaxMaker(counter=str(counter), failing=(5,))
    assert run(campaign, relax_maker=maker) == 2
    assert stores.tasks.count({"metadata.final": True}) == 5
    (doc,) = stores.failures.query({})
    assert [one["error_message"] for one in doc["failures"]] == ["call 5 fails"]
    # Every ordering has an output or a recorded failure: there is nothing to do.
    assert run(campaign, relax_maker=maker) == 0
    # A run that was killed earlier left two outputs fewer.
    for name in stores.tasks.distinct("uuid", {"metadata.final": True})[:1]:
        stores.tasks.remove_docs({"uuid": name})
    assert run(campaign, relax_maker=maker) == 1
    assert len(counter.read_text().splitlines()) == 7
    assert stores.failures.count() == 1
    assert run(campaign, relax_maker=maker, retry_failed=True) == 1
    assert len(counter.read_text().splitlines()) == 8
    assert stores.tasks.count({"metadata.final": True}) == 6
    assert stores.failures.count() == 0


def test_a_lost_database_is_no_failure_of_a_candidate(
    small_campaign: Campaign, run: Callable[..., int], stores: Stores, tmp_path: Path
) -> None:
    maker = FakeCountedRelaxMaker(counter=str(tmp_path / "calls"), outages=(2,))
    with pytest.raises(DatabaseOutageError, match="AutoReconnect"):
        run(small_campaign, relax_maker=maker)
    assert stores.failures.count() == 0
    assert stores.tasks.count({"metadata.final": True}) == 1
    assert run(small_campaign, relax_maker=maker) == 1


def test_two_processes_do_not_compute_the_same(
    small_campaign: Campaign,
    run: Callable[..., int],
    stores: Stores,
    tmp_path: Path,
) -> None:
    (_, first), (_, second) = small_campaign.members()
    script = (
        "import sys; from pathlib import Path\n"
        "from hts_battery.flows.recipes.local import candidate_lock\n"
        "with candidate_lock(Path(sys.argv[1]), sys.argv[2]) as ours:\n"
        "    print(ours, flush=True); sys.stdin.read()"
    )
    launches = tmp_path / "launches"
    with subprocess.Popen(  # noqa: S603 - our own interpreter, our own words
        [sys.executable, "-c", script, str(launches), small_campaign.key(first)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        assert run(small_campaign) == 1
        found = stores.tasks.distinct("metadata.candidate_id")
        assert found == [second.candidate_id]
        other.kill()  # what it leaves is an empty file, that hinders nobody
    assert [path.stat().st_size for path in (launches / "locks").iterdir()] == [0]
    assert run(small_campaign) == 1
    assert list((launches / "locks").iterdir()) == []
