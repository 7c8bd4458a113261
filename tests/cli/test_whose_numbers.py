"""A candidate of two campaigns: every command says whose numbers it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hts_battery.connections.database.stores import open_stores
from hts_battery.errors import QueryError
from hts_battery.query import ScreeningDatabase

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Answer

    from hts_battery.connections.database.database import Database

pytestmark = pytest.mark.mongo


@pytest.fixture
def candidate(
    hts: Callable[..., Answer],
    screened: Answer,
    campaign_file: Callable[..., Path],
    fake_engine: str,
) -> str:
    """Return a candidate that two campaigns have judged, with different orderings."""
    assert screened.status == 0, screened.err
    path = campaign_file(
        ("engine: chgnet", f"engine: {fake_engine}"),
        ("name: small", "name: other"),
        ("iterations: 500, seed: 3", "iterations: 500, seed: 9, n_orderings: {sqs: 2}"),
        name="other.yaml",
    )
    answer = hts("campaign", "run", path)
    assert answer.status == 0, answer.err
    assert "campaign other, engine fake" in answer.out
    row, *_ = hts("query", "find", "--json").lines
    found: str = row["candidate_id"]
    return found


def test_show_prints_both_or_the_one_that_is_named(
    hts: Callable[..., Answer], candidate: str
) -> None:
    both = hts("query", "show", candidate)
    assert both.status == 0
    assert "in 2 campaigns" in both.out
    for name in ("small", "other"):
        assert f"campaign {name}, engine fake" in both.out
    assert [
        doc["campaign"] for doc in hts("query", "show", candidate, "--json").lines
    ] == [
        "other",
        "small",
    ]
    (one,) = hts("query", "show", candidate, "--campaign", "other", "--json").lines
    assert (one["campaign"], one["n_orderings"]) == ("other", 2)
    assert one["orderings_by_campaign"] == {"other": 2}
    (small,) = hts("query", "show", candidate, "--campaign", "small", "--json").lines
    why = hts("query", "show", candidate, "--why", "--campaign", "small").out
    assert "campaign small, engine fake" in why
    assert f"{small['n_orderings']}: {small['n_orderings']} of small" in why
    assert "campaign other" not in why
    none = hts("query", "show", candidate, "--campaign", "third")
    assert (none.status, none.out) == (1, "")
    assert "by campaign third" in none.err


def test_rankings_and_tables_keep_campaigns_apart(
    hts: Callable[..., Answer], candidate: str
) -> None:
    assert candidate
    stable = hts("query", "stable", "--threshold", 1000).out
    assert "campaign small, engine fake: 2, of them" in stable
    assert "campaign other, engine fake: 2, of them" in stable
    row, *_ = hts("query", "find", "--fields", "formula,e_hull", "--json").lines
    assert list(row) == ["campaign", "engine", "formula", "e_hull"]
    named = ("query", "find", "--campaign", "other", "--fields", "formula", "--json")
    assert [list(row) for row in hts(*named).lines] == [["formula"]] * 2
    table = hts("query", "export", "--fields", "formula,e_hull").out
    assert table.splitlines()[0] == "campaign,engine,formula,e_hull"
    whole = hts("query", "export").out.splitlines()[0].split(",")
    assert {"campaign", "engine", "orderings_by_campaign"} <= set(whole)


def test_a_structure_is_of_one_campaign(database: Database, candidate: str) -> None:
    with open_stores(database) as stores:
        screening = ScreeningDatabase(stores)
        with pytest.raises(
            QueryError, match=r"other \(fake\), small \(fake\); name one"
        ):
            screening.structure(candidate)
        with pytest.raises(QueryError, match="in campaign third"):
            screening.entry(candidate, campaign="third")
        mine = screening.entry(candidate, campaign="small")
        theirs = screening.entry(candidate, campaign="other")
        assert mine.entry_id != theirs.entry_id
        (doc,) = screening.get(candidate, campaign="small")
        assert doc["entry_id"] == mine.entry_id
