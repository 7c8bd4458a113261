from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fakes import FakeRelaxMaker, fake_reference_energies

from hts_battery.campaign.build import BUILDERS
from hts_battery.campaign.references import store_references
from hts_battery.campaign.run import run_campaign
from hts_battery.connections.records.executions import ledger
from hts_battery.query import ScreeningDatabase
from hts_battery.query.exports import csv_text

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.build import BuildReport

pytestmark = pytest.mark.mongo


def test_a_second_run_computes_nothing_and_gives_the_same_table(
    small_campaign: Campaign, stores: Stores, execution_folder: Path, tmp_path: Path
) -> None:
    store_references(fake_reference_energies(), stores)

    def run() -> tuple[int, dict[str, BuildReport], str]:
        computed, reports = run_campaign(
            small_campaign,
            stores,
            data_dir=tmp_path,
            execution_folder=execution_folder,
            temperatures=(0.0,),
            relax_maker=FakeRelaxMaker(),
        )
        found = ScreeningDatabase(stores).ranking(campaign="small", temperature=1473.0)
        return computed, reports, csv_text(list(found))

    computed, reports, table = run()
    assert computed == 2
    assert list(reports) == list(BUILDERS)
    # There are no results of other recipes to read yet.
    idle = [name for name, report in reports.items() if not report.written]
    assert set(idle) == {
        "charged_cells",
        "equation_of_state",
        "lattice_order",
        "lattice_training",
        "migration_barrier",
        "molecular_dynamics",
    }
    assert len(table.splitlines()) == 3

    computed, reports, again = run()
    assert computed == 0
    assert all(report.written == 0 for report in reports.values())
    assert all(report.removed == 0 for report in reports.values())
    assert again == table
    counted = ledger(execution_folder)
    assert counted.total.completed == counted.total.executions == 4


def test_a_file_without_temperatures_takes_those_of_the_settings(
    small_campaign: Campaign, stores: Stores, execution_folder: Path, tmp_path: Path
) -> None:
    spec = small_campaign.spec.model_copy(update={"temperatures": None})
    store_references(fake_reference_energies(), stores)
    run_campaign(
        replace(small_campaign, spec=spec),
        stores,
        data_dir=tmp_path,
        execution_folder=execution_folder,
        temperatures=(300.0,),
        relax_maker=FakeRelaxMaker(),
    )
    summary = stores.summary.query_one({})
    assert set(summary["energy_above_hull_at"]) == {"300K"}
    assert summary["energy_above_hull_at"]["300K"] < summary["energy_above_hull"]
