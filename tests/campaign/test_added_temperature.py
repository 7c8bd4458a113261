"""A temperature that is added later is assessed on one hull with those before."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from fakes import fake_reference_energies

from hts_battery.campaign.build import build, build_all
from hts_battery.campaign.references import store_references
from hts_battery.campaign.registration import register
from hts_battery.campaign.status import candidate_statuses
from hts_battery.operations.database_checks import summaries
from hts_battery.schemas.alert import Level
from hts_battery.schemas.state import CandidateState

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo

KEY = ["campaign", "candidate_id", "temperature"]


@pytest.fixture
def with_1000_kelvin(
    computed: Campaign, stores: Stores, campaign_file: Callable[..., Path]
) -> Campaign:
    """
    Return the small campaign with a temperature that it lacked when it was built.

    In between, another campaign brought competing phases of other elements.
    """
    from hts_battery.campaign.spec_file import load_campaign  # noqa: PLC0415 - slow

    build(computed.spec, stores, temperatures=(0.0,))
    other = fake_reference_energies()[0].model_copy(
        update={"phase_id": "fake-W", "formula": "W", "energy_per_atom": 0.0}
    )
    store_references([other], stores)
    build_all(stores, temperatures=(0.0,))
    path = campaign_file(("[0, 1473]", "[0, 1473, 1000]"))
    campaign = load_campaign(path)
    register(campaign, stores)
    return campaign


def versions(stores: Stores) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for doc in stores.thermo.query({}):
        found.setdefault(doc["candidate_id"], set()).add(doc["hull_version"])
    return found


def test_all_temperatures_of_a_candidate_are_judged_on_one_hull(
    with_1000_kelvin: Campaign, stores: Stores
) -> None:
    before = next(iter(versions(stores).values()))
    reports = build(with_1000_kelvin.spec, stores, temperatures=(0.0,))
    assert reports["summary"].unmade == 0
    for found in versions(stores).values():
        assert len(found) == 1
        assert found != before
    for doc in stores.summary.query({}):
        assert list(doc["energy_above_hull_at"]) == ["0K", "1000K", "1473K"]
        assert set(doc["label_at"]) == set(doc["energy_above_hull_at"])
    assert not list(summaries(stores))
    again = build(with_1000_kelvin.spec, stores, temperatures=(0.0,))
    assert again["thermo"].written == again["summary"].written == 0


def test_records_that_an_older_version_left_on_two_hulls_are_mended(
    with_1000_kelvin: Campaign, stores: Stores
) -> None:
    build(with_1000_kelvin.spec, stores, temperatures=(0.0,))
    record = stores.thermo.query_one({"temperature": 1000.0})
    record.pop("_id")
    stores.thermo.update(record | {"hull_version": "of another time"}, key=KEY)
    reports = build(with_1000_kelvin.spec, stores, temperatures=(0.0,), verify=True)
    assert reports["thermo"].written == 3
    assert {len(found) for found in versions(stores).values()} == {1}


def test_a_summary_that_cannot_be_made_is_said_everywhere(
    with_1000_kelvin: Campaign,
    stores: Stores,
    execution_folder: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        report = build(
            with_1000_kelvin.spec, stores, temperatures=(0.0,), only="summary"
        )["summary"]
    assert report.unmade == 2
    assert "2 candidates of small have no summary of all temperatures" in caplog.text
    assert "not assessed at 1000 K" in caplog.text
    (finding,) = summaries(stores)
    assert finding.level is Level.PROBLEM
    assert "not assessed at 1000 K" in finding.what
    assert "hts build all" in finding.action
    found = candidate_statuses(
        with_1000_kelvin, stores, execution_folder=execution_folder
    )
    assert {one.state for one in found} == {CandidateState.UNJUDGED}
    assert all("not assessed at 1000 K" in str(one.reason) for one in found)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hull_version": "another"}, "assessed on different hulls"),
        ({"input_digest": "another"}, "assessed from different inputs"),
    ],
)
def test_it_is_said_why_stabilities_do_not_belong_together(
    ranked: Campaign, stores: Stores, change: dict[str, Any], said: str
) -> None:
    record = stores.thermo.query_one({"temperature": 1473.0})
    record.pop("_id")
    stores.thermo.update(record | change, key=KEY)
    (finding,) = summaries(stores)
    assert finding.what.startswith("1 candidates of small")
    assert said in finding.what
    # The next build of everything puts it right.
    build(ranked.spec, stores, temperatures=(0.0,), verify=True)
    assert not list(summaries(stores))
