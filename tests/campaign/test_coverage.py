"""What the hull of a campaign lacks is said, with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hts_battery.campaign.reference_gaps import lacking_compounds, missing_references
from hts_battery.campaign.spec_file import load_campaign

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.schemas.campaign import CampaignSpec


@pytest.fixture(scope="module")
def ionic(project_root: Path) -> CampaignSpec:
    path = project_root / "workflows" / "campaigns" / "hedrx_18810_ionic.yaml"
    return load_campaign(path).spec


def test_an_ionic_campaign_says_which_anchors_its_hull_lacks(
    ionic: CampaignSpec,
) -> None:
    assert missing_references(ionic, ["Li", "Mg", "V", "O"]) == []
    (line,) = lacking_compounds(ionic, ["Li", "Mg", "O"])
    assert line.startswith("the hull of ionic lacks ")
    assert "Li2O: the job failed" in line


def test_a_hull_with_every_compound_lacks_nothing(ionic: CampaignSpec) -> None:
    assert lacking_compounds(ionic, ["Mg", "O"]) == []


def test_a_compound_with_another_usable_phase_is_not_lacking(
    ionic: CampaignSpec,
) -> None:
    """LiMgVO4 is rejected in one type and kept in another."""
    lines = lacking_compounds(ionic, ["Li", "Mg", "V", "O"])
    assert not any("LiMgVO4" in line for line in lines)


def test_what_was_never_computed_is_counted(ionic: CampaignSpec) -> None:
    spec = ionic.model_copy(update={"engine": "gpaw-fixed-cell"})
    (line,) = lacking_compounds(spec, ["Li", "Mn", "Ti", "Mg", "O"])
    assert "not computed" in line
    assert " more" in line
