from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from learning.planted_tables import METALS, planted

from hts_battery.errors import ConfigurationError, MixedCalculatorError
from hts_battery.learning import mine_rules
from hts_battery.learning.standardised import quantile_edges
from hts_battery.schemas.rules import RuleTable

if TYPE_CHECKING:
    from hts_battery.learning.rules import RuleReport
    from hts_battery.schemas.rules import Rule


def by_column(report: RuleReport) -> dict[str, Rule]:
    return {rule.columns[0]: rule for rule in report.rules}


def with_label(frame: pd.DataFrame, logits: pd.Series, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return frame.assign(stable=random.random(len(frame)) < 1 / (1 + np.exp(-logits)))


def test_a_planted_trend_is_found_with_its_odds_ratio() -> None:
    frame = planted(1500, 0)
    rules = by_column(mine_rules(with_label(frame, frame.a - 1), "stable"))
    rule = rules["a"]
    assert (rule.form, rule.verdict) == ("trend", "supported")
    assert rule.odds_ratio is not None
    assert rule.interval is not None
    assert rule.interval[0] < np.e < rule.interval[1]
    assert rule.share_inside is not None
    assert rule.share_outside is not None
    assert rule.share_inside > rule.share_outside
    assert rule.cliffs_delta == pytest.approx(0.5, abs=0.1)
    assert {rules[name].verdict for name in "bcd"} == {"not supported"}


@pytest.mark.parametrize(("sign", "often"), [(1, "most"), (-1, "least")])
def test_a_planted_window_is_found(sign: int, often: str) -> None:
    frame = planted(2000, 1)
    inside = (frame.b.abs() < 0.6).astype(float)
    rule = by_column(mine_rules(with_label(frame, sign * (2 * inside - 1)), "stable"))
    found = rule["b"]
    assert (found.form, found.verdict) == ("window", "supported")
    assert often in found.statement
    assert found.lower is not None
    assert found.upper is not None
    assert -1.4 < found.lower < 0 < found.upper < 1.4
    assert found.odds_ratio is not None
    assert (found.odds_ratio > 1) == (sign > 0)


def test_yes_or_no_is_the_two_by_two_table() -> None:
    frame = planted(800, 2)[["a"]].assign(mixed=lambda f: np.arange(len(f)) % 2 == 0)
    frame = with_label(frame, 0.5 - 1.5 * frame.mixed)
    rule = by_column(mine_rules(frame, "stable"))["mixed"]
    table = pd.crosstab(frame.mixed, frame.stable)
    odds = table.loc[True, True] * table.loc[False, False]
    assert rule.odds_ratio == pytest.approx(
        odds / (table.loc[True, False] * table.loc[False, True])
    )
    assert rule.verdict == "supported"
    assert rule.share_inside == pytest.approx(frame.stable[frame.mixed].mean())


def test_a_confounded_column_is_not_supported() -> None:
    frame = planted(2000, 3)
    frame["b"] = 0.8 * frame.a + 0.6 * frame.b  # follows the cause, causes nothing
    rules = by_column(mine_rules(with_label(frame, 1.2 * frame.a), "stable"))
    assert rules["a"].verdict == "supported"
    assert rules["b"].verdict == "not supported"
    assert rules["b"].interval is not None
    assert rules["b"].interval[0] > 1  # raw, it shows
    assert rules["b"].adjusted_odds_ratio == pytest.approx(1, abs=0.25)
    assert "a" in rules["b"].confounders


def test_a_null_table_supports_next_to_nothing() -> None:
    """Ten columns of noise, 20 tables: at 5 % at most a few speak at all."""
    tables = [planted(300, seed, columns=10) for seed in range(20)]
    speaking = [
        sum(rule.verdict == "supported" for rule in mine_rules(one, "stable").rules)
        for one in tables
    ]
    assert sum(count > 0 for count in speaking) <= 3
    assert sum(speaking) <= 4


def test_groups_that_share_their_label_are_not_taken_for_rows() -> None:
    """Column and label are one draw a group: 20 groups are no 1,000 rows."""
    wrong = 0
    for seed in range(12):
        random = np.random.default_rng(seed)
        group = np.repeat(np.arange(20), 50)
        frame = pd.DataFrame({"a": random.normal(size=20)[group], "set": group})
        label = random.random(20)[group] > random.random(1000)
        report = mine_rules(frame.assign(stable=label), "stable", groups="set")
        wrong += report.rules[0].verdict == "supported"
        assert report.groups == "set"
    assert wrong <= 1


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (planted(29, 0), None),
        (planted(60, 0).assign(stable=np.arange(60) < 4), None),
        (planted(60, 0).assign(stable=np.arange(60) >= 4), None),
        (planted(60, 0).assign(stable=True), None),
        (planted(60, 0).head(0), None),
    ],
)
def test_too_few_rows_have_no_numbers(frame: pd.DataFrame, reason: str | None) -> None:
    frame = frame.assign(A=np.arange(len(frame)) % 2 > 0, B=True)
    report = mine_rules(frame, "stable", elements=["A", "B"])
    for rule in report.rules:
        assert (rule.verdict, rule.reason) == ("too few rows", reason)
        assert rule.odds_ratio is rule.interval is rule.adjusted_odds_ratio is None
        assert rule.p_value is rule.auc is rule.share_inside is None
        assert rule.n == len(frame)
    assert [pair.verdict for pair in report.pairs] == ["too few rows"]
    assert report.pairs[0].p_value is None


