"""Short-range order and free space of a candidate's cells, as properties."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hts_battery.builders.property_builder import (
    CandidateInputs,
    PropertyBuilder,
    Value,
)
from hts_battery.schemas.structure import OrderingMethod
from hts_battery.structures.local_structure import (
    asked_of,
    local_structure,
    mean_and_spread,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hts_battery.structures.local_structure import LocalStructure

_METHODS = (OrderingMethod.RANDOM, OrderingMethod.SQS, OrderingMethod.ELECTROSTATIC)
"""Whose cells are averaged, the first that has any: never those of two."""
_OF_THE_CELL = {
    OrderingMethod.SQS: "order of the cell, which was sought to look random: it says "
    "nothing of the material",
    OrderingMethod.ELECTROSTATIC: "order of the cell, which was sought for its low "
    "electrostatic energy: it says nothing of the material at a temperature",
}


class LocalStructureBuilder(PropertyBuilder):
    """Average what the kept cells of one method of ordering say."""

    name = "local_structure"
    names = tuple(dict.fromkeys((*asked_of("hedrx"), *asked_of("nasicon"))))
    reads = ("entries",)
    code_version = "1"

    def values(self, found: CandidateInputs) -> Iterator[Value]:
        """Yield mean and spread over the orderings of one method."""
        family = found.candidate.family
        cells: dict[str, dict[str, LocalStructure]] = {}
        for entry in found.entries:
            if entry.relaxed is not None:
                said = local_structure(entry.relaxed, family)
                cells.setdefault(str(entry.ordering_method), {})[entry.entry_id] = said
        for name in asked_of(family):
            yield _value(name, cells)


def _value(name: str, cells: dict[str, dict[str, LocalStructure]]) -> Value:
    """Average one number over the cells of the first method that knows it."""
    lost = ""
    for method in _METHODS:
        said = {entry: one[name] for entry, one in cells.get(method, {}).items()}
        known = {e: one for e, one in said.items() if not isinstance(one, str)}
        lost = lost or next((one for one in said.values() if isinstance(one, str)), "")
        if not known:
            continue
        mean, spread = mean_and_spread(list(known.values()))
        notes = [f"{len(said) - len(known)} of {len(said)} cells left out: {lost}"]
        return Value(
            name,
            mean,
            spread,
            n=len(known),
            method=method,
            inputs=tuple(known),
            notes=(
                *(notes if len(known) < len(said) else ()),
                *([_OF_THE_CELL[method]] if _is_order(name, method) else ()),
            ),
        )
    return Value(name, reason=lost or "no ordering of it is known", n=0)


def _is_order(name: str, method: OrderingMethod) -> bool:
    """Say whether a number describes how the cell was ordered, not how it relaxed."""
    return method in _OF_THE_CELL and name.startswith(("alpha_", "li4_fraction"))
