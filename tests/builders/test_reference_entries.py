"""Energies of competing phases become entries, whatever their engine is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fakes import fake_reference_energies

from hts_battery.builders.entries import EntriesBuilder
from hts_battery.campaign.references import store_references

if TYPE_CHECKING:
    from hts_battery.connections.database.stores import Stores


@pytest.mark.mongo
def test_an_engine_with_a_colon_in_its_name_loses_no_reference(stores: Stores) -> None:
    energies = fake_reference_energies("forcefield:MACE-MP-0")
    store_references([*energies, *fake_reference_energies()], stores)
    builder = EntriesBuilder(stores.tasks, stores.references, stores.entries)
    builder.update_targets([builder.process_item(one) for one in builder.get_items()])
    entries = list(stores.entries.query({"engine": "forcefield:MACE-MP-0"}))
    assert len(entries) == len(energies)
    assert {entry["calculator"] for entry in entries} == {"forcefield:MACE-MP-0 fake"}
    assert stores.entries.count({"state": "used"}) == 2 * len(energies)
