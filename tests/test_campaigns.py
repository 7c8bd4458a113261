"""The campaign files that ship: sound, and what they select can be ordered."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hts_battery.campaign.spec_file import load_campaign, read_campaign
from hts_battery.compositions import load_space, selected
from hts_battery.compositions.filters import FilterReport, load_filters
from hts_battery.compositions.redox import package_scale
from hts_battery.flows.engines.registry import ENGINES
from hts_battery.schemas.campaign import CampaignSpec
from hts_battery.schemas.files import load_yaml
from hts_battery.schemas.species import parse_species
from hts_battery.schemas.species_table import species_properties
from hts_battery.structures.prototypes import prototype_of_family
from hts_battery.structures.representation import LARGEST_CELL, represent

if TYPE_CHECKING:
    from hts_battery.schemas.candidate import Candidate
    from hts_battery.schemas.space import Selection

PROJECT = Path(__file__).resolve().parents[1]
FILES = sorted((PROJECT / "workflows" / "campaigns").glob("*.yaml"))
CAMPAIGNS = [path for path in FILES if "\nsource:" not in path.read_text("utf-8")]
"""Those of a space."""
QUICKSTART = PROJECT / "workflows" / "campaigns" / "quickstart.yaml"
IDS = """
import json, sys
from hts_battery.campaign.spec_file import load_campaign
print(json.dumps([c.candidate_id for _, c in load_campaign(sys.argv[1]).members()]))
"""


def first_and_last(path: Path, selection: Selection) -> list[Candidate]:
    """Reach both ends of a selection without making what stands between them."""
    space = load_space(path)
    if selection.method == "sample":
        indices = space.sample_indices(
            selection.count or 0, seed=selection.seed or 0, stratify=selection.stratify
        )
        *_, last = indices = list(indices)
        return [space[indices[0]], space[last]]
    if selection.method == "all":
        return [space[0], space[space.count - 1]]
    members = [candidate for _, candidate in selected(space, selection)]
    return [members[0], members[-1]]


def charge(candidate: Candidate) -> float:
    return sum(
        amount * parse_species(species).charge
        for species, amount in candidate.species.items()
    )


@pytest.mark.parametrize("path", CAMPAIGNS, ids=lambda path: path.stem)
def test_a_shipped_campaign_is_sound(path: Path) -> None:
    data, lines = load_yaml(path)
    spec = CampaignSpec.model_validate(data)
    load_filters(spec.filters, file=str(path), lines=lines)
    assert spec.name == path.stem
    assert spec.description
    assert spec.engine in ENGINES
    for candidate in first_and_last(path, spec.selection):
        prototype = prototype_of_family(candidate.family)
        held = represent(
            candidate.assignment,
            prototype,
            atoms=spec.structure.atoms,
            max_deviation=spec.structure.max_deviation,
        )
        assert 0 < held.formula_units <= LARGEST_CELL
        assert charge(candidate) == 0


@pytest.mark.parametrize("path", [path for path in FILES if path not in CAMPAIGNS])
def test_a_shipped_campaign_of_an_earlier_one_is_sound(path: Path) -> None:
    spec = load_campaign(path).spec
    assert spec.name == path.stem
    assert spec.description
    assert spec.source is not None
    source = read_campaign(path.with_name(f"{spec.source.campaign}.yaml")).spec
    # What one engine relaxed the same one need not relax again.
    assert source.engine == spec.engine


@pytest.mark.parametrize("path", CAMPAIGNS, ids=lambda path: path.stem)
def test_a_shipped_campaign_selects_members_that_differ(path: Path) -> None:
    spec = CampaignSpec.model_validate(load_yaml(path)[0])
    space = load_space(path)
    start = list(islice(selected(space, spec.selection), 20))
    assert len({candidate.candidate_id for _, candidate in start}) == len(start)


def test_cathodes_are_what_their_file_says() -> None:
    campaign = read_campaign(QUICKSTART.with_name("hedrx_cathodes.yaml"))
    report = FilterReport()
    members = [one for _, one in islice(campaign.kept(report), 300)]
    again = [one for _, one in islice(campaign.kept(), 60)]
    assert again == members[:60]
    assert len({one.candidate_id for one in members}) == 300
    assert not report.short
    assert {"redox-centres", "redox-compatibility"} <= set(report.removed)
    for one in members:
        centres = sum(
            amount
            for species, amount in one.species.items()
            if species_properties(species).role == "redox centre"
        )
        assert centres >= Fraction(1, 5)
        assert package_scale().reacting(one.species) is None
        assert one.amounts.get("F", 0) <= Fraction(2, 5)
        assert not {"La", "Bi", "Ca"} & set(one.amounts)
        assert "Cu+" not in one.species
        assert 4 <= len(set(one.amounts) - {"Li", "O", "F"}) <= 8
        assert charge(one) == 0
    shares = Counter((one.amounts["Li"], one.amounts.get("F", 0)) for one in members)
    assert set(shares.values()) == {50}
    assert sum(one.amounts["Li"] == Fraction(11, 10) for one in members) * 5 <= 300
    metals = Counter(len(set(one.amounts) - {"Li", "O", "F"}) for one in members)
    assert metals == {4: 73, 5: 73, 6: 70, 7: 54, 8: 30}


@pytest.mark.physics
@pytest.mark.parametrize("species", ["La3+", "Bi3+", "Ca2+"])
def test_the_radius_window_of_the_cathodes_leaves_out_large_ions(species: str) -> None:
    campaign = read_campaign(QUICKSTART.with_name("hedrx_cathodes.yaml"))
    (window,) = (rule for rule in campaign.filters if rule.rule == "radius-window")
    data = load_yaml(campaign.path)[0]["space"]
    data["sublattices"]["cation"]["species"] = ["Li+", "Mn3+", "Nb5+", species]
    data["sublattices"]["cation"]["metals"] = {}
    data["stoichiometries"] = [{"Li": 1.1, "F": 0}]
    large = {parse_species(species).element}
    found = [
        (large & set(one.amounts), window.invalid_reason(one))
        for one in load_space(data)
    ]
    assert all(bool(reason) is bool(there) for there, reason in found)
    assert any(there for there, _ in found)


@pytest.mark.slow
def test_all_cathodes_are_drawn() -> None:
    campaign = read_campaign(QUICKSTART.with_name("hedrx_cathodes.yaml"))
    report = FilterReport()
    indices = {index for index, _ in campaign.kept(report)}
    assert len(indices) == campaign.spec.selection.count == 18_000
    assert not report.short


def test_the_quickstart_is_the_same_candidates_in_every_process() -> None:
    found = [
        json.loads(
            subprocess.run(  # noqa: S603 - our own interpreter, our own words
                [sys.executable, "-c", IDS, str(QUICKSTART)],
                check=True,
                capture_output=True,
                text=True,
                env={"PYTHONHASHSEED": seed},
            ).stdout
        )
        for seed in ("1", "2")
    ]
    assert found[0] == found[1]
    assert len(set(found[0])) >= 8


def test_the_quickstart_draws_neutral_candidates_for_forty_atoms() -> None:
    campaign = load_campaign(QUICKSTART)
    members = [document.to_candidate() for _, document in campaign.members()]
    assert len(members) >= 8
    assert campaign.spec.structure.atoms == 40
    assert {"Li", "Mn", "O"} <= {el for one in members for el in one.amounts}
    for candidate in members:
        assert charge(candidate) == 0
        assert candidate.family == "hedrx"
