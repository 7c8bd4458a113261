"""Every query that is sent or documented uses an index, however many documents."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from guide import questions, shell_query
from issued_queries import ISSUED
from synthetic_summaries import fill

from hts_battery.connections.database.collection_specs import COLLECTIONS
from hts_battery.connections.database.database import database
from hts_battery.connections.database.indexes import ensure_indexes
from hts_battery.connections.database.stores import open_stores
from hts_battery.query import ScreeningDatabase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from hts_battery.connections.database.stores import SharedMongoStore, Stores

pytestmark = pytest.mark.mongo

_FEW = 1_000
_MANY = 18_810


@pytest.fixture
def filled(stores: Stores) -> Stores:
    fill(stores, 60)
    return stores


def planned_index(
    store: SharedMongoStore, criteria: Mapping[str, Any]
) -> tuple[str, ...] | None:
    """Return the fields of the index that the server would use; none where it scans."""
    plan = store.collection.find(dict(criteria)).explain()
    found = index_scan(plan["queryPlanner"]["winningPlan"])
    return None if found is None else tuple(found["keyPattern"])


def index_scan(stage: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Find the stage that walks an index below a stage of a plan."""
    if stage.get("stage") == "IXSCAN":
        return stage
    below = [stage.get("inputStage"), stage.get("queryPlan")]
    below += stage.get("inputStages", [])
    found = (index_scan(inner) for inner in below if inner)
    return next((one for one in found if one is not None), None)


def test_every_documented_query_of_the_shell_is_served_by_an_index(
    filled: Stores,
) -> None:
    asked = [shell_query(question.shell) for question in questions()]
    finds = [query for query in asked if query.verb == "find"]
    assert len(finds) >= 8
    for query in finds:
        served = [
            planned_index(getattr(filled, query.collection), {name: value})
            for name, value in query.argument.items()
        ]
        assert any(served), query


def test_every_query_that_is_sent_is_served_by_an_index(filled: Stores) -> None:
    # One database for all: making one takes longer than asking.
    for collection in {issued.collection for issued in ISSUED} - {"summary"}:
        store = getattr(filled, collection)
        if not store.query_one({}):
            store.collection.insert_one({"_": "an empty collection has no plan"})
    for issued in ISSUED:
        index = planned_index(getattr(filled, issued.collection), issued.criteria)
        if not issued.scans:
            assert index is not None, issued
            assert index[0] in issued.criteria, issued


def test_every_collection_of_the_builders_is_looked_at() -> None:
    seen = {issued.collection for issued in ISSUED}
    # Those of dispatch belong to its own tests.
    others = {
        "submissions",
        "backlog",
        "archived_workflows",
        "built_states",
        "alerts",
        "workers",
    }
    assert set(COLLECTIONS) - others <= seen


def questions_of_few_documents(stores: Stores) -> dict[str, Callable[[], int]]:
    """Return calls whose answers do not grow with the collection."""
    screening = ScreeningDatabase(stores)
    doc = next(screening.ranking(campaign="synthetic", temperature=1473.0))
    one = doc["candidate_id"]
    system = "-".join(doc["elements"])

    def find(words: str, **options: Any) -> Callable[[], int]:  # noqa: ANN401 - find's
        return lambda: len(list(screening.find(words, **options)))

    def ranked(**options: Any) -> Callable[[], int]:  # noqa: ANN401 - ranking's
        return lambda: len(list(screening.ranking(campaign="synthetic", **options)))

    return {
        "one candidate": find(f'id = "{one}"'),
        "one formula": find(f'formula = "{doc["formula"]}"'),
        "one system": find(f'chemical_system = "{system}"'),
        "only few elements": find('elements HAS ONLY "Li","O","Mg","Al","Ti","Mn"'),
        "most stable": find("", sort=["e_hull_1473"], limit=50),
        "most stable of a campaign": find(
            'campaign = "synthetic"', sort=["e_hull_1473"], limit=50
        ),
        "at or below the hull": find(
            "e_hull_1473 <= 0", sort=["e_hull_1473"], limit=50
        ),
        "first page": ranked(temperature=1473.0, limit=50),
        "a later page": ranked(temperature=1473.0, first=601, limit=50),
        "groups": lambda: len(screening.group("n-metals")),
    }


@pytest.fixture
def own_stores(tmp_path: Path) -> Iterator[Stores]:
    """Return stores on a server of their own: it takes minutes to drop so much."""
    with (
        database(None, name="hts_battery", data_dir=tmp_path / "hts-data") as opened,
        open_stores(opened) as stores,
    ):
        ensure_indexes(stores)
        yield stores


@pytest.mark.slow
def test_no_question_takes_longer_where_there_are_more_documents(
    own_stores: Stores,
) -> None:
    stores = own_stores
    fill(stores, _FEW)
    few = _seconds(questions_of_few_documents(stores))
    fill(stores, _MANY)
    many = _seconds(questions_of_few_documents(stores))
    scan = time.perf_counter()
    assert stores.summary.query_one({"uncertainty": 7}) is None
    scan = time.perf_counter() - scan
    for name, seconds in many.items():
        # Nineteen times the documents; a scan takes nineteen times as long, too.
        assert seconds < max(6 * few[name], scan / 6), (name, few[name], seconds)


def _seconds(calls: dict[str, Callable[[], int]]) -> dict[str, float]:
    """Return the shortest of five runs of each call: other work only adds time."""
    found = {}
    for name, call in calls.items():
        times = []
        for _ in range(5):
            start = time.perf_counter()
            assert call() > 0 or name == "only few elements", name
            times.append(time.perf_counter() - start)
        found[name] = min(times)
    return found
