"""Barriers as properties: the lowest of one ion, and each hop's own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from hts_battery.builders.properties.migration_barrier import MigrationBarrierBuilder
from hts_battery.builders.property_builder import CandidateInputs, RecipeResult, Value

if TYPE_CHECKING:
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import CandidateDoc
    from hts_battery.schemas.entry import EntryDoc

HOP: dict[str, Any] = {
    "verdict": "converged",
    "reason": "largest force 0.04 eV/Å",
    "tier": "climbing band",
    "forward": 0.4,
    "backward": 0.4,
    "interval": None,
    "energies": (0.0, 0.4, 0.0),
    "distances": (0.0, 1.5, 3.0),
    "saddle": 1,
    "residual": 0.04,
    "force_calls": 90,
    "mirrored": True,
    "calculator": "chgnet 0.4.2",
    "options": {},
    "hop": "o-t-o 0-TM",
    "kind": "single",
    "equal": 12,
    "length": 2.9,
    "metals": 0,
}


def values(
    *hops: dict[str, Any], entry: str = "mine", engine: str = "chgnet"
) -> list[Value]:
    document = {
        "candidate_id": "c",
        "entry_id": entry,
        "ordering_id": "o",
        "calculator": "chgnet 0.4.2",
        "carrier": "Li",
        "hops": 5,
        "barriers": [HOP | changes for changes in hops],
    }
    builder = object.__new__(MigrationBarrierBuilder)
    builder.campaign = cast("CampaignSpec", SimpleNamespace(engine="chgnet"))
    inputs = CandidateInputs(
        cast("CandidateDoc", None),
        cast("tuple[EntryDoc, ...]", (SimpleNamespace(entry_id="mine"),)),
        (),
        (),
        None,
        (RecipeResult(engine, "1", document),),
    )
    return list(builder.values(inputs))


def test_the_lowest_of_one_ion_is_the_column() -> None:
    found = values(
        {}, {"forward": 0.3, "hop": "o-t-o 1-TM"}, {"forward": 0.1, "kind": "concerted"}
    )
    assert [(one.value, one.conditions) for one in found] == [
        (0.3, {}),
        (0.4, {"hop": "1 single o-t-o 0-TM"}),
        (0.3, {"hop": "2 single o-t-o 1-TM"}),
        (0.1, {"hop": "3 concerted o-t-o 0-TM"}),
    ]
    assert found[0].method == "climbing band"
    assert any("90 force calls" in note for note in found[0].notes)
    assert any("CHGNet runs low" in note for note in found[0].notes)


def test_what_did_not_converge_has_an_interval_and_no_value() -> None:
    lost = {"forward": None, "backward": None, "verdict": "not converged"}
    found = values({**lost, "interval": (0.1, 0.62)})
    assert found[0].reason == "o-t-o 0-TM: not converged"
    assert found[1].reason == "not converged; between 0.100 and 0.620 eV"
    assert {one.value for one in found} == {None}
    (only, _) = values({"kind": "concerted"})
    assert only.reason == "no hop of one ion was computed"


def test_another_engine_or_cell_is_told_apart() -> None:
    assert values({}, engine="forcefield:SevenNet")[0].conditions == {
        "engine": "forcefield:SevenNet"
    }
    (gone,) = values({}, entry="another's")
    assert "none of this campaign's" in str(gone.reason)
