"""What a run cannot have is refused before anything of it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hts_battery.campaign.local_run import run_candidates
from hts_battery.campaign.registration import register
from hts_battery.campaign.run import run_campaign
from hts_battery.campaign.spec_file import load_campaign
from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo

R2SCAN = ("engine: chgnet", "engine: vasp-mp24")


@pytest.fixture
def vasp_campaign(campaign_file: Callable[..., Path]) -> Campaign:
    return load_campaign(campaign_file(R2SCAN))


def test_a_missing_program_and_missing_potcars_are_said_together(
    vasp_campaign: Campaign,
    stores: Stores,
    execution_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    register(vasp_campaign, stores)
    with pytest.raises(ConfigurationError) as caught:
        run_candidates(
            vasp_campaign,
            stores,
            launch_folder=tmp_path / "launches",
            execution_folder=execution_folder,
        )
    assert "VASP_CMD of atomate2 is" in str(caught.value)
    assert "POTCAR" in str(caught.value)
    assert "set VASP_CMD in ~/.atomate2.yaml" in str(caught.value)
    assert stores.tasks.count() == 0
    assert not list((tmp_path / "launches").glob("launch-*"))


def test_missing_competing_phases_are_said_first(
    vasp_campaign: Campaign, stores: Stores, execution_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        ConfigurationError, match="hts references compute --engine vasp-mp24"
    ):
        run_campaign(
            vasp_campaign,
            stores,
            data_dir=tmp_path,
            execution_folder=execution_folder,
            temperatures=(0.0,),
        )
    assert stores.candidates.count() == stores.tasks.count() == 0
