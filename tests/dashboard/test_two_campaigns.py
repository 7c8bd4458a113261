"""Two campaigns: every page and every answer shows one of them at a time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from fakes import FakeRelaxMaker

pytest.importorskip("dash", reason="the extra 'dashboard' is not installed")

from server_client import ServerClient

from hts_battery.campaign.build import build, build_all
from hts_battery.campaign.local_run import run_candidates
from hts_battery.campaign.registration import register
from hts_battery.campaign.spec_file import load_campaign
from hts_battery.connections.database.bounded_reader import BoundedReader
from hts_battery.dashboard.app import find_page
from hts_battery.dashboard.latest_build import read_latest_build
from hts_battery.dashboard.server import READABLE
from hts_battery.schemas.campaign import CampaignSpec
from hts_battery.settings import get_settings

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import ASGIApp

    from hts_battery.connections.database.stores import Stores

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
def client(twice: str, server: ASGIApp) -> ServerClient:
    assert twice  # the server reads when it starts
    return ServerClient(server, "http://127.0.0.1")


def answer(client: ServerClient, path: str, **query: Any) -> Any:  # noqa: ANN401 - JSON
    response = client.request("GET", f"/api/v1/{path}", params=query)
    assert response.status_code == 200, response.text
    return response.json()


def update(
    client: ServerClient,
    output: str,
    inputs: dict[str, Any],
    state: dict[str, Any] | None = None,
) -> Any:  # noqa: ANN401 - JSON
    """Ask for an update as the browser does; None if nothing changes."""

    def named(values: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            {**dict(zip(("id", "property"), name.split("."), strict=True)), "value": of}
            for name, of in values.items()
        ]

    body = {
        "output": output,
        "inputs": named(inputs),
        "state": named(state or {}),
        "changedPropIds": [next(iter(inputs))],
    }
    response = client.request("POST", "/_dash-update-component", json=body)
    assert response.status_code in {200, 204}, response.text
    return response.json()["response"] if response.status_code == 200 else None


def page(client: ServerClient, address: str) -> str:
    """Ask for a page; return what Dash answers."""
    found = update(client, "page.children", {"address.pathname": address})
    return json.dumps(found, ensure_ascii=False)


def asked(campaign: str, **more: object) -> dict[str, Any]:
    return {"campaign.value": campaign, "temperature.value": 1473, **more}


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
    assert "2 campaigns have assessed it" in both
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


@pytest.mark.parametrize("campaign", ["shown", "second_one"])
def test_listings_and_counts_are_of_one_campaign(
    client: ServerClient, shown: Stores, campaign: str
) -> None:
    members = shown.summary.count({"campaign": campaign})
    found = answer(client, "summaries", campaign=campaign)
    assert (found["campaign"], found["engine"]) == (campaign, "chgnet")
    assert found["total"] == len(found["data"]) == members
    assert {(doc["campaign"], doc["engine"]) for doc in found["data"]} == {
        (campaign, "chgnet")
    }
    # The same by a filter that only the database answers.
    some = answer(client, "summaries", campaign=campaign, filter="n_metals > 0")
    assert some["total"] == members
    counts = answer(client, "aggregates", campaign=campaign)
    assert (counts["campaign"], counts["engine"]) == (campaign, "chgnet")
    place = counts["elements"].index("Li")
    assert counts["candidates"][place][place] == members
    changes = answer(client, "changes", campaign=campaign)
    assert (changes["campaign"], changes["engine"]) == (campaign, "chgnet")
    assert {row["campaign"] for row in changes["data"]} <= {campaign}


def test_the_campaign_of_the_newest_build_is_shown_where_none_is_named(
    client: ServerClient,
) -> None:
    for path in ("summaries", "aggregates", "changes"):
        assert answer(client, path)["campaign"] == "second_one"
    layout = json.dumps(client.request("GET", "/_dash-layout").json())
    names = ("second_one", "shown")
    options = [{"label": name, "value": name} for name in names]
    assert json.dumps(options)[:-1] in layout
    assert '"value": "second_one", "clearable": false' in layout


def test_an_address_chooses_a_campaign_that_was_built(client: ServerClient) -> None:
    for search, value in {
        "?campaign=shown": "shown",
        "?x=1&campaign=second_one": "second_one",
    }.items():
        found = update(client, "campaign.value", {"address.search": search})
        assert found == {"campaign": {"value": value}}
    for search in ("", None, "?campaign=third", "?campaign=*"):
        assert update(client, "campaign.value", {"address.search": search}) is None


PICTURES = {
    "overview.children": {},
    "..stable-count.children...distribution.figure...distribution-words.children..."
    "entropy-map.figure...entropy-map-words.children...stable-curve.figure..": {},
    "..pair-map.figure...pair-map-words.children...chords.figure..."
    "chords-words.children...reported-chords.figure...reported-chords-words.children..."
    "pair-tables.children..": {
        "pair-colour.value": "share",
        "reported-types.value": "nasicon",
    },
    "..composition-map.figure...composition-map-words.children..": {
        "element-x.value": "Li",
        "element-y.value": "Mn",
    },
}


@pytest.mark.parametrize("output", PICTURES)
def test_a_page_shows_one_campaign_and_says_which(
    client: ServerClient, output: str
) -> None:
    for name, other in (("shown", "second_one"), ("second_one", "shown")):
        found = json.dumps(update(client, output, asked(name, **PICTURES[output])))
        assert f"campaign {name}, engine chgnet" in found
        assert other not in found
    assert update(client, output, asked("*", **PICTURES[output])) is None
    # One that is gone is that of the newest build.
    gone = update(client, output, asked("gone", **PICTURES[output]))
    assert "campaign second_one, engine chgnet" in json.dumps(gone)


def test_the_table_ranks_one_campaign(client: ServerClient, shown: Stores) -> None:
    def rows(campaign: str, *sorts: dict[str, str]) -> tuple[dict[str, Any], str]:
        request = {"startRow": 0, "endRow": 50, "sortModel": sorts}
        found = update(
            client,
            "..table.getRowsResponse...table-count.children..",
            {"table.getRowsRequest": request},
            asked(campaign, **{"table-filter.value": ""}),
        )
        return found["table"]["getRowsResponse"], found["table-count"]["children"]

    for name in ("shown", "second_one"):
        table, words = rows(name)
        assert {row["campaign"] for row in table["rowData"]} == {name}
        assert table["rowCount"] == shown.summary.count({"campaign": name})
        assert f"of campaign {name}, engine chgnet" in words
        assert [row["rank"] for row in table["rowData"]] == [
            *range(1, table["rowCount"] + 1)
        ]
        risks = [
            doc["hull_depth_risk"] for doc in shown.summary.query({"campaign": name})
        ]
        table, _ = rows(name, {"colId": "fall", "sort": "desc"})
        assert [row["fall"] for row in table["rowData"]] == [
            f"{1000 * risk:.1f}" for risk in sorted(risks, reverse=True)
        ]
    assert rows("*") == ({"rowData": [], "rowCount": 0}, "")


def test_several_campaigns_only_stand_side_by_side(
    client: ServerClient, shown: Stores
) -> None:
    output = "..side-by-side.children...main.className.."

    def compared(path: str, campaign: str) -> tuple[str, str]:
        values = {"address.pathname": path, **asked(campaign)}
        found = update(client, output, values)
        return json.dumps(found["side-by-side"]["children"]), found["main"]["className"]

    for path in ("/", "/stability", "/elements", "/compositions", "/candidates"):
        words, style = compared(path, "*")
        assert style == "compares"
        for name in ("shown", "second_one"):
            stable = shown.summary.query(
                {"campaign": name, "energy_above_hull_at.1473K": {"$lte": 0}}
            )
            open_ = [doc["open_at"]["1473K"] for doc in stable]
            assert f"{len(open_)}, of them {open_.count(False)} certain" in words
            assert f"{path}?campaign={name}" in words
        assert compared(path, "shown") == ("null", "")
    assert compared("/changes", "*") == ("null", "")
    changes = json.dumps(
        update(client, "changes.children", {"since.value": "", "campaign.value": "*"})
    )
    assert "second_one" in changes
    assert "candidate/" not in changes


def test_campaigns_come_by_their_last_build(
    client: ServerClient, shown: Stores
) -> None:
    assert client
    reader = BoundedReader(shown.database, READABLE)
    assert read_latest_build(reader).campaigns == ("second_one", "shown")
    (doc,) = shown.campaigns.query({"name": "shown"})
    build(CampaignSpec.model_validate(doc["spec"]), shown, temperatures=(0.0,))
    assert read_latest_build(reader).campaigns == ("shown", "second_one")
    # Of those of one build the one that was registered last comes first.
    build_all(shown, temperatures=(0.0,))
    assert read_latest_build(reader).campaigns == ("second_one", "shown")
