"""The JSON endpoint: what it answers, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("dash", reason="the extra 'dashboard' is not installed")

from server_client import ServerClient

from hts_battery.schemas.summary import SummaryDoc

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo

CANDIDATES = 3


@pytest.fixture(scope="module")
def api(server: ASGIApp) -> ServerClient:
    return ServerClient(server, "http://127.0.0.1/api/v1")


def answer(api: ServerClient, path: str, status: int = 200, **query: Any) -> Any:  # noqa: ANN401 - JSON
    response = api.get(path, params=query)
    assert response.status_code == status, response.text
    return response.json()


def test_summaries_come_by_rank_and_page(api: ServerClient) -> None:
    whole = answer(api, "summaries", temperature=1473)
    assert whole["total"] == CANDIDATES
    values = [doc["energy_above_hull_at"]["1473K"] for doc in whole["data"]]
    assert values == sorted(values)
    SummaryDoc.model_validate(whole["data"][0])
    second = answer(api, "summaries", temperature=1473, page_offset=1, page_limit=1)
    assert second["total"] == CANDIDATES
    assert second["data"] == whole["data"][1:2]
    assert answer(api, "summaries", page_offset=99)["data"] == []


def test_any_temperature_ranks_by_the_stored_terms(api: ServerClient) -> None:
    data = answer(api, "summaries", temperature=2222)["data"]
    hot = [doc["energy_above_hull"] - 2222 * doc["entropy"] for doc in data]
    assert hot == sorted(hot)


def test_a_filter_selects(api: ServerClient) -> None:
    found = answer(api, "summaries", filter='elements HAS "Cr"')
    assert [doc["formula"] for doc in found["data"]] == ["Li1.2Cr0.2Mn0.2Ti0.4O2"]
    some = answer(api, "summaries", filter='elements HAS ANY "F","Cr"')
    assert some["total"] == 2
    # The first two are answered from memory, this one by the database.
    labelled = answer(api, "summaries", filter="label_1473 IS KNOWN AND n_metals <= 2")
    assert labelled["total"] == 2
    none = answer(api, "summaries", filter="e_hull > 90 AND nelements = 4")
    assert none == {
        "campaign": "shown",
        "engine": "chgnet",
        "total": 0,
        "page_offset": 0,
        "data": [],
    }
    assert answer(api, "summaries", campaign="other")["total"] == 0


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"filter": "elements HAS"}, "cannot read the filter"),
        ({"filter": 'nonsense = "x"'}, "nonsense"),
        ({"filter": "(" * 30 + "e_hull<1" + ")" * 30}, "nested"),
        ({"filter": "e_hull<1 OR " * 90 + "e_hull<1"}, "characters"),
        ({"filter": '{"$where": "sleep(1000)"}'}, "cannot read the filter"),
        ({"filter": 'formula CONTAINS "(a+)+$'}, "cannot read the filter"),
        ({"page_limit": 100000}, "page_limit"),
        ({"page_offset": -1}, "page_offset"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": "nan"}, "temperature"),
        ({"campaign": "$ne"}, "campaign"),
    ],
)
def test_what_cannot_be_is_a_clear_400(
    api: ServerClient, query: dict[str, Any], words: str
) -> None:
    error = answer(api, "summaries", 400, **query)["error"]
    assert words in error
    assert "Traceback" not in error


def test_a_pattern_is_a_text(api: ServerClient) -> None:
    found = answer(api, "summaries", filter='formula CONTAINS ".*"')
    assert found["total"] == 0


def test_a_candidate_has_every_term(api: ServerClient, shown: Stores) -> None:
    (name, *_) = shown.summary.distinct("candidate_id")
    found = answer(api, f"candidates/{name}")
    (summary,) = found["summaries"]
    assert summary["candidate_id"] == name
    assert [record["temperature"] for record in found["thermo"]] == [0, 1473]
    energies = [entry["energy"]["energy_per_atom"] for entry in found["entries"]]
    assert energies == sorted(energies)
    assert {task["metadata"]["step"] for task in found["tasks"]} >= {"relax"}
    assert all("structure" not in (task.get("output") or {}) for task in found["tasks"])
    cell = answer(api, f"structures/{summary['entry_id']}")["structure"]
    assert len(cell["sites"]) == 40


@pytest.mark.parametrize("path", ["candidates/nobody", "structures/none", "nothing"])
def test_what_is_not_there_is_a_404(api: ServerClient, path: str) -> None:
    assert "error" in answer(api, path, 404)


def test_campaigns_health_and_aggregates(api: ServerClient, shown: Stores) -> None:
    (progress,) = answer(api, "campaigns")["data"]
    status = progress.pop("status")
    assert (status["campaign"], status["states"]) == ("shown", {"ranked": CANDIDATES})
    assert status["dispatch"] is None
    assert progress == {
        "campaign": "shown",
        "engine": "chgnet",
        "candidates": CANDIDATES,
        "ranked": CANDIDATES,
        "unjudged": 0,
        "open": 0,
    }
    health = answer(api, "health")
    assert (health["status"], health["summaries"]) == ("ok", CANDIDATES)
    counts = answer(api, "aggregates", temperature=1473)
    manganese = counts["elements"].index("Mn")
    titanium = counts["elements"].index("Ti")
    assert counts["candidates"][manganese][titanium] == CANDIDATES
    stable = shown.summary.count({"energy_above_hull_at.1473K": {"$lte": 0}})
    assert counts["stable"][manganese][titanium] == stable


def test_builds_and_changes(api: ServerClient) -> None:
    builds = answer(api, "builds")["data"]
    assert [doc["state"] for doc in builds] == ["finished", "finished"]
    changes = answer(api, "changes")
    assert changes["since"] == builds[1]["run_id"]
    assert changes["total"] > 0
    assert all(row["reasons"] for row in changes["data"])
    everything = answer(api, "changes", since=builds[0]["run_id"])
    assert everything["total"] == 0
    assert "no build" in answer(api, "changes", 404, since="20990101T000000")["error"]


def test_the_description_names_every_path_and_no_422(api: ServerClient) -> None:
    schema = answer(api, "openapi.json")
    assert set(schema["paths"]) == {
        "/summaries",
        "/aggregates",
        "/fields",
        "/values",
        "/candidates/{candidate_id}",
        "/structures/{entry_id}",
        "/campaigns",
        "/health",
        "/builds",
        "/changes",
    }
    for operations in schema["paths"].values():
        assert set(operations) == {"get"}
        assert "422" not in operations["get"]["responses"]
        assert "400" in operations["get"]["responses"]
