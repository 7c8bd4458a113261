from __future__ import annotations

import time
from itertools import combinations
from typing import TYPE_CHECKING

import pytest

from hts_battery.campaign.reference_gaps import (
    campaign_elements,
    campaign_gaps,
    reference_gaps,
    usable_formulas,
)
from hts_battery.campaign.spec_file import Campaign, read_campaign
from hts_battery.errors import ConfigurationError
from hts_battery.flows.recipes.references import shipped_energies
from hts_battery.thermo.hull_depth import HullDepth

if TYPE_CHECKING:
    from pathlib import Path

FORMULAS = ["Li", "LiF", "LiF", "MnO", "O2", "LiMnO2"]


@pytest.mark.parametrize("largest", [1, 2, 3])
def test_gaps_are_those_found_by_looking_at_each_candidate(
    small_campaign: Campaign, largest: int
) -> None:
    candidates = [candidate for _, candidate in small_campaign.kept()]
    known = [{"Li"}, {"Li", "F"}, {"Mn", "O"}, {"O"}, {"Li", "Mn", "O"}]
    expected: dict[str, int] = {}
    for candidate in candidates:
        for size in range(1, largest + 1):
            for system in combinations(sorted(candidate.amounts), size):
                if set(system) not in known:
                    name = "-".join(system)
                    expected[name] = expected.get(name, 0) + 1
    found = reference_gaps(candidates, FORMULAS, largest=largest)
    assert {gap.chemical_system: gap.n_candidates for gap in found} == expected
    counts = [gap.n_candidates for gap in found]
    assert counts == sorted(counts, reverse=True)


def test_systems_with_few_phases_are_listed_with_their_number(
    small_campaign: Campaign,
) -> None:
    candidates = [candidate for _, candidate in small_campaign.kept()]
    found = reference_gaps(candidates, FORMULAS, fewer_than=3)
    rows = {gap.chemical_system: gap for gap in found}
    assert rows["F-Li"].n_references == 2
    assert rows["F-Li"].n_candidates == 1
    assert rows["F-Li"].has_anion
    assert not rows["Li-Ti"].has_anion


def test_compositions_that_a_campaign_lacks_are_weighed(
    small_campaign: Campaign,
) -> None:
    candidates = [candidate for _, candidate in small_campaign.kept()]
    found = campaign_gaps(candidates, ["LiF", "MnO", "TiO2", "Li2O"])
    depth = HullDepth(["LiF", "MnO", "TiO2", "Li2O"])
    answers = depth.at([candidate.formula for candidate in candidates])
    assert {one.formula for one in found.compositions} == {
        name for answer in answers for name in answer.missing
    }
    for one in found.compositions:
        shares = [a.missing[one.formula] for a in answers if one.formula in a.missing]
        assert one.n_candidates == len(shares)
        assert one.weight == pytest.approx(sum(shares), abs=1e-5)
        product = one.n_candidates * one.mean_atomic_fraction
        assert one.weight == pytest.approx(product, abs=1e-5)
        assert one.below_hull > 0
    weights = [one.weight for one in found.compositions]
    assert weights == sorted(weights, reverse=True)
    risks = [answer.risk for answer in answers]
    assert found.depth.largest == pytest.approx(max(risks))
    assert found.depth_reported.largest <= found.depth.largest
    assert (found.n_candidates, found.n_unknown) == (len(candidates), 0)
    assert found.n_complete == sum(not answer.missing for answer in answers)


def test_systems_of_any_size_are_listed_where_candidates_decompose_in_them(
    small_campaign: Campaign,
) -> None:
    candidates = [candidate for _, candidate in small_campaign.kept()]
    found = {gap.chemical_system: gap for gap in campaign_gaps(candidates, []).systems}
    large = {name: gap for name, gap in found.items() if name.count("-") > 1}
    assert large["Li-O-Ti"].weight > 0
    assert all(
        gap.n_candidates
        == sum(set(name.split("-")) <= one.amounts.keys() for one in candidates)
        for name, gap in large.items()
    )
    filled = campaign_gaps(candidates, ["Li2TiO3"]).systems
    assert "Li-O-Ti" not in {gap.chemical_system for gap in filled}


def test_four_elements_are_refused(small_campaign: Campaign) -> None:
    with pytest.raises(ConfigurationError, match="1 to 3 elements"):
        reference_gaps(
            [candidate for _, candidate in small_campaign.kept()], [], largest=4
        )


def test_usable_phases_of_an_engine_without_shipped_ones_are_none() -> None:
    assert usable_formulas("forcefield:MACE-MP-0") == []
    assert len(usable_formulas("chgnet")) > 100


def test_shipped_energies_within_elements_are_those_of_all(
    small_campaign: Campaign,
) -> None:
    elements = campaign_elements(small_campaign)
    assert elements == {"Li", "Mn", "Ti", "O", "F"}
    some = shipped_energies("chgnet", elements=elements).energies
    every = shipped_energies("chgnet").energies
    phases = {energy.phase_id for energy in some}
    assert 0 < len(some) < len(every)
    assert phases <= {energy.phase_id for energy in every}
    assert "LiF-rocksalt" in phases
    assert "CaO-rocksalt" not in phases


@pytest.mark.slow
def test_the_published_campaign_takes_seconds(project_root: Path) -> None:
    path = project_root / "workflows" / "campaigns" / "hedrx_18810.yaml"
    campaign = read_campaign(path)
    start = time.process_time()
    found = campaign_gaps(
        (candidate for _, candidate in campaign.kept()), FORMULAS, largest=3
    )
    assert time.process_time() - start < 60
    counts = {gap.chemical_system: gap.n_candidates for gap in found.systems}
    assert counts["Li-O"] == 18_810
    assert found.n_candidates == 18_810
