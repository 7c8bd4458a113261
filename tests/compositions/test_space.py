"""What every space can do, tried on both kinds."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from hts_battery.compositions import load_space, selected
from hts_battery.compositions.filters import FilterReport, load_filters
from hts_battery.errors import CompositionError
from hts_battery.schemas.candidate import CandidateDoc, check_assignment
from hts_battery.schemas.formula import parse_formula
from hts_battery.schemas.space import Selection

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.compositions.space import CompositionSpace

FILES = [
    "campaigns/nasicon_2021",
    "campaigns/hedrx_18810",
    "campaigns/hedrx_full",
    "spaces/nasicon_grid",
    "spaces/layered",
    "spaces/spinel",
]


@pytest.fixture(scope="module", params=FILES)
def space(request: pytest.FixtureRequest, project_root: Path) -> CompositionSpace:
    return load_space(project_root / "workflows" / f"{request.param}.yaml")


def test_members_are_neutral_whole_and_found_again(space: CompositionSpace) -> None:
    for one in [*space.sample(30, seed=1), space[0], space[-1]]:
        index = space.index(one)
        assert space[index] == one
        assert space.index(one.canonical_formula) == space.index(one.formula) == index
        assert one in space
        doc = CandidateDoc.from_candidate(one)
        assert doc.to_candidate() == one
        for assignment in one.assignments:
            check_assignment(assignment, amounts=one.amounts, sites=one.sites)


def test_ranges_join_to_the_whole_from_any_offset(space: CompositionSpace) -> None:
    middle = space.count // 2
    whole = list(space.iterate(middle - 700, middle + 700))
    parts = [*space.iterate(middle - 700, middle - 13)]
    parts += space.iterate(middle - 13, middle + 700)
    assert whole == parts
    assert [space.index(one) for one in whole[::100]] == list(
        range(middle - 700, middle + 700, 100)
    )
    assert not list(space.iterate(space.count))
    for start, stop in ((0, space.count + 1), (-1, 2), (space.count + 1, None)):
        with pytest.raises(IndexError, match="the space holds"):
            list(space.iterate(start, stop))
    with pytest.raises(IndexError, match="the space holds"):
        space[space.count]


def test_strata_add_up_and_a_stratified_sample_takes_turns(
    space: CompositionSpace,
) -> None:
    assert sum(space.metal_counts.values()) == space.count
    shares = Counter()
    carriers = {"Li", "Na", "O", "F", "Si", "P", "S"}
    drawn = space.sample(60, seed=4, stratify="metals")
    for one in drawn:
        shares[len(set(one.amounts) - carriers)] += 1
    assert set(shares) == set(space.metal_counts)
    assert max(shares.values()) - min(shares.values()) <= 1
    assert len(set(drawn)) == 60


def test_a_sample_is_divided_by_stoichiometry_and_within_it_by_metals(
    project_root: Path,
) -> None:
    space = load_space(project_root / "workflows/campaigns/hedrx_18810.yaml")
    both = space.strata(("stoichiometry", "metals"))
    assert sum(one.size for one in both.values()) == space.count
    for division in ("metals", "stoichiometry"):
        place = ("stoichiometry", "metals").index(division)
        sums: Counter[int | str] = Counter()
        for key, one in both.items():
            sums[key[place]] += one.size
        alone = space.strata((division,))  # type: ignore[arg-type] # one of the two
        assert {key: one.size for (key,), one in alone.items()} == sums
    drawn = space.sample(120, seed=4, stratify=("stoichiometry", "metals"))
    assert len(set(drawn)) == 120
    shares = Counter((one.amounts["Li"], one.amounts.get("F", 0)) for one in drawn)
    assert set(shares.values()) == {20}
    within = Counter(
        len(one.amounts) - 2 for one in drawn if one.amounts["Li"] == Fraction(11, 10)
    )
    assert within == dict.fromkeys((4, 5, 6, 7, 8), 4)
    assert space.sample(30, seed=4, stratify=["stoichiometry", "metals"]) == drawn[:30]
    six = space.sample(6, seed=4, stratify="stoichiometry")
    assert len({(one.amounts["Li"], one.amounts.get("F")) for one in six}) == 6


def test_a_space_without_fixed_amounts_has_no_stoichiometries(
    project_root: Path,
) -> None:
    space = load_space(project_root / "workflows/campaigns/quickstart.yaml")
    with pytest.raises(CompositionError, match="cannot be divided by stoichiometry"):
        space.sample(3, stratify="stoichiometry")


def test_pairs_are_divided_by_the_amount_of_the_carrier(project_root: Path) -> None:
    space = load_space(project_root / "workflows/campaigns/nasicon_2021.yaml")
    strata = space.strata(("stoichiometry", "metals"))
    assert sum(one.size for one in strata.values()) == space.count
    stratum = strata["Na 7/2", 2]
    found = {space[index].amounts["Na"] for index in stratum.draw(0)}
    assert found == {Fraction(7, 2)}


def test_what_filters_remove_is_drawn_again_within_its_stratum(
    project_root: Path,
) -> None:
    space = load_space(project_root / "workflows/campaigns/hedrx_18810.yaml")
    selection = Selection(
        method="sample", count=60, seed=1, stratify=("stoichiometry", "metals")
    )
    rules = load_filters([{"rule": "redox-centres", "minimum": 0.3}])
    report = FilterReport()
    kept = list(selected(space, selection, rules, report))
    assert len(kept) == 60
    assert report.removed["redox-centres"] == report.examined - 60 > 0
    assert not report.short
    shares = Counter((one.amounts["Li"], one.amounts.get("F", 0)) for _, one in kept)
    assert set(shares.values()) == {10}
    # What a filter lets by is what comes without it.
    free = selected(space, selection)
    assert {one for one in free if rules[0].invalid_reason(one[1]) is None} <= set(kept)


def test_a_stratum_that_filters_empty_is_given_up(
    project_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hts_battery.compositions.filters.EMPTY_AFTER", 20)
    space = load_space(project_root / "workflows/campaigns/hedrx_18810.yaml")
    selection = Selection(method="sample", count=5, seed=1)
    rules = load_filters([{"rule": "redox-centres", "minimum": 2}])
    report = FilterReport()
    assert list(selected(space, selection, rules, report)) == []
    assert report.examined == 20
    assert report.short == {"": 0}


def test_candidates_survive_pickling(space: CompositionSpace) -> None:
    one = space[3]
    again = pickle.loads(pickle.dumps(one))  # noqa: S301 - our own bytes
    assert again == one
    assert again.assignments == one.assignments


def test_foreign_compositions_are_no_members(space: CompositionSpace) -> None:
    for formula in ("UO2", "LiU0.5Mn0.5O2", "He"):
        assert formula not in space
        with pytest.raises(CompositionError, match="is not in"):
            space.index(formula)
    assert 3 not in space


def test_a_sample_is_the_same_in_another_process(project_root: Path) -> None:
    code = (
        "from hts_battery.compositions import load_space\n"
        "space = load_space('workflows/spaces/layered.yaml')\n"
        "print(*(one.candidate_id for one in space.sample(20, seed=5)))"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", code],
        cwd=project_root,
        env={"PYTHONHASHSEED": "7", "PYTHONPATH": str(project_root)},
        capture_output=True,
        text=True,
        check=True,
    )
    space = load_space(project_root / "workflows/spaces/layered.yaml")
    here = [one.candidate_id for one in space.sample(20, seed=5)]
    assert done.stdout.split() == here
    assert here[:2] == ["7b3447a83bf9abf716ab", "42564f401eda6ea30d2b"]


def test_sampling_is_uniform_over_a_space(project_root: Path) -> None:
    space = load_space(project_root / "workflows/spaces/layered.yaml")
    bins = Counter(
        20 * index // space.count
        for seed in range(10)
        for index in space.sample_indices(1000, seed=seed)
    )
    chi_square = sum((bins[place] - 500) ** 2 / 500 for place in range(20))
    assert chi_square < 43.8  # 99.9 %, 19 degrees of freedom


def test_a_sample_larger_than_the_space_is_refused(project_root: Path) -> None:
    space = load_space(project_root / "workflows/campaigns/nasicon_2021.yaml")
    with pytest.raises(ValueError, match="3882 distinct members from a space of 3881"):
        space.sample(3882)
    assert len(set(space.sample(3881, stratify="metals"))) == 3881


def test_the_campaign_of_18810_is_reproducible_from_its_file(
    project_root: Path,
) -> None:
    space = load_space(project_root / "workflows/campaigns/hedrx_18810.yaml")
    selection = Selection(method="sample", count=18810, seed=2025, stratify="metals")
    indices = space.sample_indices(18810, seed=2025, stratify="metals")
    assert len(set(indices)) == 18810
    assert next(selected(space, selection))[0] == indices[0]
    assert [space[index].candidate_id for index in indices[:2]] == [
        "793d97b00081cf457bcb",
        "32f0a91827d095188749",
    ]
    metals = Counter(len(one.amounts) for one in (space[i] for i in indices[:500]))
    assert sum(metals.values()) == 500
    assert set(space.metal_counts) == {4, 5, 6, 7, 8}
    assert len({s.rstrip("+0123456789") for s in space.spec.species}) - 3 >= 20


def test_selections(project_root: Path) -> None:
    space = load_space(project_root / "workflows/spaces/layered.yaml")

    def of(**fields: object) -> list[tuple[int, str]]:
        selection = Selection.model_validate(fields)
        found = [(i, one.candidate_id) for i, one in selected(space, selection)]
        assert all(space[index].candidate_id == key for index, key in found)
        return found

    assert [i for i, _ in of(method="range", start=5, stop=9)] == [5, 6, 7, 8]
    assert len(of(method="sample", count=7, seed=1)) == 7
    assert len(of(method="sample", count=7, seed=1, stratify="metals")) == 7
    formulas = ["LiCoO2", "Li0.5Ni0.5Mn0.5O2"]
    (first, _), (second, _) = of(method="formulas", formulas=formulas)
    assert space[first].amounts == parse_formula("LiCoO2")
    assert space[second].amounts == parse_formula("Li0.5Ni0.5Mn0.5O2")
    tiny = Selection(method="all")
    assert next(selected(space, tiny))[0] == 0
