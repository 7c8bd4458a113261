from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hts_battery.campaign import ownership

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Answer

    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo


def test_campaigns_in_a_line_each(hts: Callable[..., Answer], screened: Answer) -> None:
    assert screened.status == 0, screened.err
    shown = hts("campaign", "list")
    assert "2 ranked" in shown.out
    (row,) = hts("campaign", "list", "--json").lines
    assert (row["campaign"], row["engine"], row["candidates"], row["done"]) == (
        "small",
        "fake",
        2,
        2,
    )
    assert row["owner"] == ownership.user_name()
    assert row["file"].endswith(".yaml")
    assert row["worker"] is row["problem"] is None


def test_nothing_to_list(hts: Callable[..., Answer], on_server: Path) -> None:
    assert on_server.is_dir()
    assert "no campaign was run or submitted" in hts("campaign", "list").out
    assert hts("campaign", "list", "--json").out == ""


def test_a_local_campaign_used_executions_and_says_what_is_missing(
    hts: Callable[..., Answer], screened: Answer, on_server: Path
) -> None:
    assert screened.status == 0, screened.err
    picture = on_server / "usage.svg"
    shown = hts("campaign", "usage", "small", "--figure", picture)
    assert shown.status == 0, shown.err
    assert "not known: no launch" in shown.out
    assert picture.read_text("utf-8").count("<path") > 4
    (found,) = hts("campaign", "usage", "small", "--json").lines
    assert {one["source"] for one in found["steps"]} == {"executions"}
    assert all(one["completed"] == one["runs"] > 0 for one in found["steps"])
    assert hts("campaign", "usage", "none").status == 1
    assert hts("campaign", "usage", "small", "--figure", "usage.txt").status == 2


def test_what_is_deleted_and_what_stays(
    hts: Callable[..., Answer],
    screened: Answer,
    stores: Stores,
    fake_file: Path,
    campaign_file: Callable[..., Path],
) -> None:
    assert screened.status == 0, screened.err
    # Another campaign with one of the two candidates, computed in the same way.
    other = campaign_file(
        ("engine: chgnet", "engine: fake"),
        ("name: small", "name: other"),
        ("[Li1.3Mn0.4Ti0.3O1.7F0.3, Li1.2Mn0.4Ti0.4O2]", "[Li1.2Mn0.4Ti0.4O2]"),
        name="other.yaml",
    )
    assert hts("campaign", "run", other).status == 0
    before = stores.tasks.count()
    plan = hts("campaign", "delete", "small", "--dry-run", "--json").lines[0]
    assert plan["written"] is False
    assert plan["goes"]["members"] == 2
    assert plan["goes"]["candidates"] == 1
    assert plan["stays"] == {
        "calculations that other campaigns use": 1,
        "candidates of other campaigns": 1,
    }
    assert stores.campaigns.count() == 2
    done = hts("campaign", "delete", fake_file, "--json").lines[0]
    assert done == {**plan, "written": True}
    assert [one["campaign"] for one in hts("campaign", "list", "--json").lines] == [
        "other"
    ]
    assert 0 < stores.tasks.count() < before
    for collection in ("members", "summary", "thermo", "built_states"):
        names = set(getattr(stores, collection).distinct("campaign"))
        assert names == {"other"}, collection
    # What the other one has still stands, and is built as before.
    assert hts("build", "all").status == 0
    assert hts("campaign", "status", other, "--json").lines[0]["states"] == {
        "ranked": 1
    }
    assert hts("campaign", "delete", "small").status == 1
    # The deleted one can be run again, and computes what went.
    again = hts("campaign", "run", fake_file)
    assert "1 computed now" in again.out, again.err


