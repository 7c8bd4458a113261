"""Rules, effects of metals and formulas of a campaign, as the pages show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from learning.planted_campaign import EFFECT, plant
from synthetic_summaries import CAMPAIGN

from hts_battery.compositions.reported import reported_compounds
from hts_battery.connections.database.bounded_reader import BoundedReader
from hts_battery.dashboard.campaign_states import CampaignStates
from hts_battery.dashboard.chord import REPORTED, ChordPairs, chord_figure
from hts_battery.dashboard.latest_build import LatestBuildCache
from hts_battery.dashboard.learned_cache import LearnedCache
from hts_battery.dashboard.learned_data import (
    effects,
    learned_rows,
    reported_like,
)
from hts_battery.dashboard.learned_figures import (
    Line,
    MapPoints,
    curves_figure,
    effects_figure,
    formula_figure,
    shares_figure,
)
from hts_battery.dashboard.page_descriptors import (
    curve_words,
    formula_map,
    formula_table,
    formula_words,
    found_formula,
)
from hts_battery.dashboard.page_elements import pair_effects_table
from hts_battery.dashboard.page_rules import (
    campaign_rules,
    count_words,
    rules_table,
    shares_words,
)
from hts_battery.dashboard.parts import Sources
from hts_battery.dashboard.server import READABLE
from hts_battery.errors import ConfigurationError
from hts_battery.learning.element_effects import element_effects

if TYPE_CHECKING:
    from hts_battery.connections.database.stores import Stores
    from hts_battery.dashboard.learned_data import Learned


@pytest.mark.mongo
def test_a_planted_campaign_is_read_as_it_was_planted(stores: Stores) -> None:
    plant(stores, 120)
    reader = BoundedReader(stores.database, READABLE)
    sources = Sources(reader, LatestBuildCache(reader), CampaignStates(None))
    latest = sources.cache.get()
    report = campaign_rules(sources, latest, CAMPAIGN, 0.0)
    assert not isinstance(report, str)
    assert campaign_rules(sources, latest, CAMPAIGN, 0.0) is report
    rule = next(one for one in report.rules if one.verdict == "supported")
    assert rule.columns == ("metal_electronegativity_mean",)
    assert "120 candidates" in count_words(report, 0.0)
    assert rule.statement in str(rules_table(report))
    assert "had every bin the same" in shares_words(rule)
    shown = shares_figure(report, rule)
    assert [len(trace.x) for trace in shown.data] == [6, 6]
    assert "pairs of metals" in str(pair_effects_table(report))
    rows = learned_rows(latest, CAMPAIGN, 0.0)
    assert (rows.of, rows.family, rows.words) == (120, "hedrx", "120 candidates")
    assert set(rows.held) == {"F"}
    yttrium = effects(rows)[-1]
    assert (yttrium.element, yttrium.verdict) == ("Y", "supported")
    with pytest.raises(ConfigurationError, match="no candidate"):
        learned_rows(latest, "other", 0.0)
    check_formula(sources, rows)


def check_formula(sources: Sources, rows: Learned) -> None:
    found = found_formula(rows)
    assert "metal_electronegativity_mean" in found.best.text
    like = reported_like(sources.reported, rows.family)
    assert len(like) == 13
    drawn, words = formula_map(found, like)
    assert [trace.name for trace in drawn.data] == [
        *("not stable", "stable", "reported compound", "decision line"),
    ]
    assert sum(len(trace.x) for trace in drawn.data[:2]) == 120
    assert "of 13 reported compounds" in words
    assert "on the stable side" in words
    assert "pair accuracy" in formula_words(found)
    assert "A formula explains" in curve_words(found)
    assert "forest" in curve_words(found)
    assert found.best.text in str(formula_table(found))
    curves = curves_figure(
        found.formula_scores, found.forest_scores, found.energies <= 0
    )
    assert len(curves.data[0].x) == 121


def test_metals_far_from_zero_are_drawn_in_milli_electronvolts() -> None:
    random = np.random.default_rng(0)
    metals = {name: random.random(300) < 0.4 for name in ("Mn", "Ti", "Y")}
    energies = EFFECT * metals["Y"] + 0.01 * random.normal(size=300)
    held = {"F": random.random(300)}
    found = element_effects(energies, {**metals, "Zr": np.zeros(300, bool)}, held)
    assert [one.element for one in found][-2:] == ["Y", "Zr"]
    assert found[-1].verdict == "too few rows"
    yttrium = found[-2]
    assert yttrium.effect == pytest.approx(EFFECT, abs=3 * (yttrium.error or 0))
    shown = effects_figure(found)
    assert list(shown.data[0].y) == ["Y"]
    assert shown.data[0].x[0] == pytest.approx(1000 * (yttrium.effect or 0))


def test_a_map_leaves_room_and_its_line_is_where_the_boundary_is() -> None:
    one = MapPoints(np.array([0.0, 1.0]), np.array([0.0, 2.0]), ["A", "B"])
    none = MapPoints(np.empty(0), np.empty(0), [])
    for line in (Line(1.0, 1.0, -1.5), Line(1.0, 0.0, -0.5)):
        drawn = formula_figure(one, none, none, line, ("x", "y")).data[-1]
        for x, y in zip(drawn.x, drawn.y, strict=True):
            assert line.a * x + line.b * y + line.c == pytest.approx(0)
    assert formula_figure(none, none, none, None, ("x", "y")).layout.xaxis.range is None


def test_two_diagrams_are_of_the_same_elements() -> None:
    both, only = frozenset(("Hf", "Zr")), frozenset(("Mn", "Ti"))
    pairs = ChordPairs(("Hf", "Mn", "Ti", "Zr"), {both: 3}, frozenset((both, only)), {})
    turned = pairs.turned({both: 1, only: 4, frozenset(("Hf", "U")): 9})
    assert (turned.both, turned.new, turned.missing) == ((both,), (only,), ())
    texts = [trace.text for trace in chord_figure(turned, REPORTED).data]
    assert "Mn-Ti: 4 reported compounds; reported only" in texts


def test_what_was_learned_is_kept_and_a_refusal_is_a_sentence() -> None:
    cache, made = LearnedCache(), []

    def refuse() -> None:
        made.append(1)
        raise ConfigurationError("too few rows")

    def missing() -> None:
        raise ModuleNotFoundError("no", name="statsmodels")

    assert cache.get("a", refuse) == cache.get("a", refuse) == "too few rows"
    assert len(made) == 1
    assert "hts_battery[learning]" in str(cache.get("b", missing))
    for number in range(20):
        assert cache.get(number, lambda: "made") == "made"
    cache.get("a", refuse)
    assert len(made) == 2


def test_reported_compounds_are_those_of_the_structure_of_a_family() -> None:
    known = reported_compounds()
    assert {one.structure_type for one in reported_like(known, "nasicon")} == {
        "NASICON"
    }
    assert reported_like(known, "spinel") == known