def test_few_groups_have_no_numbers() -> None:
    frame = planted(300, 0).assign(metals=lambda f: np.arange(len(f)) % 4)
    rule = mine_rules(frame, "stable", groups="metals").rules[0]
    assert (rule.verdict, rule.reason) == ("too few rows", "fewer than 5 groups")


def test_separation_is_a_verdict() -> None:
    frame = planted(200, 4)
    for label, bounds in (
        (frame.a > 0.5, (True, False)),
        (frame.a < 0.5, (False, True)),
        (frame.a.between(-0.5, 0.5), (True, True)),
    ):
        rules = by_column(mine_rules(frame.assign(stable=label), "stable"))
        rule = rules["a"]
        assert rule.verdict == "separates"
        assert rule.odds_ratio is rule.interval is None
        assert (rule.lower is not None, rule.upper is not None) == bounds
        assert (rule.share_inside, rule.share_outside) == (1.0, 0.0)
        assert {rules[name].verdict for name in "bcd"} == {"not supported"}
    both = frame.assign(stable=frame.a + frame.b > 0)  # only together
    assert by_column(mine_rules(both, "stable"))["a"].verdict != "separates"
    half = frame.assign(stable=frame.stable | (frame.a > 1))  # on one side only
    assert by_column(mine_rules(half, "stable"))["a"].verdict == "supported"


def test_constants_and_twins_do_not_disturb() -> None:
    frame = planted(600, 5)
    frame = with_label(frame, 1.5 * frame.a - 1)
    alone = by_column(mine_rules(frame, "stable"))
    more = frame.assign(one=1.0, twin=-3 * frame.a + 2, tiny=1 + 1e-14 * frame.b)
    rules = by_column(mine_rules(more, "stable"))
    for name in ("one", "tiny"):
        assert (rules[name].verdict, rules[name].odds_ratio) == ("not supported", None)
        assert rules[name].reason == "the column is constant"
    assert rules["a"].verdict == rules["twin"].verdict == "supported"
    assert rules["a"].inseparable == ("twin",)
    assert rules["a"].odds_ratio == pytest.approx(alone["a"].odds_ratio, rel=1e-6)
    assert rules["twin"].odds_ratio == pytest.approx(1 / alone["a"].odds_ratio)
    hot = frame.assign(**{f"is {n}": (frame.index % 3 == n) for n in range(3)})
    assert by_column(mine_rules(hot, "stable"))["a"].verdict == "supported"


