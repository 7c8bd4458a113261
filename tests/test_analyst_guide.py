"""The analyst's guide is true: its ten questions have one answer in four languages."""

from __future__ import annotations

import json
import shlex
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from guide import PAGE, Question, questions, shell_query
from synthetic_summaries import METALS, fill
from typer.testing import CliRunner

from hts_battery.cli.app import app
from hts_battery.connections.database.collection_specs import expected_indexes
from hts_battery.query import ScreeningDatabase
from hts_battery.query.query_fields import ALIASES, FIELDS, TEMPERATURE_FIELDS
from hts_battery.settings import BlobStore, get_settings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores

QUESTIONS = questions()
TEXT = PAGE.read_text("utf-8")


def test_there_are_ten_questions() -> None:
    assert len(QUESTIONS) == 10


def keys(docs: Iterable[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(doc["campaign"], doc["candidate_id"]) for doc in docs]


@pytest.mark.mongo
def test_every_answer_is_the_same_in_every_language(
    ranked: Campaign, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One database for all ten: filling it takes longer than asking.
    assert ranked.spec.name == "small"
    few = [name for name in METALS[:9] if name != "Cu2+"]
    fill(stores, 250, campaign="first", metals=few)
    fill(stores, 250, campaign="second", engine="gpaw", shift=0.05, metals=few)
    monkeypatch.setenv("HTS_BATTERY_MONGO_URI", stores.database.uri)
    monkeypatch.setenv("HTS_BATTERY_DATABASE", stores.database.name)
    get_settings.cache_clear()
    screening = ScreeningDatabase(stores)
    for question in QUESTIONS:
        _check(question, screening, stores)
    get_settings.cache_clear()


def _check(question: Question, screening: ScreeningDatabase, stores: Stores) -> None:
    printed = _command(question.command)
    scope: dict[str, Any] = {"screening": screening}
    exec(question.python, scope)  # noqa: S102 - the page's own text
    answer = scope["answer"]
    shell = _shell(question.shell, stores)
    words = keys(screening.find(question.words))
    assert words, question.title
    if "--group-by" in question.command:
        assert [tuple(group) for group in answer] == [
            tuple(line.values()) for line in printed
        ]
        assert {str(doc["_id"]): doc["n"] for doc in shell} == {
            group.name: group.n_candidates for group in answer
        }
        assert sum(doc["n"] for doc in shell) == len(words)
        return
    if "compare" in question.command:
        (line,) = printed
        assert line["n_common"] == answer.n_common == 250
        assert line["n_disagree"] == answer.n_disagree > 0
        energies = {
            doc["candidate_id"]: doc["energy_above_hull_at"]["1473K"] for doc in shell
        }
        assert energies == {pair.candidate_id: pair.second for pair in answer.pairs}
        above = {name for name, energy in energies.items() if energy > 0}
        assert above == {name for _, name in words}
        return
    found = keys(answer)
    assert found == keys(printed), question.title
    if ".sort(" in question.shell:
        assert found == keys(shell), question.title
        assert set(found) <= set(words), question.title
    else:
        assert sorted(found) == sorted(keys(shell)) == sorted(words), question.title


def _command(text: str) -> list[dict[str, Any]]:
    program, *arguments = shlex.split(text)
    assert program == "hts"
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


def _shell(text: str, stores: Stores) -> list[dict[str, Any]]:
    query = shell_query(text)
    collection = getattr(stores, query.collection).collection
    if query.verb == "aggregate":
        return list(collection.aggregate(query.argument))
    found = collection.find(query.argument).limit(query.limit)
    return list(found.sort(list(query.sort.items())) if query.sort else found)


def test_every_field_of_a_filter_is_explained(
    project_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(project_root / "docs" / "_site"))
    field_page = import_module("field_page").field_page
    for name in (*ALIASES, "e_hull_1473"):
        assert f"`{name}`" in TEXT, name
    page = field_page()
    for name in (*FIELDS, *(f"{base}_T" for base in TEMPERATURE_FIELDS)):
        assert f"| `{name}` |" in page, name


def test_every_collection_and_index_is_explained() -> None:
    indexes = expected_indexes(BlobStore.MONGO)
    for name in ("campaigns", "members", "tasks", "summary", "summary_table"):
        assert f"| `{name}` |" in TEXT, name
    for index in indexes["summary"]:
        for field in index.fields:
            assert f"`{field}`" in TEXT, field