def test_what_is_anothers_or_still_sent_is_not_deleted(
    hts: Callable[..., Answer],
    on_server: Path,
    fake_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert on_server.is_dir()
    sent = hts("campaign", "submit", fake_file, "--worker", "here", "--any-worker")
    assert sent.status == 0, sent.err
    refused = hts("campaign", "delete", "small")
    assert refused.status == 1
    assert "`hts campaign cancel small` ends them" in refused.err
    assert hts("campaign", "cancel", "small").status == 0
    mine = ownership.user_name()
    monkeypatch.setattr(ownership, "user_name", lambda: "somebody-else")
    refused = hts("campaign", "delete", "small")
    assert f"is {mine}'s: `hts campaign own small`" in refused.err
    assert f"was {mine}'s" in hts("campaign", "own", "small", "--dry-run").out
    (own,) = hts("campaign", "own", "small", "--json").lines
    assert (own["before"], own["owner"]) == (mine, "somebody-else")
    assert hts("campaign", "delete", "small").status == 0


@pytest.mark.parametrize("command", ["check", "run", "submit"])
def test_another_file_of_the_same_name_is_refused_alike(
    hts: Callable[..., Answer],
    screened: Answer,
    campaign_file: Callable[..., Path],
    stores: Stores,
    command: str,
) -> None:
    assert screened.status == 0, screened.err
    copy = campaign_file(
        ("engine: chgnet", "engine: fake"), ("seed: 3", "seed: 4"), name="copy.yaml"
    )
    before = stores.campaigns.query_one({"name": "small"})
    more = ("--worker", "here", "--any-worker") if command == "submit" else ()
    for words in (more, (*more, "--dry-run")):
        if command == "check" and words:
            continue
        refused = hts("campaign", command, copy, *words)
        assert refused.status == 2
        assert "structure.seed: 3 there, 4 here" in refused.err
    assert stores.campaigns.query_one({"name": "small"}) == before
    assert stores.submissions.count() == 0
    replaced = hts("campaign", command, copy, *more, "--replace")
    assert replaced.status == 0, replaced.err


@pytest.fixture
def submitted(hts: Callable[..., Answer], on_server: Path, fake_file: Path) -> Path:
    assert on_server.is_dir()
    answer = hts("campaign", "submit", fake_file, "--worker", "here", "--any-worker")
    assert answer.status == 0, answer.err
    return fake_file


FORMULA = "Li1.2Mn0.4Ti0.4O2"


def test_one_candidate_again_with_more_time(
    hts: Callable[..., Answer], submitted: Path, stores: Stores
) -> None:
    hts("campaign", "cancel", "small")
    words = ("--candidate", FORMULA, "--set", "walltime=48:00:00")
    plan = hts("campaign", "rerun", submitted, *words, "--dry-run", "--json").lines[0]
    assert plan["request"] == {"walltime": "48:00:00"}
    assert hts("campaign", "rerun", "small", *words).status == 0
    # The other one waits for a new submission; this one is sent alone.
    hts("campaign", "submit", submitted, "--worker", "here", "--any-worker")
    jobs = hts("jobs", "list", "--json").lines
    asked = sorted(job["asked"].get("walltime") for job in jobs)
    assert len(jobs) == 2
    assert asked[-1] == "48:00:00"
    assert stores.submissions.count() == 1


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("--candidate", "none"), 1, "there is no candidate none"),
        (("--candidate", FORMULA), 1, "is in Firework"),
        (("--candidate", FORMULA, "--set", "walltime"), 2, "write key=value"),
        (("--candidate", FORMULA, "--set", "walltime=long"), 2, "write HH:MM:SS"),
        (("--candidate", FORMULA, "--set", "mem=4G; rm -r x"), 2, "cannot stand in"),
        (("--candidate", FORMULA, "--set", "relaxation.fmax=1"), 2, "campaign file"),
    ],
)
def test_what_cannot_be_sent_again_says_why(
    hts: Callable[..., Answer],
    submitted: Path,
    words: tuple[str, ...],
    status: int,
    message: str,
) -> None:
    answer = hts("campaign", "rerun", submitted, *words)
    assert answer.status == status
    assert message in answer.err