def test_rows_in_another_order_and_columns_in_other_units_say_the_same() -> None:
    frame = planted(500, 6)
    frame = with_label(frame, frame.a - frame.b**2)
    first = mine_rules(frame, "stable", seed=3)
    shuffled = mine_rules(frame.sample(frac=1, random_state=1), "stable", seed=3)
    assert shuffled.model_dump() == first.model_dump()
    other = mine_rules(
        frame.assign(a=1e-4 * frame.a, b=50 + 900 * frame.b), "stable", seed=3
    )
    for here, there in zip(first.rules, other.rules, strict=True):
        assert here.verdict == there.verdict
        assert here.odds_ratio == pytest.approx(there.odds_ratio, rel=1e-6)
        assert here.p_value == pytest.approx(there.p_value, rel=1e-4, abs=1e-12)
    assert mine_rules(frame, "stable", seed=4).digest == first.digest


def test_an_outlier_of_a_failed_calculation_does_not_decide() -> None:
    frame = planted(600, 7)
    frame = with_label(frame, 1.5 * frame.a)
    frame.loc[:5, "a"] = 8e3
    frame.loc[:5, "stable"] = False
    assert by_column(mine_rules(frame, "stable"))["a"].verdict == "supported"


def test_more_columns_than_rows_can_carry() -> None:
    frame = planted(60, 8, columns=25)
    report = mine_rules(with_label(frame, 4 * frame.a), "stable")
    assert len(report.rules) == 25
    assert sum(rule.verdict == "supported" for rule in report.rules) <= 3


def test_rows_in_are_rows_used_and_left_out() -> None:
    frame = planted(200, 9).assign(metals=[f"m{n % 20}" for n in range(200)])
    frame["stable"] = frame.stable.astype(object)
    frame.loc[:2, "stable"] = None
    frame.loc[5:9, "b"] = np.nan
    frame.loc[7, "c"] = np.inf
    frame.loc[20, "metals"] = None
    report = mine_rules(frame, "stable", groups="metals")
    assert report.left_out == {"no stable": 3, "no metals": 1, "no value of b": 5}
    assert report.used + sum(report.left_out.values()) == 200
    assert report.base_rate is not None
    assert report.base_rate_interval is not None
    assert (
        report.base_rate_interval[0] < report.base_rate < report.base_rate_interval[1]
    )


def test_labels_of_two_kinds_are_refused() -> None:
    frame = planted(100, 0).assign(calculator="chgnet", hull_version="one")
    assert mine_rules(frame, "stable").conventions == {
        "calculator": "chgnet",
        "hull_version": "one",
    }
    frame.loc[:9, "calculator"] = "vasp"
    with pytest.raises(MixedCalculatorError, match=r"chgnet \(90 rows\), vasp \(10"):
        mine_rules(frame, "stable")


def test_bad_questions_are_answered_in_a_line() -> None:
    frame = planted(100, 0)
    report = mine_rules(frame, "stable")
    with pytest.raises(ConfigurationError, match="'z' was not mined"):
        report.shares("z", [0, 1])
    for arguments in ({"groups": "z"}, {"elements": ["z"]}):
        with pytest.raises(ConfigurationError, match="no column 'z'"):
            mine_rules(frame, "stable", **arguments)  # type: ignore[arg-type] - one of two
    twice = pd.concat([frame, frame.a], axis=1)
    with pytest.raises(ConfigurationError, match="one name"):
        mine_rules(twice, "stable")


def test_a_report_is_a_document() -> None:
    report = mine_rules(planted(100, 0), "stable")
    again = RuleTable.model_validate_json(report.model_dump_json())
    assert again.model_dump() == report.model_dump()
    assert {"numpy", "scipy"} <= set(again.versions)


