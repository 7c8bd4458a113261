"""Batches of a campaign: what they leave out, their files, rounds that are killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fakes import FakeCountedRelaxMaker, fake_reference_energies

from hts_battery.campaign.build import build
from hts_battery.campaign.iteration import Ledger, iterate
from hts_battery.campaign.local_run import run_candidates
from hts_battery.campaign.proposals import (
    batch_files,
    campaign_and_batches,
    computed_candidates,
    proposed_batch,
    write_batch,
)
from hts_battery.campaign.references import store_references
from hts_battery.campaign.registration import register
from hts_battery.campaign.spec_file import load_campaign
from hts_battery.errors import ConfigurationError
from hts_battery.schemas.proposal import IterationTerms, ProposalRound

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo
TERMS = IterationTerms(
    campaign="small",
    temperature=1473,
    batch=2,
    least_probability=0.0,
    node_hours=None,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "batches"


@pytest.fixture
def run(
    stores: Stores, tmp_path: Path, execution_folder: Path
) -> Callable[[Path], None]:
    """Compute and build a campaign file, with a fake that counts its calls."""
    store_references(fake_reference_energies(), stores)
    fake = FakeCountedRelaxMaker(counter=str(tmp_path / "calls"))

    def call(path: Path) -> None:
        campaign = load_campaign(path)
        register(campaign, stores)
        run_candidates(
            campaign,
            stores,
            launch_folder=tmp_path / "launches",
            execution_folder=execution_folder,
            relax_maker=fake,
        )
        build(campaign.spec, stores, temperatures=(0.0, 1473.0))

    return call


@pytest.fixture
def sample(
    sampled_campaign_file: Callable[..., Path], run: Callable[[Path], None]
) -> Path:
    path = sampled_campaign_file(14)
    run(path)
    return path


def calls(tmp_path: Path) -> int:
    return len((tmp_path / "calls").read_text().splitlines())


def test_rounds_that_are_killed_go_on_with_the_same_batch(
    stores: Stores,
    sample: Path,
    run: Callable[[Path], None],
    folder: Path,
    tmp_path: Path,
    execution_folder: Path,
) -> None:
    assert sample.is_file()
    before = calls(tmp_path)
    killed: list[Path] = []

    def kill(path: Path) -> None:
        killed.append(path)
        raise KeyboardInterrupt

    def rounds(compute: Callable[[Path], None], number: int) -> list[object]:
        return list(
            iterate(
                stores,
                Ledger(folder, TERMS),
                rounds=number,
                space=None,
                execution_folder=execution_folder,
                compute=compute,
            )
        )

    with pytest.raises(KeyboardInterrupt):
        rounds(kill, 1)
    proposed = killed[0].read_text(encoding="utf-8")
    first, second = rounds(run, 2)
    assert isinstance(first, ProposalRound)
    assert isinstance(second, ProposalRound)
    assert [path.stem for path in batch_files(folder, "small")] == [
        first.batch,
        second.batch,
    ]
    assert killed[0].read_text(encoding="utf-8") == proposed
    assert calls(tmp_path) == before + 4  # each member of either batch once
    assert (first.members, first.evaluated, first.failed) == (2, 2, 0)
    assert first.error is not None
    assert campaign_and_batches(stores, "small") == [
        "small",
        "small-batch-1",
        "small-batch-2",
    ]
    labels = computed_candidates(stores, ["small", first.batch, second.batch], 1473)
    assert len(labels) == 18
    with pytest.raises(ConfigurationError, match="agreed with batch 2"):
        Ledger(folder, TERMS.model_copy(update={"batch": 3}))
    bound = TERMS.model_copy(update={"node_hours": 0.0})
    (why,) = iterate(
        stores,
        Ledger(tmp_path / "other", bound),
        rounds=1,
        space=None,
        execution_folder=execution_folder,
        compute=kill,
    )
    assert "node-hours" in str(why)


def test_a_batch_is_written_once_and_holds_nothing_known(
    stores: Stores, sample: Path, folder: Path
) -> None:
    found = proposed_batch(stores, "small", space=None, temperature=None, batch=3)
    members = load_campaign(sample).members()
    known = {one.candidate_id for _, one in members}
    assert not known.intersection(one.candidate_id for one in found.members)
    path = folder / "small-batch-1.yaml"
    write_batch(stores, "small", found, path, None)
    campaign = load_campaign(path)
    assert [one.candidate_id for _, one in campaign.members()] == [
        one.candidate_id for one in found.members
    ]
    with pytest.raises(ConfigurationError, match="is there"):
        write_batch(stores, "small", found, path, None)
    nothing = found.model_copy(update={"members": ()})
    with pytest.raises(ConfigurationError, match="nothing was proposed"):
        write_batch(stores, "small", nothing, folder / "small-batch-2.yaml", None)
    with pytest.raises(ConfigurationError, match="900 K was not built"):
        proposed_batch(stores, "small", space=None, temperature=900, batch=3)


def test_what_was_not_run_has_nothing_to_propose(stores: Stores) -> None:
    with pytest.raises(ConfigurationError, match="nothing has been built"):
        proposed_batch(stores, "small", space=None, temperature=None, batch=3)
    with pytest.raises(ConfigurationError, match="no campaign 'small'"):
        campaign_and_batches(stores, "small")


def test_a_file_that_is_no_ledger_is_refused(folder: Path) -> None:
    folder.mkdir()
    (folder / "small-rounds.jsonl").write_text("nonsense\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="no ledger"):
        Ledger(folder, TERMS)
