"""Any two fields against each other, and what the endpoint says of fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from server_client import ServerClient
from typer.testing import CliRunner

from hts_battery.cli.app import app
from hts_battery.connections.database.bounded_reader import BoundedReader
from hts_battery.dashboard.candidate_data import read_candidate
from hts_battery.dashboard.candidate_tables import percolation, properties
from hts_battery.dashboard.latest_build import LatestBuildCache
from hts_battery.dashboard.page_fields import axes_of
from hts_battery.dashboard.server import READABLE
from hts_battery.settings import get_settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo


@pytest.fixture
def client(server: ASGIApp) -> ServerClient:
    return ServerClient(server, "http://127.0.0.1:8050/api/v1/")


def test_the_endpoint_lists_fields_and_returns_them(client: ServerClient) -> None:
    fields = {one["name"]: one for one in client.get("fields").json()["data"]}
    assert fields["e_hull_1473"]["unit"] == "eV/atom"
    assert fields["alpha_LiM_1"]["property"]
    assert fields["alpha_LiM_1"]["stored"]
    assert not fields["bottleneck_volume"]["stored"]
    asked = {"fields": "formula,alpha_lim_1,t_mix", "filter": "alpha_LiM_1 < 1"}
    found = client.get("values", params=asked).json()
    assert found["total"] == 3
    assert found["units"] == {"alpha_LiM_1": "1", "t_mix": "K"}
    assert all(-1 <= one["alpha_LiM_1"] < 1 for one in found["data"])
    refused = client.get("values", params={"fields": "alpha_LiX"})
    assert refused.status_code == 400
    assert "there is no field 'alpha_LiX'; near it: alpha_Li" in refused.json()["error"]


def test_axes_are_numbers_that_somebody_has(shown: Stores) -> None:
    reader = BoundedReader(shown.database, READABLE)
    axes = axes_of(LatestBuildCache(reader).get().table)
    assert {"e_hull", "n_metals", "alpha_LiM_1"} <= axes.keys()
    assert not {"formula", "open_0", "bottleneck_volume"} & axes.keys()


def test_a_candidate_shows_its_properties(
    shown: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    doc = shown.properties.query_one({"name": "alpha_LiM_1"})
    name = doc["subject_id"]
    data = read_candidate(BoundedReader(shown.database, READABLE), name)
    assert "alpha_LiM_1" in str(properties(data))
    assert not data.of("another").properties
    said = str(percolation(data))
    assert "of its carriers are in a cluster that wraps the crystal" in said
    assert "accessible, with order" in said
    assert "alone it misleads" in said
    assert "hts build percolation" in str(percolation(data.of("another")))
    monkeypatch.setenv("HTS_BATTERY_MONGO_URI", shown.database.uri)
    monkeypatch.setenv("HTS_BATTERY_DATABASE", shown.database.name)
    get_settings.cache_clear()
    done = CliRunner().invoke(app, ["query", "show", name])
    get_settings.cache_clear()
    assert done.exit_code == 0, done.output
    assert "alpha_LiM_1" in done.output
    assert "Properties" in done.output
