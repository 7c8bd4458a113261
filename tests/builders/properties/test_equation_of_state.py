"""Bulk moduli as properties: whose count, and what stands beside them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from hts_battery.builders.properties.equation_of_state import EquationOfStateBuilder
from hts_battery.builders.property_builder import CandidateInputs, RecipeResult, Value

if TYPE_CHECKING:
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import CandidateDoc
    from hts_battery.schemas.entry import EntryDoc

FIT: dict[str, Any] = {
    "model": "birch_murnaghan",
    "bulk_modulus": 80.0,
    "bulk_modulus_error": 1.5,
    "derivative": 4.0,
    "volume": 9.5,
    "volume_error": 0.01,
    "energy": -7.0,
    "residual": 0.0002,
    "candidate_id": "c",
    "entry_id": "mine",
    "ordering_id": "o",
    "calculator": "chgnet 0.4.2",
    "n_atoms": 40,
    "volumes": (9, 9.2, 9.4, 9.6, 9.8, 10),
    "energies": (0, 0, 0, 0, 0, 0),
    "other_models": {"vinet": 79.0, "murnaghan": 82.0},
}


def result(engine: str = "chgnet", at: str = "1", **changes: object) -> RecipeResult:
    return RecipeResult(engine, at, FIT | changes)


def values(*results: RecipeResult) -> list[Value]:
    # Its values are made without a store.
    builder = object.__new__(EquationOfStateBuilder)
    builder.campaign = cast("CampaignSpec", SimpleNamespace(engine="chgnet"))
    entries = cast("tuple[EntryDoc, ...]", (SimpleNamespace(entry_id="mine"),))
    candidate = cast("CandidateDoc", None)
    found = CandidateInputs(candidate, entries, (), (), None, results)
    return list(builder.values(found))


def test_both_numbers_come_with_error_points_and_what_is_not_in_them() -> None:
    modulus, volume = values(result())
    assert (modulus.name, modulus.value, modulus.uncertainty) == (
        "bulk_modulus",
        80.0,
        1.5,
    )
    assert (volume.name, volume.value, volume.uncertainty) == (
        "equilibrium_volume",
        9.5,
        0.01,
    )
    assert (modulus.n, modulus.conditions, modulus.inputs) == (6, {}, ("mine",))
    assert (modulus.engine, modulus.calculator) == ("chgnet", "chgnet 0.4.2")
    assert "upper bound" in modulus.notes[0]
    assert "differ by up to 2.0 GPa, the fit by 0.20 meV/atom" in modulus.notes[-1]


@pytest.mark.parametrize(
    ("others", "kept"),
    [
        ([result(at="2", bulk_modulus=81.0)], 81.0),
        ([result(at="0", bulk_modulus=81.0)], 80.0),
        (
            [result(at="0", bulk_modulus=81.0, volumes=range(7, 14), energies=[0] * 7)],
            81.0,
        ),
        ([result(entry_id="another's", at="2", bulk_modulus=81.0)], 80.0),
    ],
)
def test_of_one_engine_that_of_most_points_counts_of_those_the_newest(
    others: list[RecipeResult], kept: float
) -> None:
    assert values(result(), *others)[0].value == kept


def test_another_engine_stands_under_its_name() -> None:
    found = values(result("ionic", calculator="ionic 1"), result())
    assert [one.conditions for one in found] == [{"engine": "ionic"}] * 2 + [{}] * 2
    assert found[0].calculator == "ionic 1"


def test_a_cell_that_is_not_the_campaigns_gives_a_reason() -> None:
    found = values(result(entry_id="another's"))
    assert [one.name for one in found] == ["bulk_modulus", "equilibrium_volume"]
    assert {one.value for one in found} == {None}
    assert "none of this campaign's" in str(found[0].reason)
