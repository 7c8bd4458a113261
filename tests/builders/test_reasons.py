"""Why a record is another than the one before: each cause by its word."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.builders.reasons import (
    CANDIDATE,
    CODE,
    CORRECTION,
    NEW_CANDIDATE,
    NEW_ORDERING,
    OPTIONS,
    RECALCULATED,
    REFERENCES,
    REMOVED,
    REMOVED_ORDERING,
    RETRIED,
    HullNews,
    change_of,
    hull_news,
    reasons,
)
from hts_battery.schemas.build import OrderingEnergy

ORDERING = {
    "entry_id": "e1",
    "method": "sqs",
    "kind": "random",
    "energy_per_atom": -5.0,
    "correction_per_atom": -0.1,
    "scheme": "vasp / MP2020",
}
RESULT = {
    "formula": "LiF",
    "energy_per_atom": -5.0,
    "energy_above_hull_0k": 0.01,
    "energy_above_hull": -0.02,
    "label": "LS",
    "open": False,
    "hull_version": "h1",
    "decomposition": [{"reference_id": "Li"}, {"reference_id": "F2"}],
}


def record(**changes: Any) -> Any:  # noqa: ANN401 - a stored record
    return {
        "candidate_id": "c",
        "temperature": 1473.0,
        "state": "successful",
        "code_version": "7",
        "options_digest": "o",
        "orderings": [ORDERING],
        "result": RESULT,
    } | changes


def why(
    old: Any,  # noqa: ANN401 - a stored record
    *,
    phases: tuple[str, ...] = ("Li", "F2"),
    options: str = "o",
    news: HullNews | None = None,
    orderings: list[dict[str, Any]] | None = None,
) -> tuple[str, ...]:
    now = [ORDERING] if orderings is None else orderings
    return reasons(
        old,
        orderings=[OrderingEnergy.model_validate(one) for one in now],
        phases=phases,
        options_digest=options,
        code_version="7",
        news=news,
    )


def changed(**fields: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - any field
    return [ORDERING | fields]


@pytest.mark.parametrize(
    ("old", "now", "said"),
    [
        (None, {}, (NEW_CANDIDATE,)),
        (record(), {}, (CANDIDATE,)),
        (record(state="failed", orderings=[]), {}, (RETRIED,)),
        (record(code_version="0"), {}, (CODE,)),
        (record(), {"options": "p"}, (OPTIONS,)),
        (record(code_version="0"), {"options": "p"}, (CODE, OPTIONS)),
        (
            record(),
            {"orderings": [ORDERING, ORDERING | {"entry_id": "e2"}]},
            (NEW_ORDERING,),
        ),
        (
            record(orderings=[ORDERING, ORDERING | {"entry_id": "e2"}]),
            {},
            (REMOVED_ORDERING,),
        ),
        (
            record(),
            {"orderings": changed(energy_per_atom=-5.1)},
            (RECALCULATED,),
        ),
        (
            record(),
            {"orderings": changed(energy_per_atom=-5.1, correction_per_atom=-0.2)},
            (CORRECTION,),
        ),
        (
            record(),
            {"orderings": changed(energy_per_atom=-5.3, correction_per_atom=-0.2)},
            (CORRECTION, RECALCULATED),
        ),
        (record(), {"orderings": changed(scheme="vasp / none")}, (CORRECTION,)),
        (record(), {"orderings": changed(energy_per_atom=-5.0 + 1e-14)}, (CANDIDATE,)),
        (record(), {"news": HullNews()}, (REFERENCES,)),
        (record(), {"news": HullNews(recorrected=True)}, (CORRECTION,)),
        (
            record(),
            {"news": HullNews(gone={"F2": "removed"}), "phases": ("Li",)},
            ("removed reference F2",),
        ),
        (
            record(),
            {"news": HullNews(gone={"Li": "by -100.0 meV/atom"})},
            ("changed reference Li (by -100.0 meV/atom)",),
        ),
        (
            record(),
            {"news": HullNews(arrived={"LiF"}), "phases": ("LiF",)},
            ("new reference LiF",),
        ),
    ],
)
def test_each_cause_has_its_word(
    old: Any,  # noqa: ANN401 - a stored record
    now: dict[str, Any],
    said: tuple[str, ...],
) -> None:
    assert why(old, **now) == said


def test_many_references_are_counted_after_the_first_five() -> None:
    arrived = [f"phase {number}" for number in range(8)]
    found = why(record(), news=HullNews(arrived=arrived), phases=tuple(arrived))
    assert len(found) == 6
    assert found[-1] == "3 more references"


REFERENCES_OF_A_HULL = st.dictionaries(
    st.sampled_from("abcdef"),
    st.tuples(st.sampled_from(["Li", "O2", "Li2O"]), st.sampled_from([0.0, -1.0])),
)


@given(REFERENCES_OF_A_HULL, REFERENCES_OF_A_HULL)
def test_news_are_all_that_differs(
    before: dict[str, tuple[str, float]], now: dict[str, tuple[str, float]]
) -> None:
    news = hull_news(before, now, recorrected=False)
    assert set(news.arrived) == set(now) - set(before)
    assert set(news.gone) == {name for name in before if now.get(name) != before[name]}
    back = hull_news(now, before, recorrected=True)
    removed = {name for name, how in news.gone.items() if how == "removed"}
    assert set(back.arrived) == removed
    assert hull_news(now, now, recorrected=False) == HullNews()


def test_a_change_names_the_formula_that_is_known() -> None:
    gone = change_of(record(), None, (REMOVED,))
    assert (gone.formula, gone.after) == ("LiF", None)
    assert gone.before is not None
    assert gone.before.energy_above_hull == -0.02
    failed = change_of(record(result=None), None, (REMOVED,))
    assert (failed.formula, failed.before) == (None, None)
    with pytest.raises(ValueError, match="before or now"):
        change_of(None, None, ())
