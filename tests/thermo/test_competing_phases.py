from __future__ import annotations

import pytest

from hts_battery.schemas.thermo import CompetitorKind
from hts_battery.thermo import CompetingPhases, Hull, OtherCandidate
from hts_battery.thermo.competing_phases import HullQuery, competitor_kind

HULL = Hull(["Li", "Mn", "O2", "Li2O"], [0.0, 0.0, 0.0, -2.0])
FIRST = OtherCandidate("a", "LiMnO2", energy_per_atom=-2.0, entropy=1e-4)
SECOND = OtherCandidate("b", "Li2MnO3", energy_per_atom=-2.2, entropy=0.0)


def test_references_alone_are_the_same_hull_at_every_temperature() -> None:
    for others in (None, ()):
        competing = CompetingPhases(HULL, others)
        assert competing.at(0) is competing.at(1473) is HULL
    assert CompetingPhases(HULL).digest is None
    assert CompetingPhases(HULL).n_others(HullQuery("a", "LiMnO2")) is None
    assert CompetingPhases(HULL, ()).n_others(HullQuery("a", "LiMnO2")) == 0


def test_each_candidate_falls_by_its_own_entropy() -> None:
    competing = CompetingPhases(HULL, [FIRST, SECOND])
    hot = competing.at(1000)
    assert hot is competing.at(1000)
    assert hot.references["candidate:a"] == ("LiMnO2", pytest.approx(-2.1))
    assert hot.references["candidate:b"] == ("Li2MnO3", -2.2)
    assert competing.at(0).references["candidate:a"][1] == -2.0


def test_the_digest_is_of_content_not_of_order() -> None:
    forwards = CompetingPhases(HULL, [FIRST, SECOND]).digest
    assert forwards == CompetingPhases(HULL, [SECOND, FIRST]).digest
    hotter = OtherCandidate("b", "Li2MnO3", energy_per_atom=-2.2, entropy=1e-9)
    assert forwards != CompetingPhases(HULL, [FIRST, hotter]).digest


def test_no_candidate_competes_with_itself() -> None:
    competing = CompetingPhases(HULL, [FIRST, SECOND])
    asked = HullQuery("a", "LiMnO2", exclude=("Li2O",))
    assert competing.excluded(asked) == ("Li2O", "candidate:a")
    assert competing.n_others(asked) == 1
    (mixture,) = competing.mixtures([asked], 0.0)
    assert mixture is not None
    assert "candidate:b" in mixture.phases
    assert "candidate:a" not in mixture.phases
    (missing,) = competing.mixtures([HullQuery("c", "LiFeO2")], 0.0)
    assert missing is None


def test_kinds_are_told_by_id() -> None:
    assert competitor_kind("Li2O") is CompetitorKind.REFERENCE
    assert competitor_kind(FIRST.phase_id) is CompetitorKind.CANDIDATE
    assert competitor_kind("ordering:x") is CompetitorKind.ORDERING
