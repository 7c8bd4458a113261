"""A small database, built once a module, and the server that shows it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from fakes import FakeRelaxMaker, fake_reference_energies

from hts_battery.campaign.build import build
from hts_battery.campaign.local_run import run_candidates
from hts_battery.campaign.references import store_references
from hts_battery.campaign.registration import register
from hts_battery.campaign.spec_file import load_campaign
from hts_battery.campaign.status import stored_statuses
from hts_battery.connections.database.database import database as open_database
from hts_battery.connections.database.indexes import ensure_indexes
from hts_battery.connections.database.stores import open_stores
from hts_battery.settings import get_settings

dash = pytest.importorskip("dash", reason="the extra 'dashboard' is not installed")

from hts_battery.dashboard.server import ServerOptions, create_server  # noqa: E402 - skipped without the extra

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp

    from hts_battery.connections.database.stores import Stores

CAMPAIGN = """\
name: shown
space:
  family: hedrx
  basis: formula-unit
  step: 0.1
  sublattices:
    cation: {sites: 2, species: [Li+, Mn3+, Cr3+, Ti4+]}
    anion: {sites: 2, species: [O2-, F-]}
selection:
  method: formulas
  formulas:
    [Li1.3Mn0.4Ti0.3O1.7F0.3, Li1.2Mn0.4Ti0.4O2, Li1.2Mn0.2Cr0.2Ti0.4O2]
structure: {atoms: 40, iterations: 500, seed: 3, n_orderings: {sqs: 2}}
engine: chgnet
temperatures: [0, 1473]
"""


@pytest.fixture(scope="module")
def shown(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """Return the stores of three candidates, judged twice with other references."""
    folder = tmp_path_factory.mktemp("shown")
    file = folder / "shown.yaml"
    file.write_text(CAMPAIGN, encoding="utf-8")
    campaign = load_campaign(file)
    name = f"hts_test_{uuid.uuid4().hex[:12]}"
    executions = folder / "executions"
    with (
        pytest.MonkeyPatch.context() as patch,
        open_database(mongo_uri, name=name, data_dir=folder) as opened,
        open_stores(opened) as stores,
    ):
        patch.setenv("HTS_BATTERY_EXECUTION_RECORD", str(executions))
        get_settings.cache_clear()
        ensure_indexes(stores)
        register(campaign, stores)
        store_references(fake_reference_energies(), stores)
        run_candidates(
            campaign,
            stores,
            launch_folder=folder / "launches",
            execution_folder=executions,
            relax_maker=FakeRelaxMaker(),
        )
        build(campaign.spec, stores, temperatures=(0.0,))
        lowered = [
            reference.model_copy(
                update={"energy_per_atom": reference.energy_per_atom - 0.05}
            )
            for reference in fake_reference_energies()
            if reference.formula == "TiO2"
        ]
        store_references(lowered, stores)
        build(campaign.spec, stores, temperatures=(0.0,))
        yield stores
        opened.drop()
    get_settings.cache_clear()


@pytest.fixture(scope="module")
def server(shown: Stores) -> ASGIApp:
    return create_server(
        shown.database,
        ServerOptions(),
        lambda: stored_statuses(
            shown, execution_folder=get_settings().execution_folder
        ),
    )
