from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from programs import run_program

from hts_battery.learning import composition_descriptors, mine_rules
from hts_battery.learning.element_pairs import counted_probability
from hts_battery.schemas.formula import parse_formula

ELEMENTS = [chr(ord("A") + number) for number in range(12)]


def drawn(rows: int, seed: int) -> pd.DataFrame:
    """Each row holds five of twelve elements."""
    random = np.random.default_rng(seed)
    ranks = random.random((rows, len(ELEMENTS))).argsort(axis=1)
    return pd.DataFrame(ranks < 5, columns=ELEMENTS)


def labelled(frame: pd.DataFrame, logits: pd.Series, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return frame.assign(stable=random.random(len(frame)) < 1 / (1 + np.exp(-logits)))


def test_a_planted_pair_is_found_and_single_elements_are_not_taken_for_it() -> None:
    frame = drawn(900, 0)
    logits = 1.2 * frame.A - 1.2 * frame.B - 0.3 + 2.5 * (frame.A & frame.C)
    report = mine_rules(labelled(frame, logits, 1), "stable", elements=ELEMENTS)
    found = [pair.elements for pair in report.pairs if pair.verdict == "supported"]
    assert found == [("A", "C")]
    assert len(report.pairs) == 66
    pair = next(one for one in report.pairs if one.elements == ("A", "C"))
    assert pair.interval is not None
    assert pair.interval[0] < np.exp(2.5) < pair.interval[1]
    assert pair.n == int((frame.A & frame.C).sum())


def test_a_pair_that_is_always_stable_is_found() -> None:
    frame = drawn(900, 3)
    logits = pd.Series(np.where(frame.A & frame.C, 30.0, -0.7))
    report = mine_rules(labelled(frame, logits, 1), "stable", elements=ELEMENTS)
    pair = next(one for one in report.pairs if one.elements == ("A", "C"))
    assert (pair.verdict, pair.stable) == ("supported", pair.n)
    assert pair.odds_ratio is not None
    assert np.isfinite(pair.odds_ratio)


def test_no_pair_in_null_tables() -> None:
    found = []
    for seed in range(8):
        frame = drawn(400, seed)
        table = labelled(frame, 0.8 * frame.A - 1.5, seed)
        pairs = mine_rules(table, "stable", elements=ELEMENTS).pairs
        found.append(sum(pair.verdict == "supported" for pair in pairs))
    assert sum(count > 0 for count in found) <= 1


def test_pairs_that_cannot_be_told() -> None:
    frame = drawn(400, 0).assign(X=True, Y=False)
    frame["Z"] = np.arange(400) < 7
    table = labelled(frame, 0.5 * frame.A, 0)
    elements = ["A", "B", "X", "Y", "Z"]
    pairs = {
        pair.elements: pair
        for pair in mine_rules(table, "stable", elements=elements).pairs
    }
    assert pairs["A", "X"].verdict == "not supported"  # A alone says it
    assert pairs["A", "X"].p_value is None
    assert pairs["A", "Y"].n == 0
    assert pairs["A", "Y"].verdict == pairs["A", "Z"].verdict == "too few rows"
    assert pairs["A", "B"].p_value is not None


def test_counted_chances_are_binomial() -> None:
    assert counted_probability(np.full(8, 0.25), 8) == pytest.approx(2 * 0.25**8)
    assert counted_probability(np.full(8, 0.5), 4) == 1.0


@pytest.fixture(scope="module")
def program() -> dict[str, Any]:
    return run_program("workflows/chgnet_campaign.py")


def described(candidates: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Descriptors of the cells' species, amounts, and elements of the candidates."""
    rows = []
    for text in candidates.assignment:
        species: dict[str, Fraction] = {}
        for name, amount in re.findall(r"(\S+[+-]) (\S+?)(?:;|$| )", text):
            species[name] = species.get(name, Fraction(0)) + Fraction(amount)
        rows.append(composition_descriptors(species))
    amounts = [parse_formula(text) for text in candidates.formula]
    frame = pd.DataFrame(rows)
    frame["fluorine"] = [float(one.get("F", 0)) for one in amounts]
    frame["metals"] = candidates.n_metals.to_numpy()
    elements = sorted(
        {element for one in amounts for element in one} - {"Li", "O", "F"}
    )
    for element in elements:
        frame[element] = [element in one for one in amounts]
    frame["stable"] = (candidates.hot <= 0).to_numpy()
    return frame, elements


@pytest.mark.physics
def test_what_the_539_candidates_say(program: dict[str, Any]) -> None:
    """By the hull of before: no rule of size, no pair; a planted pair is found."""
    table = pd.read_csv(program["TABLE"])
    before = program["assessed"](table, program["hull_before"]())
    frame, elements = described(program["candidates_of"](before, program["ONE"]))
    report = mine_rules(frame, "stable", elements=elements)
    assert (report.used, round(report.base_rate or 0, 4)) == (539, 0.7755)
    verdicts = {rule.columns[0]: rule.verdict for rule in report.rules}
    for name in ("spread", "mean", "range"):
        assert verdicts[f"metal_radius_{name}"] == "not supported"
    assert len(report.pairs) == 253
    assert not [pair for pair in report.pairs if pair.verdict != "not supported"]
    both = frame.Mn & frame.Ti
    frame.loc[both, "stable"] = np.arange(both.sum()) % 6 == 0
    planted = mine_rules(frame[[*elements, "stable"]], "stable", elements=elements)
    found = [pair.elements for pair in planted.pairs if pair.verdict == "supported"]
    assert ("Mn", "Ti") in found
    assert len(found) <= 2
