from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hts_battery.compositions import load_space
from hts_battery.errors import CompositionError, EmptySpaceError
from hts_battery.learning import SeparableSurrogate, halves, rank_space
from hts_battery.thermo import mixing_entropy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hts_battery.compositions import CompositionSpace

ROCKSALT = {
    "family": "hedrx",
    "basis": "formula-unit",
    "step": "0.1",
    "sublattices": {
        "cation": {"sites": 2, "species": ["Li+", "Mn2+", "Mn3+", "Ti4+", "Nb5+"]},
        "anion": {"sites": 2, "species": ["O2-", "F-"]},
    },
    "contents": {"Li": ["1.1", "1.2"]},
    "balance": "F",
}


def weights(space: CompositionSpace, seed: int = 0) -> dict[str, float]:
    elements = sorted({element for one in space for element in one.amounts})
    values = np.random.default_rng(seed).normal(0, 0.3, len(elements))
    return dict(zip(elements, values.tolist(), strict=True))


def by_force(
    space: CompositionSpace, surrogate: SeparableSurrogate, temperature: float
) -> list[tuple[float, int]]:
    """Score each member by itself, as the definition reads."""
    return sorted(
        (round(_score(one, surrogate, temperature), 12), index)
        for index, one in enumerate(space)
    )


def _score(candidate, surrogate, temperature) -> float:  # noqa: ANN001 - a test's own
    atoms = sum(candidate.amounts.values())
    sublattices = []
    for name, species in candidate.assignment.items():
        held: dict[str, float] = {}
        for text, amount in species.items():
            element = text.rstrip("0123456789+-")
            held[element] = held.get(element, 0) + float(amount / candidate.sites[name])
        sublattices.append((float(candidate.sites[name]), held))
    energy = sum(
        float(amount / atoms) * surrogate.weights[element]
        for element, amount in candidate.amounts.items()
    )
    entropy = mixing_entropy(sublattices, float(atoms))
    return surrogate.intercept + energy - temperature * entropy


def agrees(
    space: CompositionSpace,
    surrogate: SeparableSurrogate,
    *,
    temperature: float,
    n: int,
) -> None:
    found = rank_space(space, surrogate, temperature=temperature, n=n)
    expected = by_force(space, surrogate, temperature)
    assert found.visited == space.count
    assert len(found) == min(n, space.count)
    assert [round(one, 12) for one in found.scores] == pytest.approx(
        [score for score, _ in expected[:n]], abs=2e-12
    )
    # Members whose scores differ by rounding alone may stand in either order.
    scores = {index: score for score, index in expected}
    last = expected[len(found) - 1][0]
    assert all(scores[one.index] <= last + 2e-12 for one in found)
    assert len({one.index for one in found}) == len(found)


@pytest.mark.parametrize("name", ["excluded", "latp", "layered", "spinel"])
@pytest.mark.parametrize("temperature", [0, 1473])
def test_the_best_of_a_shipped_space_are_those_of_brute_force(
    name: str, temperature: float
) -> None:
    space = load_space(f"workflows/spaces/{name}.yaml")
    if space.count > 10_000:
        space = load_space(_coarse(space))
    surrogate = SeparableSurrogate(weights(space), intercept=0.1)
    agrees(space, surrogate, temperature=temperature, n=40)


def _coarse(space: CompositionSpace) -> dict[str, object]:
    spec = space.spec.model_dump(mode="json", exclude_unset=True)  # type: ignore[attr-defined]
    spec["step"] = "0.25"
    spec.pop("elements")
    return spec


@given(
    species=st.lists(
        st.sampled_from(
            ["Mg2+", "Mn2+", "Mn3+", "Mn4+", "Ti4+", "Nb5+", "V3+", "V5+", "W6+"]
        ),
        min_size=2,
        max_size=6,
        unique=True,
    ),
    vacant=st.booleans(),
    excluded=st.booleans(),
    most=st.integers(1, 4),
    temperature=st.sampled_from([0.0, 500.0, 1473.0]),
    n=st.integers(1, 60),
    seed=st.integers(0, 5),
)
@settings(max_examples=25, deadline=None)
def test_the_best_of_any_small_space_are_those_of_brute_force(  # noqa: PLR0913, PLR0917
    species: list[str],
    vacant: bool,
    excluded: bool,
    most: int,
    temperature: float,
    n: int,
    seed: int,
) -> None:
    spec: dict[str, object] = {
        "family": "hedrx",
        "basis": "sublattice-fraction",
        "step": "0.25",
        "sublattices": {
            "alkali": {"sites": 1, "species": ["Li+", *(["Vac"] if vacant else [])]},
            "metal": {"sites": 2, "species": species, "metals": {"maximum": most}},
            "anion": {"sites": 3, "species": ["O2-", "F-"]},
        },
    }
    elements = sorted({one.rstrip("0123456789+-") for one in species})
    if excluded and len(elements) > 1:
        spec["exclusions"] = [elements[:2]]
    try:
        space = load_space(spec)
    except EmptySpaceError:
        return
    surrogate = SeparableSurrogate(weights(space, seed), intercept=-0.05)
    agrees(space, surrogate, temperature=temperature, n=n)


