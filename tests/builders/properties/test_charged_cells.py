"""Voltages as properties: against which metal, how sure, and what is not known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from hts_battery.builders.properties.charged_cells import ChargedCellsBuilder
from hts_battery.builders.property_builder import CandidateInputs, RecipeResult, Value
from hts_battery.thermo import Hull

if TYPE_CHECKING:
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import CandidateDoc
    from hts_battery.schemas.entry import EntryDoc

HULL = Hull(["Li", "O2", "Mn", "Li2MnO3", "MnO2"], [-2.0, -5.0, -9.0, -6.0, -7.0])


def cell(carriers: int, energy: float, **changes: object) -> dict[str, Any]:
    lithium = f"Li{carriers}" if carriers else ""
    return {
        "carriers": carriers,
        "formula": f"{lithium}Mn4O12",
        "arrangement": 1,
        "ewald_energy": -100.0,
        "exact": True,
        "energy": energy,
        "n_atoms": 16 + carriers,
        "volume": 200.0 + carriers,
        **changes,
    }


CELLS: dict[str, Any] = {
    "candidate_id": "c",
    "entry_id": "mine",
    "ordering_id": "o",
    "calculator": "chgnet 0.4.2",
    "carrier": "Li",
    "charged": 4,
    "cells": (cell(8, -150.0), cell(4, -128.0), cell(4, -127.0), cell(2, -115.0)),
    "flags": ("oxygen_moment",),
}


def result(engine: str = "chgnet", at: str = "1", **changes: object) -> RecipeResult:
    return RecipeResult(engine, at, CELLS | changes)


def values(
    *results: RecipeResult, scheme: str = "none: trained so", hull: Hull = HULL
) -> list[Value]:
    # Its values are made without a store.
    builder = object.__new__(ChargedCellsBuilder)
    builder.campaign = cast("CampaignSpec", SimpleNamespace(engine="chgnet"))
    entries = cast("tuple[EntryDoc, ...]", (SimpleNamespace(entry_id="mine"),))
    known = SimpleNamespace(
        hull=hull,
        calculator="chgnet 0.4.2",
        example=SimpleNamespace(correction_scheme=scheme),
    )
    found = CandidateInputs(
        cast("CandidateDoc", None), entries, (), (), {"scheme": known}, results
    )
    return list(builder.values(found))


def test_average_metal_and_oxygen_with_the_error_of_the_engine() -> None:
    average, metal, oxygen, change, stability, freed = values(result())
    # (150 - 128) / 4 - 2, (128 - 115) / 2 - 2, and 35 / 6 - 2 V over both.
    assert (metal.value, oxygen.value) == (pytest.approx(3.5), pytest.approx(4.5))
    assert average.value == pytest.approx((4 * 3.5 + 2 * 4.5) / 6)
    assert {one.uncertainty for one in (average, metal, oxygen)} == {0.4}
    assert average.notes[:3] == (
        "against Li metal",
        "8 to 4 to 2 Li of the cell; every arrangement tried",
        "oxygen_moment",
    )
    assert change.value == pytest.approx(202 / 208 - 1)
    # Li2Mn4O12 becomes Li2MnO3, 3 MnO2 and 3/2 O2: three of twelve oxygens are free.
    assert freed.value == pytest.approx(3 / 12)
    mixture = (6 * -6.0 + 9 * -7.0 + 3 * -5.0) / 18
    assert stability.value == pytest.approx(-115 / 18 - mixture)
    assert stability.notes[0].startswith("Li2Mn4O12: MnO2 0.50, ")
    assert (average.inputs, average.engine) == (("mine",), "chgnet")


def test_a_part_that_was_not_computed_says_so() -> None:
    full = (cell(8, -150.0), cell(4, -128.0))
    _, metal, oxygen, *_ = values(result(cells=full))
    assert metal.value == pytest.approx(3.5)
    assert oxygen.reason == "no cell beyond the ceilings of the metals was computed"
    _, metal, oxygen, *_ = values(result(cells=full, charged=8))
    assert metal.reason == "metals are at their ceilings of charge already"
    assert oxygen.value == pytest.approx(3.5)
    average, *_, change, _, _ = values(result(cells=full[:1]))
    assert average.reason == change.reason == "one amount of carrier only"


def test_without_metal_hull_or_cell_there_is_a_reason() -> None:
    bare = Hull(["O2", "Mn"], [-5.0, -9.0])
    average, *_, stability, freed = values(result(), hull=bare)
    assert average.reason == "no Li metal by chgnet 0.4.2 among the references"
    assert stability.reason == freed.reason
    assert "Li" in str(stability.reason)
    *_, stability, _ = values(result(), scheme="MP2020")
    assert stability.reason == "no hull of uncorrected energies by chgnet 0.4.2"
    found = values(result(calculator="gpaw 25"))
    assert found[0].reason == "no Li metal by gpaw 25 among the references"
    others = values(result(entry_id="another's"))
    assert {one.value for one in others} == {None}
    assert len(others) == 6


def test_of_several_results_that_of_most_cells_counts_and_engines_stand_apart() -> None:
    less = {"cells": CELLS["cells"][:2]}
    average, *_ = values(result(), result(at="2", **less))
    assert average.n == 4
    found = values(result(), result(engine="gpaw", calculator="gpaw 25"))
    conditions = [one.conditions for one in found]
    assert conditions == [{}] * 6 + [{"engine": "gpaw"}] * 6
    unknown = values(result(engine="gpaw", calculator="gpaw 25"))
    assert unknown[3].uncertainty is None
