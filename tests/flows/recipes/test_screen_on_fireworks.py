"""A candidate through FireWorks: rockets rebuild every job from the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jobflow
import pytest
from fakes import FAKE_REFERENCES, FakeCountedRelaxMaker, FakeRelaxMaker
from fireworks import FWorker
from fireworks.core.rocket_launcher import rapidfire

from hts_battery.connections.launchpad.launchpad import open_launchpad, submit
from hts_battery.flows.recipes.gate import hull_snapshot
from hts_battery.flows.recipes.screen import ScreenMaker
from hts_battery.schemas.campaign import GateSpec, PrerelaxSpec
from hts_battery.schemas.structure import OrderingMethod
from hts_battery.thermo.hull import Hull

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores

pytestmark = [
    pytest.mark.mongo,
    # The orderings of a candidate do not depend on each other, and jobflow says so.
    pytest.mark.filterwarnings("ignore:Some jobs are not connected:UserWarning"),
]


@pytest.fixture
def launch(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[str]]:
    """Submit flows, launch every rocket, return the names of those that failed."""
    monkeypatch.setattr(jobflow.SETTINGS, "JOB_STORE", stores.job_store)
    monkeypatch.chdir(tmp_path)

    def call(*flows: jobflow.Flow) -> list[str]:
        with open_launchpad(stores.database) as launchpad:
            submit(flows, launchpad, "here")
            rapidfire(
                launchpad, FWorker(name="here"), m_dir=str(tmp_path), strm_lvl="ERROR"
            )
            fizzled = launchpad.get_fw_ids({"state": "FIZZLED"})
            return [launchpad.get_fw_by_id(one).name for one in fizzled]

    return call


@pytest.mark.usefixtures("execution_folder")
def test_a_gated_candidate_is_released_on_fireworks(
    small_campaign: Campaign,
    stores: Stores,
    launch: Callable[..., list[str]],
    tmp_path: Path,
) -> None:
    _, candidate = next(small_campaign.members())
    structure = small_campaign.spec.structure.model_copy(
        update={"n_orderings": {OrderingMethod.RANDOM: 3}}
    )
    spec = small_campaign.spec.model_copy(
        update={
            "structure": structure,
            "prerelax": PrerelaxSpec(),
            "gate": GateSpec(energy_above_hull=-10.0),
        }
    )
    maker = ScreenMaker.from_campaign(
        spec,
        relax_maker=FakeRelaxMaker(),
        prerelax_maker=FakeCountedRelaxMaker(
            counter=str(tmp_path / "calls"), failing=(2,)
        ),
    )
    hull = hull_snapshot(
        Hull(list(FAKE_REFERENCES), list(FAKE_REFERENCES.values())),
        candidate.elements,
        calculator="chgnet fake",
    )
    # One pre-relaxation fails; the gate judges the others all the same.
    assert launch(maker.make(candidate, hull=hull)) == ["fake counted relax"]
    (gate,) = stores.tasks.query({"metadata.step": "gate"})
    assert gate["output"]["verdict"] == "gated"
    assert len(gate["output"]["energies_per_atom"]) == 2
    assert stores.tasks.count({"metadata.step": "relax"}) == 0

    uuids = {
        doc["metadata"]["ordering_id"]: doc["uuid"]
        for doc in stores.tasks.query({"metadata.step": "prerelax"})
    }
    released = maker.make(candidate, hull=hull, parts=uuids, released=True)
    assert launch(released) == ["fake counted relax"]
    # The one that failed was tried again, the two others were taken from the store.
    assert len((tmp_path / "calls").read_text().splitlines()) == 4
    assert stores.tasks.count({"metadata.final": True}) == 3