def test_cutting_groups_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    space = load_space(ROCKSALT)
    surrogate = SeparableSurrogate(weights(space))
    whole = rank_space(space, surrogate, temperature=1473, n=5)
    monkeypatch.setattr(halves, "_ROWS", 10)
    monkeypatch.setattr(halves, "_CELLS", 7)
    cut = rank_space(space, surrogate, temperature=1473, n=5)
    assert cut.visited == whole.visited == space.count
    assert [one.index for one in cut] == [one.index for one in whole]


def test_charges_with_gaps_are_streamed() -> None:
    spec = {**ROCKSALT, "contents": {"Li": ["1.2"]}}
    spec["sublattices"] = {
        "cation": {"sites": 2, "species": ["Li+", "Mn2+", "Mn4+", "V3+", "V4+"]},
        "anion": {"sites": 2, "species": ["O2-", "F-"]},
    }
    space = load_space(spec)
    mixtures = {frame.mixture for frame in space.frames}  # type: ignore[attr-defined]
    assert not any(map(halves.can_be_halved, mixtures))
    agrees(space, SeparableSurrogate(weights(space)), temperature=1473, n=30)


def test_of_equal_scores_the_first_members_stand_first() -> None:
    space = load_space(ROCKSALT)
    same = SeparableSurrogate(dict.fromkeys(weights(space), -0.5))
    found = rank_space(space, same, temperature=0, n=25)
    assert [one.index for one in found] == list(range(25))
    assert found[0].score == pytest.approx(-0.5, abs=1e-12)


def test_scores_are_energies_less_entropy_and_ascend() -> None:
    space = load_space("workflows/campaigns/hedrx_18810.yaml")
    elements = space.spec.symbols - {"Vac"}  # type: ignore[attr-defined]
    rng = np.random.default_rng(1)
    surrogate = SeparableSurrogate({one: float(rng.normal()) for one in elements})
    found = rank_space(space, surrogate, temperature=1000, n=50)
    assert found.visited == space.count > 10**7
    assert all(a.score <= b.score for a, b in pairwise(found))
    for one in found[:10]:
        assert one.score == pytest.approx(_score(one.candidate, surrogate, 1000))
        assert space.index(one.candidate) == one.index
    drawn = (_score(one, surrogate, 1000) for one in space.sample(200, seed=3))
    assert min(drawn) >= found[0].score


def test_a_formula_list_and_the_nasicon_rule_are_ranked_too() -> None:
    space = load_space("workflows/campaigns/nasicon_2021.yaml")
    surrogate = SeparableSurrogate(weights(space))
    found = rank_space(space, surrogate, temperature=1000, n=10)
    assert found.visited == space.count == 3881
    expected = by_force(space, surrogate, 1000)[:10]
    assert found.scores == pytest.approx([score for score, _ in expected], abs=1e-11)


def test_all_of_a_small_space_are_returned() -> None:
    space = load_space("workflows/spaces/excluded.yaml")
    found = rank_space(space, SeparableSurrogate(weights(space)), temperature=0, n=999)
    assert sorted(one.index for one in found) == list(range(space.count))
    assert f"best {space.count} of {space.count}" in repr(found[:])[:60]


def _without(names: Iterable[str], lost: str) -> dict[str, float]:
    return dict.fromkeys(set(names) - {lost}, 0.0)


@pytest.mark.parametrize("name", ["excluded", "spinel"])
def test_an_element_without_weight_is_refused_by_name(name: str) -> None:
    space = load_space(f"workflows/spaces/{name}.yaml")
    surrogate = SeparableSurrogate(_without(weights(space), "Ti"))
    with pytest.raises(CompositionError, match="no weight for Ti"):
        rank_space(space, surrogate, temperature=0, n=1)


def test_what_cannot_be_ranked_is_refused() -> None:
    space = load_space("workflows/spaces/excluded.yaml")
    fine = SeparableSurrogate(weights(space))
    with pytest.raises(ValueError, match="n is 0"):
        rank_space(space, fine, temperature=0, n=0)
    with pytest.raises(ValueError, match="no negative temperature"):
        rank_space(space, fine, temperature=-1, n=1)
    bad = SeparableSurrogate({**fine.weights, "Li": float("nan")})
    with pytest.raises(CompositionError, match="must be finite"):
        rank_space(space, bad, temperature=0, n=1)
