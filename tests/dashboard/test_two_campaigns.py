"""A candidate of two campaigns: page and answer show one of them at a time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from fakes import FakeRelaxMaker

pytest.importorskip("dash", reason="the extra 'dashboard' is not installed")

from server_client import ServerClient

from hts_battery.campaign.building import build
from hts_battery.campaign.campaign_file import load_campaign
from hts_battery.campaign.local_run import run_candidates
from hts_battery.campaign.registration import register
from hts_battery.dashboard.app import find_page
from hts_battery.settings import get_settings

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import ASGIApp

    from hts_battery.connections.stores import Stores

pytestmark = pytest.mark.mongo


@pytest.fixture(scope="module")
def twice(shown: Stores, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a candidate that a second campaign judged from one other ordering."""
    folder: Path = tmp_path_factory.mktemp("second")
    file = folder / "second.yaml"
    doc = shown.campaigns.query_one({"name": "shown"})
    assert doc is not None
    structure = doc["spec"]["structure"] | {"seed": 8, "n_orderings": {"sqs": 1}}
    spec = doc["spec"] | {"name": "second_one", "structure": structure}
    file.write_text(json.dumps(spec), encoding="utf-8")
    campaign = load_campaign(file)
    register(campaign, shown)
    run_candidates(
        campaign,
        shown,
        launch_folder=folder / "launches",
        execution_folder=get_settings().execution_folder,
        relax_maker=FakeRelaxMaker(energy_per_atom=-2.2),
    )
    build(campaign.spec, shown, temperatures=(0.0,))
    summary = shown.summary.query_one({"campaign": "second_one"})
    assert summary is not None
    found: str = summary["candidate_id"]
    return found


@pytest.fixture(scope="module")
def client(server: ASGIApp) -> ServerClient:
    return ServerClient(server, "http://127.0.0.1")


def answer(client: ServerClient, path: str, **query: Any) -> Any:  # noqa: ANN401 - JSON
    response = client.request("GET", f"/api/v1/{path}", params=query)
    assert response.status_code == 200, response.text
    return response.json()


def page(client: ServerClient, address: str) -> str:
    """Ask for a page as the browser does; return what Dash answers."""
    body = {
        "output": "page.children",
        "outputs": {"id": "page", "property": "children"},
        "inputs": [{"id": "address", "property": "pathname", "value": address}],
        "changedPropIds": ["address.pathname"],
    }
    response = client.request("POST", "/_dash-update-component", json=body)
    assert response.status_code == 200, response.text
    return json.dumps(response.json(), ensure_ascii=False)


def test_the_answer_of_a_campaign_holds_its_own_orderings_alone(
    client: ServerClient, twice: str
) -> None:
    whole = answer(client, f"candidates/{twice}")
    assert [doc["campaign"] for doc in whole["summaries"]] == ["second_one", "shown"]
    assert {name: len(of) for name, of in whole["orderings"].items()} == {
        "second_one": 1,
        "shown": 2,
    }
    one = answer(client, f"candidates/{twice}", campaign="second_one")
    assert {doc["campaign"] for doc in one["summaries"] + one["thermo"]} == {
        "second_one"
    }
    assert [doc["entry_id"] for doc in one["entries"]] == one["orderings"]["second_one"]
    assert {task["metadata"]["content_key"] for task in one["tasks"]} == {
        one["entries"][0]["content_key"]
    }
    none = client.request("GET", f"/api/v1/candidates/{twice}?campaign=third")
    assert none.status_code == 404
    assert "in campaign third" in none.json()["error"]


def test_the_page_asks_which_campaign_and_shows_it_alone(
    client: ServerClient, twice: str
) -> None:
    both = page(client, f"/candidate/{twice}")
    assert "2 campaigns have judged it" in both
    for name in ("shown", "second_one"):
        assert json.dumps(f"/candidate/{twice}/{name}") in both
    assert "Energy terms" not in both
    one = page(client, f"/candidate/{twice}/second_one")
    assert "Numbers of campaign second_one with engine chgnet" in one
    assert "1 ordering of its own" in one
    assert "0 K, second_one" in one
    assert "0 K, shown" not in one
    assert f"hts query show {twice} --campaign second_one" in one


@pytest.mark.parametrize(
    ("address", "rest"),
    [
        ("/candidate/abc", "abc"),
        ("/candidate/abc/a-campaign_2", "abc/a-campaign_2"),
        ("/candidate/abc/A", None),
        ("/candidate/abc/a/b", None),
        ("/candidate/../abc", None),
    ],
)
def test_an_address_names_a_candidate_and_a_campaign(
    address: str, rest: str | None
) -> None:
    found = find_page(address)
    assert (None if found is None else found[1]) == rest
