"""Descriptors of compositions, from exact amounts, as properties of candidates."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hts_battery.builders.property_builder import (
    CandidateInputs,
    PropertyBuilder,
    Value,
)
from hts_battery.compositions.candidate_descriptors import (
    DESCRIPTORS,
    candidate_descriptors,
)
from hts_battery.compositions.descriptors import species_amounts
from hts_battery.compositions.reported import reported_compounds
from hts_battery.schemas.entry import EntryState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hts_battery.schemas.entry import EntryDoc

_EWALD = "ewald_energy"


class DescriptorsBuilder(PropertyBuilder):
    """
    Describe each candidate by its metals, polyanions and carriers.

    They are those of the chosen species of the candidate, not of its cells. Only the
    Ewald energy needs a calculated ordering.
    """

    name = "descriptors"
    names = (*DESCRIPTORS, _EWALD)
    reads = ("entries",)
    code_version = "1"
    without_inputs = True

    def common(self) -> tuple[object, object]:
        """Read nothing; the table of reported compounds decides distances."""
        return None, [one.formula for one in reported_compounds()]

    def values(self, found: CandidateInputs) -> Iterator[Value]:
        """Yield every descriptor, null with its reason where there is none."""
        candidate = found.candidate
        several = len(candidate.assignments) > 1
        notes = ("of the first of several neutral assignments",) if several else ()
        base = Value("", inputs=(), notes=notes)
        species = species_amounts(candidate.assignments[0])
        for name, value in candidate_descriptors(species).items():
            if isinstance(value, str):
                yield replace(base, name=name, reason=value)
            else:
                yield replace(base, name=name, value=value)
        yield _ewald(found.entries)


def _ewald(entries: tuple[EntryDoc, ...]) -> Value:
    """Take the Ewald energy of the ordering with the lowest energy."""
    used = [one for one in entries if one.state is EntryState.USED and one.energy]
    if not used:
        return Value(_EWALD, reason="no ordering of it is known", inputs=())
    lowest = min(used, key=_energy)
    if lowest.electrostatic_energy is None:
        return Value(
            _EWALD, reason="the cell of its lowest entry is unknown", inputs=()
        )
    return Value(
        _EWALD,
        lowest.electrostatic_energy,
        n=len(used),
        method=lowest.ordering_method,
        inputs=(lowest.entry_id,),
        notes=("formal charges at the starting lattice, before relaxation",),
    )


def _energy(entry: EntryDoc) -> tuple[float, str]:
    """Sort by energy; of equal ones by what was ordered, not by who computed it."""
    energy = entry.energy.energy_per_atom if entry.energy else 0.0
    return energy, entry.ordering_id or entry.entry_id
