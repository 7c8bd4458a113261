from __future__ import annotations

import time
from itertools import combinations
from typing import TYPE_CHECKING

import pytest

from hts_battery.campaign.campaign_file import Campaign, read_campaign
from hts_battery.campaign.reference_gaps import (
    campaign_elements,
    reference_gaps,
    usable_formulas,
)
from hts_battery.errors import ConfigurationError
from hts_battery.flows.references import shipped_energies

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
    found = reference_gaps(
        (candidate for _, candidate in campaign.kept()), FORMULAS, largest=3
    )
    assert time.process_time() - start < 30
    counts = {gap.chemical_system: gap.n_candidates for gap in found}
    assert counts["Li-O"] == 18_810
