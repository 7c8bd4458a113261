from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from hts_battery.compositions import CompositionSpace, load_space
from hts_battery.compositions.filters import load_filters
from hts_battery.errors import ConfigurationError, MixedCalculatorError
from hts_battery.learning import rank_space
from hts_battery.learning.linear_energies import fit_linear_energies
from hts_battery.learning.proposals import (
    LEAST_DISTANCE,
    Computed,
    ProposalRules,
    propose,
)
from hts_battery.schemas.formula import atomic_fractions, parse_formula
from hts_battery.thermo import Hull

if TYPE_CHECKING:
    from hts_battery.schemas.proposal import Proposal

ROOT = Path(__file__).resolve().parents[2]
OLD_LIBRARY = ROOT / "tests" / "data" / "references_chgnet_837.csv"
"""The competing phases of before Li4WO5 was one."""
RULES = ProposalRules(1473, 12, element_share=0.4)


@pytest.fixture(scope="module")
def old_hull() -> Hull:
    rows = pd.read_csv(OLD_LIBRARY)
    rows = rows[rows.rejected.isna()]
    return Hull(
        rows.formula.tolist(), rows.energy_per_atom.tolist(), ids=rows.phase_id.tolist()
    )


@pytest.fixture(scope="module")
def computed(old_hull: Hull) -> list[Computed]:
    """539 compositions relaxed with CHGNet, against that hull."""
    rows = pd.read_csv(ROOT / "docs" / "data" / "chgnet_campaign.csv")
    rows = rows[rows.state == "used"].sort_values("energy_per_atom")
    rows = rows.drop_duplicates("formula")
    cold = rows.energy_per_atom - old_hull.lower_energies(rows.formula.tolist())
    return [
        Computed(str(index), formula, energy, e_hull, hot, "chgnet", "837")
        for index, formula, energy, e_hull, hot in zip(
            rows.index,
            rows.formula,
            rows.energy_per_atom,
            cold,
            cold - 1473 * rows.entropy,
            strict=True,
        )
    ]


@pytest.fixture(scope="module")
def space() -> CompositionSpace:
    return load_space(ROOT / "workflows/campaigns/hedrx_18810.yaml")


@pytest.fixture(scope="module")
def batch(
    computed: list[Computed], old_hull: Hull, space: CompositionSpace
) -> Proposal:
    return propose(space, computed, old_hull, RULES)


def test_a_naive_ranking_finds_the_hole_of_the_hull_and_a_batch_does_not(
    computed: list[Computed], space: CompositionSpace, batch: Proposal
) -> None:
    """Tungsten looked best of all metals for as long as Li4WO5 was missing."""
    naive = fit_linear_energies(
        [one.formula for one in computed], [one.e_hull_0 for one in computed]
    )
    best = rank_space(space, naive.surrogate, temperature=1473, n=2000)
    assert best.visited == space.count
    assert all("W" in one.candidate.amounts for one in best[:200])
    found = batch
    held = Counter(
        element for one in found.members for element in parse_formula(one.formula)
    )
    assert len(found.members) == 12
    metals = {one: n for one, n in held.items() if one not in ("Li", "O", "F")}
    assert max(metals.values()) == 4
    assert "W" in found.capped
    assert not found.outside
    assert all(one.hull_depth_risk is not None for one in found.members)
    # What the hull may lack counts against a member beside its energy.
    assert "hull depth against it" in found.members[0].reason


def test_members_are_apart_and_say_what_is_predicted(
    computed: list[Computed], space: CompositionSpace, batch: Proposal
) -> None:
    found = batch
    rows = [atomic_fractions(one.formula) for one in found.members]
    for place, one in enumerate(rows):
        for other in rows[:place]:
            apart = sum(abs(one.get(e, 0) - other.get(e, 0)) for e in one | other) / 2
            assert apart >= LEAST_DISTANCE - 1e-9
    for member in found.members:
        assert member.interval[0] < member.e_hull < member.interval[1]
        assert space[member.index].candidate_id == member.candidate_id
        assert 0 <= member.probability <= 1
        assert member.nearest in {one.formula for one in computed}
    coverage = sum(one.covered for one in found.coverage)
    assert coverage / sum(one.rows for one in found.coverage) > 0.8


def test_what_is_known_unseen_or_filtered_is_not_proposed(
    computed: list[Computed],
    old_hull: Hull,
    space: CompositionSpace,
    batch: Proposal,
) -> None:
    under_way = frozenset(one.candidate_id for one in batch.members)
    kept = [one for one in computed if "Ta" not in parse_formula(one.formula)]
    rules = replace(
        RULES,
        batch=4,
        left_out=under_way,
        filters=load_filters([{"rule": "size-mismatch", "maximum": 0.08}]),
    )
    found = propose(space, kept, old_hull, rules)
    assert found.outside == {"Ta": "no computed candidate holds it"}
    assert not under_way.intersection(one.candidate_id for one in found.members)
    assert found.removed["size-mismatch"] > 0
    (rule,) = rules.filters
    for one in found.members:
        assert "Ta" not in one.formula
        assert rule.invalid_reason(space[one.index]) is None


def test_labels_of_two_kinds_are_refused(
    computed: list[Computed], old_hull: Hull, space: CompositionSpace
) -> None:
    mixed = [*computed[:20], replace(computed[20], hull_version="838")]
    with pytest.raises(MixedCalculatorError, match=r"837 \(20 rows\), 838 \(1 rows\)"):
        propose(space, mixed, old_hull, RULES)
    with pytest.raises(ConfigurationError, match="no computed candidate"):
        propose(space, [], old_hull, RULES)
    assert np.isfinite([one.energy for one in computed]).all()
