"""The ranking in a terminal: nothing is cut off, and every number carries its doubt."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console
from synthetic_summaries import synthetic_summaries

from hts_battery.cli import formatting
from hts_battery.cli.ranking import ranking

KEY = "1473K"


def summaries() -> list[dict[str, Any]]:
    found = list(synthetic_summaries(4))
    found.sort(key=lambda doc: doc["energy_above_hull_at"][KEY])
    found[0] |= {
        "deviation": 0.05,
        "calculated_formula": "Li1.2Mn0.4Nb0.2V0.2O1.9F0.1",
        "n_orderings": 4,
        "n_random_orderings": 2,
    }
    found[1] |= {
        "uncertainty": None,
        "probability_stable_at": {},
        "uncertainty_source": "not known: nobody has measured it",
    }
    return found


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401 - a function
    def show(width: int) -> str:
        file = io.StringIO()
        for name in ("_TABLES", "_OUT"):
            console = Console(file=file, width=width, soft_wrap=name == "_OUT")
            monkeypatch.setattr(formatting, name, console)
        ranking(summaries(), temperature=1473.0, title="drawn")
        return file.getvalue()

    return show


@pytest.mark.parametrize("width", [80, 120])
def test_no_column_is_cut_off(printed: Any, width: int) -> None:  # noqa: ANN401 - likewise
    text = printed(width)
    table = text.partition("mixing counted")[0]
    assert all(len(line) <= width for line in table.splitlines()[:-2])
    for doc in summaries():
        for field in ("energy_above_hull_at", "energy_above_hull_upper_at"):
            assert f"{1000 * doc[field][KEY]:.1f}" in text
        assert f"{1000 * doc['energy_above_hull_other_at'][KEY]:.1f}" in text


def test_doubt_stands_beside_the_numbers(printed: Any) -> None:  # noqa: ANN401 - likewise
    text = printed(120)
    docs = summaries()
    stable = [doc for doc in docs if doc["energy_above_hull_at"][KEY] <= 0]
    certain = sum(not doc["open_at"][KEY] for doc in stable)
    assert f"{len(stable)}, of them {certain} certain" in text
    assert "≈ Li1.2Mn0.4Nb0.2V0.2O1.9F0.1 (off 0.05)" in text
    assert "±20.0" in text
    assert "± ?" in text
    assert "±: not known: nobody has measured it" in text
    assert "2 of 4" in text
    assert (
        "mixing counted: cations and anions, by element; other: cations only, by "
        "element" in text
    )
    assert text.count("open") > sum(doc["open_at"][KEY] for doc in docs)