@pytest.mark.physics
def test_published_shares_of_nasicon(nasicon: pd.DataFrame) -> None:
    report = mine_rules(nasicon, "stable", groups="metals", elements=METALS)
    edges = [1.0, 1.15, 1.25, 1.35, 1.45, 1.55, 1.65, 1.75, 1.85, 2.02]
    shares = report.shares("metal_electronegativity_mean", edges)
    assert [round(100 * share, 1) for _, share, _ in shares] == [
        *(7.6, 13.5, 25.4, 20.6, 17.5, 18.7, 11.6, 7.1, 4.0)
    ]
    assert sum(rows for rows, _, _ in shares) == 3104
    assert all(low < share < high for _, share, (low, high) in shares)
    assert report.base_rate == pytest.approx(513 / 3104)
    assert report.shares("carrier_amount", [9, 10]) == [
        (0, pytest.approx(np.nan, nan_ok=True), (0.0, 1.0))
    ]


@pytest.mark.physics
def test_not_the_mixing_but_the_charge_spread(nasicon: pd.DataFrame) -> None:
    """Single 32.4 %, mixed 13.1 %; but P+S 26.4 % beside P alone 27.8 %."""
    by_mixing = nasicon.groupby("mixed").stable.mean()
    assert by_mixing[False] == pytest.approx(0.324, abs=5e-4)
    assert by_mixing[True] == pytest.approx(0.131, abs=5e-4)
    shares = nasicon.groupby("polyanions").stable.mean()
    assert shares["P+S"] == pytest.approx(0.264, abs=5e-4)
    assert shares["P"] == pytest.approx(0.278, abs=5e-4)
    rules = by_column(
        mine_rules(nasicon.drop(columns=[*METALS]), "stable", groups="metals")
    )
    assert rules["polyanion_charge_spread"].verdict == "supported"
    assert rules["mixed"].verdict == "not supported"
    assert rules["metal_radius_spread"].verdict == "supported"
    assert rules["metal_radius_spread"].odds_ratio is not None
    assert rules["metal_radius_spread"].odds_ratio < 1


def test_conventions_are_those_of_rows_that_have_a_label() -> None:
    frame = planted(60, 0).astype({"stable": object})
    frame["calculator"] = "one"
    frame.loc[:4, "stable"] = None
    frame.loc[:4, "calculator"] = None
    report = mine_rules(frame, "stable")
    assert report.conventions == {"calculator": "one"}
    assert report.left_out == {"no stable": 5}
    frame.loc[50:, "calculator"] = None
    with pytest.raises(MixedCalculatorError, match=r"not said \(10 rows\), one \(45"):
        mine_rules(frame, "stable")


def test_adjusted_shares_take_the_others_out() -> None:
    random = np.random.default_rng(0)
    a = random.normal(size=3000)
    frame = pd.DataFrame({"a": a, "b": 0.6 * a + random.normal(size=3000)})
    report = mine_rules(with_label(frame, 1.5 * frame.a), "stable")
    edges = quantile_edges(report.values("b"))
    raw = [share for _, share, _ in report.shares("b", edges)]
    adjusted = report.adjusted_shares("b", edges)
    assert raw[-1] - raw[0] > 0.3
    for rows, share, (low, high) in adjusted:
        assert rows == 500
        assert low < share < high
        assert low < report.base_rate < high  # type: ignore[operator] - there are rows
    few = mine_rules(planted(29, 0), "stable")
    (one, *_) = few.adjusted_shares("a", [-9.0, 0.0, 9.0])
    assert np.isnan(one[1])
    empty = report.adjusted_shares("b", [-9.0, 0.0, 50.0, 60.0])
    assert (empty[-1][0], np.isnan(empty[-1][1])) == (0, True)


def test_columns_of_any_name_and_size_are_mined() -> None:
    frame = planted(300, 0, columns=2)
    frame = with_label(frame, frame.a - 1)
    plain = by_column(mine_rules(frame, "stable"))["a"]
    huge = mine_rules(frame.assign(a=frame.a * 1e200), "stable").rules[0]
    assert huge.odds_ratio == pytest.approx(plain.odds_ratio)
    numbered = mine_rules(frame.rename(columns={"a": 0, "b": 1}), "stable")
    assert numbered.columns == ("0", "1")
    assert numbered.rules[0].odds_ratio == plain.odds_ratio
    with pytest.raises(ConfigurationError, match="give 0 to 1"):
        mine_rules(frame, "stable", false_discovery_rate=5)
