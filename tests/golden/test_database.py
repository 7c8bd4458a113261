"""What `ScreeningDatabase` answers, without a word of how it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hts_battery.query import ScreeningDatabase
from hts_battery.query.selection import default_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from golden.recording import Recording
    from golden.world import World

pytestmark = [pytest.mark.mongo, pytest.mark.slow]

FILTERS = (
    "",
    'elements HAS "Cr"',
    'elements HAS ALL "Mn","Ti" AND NOT elements HAS "F"',
    "e_hull_1473 <= 0",
    "e_hull > 0.01 OR n_metals = 3",
    'formula CONTAINS "F0.3"',
    'campaign = "deeper"',
    "t_mix IS KNOWN",
)
"""In OPTIMADE's language, on our fields."""


@pytest.fixture(scope="module")
def screening(world: World) -> Iterator[ScreeningDatabase]:
    assert world.answers
    with world.entered(), ScreeningDatabase() as opened:
        yield opened


@pytest.fixture
def check(
    recording: Callable[[str], Recording], world: World
) -> Callable[[str, Any], None]:
    return lambda key, found: recording("database").check(key, world.plain(found))


@pytest.mark.parametrize("words", FILTERS)
def test_filters(
    check: Callable[[str, Any], None], screening: ScreeningDatabase, words: str
) -> None:
    rows = screening.table(words, fields=["campaign", "formula", "e_hull_1473"])
    assert screening.count(words) == len(rows)
    keys = [(doc["campaign"], doc["candidate_id"]) for doc in screening.find(words)]
    assert len(keys) == len(rows)
    check(f"filter {words}", rows)


def test_documents_fields_and_temperatures(
    check: Callable[[str, Any], None], screening: ScreeningDatabase
) -> None:
    fields = default_fields(screening.temperatures())
    check("fields", {"columns": fields})
    check("temperatures", screening.temperatures())
    check("document", next(screening.find(campaign="small", limit=1)))


def test_groups_values_and_ranks(
    check: Callable[[str, Any], None], screening: ScreeningDatabase
) -> None:
    check("distinct", screening.distinct("label_1473"))
    groups = screening.group("element-set", temperature=1473)
    check("groups", [one._asdict() for one in groups])
    ranks = screening.ranking(campaign="small", temperature=1473)
    check("ranking", [doc["formula"] for doc in ranks])
    stable = screening.stable(temperature=1473, threshold=0.02, limit=3)
    check("stable", [(doc["campaign"], doc["formula"]) for doc in stable])
    check("compared", screening.compare("small", "deeper", temperature=0).as_dict())


def test_one_candidate(
    check: Callable[[str, Any], None], screening: ScreeningDatabase, world: World
) -> None:
    name = world.first
    found = screening.get(name)
    assert [doc["campaign"] for doc in found] == ["deeper", "small"]
    (why,) = screening.why(name, campaign="small")
    check("why", {"columns": sorted(why)})
    structure = screening.structure(name, campaign="small")
    check("structure", [structure.formula, structure.volume, len(structure)])
    entry = screening.entry(name, campaign="small")
    check("entry", [entry.composition.reduced_formula, entry.energy_per_atom])
    check("data of the entry", {"columns": sorted(entry.data)})
    assert screening.get("nobody") == []


def test_a_frame(
    check: Callable[[str, Any], None], screening: ScreeningDatabase
) -> None:
    frame = screening.to_frame('campaign = "small"')
    check("frame", {name: str(kind) for name, kind in frame.dtypes.items()})
    check("rows of the frame", len(frame))
