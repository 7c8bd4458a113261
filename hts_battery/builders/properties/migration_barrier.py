"""Barriers of hops as properties, from the results of their recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hts_battery.builders.property_builder import (
    RESULTS,
    CandidateInputs,
    PropertyBuilder,
    Value,
)
from hts_battery.schemas.dynamics import MigrationBarriers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hts_battery.builders.property_builder import RecipeResult
    from hts_battery.schemas.barrier import HopBarrier

_NAME = "migration_barrier"
_NOTES = (
    "cell kept; 0 K, no zero-point motion; of one ordering, with periodic images",
    "CHGNet runs low: LiCoO2 0.448 and 0.119 eV where DFT has 0.672 and 0.300",
)


class _Cell(NamedTuple):
    result: RecipeResult
    found: MigrationBarriers


class MigrationBarrierBuilder(PropertyBuilder):
    """Take, of each engine, the newest barriers of a cell of this campaign."""

    name = _NAME
    names = (_NAME,)
    reads = ("entries", RESULTS)
    recipe = _NAME
    code_version = "1"

    def values(self, found: CandidateInputs) -> Iterator[Value]:
        """Yield the lowest barrier of one ion, and each hop's under its name."""
        cells = {entry.entry_id for entry in found.entries}
        own = [
            _Cell(one, document)
            for one in found.results
            for document in [MigrationBarriers.model_validate(one.output)]
            if document.entry_id in cells
        ]
        if not own:
            why = "computed of a cell that is none of this campaign's any more"
            yield Value(_NAME, reason=why)
        for engine in dict.fromkeys(one.result.engine for one in own):
            newest = max(
                (one for one in own if one.result.engine == engine),
                key=lambda one: one.result.completed_at,
            )
            mark = {} if engine == self.campaign.engine else {"engine": engine}
            yield _lowest(newest, mark)
            for number, one in enumerate(newest.found.barriers, 1):
                hop = {"hop": f"{number} {one.kind} {one.hop}", **mark}
                yield _value(newest, one, hop)


def _lowest(cell: _Cell, mark: Mapping[str, str]) -> Value:
    """Return the lowest barrier of one ion that converged."""
    single = [one for one in cell.found.barriers if one.kind == "single"]
    known = [one for one in single if one.forward is not None]
    if not known:
        reason = "; ".join(f"{one.hop}: {one.verdict}" for one in single)
        return Value(
            _NAME, reason=reason or "no hop of one ion was computed", conditions=mark
        )
    return _value(cell, min(known, key=lambda one: one.forward or 0.0), mark)


def _value(cell: _Cell, one: HopBarrier, conditions: Mapping[str, str]) -> Value:
    """Write down one barrier."""
    details = f"{one.hop}, {one.tier}, {one.force_calls} force calls; {one.reason}"
    interval = one.interval
    between = (
        f"; between {interval[0]:.3f} and {interval[1]:.3f} eV" if interval else ""
    )
    return Value(
        _NAME,
        one.forward,
        n=1,
        reason=None if one.forward is not None else f"{one.verdict}{between}",
        conditions=conditions,
        notes=(*_NOTES, details),
        method=one.tier,
        inputs=(cell.found.entry_id,),
        engine=cell.result.engine,
        calculator=one.calculator,
    )
