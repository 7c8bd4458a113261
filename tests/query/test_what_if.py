"""Stored terms at other temperatures, and with one competing phase less."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hts_battery.campaign.build import build
from hts_battery.errors import QueryError
from hts_battery.query.what_if import (
    OTHERS_COMPETE,
    left_out_tables,
    stability_curve,
    stored_hull,
)

if TYPE_CHECKING:
    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo


@pytest.fixture
def candidate(ranked: Campaign, stores: Stores) -> str:
    assert ranked.spec.name == "small"
    found = stores.summary.query_one({"formula": "Li1.3Mn0.4Ti0.3O1.7F0.3"})
    return str(found["candidate_id"])


def test_the_curve_passes_through_what_was_built(
    candidate: str, stores: Stores
) -> None:
    summary = stores.summary.query_one({"candidate_id": candidate})
    points = stability_curve(stores, candidate, [0, 300, 1473, 2500])
    assert [point["temperature"] for point in points] == [0, 300, 1473, 2500]
    energies = [point["energy_above_hull"] for point in points]
    assert energies[0] == pytest.approx(summary["energy_above_hull"])
    assert energies[2] == pytest.approx(summary["energy_above_hull_at"]["1473K"])
    assert points[2]["label"] == summary["label_at"]["1473K"]
    slope = (energies[2] - energies[0]) / 1473
    assert energies[3] == pytest.approx(energies[0] + 2500 * slope)
    assert slope == pytest.approx(-summary["entropy"])
    assert all(point["reason"] is None for point in points)
    for point in points:
        assert point["energy_above_hull_lowest"] == pytest.approx(
            point["energy_above_hull"]
        )
    assert stability_curve(stores, "nobody", [300]) == []
    assert stability_curve(stores, candidate, [300], campaign="other") == []


def test_each_product_is_left_out_on_the_stored_hull(
    candidate: str, stores: Stores
) -> None:
    (table,) = left_out_tables(stores, candidate)
    assert table.temperature == 1473
    record = stores.thermo.query_one({"candidate_id": candidate, "temperature": 1473})
    result = record["result"]
    assert table.energy_above_hull == pytest.approx(result["energy_above_hull"])
    assert [one.phase_id for one in table.phases] == [
        phase["reference_id"] for phase in result["decomposition"]
    ]
    hull = stored_hull(stores, table.hull_version)
    for one in table.phases:
        if one.energy_above_hull is None:
            continue
        expected = hull.decomposition(
            result["formula"],
            exclude=[*result["excluded_references"], one.phase_id],
        ).energy
        here = result["energy_per_atom"] + result["entropy_term"]
        assert one.energy_above_hull == pytest.approx(here - expected)
        assert one.energy_above_hull <= table.energy_above_hull + 1e-12
    (cold,) = left_out_tables(stores, candidate, temperature=0, campaign="small")
    assert cold.energy_above_hull == pytest.approx(result["energy_above_hull_0k"])


def test_a_hull_that_is_gone_says_how_to_get_it_back(
    candidate: str, stores: Stores
) -> None:
    stores.hulls.remove_docs({})
    with pytest.raises(QueryError, match="hts build all"):
        left_out_tables(stores, candidate)


def test_where_other_candidates_compete_there_are_reasons(
    candidate: str, ranked: Campaign, stores: Stores
) -> None:
    options = ranked.spec.stability.model_copy(update={"other_candidates": True})
    spec = ranked.spec.model_copy(update={"stability": options})
    build(spec, stores, temperatures=(0.0,))
    stored, unknown = stability_curve(stores, candidate, [1473, 900])
    assert stored["energy_above_hull"] is not None
    assert unknown["energy_above_hull"] is None
    assert unknown["label"] is None
    assert unknown["reason"] == OTHERS_COMPETE
    (table,) = left_out_tables(stores, candidate)
    assert table.phases == ()
    assert "other candidates" in str(table.reason)
