"""Versions of a hull: kept, compared, and whose answer a new one can change."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from maggma.stores import MemoryStore

from hts_battery.builders.reference_hulls import (
    StoredHulls,
    reference_hulls,
    stored_answer,
    stored_depth,
)
from hts_battery.schemas.thermo import LeftOutReferences
from hts_battery.thermo.hull_depth import Depth

PHASES = {"Li": -1.9, "Ti": -7.8, "O2": -4.9, "Li2O": -4.8, "TiO2": -8.8}
OWN = LeftOutReferences.OWN_COMPOSITION


def hulls(
    phases: dict[str, float], calculator: str = "fake 1", scheme: str = "none"
) -> Any:  # scheme → hull  # noqa: ANN401 - as the builder has it
    return reference_hulls(
        {
            "entry_id": formula,
            "formula": formula,
            "calculator": calculator,
            "energy": {
                "entry_id": formula,
                "formula": formula,
                "calculator": calculator,
                "uncorrected_energy": value * 3,
                "n_atoms": 3,
                "energy_per_atom": value,
                "adjustments": [],
                "correction_scheme": scheme,
                "package_versions": {},
            },
        }
        for formula, value in phases.items()
    )


@pytest.fixture
def store() -> MemoryStore:
    found = MemoryStore("hulls", key="hull_version")
    found.connect()
    return found


def stored(store: MemoryStore, phases: dict[str, float], **options: str) -> StoredHulls:
    found = StoredHulls(store, hulls(phases, **options))
    found.add("fake")
    return found


def version(phases: dict[str, float], **options: str) -> str:
    (known,) = hulls(phases, **options).values()
    return str(known.hull.digest)


def answer(formula: str, *phases: str, **changes: Any) -> Any:  # noqa: ANN401 - as stored
    return {
        "formula": formula,
        "chemical_potentials": {"Li": -1.9, "Ti": -7.8, "O": -5.5},
        "decomposition": [{"reference_id": name} for name in phases],
        "excluded_references": [],
        "hull_depth_risk": 0.0,
        "hull_depth_risk_reported": 0.0,
        "hull_depth_reason": None,
        "missing_compositions": {},
        "needed_systems_without_reference": [],
    } | changes


def test_a_version_is_written_once(store: MemoryStore) -> None:
    first = stored(store, PHASES)
    stored(store, PHASES)
    assert store.count() == 1
    doc = store.query_one({"hull_version": version(PHASES)})
    assert doc is not None
    assert doc["n_references"] == len(PHASES)
    assert sorted(row[1] for row in doc["references"]) == sorted(PHASES)
    assert first.current == {version(PHASES)}
    assert first.waiting == {version(PHASES), None}


def test_the_version_does_not_depend_on_the_order_of_the_phases() -> None:
    assert version(PHASES) == version(dict(reversed(PHASES.items())))
    assert version(PHASES) != version({**PHASES, "Li": -1.8})


def test_what_is_not_known_any_more_cannot_be_compared(store: MemoryStore) -> None:
    found = stored(store, PHASES)
    assert found.change(None) is None
    assert found.change("lost") is None
    assert found.news("lost") is None
    other = StoredHulls(store, hulls(PHASES, calculator="other 2"))
    assert other.change(version(PHASES)) is None


@pytest.mark.parametrize(
    ("now", "gone", "arrived"),
    [
        ({**PHASES, "Li2TiO3": -7.4}, {}, {"Li2TiO3"}),
        ({k: v for k, v in PHASES.items() if k != "TiO2"}, {"TiO2": "removed"}, set()),
        ({**PHASES, "Li": -2.0}, {"Li": "by -100.0 meV/atom"}, set()),
        (PHASES, {}, set()),
    ],
)
def test_news_say_what_left_moved_and_arrived(
    store: MemoryStore,
    now: dict[str, float],
    gone: dict[str, str],
    arrived: set[str],
) -> None:
    stored(store, PHASES)
    news = stored(store, now).news(version(PHASES))
    assert news is not None
    assert (news.gone, set(news.arrived)) == (gone, arrived)
    assert not news.recorrected


def test_another_scheme_of_the_same_calculator_is_a_new_correction(
    store: MemoryStore,
) -> None:
    stored(store, PHASES)
    found = stored(store, {**PHASES, "Li": -2.0}, scheme="MP2020")
    news = found.news(version(PHASES))
    assert news is not None
    assert news.recorrected


def affected(store: MemoryStore, now: dict[str, float], **answers: Any) -> set[str]:  # noqa: ANN401 - as stored
    stored(store, PHASES)
    change = stored(store, now).change(version(PHASES))
    assert change is not None
    return change.affected(
        {name: stored_answer(one) for name, one in answers.items()},
        {name: stored_depth(one) for name, one in answers.items()},
        families=dict.fromkeys(answers, "hedrx"),
        rule=OWN,
    )


def test_a_phase_that_was_part_of_an_answer_and_left_changes_it(
    store: MemoryStore,
) -> None:
    left = {name: value for name, value in PHASES.items() if name != "TiO2"}
    found = affected(
        store,
        left,
        with_it=answer("Li2TiO3", "Li2O", "TiO2"),
        without=answer("Li2O2", "Li2O", "O2"),
    )
    assert "with_it" in found


def test_a_new_phase_changes_only_answers_that_it_undercuts(
    store: MemoryStore,
) -> None:
    potentials = {"Li": -2.6, "Ti": -9.0, "O": -5.9}
    inside = answer("Li4Ti5O12", "Li2O", "TiO2", chemical_potentials=potentials)
    outside = answer("Li2O2", "Li2O", "O2", chemical_potentials=potentials)
    deep = affected(store, {**PHASES, "Li2TiO3": -99.0}, inside=inside, outside=outside)
    assert "inside" in deep
    assert "outside" not in deep


def test_references_of_the_candidates_own_composition_are_left_out(
    store: MemoryStore,
) -> None:
    own = answer("Li2TiO3", "Li2O", "TiO2")
    found = affected(store, {**PHASES, "Li2TiO3": -7.4}, own=own)
    assert found == {"own"}  # what is left out of its comparison is another


def test_a_stored_depth_is_read_back_whole() -> None:
    doc = answer(
        "Li2TiO3",
        hull_depth_risk=0.02,
        hull_depth_reason=None,
        missing_compositions={"Li4Ti5O12": 0.5},
        needed_systems_without_reference=["Li-O-Ti"],
    )
    assert stored_depth(doc) == Depth(
        risk=0.02,
        risk_reported=0.0,
        reason=None,
        missing={"Li4Ti5O12": 0.5},
        systems=("Li-O-Ti",),
    )


@settings(max_examples=8, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(sorted(PHASES)), st.floats(-9, 0).map(lambda e: round(e, 3))
    )
)
def test_nothing_is_affected_by_a_hull_that_did_not_change(
    moved: dict[str, float],
) -> None:
    store = MemoryStore("hulls", key="hull_version")
    store.connect()
    now = PHASES | moved
    stored(store, now)
    change = stored(store, now).change(version(now))
    assert change is not None
    assert not change.references.removed
    assert change.systems == frozenset()
    answers = {"one": stored_answer(answer("Li2TiO3", "Li2O", "TiO2"))}
    depths = {"one": stored_depth(answer("Li2TiO3"))}
    found = change.affected(answers, depths, families={"one": "hedrx"}, rule=OWN)
    assert found == set()
