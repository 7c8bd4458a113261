"""What is looked up, and what is tested on that."""

from __future__ import annotations

import pytest
from synthetic_summaries import CAMPAIGN, TEMPERATURES, synthetic_summaries

from hts_battery.builders.aggregates import campaign_aggregate
from hts_battery.query.filters import filter_criteria
from hts_battery.query.reading import Statistics, planned

HOT = "energy_above_hull_at.1473K"
ROWS = list(synthetic_summaries(400))
STATISTICS = Statistics(
    [
        campaign_aggregate(
            CAMPAIGN, ROWS, temperatures=TEMPERATURES, digest=""
        ).model_dump(mode="json")
    ]
)


@pytest.mark.parametrize(
    ("words", "served"),
    [
        ("e_hull_1473 <= 0", {HOT}),
        ('campaign = "a" AND e_hull_1473 <= 0', {"campaign", HOT}),
        ('campaign = "a" AND id = "b"', {"campaign", "candidate_id"}),
        ('elements HAS ALL "Mn","Ti" AND n_metals = 5', {"element_keys"}),
        ('elements HAS "Mn" AND e_hull_1473 <= 0', {HOT}),
        ('elements HAS "Mn" AND e_hull_1473 >= 0', {"element_keys"}),
        ('chemical_system = "Li-O" AND e_hull <= 0', {"chemical_system"}),
        ("n_metals = 5 AND entropy > 0", {"n_metals"}),
        ("entropy > 0", set()),
        ("n_metals = 5 OR entropy > 0", set()),
        ("", set()),
    ],
)
def test_one_index_covers_what_is_looked_up(words: str, served: set[str]) -> None:
    criteria = filter_criteria(words)
    plan = planned(criteria)
    assert set(plan.served) == served
    assert {**plan.served, **plan.tested} == criteria
    assert len(plan.stages()) == bool(plan.served) + bool(plan.tested)


@pytest.mark.parametrize(
    "words",
    [
        'flags HAS "releases gas" AND e_hull_1473 <= 0.5',
        'flags HAS "releases gas" AND e_hull_1473 <= -0.13',
        'elements HAS "Mn" AND n_metals = 5 AND campaign = "synthetic"',
        'elements HAS ANY "Mn","Ti" AND e_hull <= 0.001',
        'elements HAS ALL "Mn","Ti" AND family = "hedrx"',
    ],
)
def test_what_finds_fewest_is_looked_up(words: str) -> None:
    criteria = filter_criteria(words)
    plan = planned(criteria, STATISTICS)
    (path, *_) = [name for name in plan.served if name != "campaign"]
    numbers = {
        name: STATISTICS.expected(name, value) for name, value in criteria.items()
    }
    known = {name: number for name, number in numbers.items() if number is not None}
    assert known[path] == min(known.values())


def test_expected_numbers_are_those_of_the_summaries() -> None:
    for words, tolerance in (
        ('elements HAS "Mn"', 0),
        ('elements HAS ANY "Mn","Ti"', None),
        ('flags HAS "releases gas"', 0),
        ("n_metals = 5", 0),
        ('campaign = "synthetic"', 0),
        ('family = "none"', 0),
    ):
        ((path, value),) = filter_criteria(words).items()
        found = STATISTICS.expected(path, value)
        wanted = value["$in"] if isinstance(value, dict) else [value]
        matching = sum(
            bool({*row[path]} & {*wanted})
            if isinstance(row[path], list)
            else row[path] in wanted
            for row in ROWS
        )
        assert found is not None
        assert found >= matching
        assert tolerance is None or found == matching
    below = STATISTICS.expected(HOT, {"$lte": 0.0})
    stable = sum(row["energy_above_hull_at"]["1473K"] <= 0 for row in ROWS)
    assert below is not None
    assert stable <= below <= stable + 60
    assert STATISTICS.expected("entropy", {"$gt": 0}) is None
    assert Statistics([]).expected("n_metals", 5) is None
