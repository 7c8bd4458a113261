"""Voltages of a candidate, from its cells with carriers taken out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, cast

from hts_battery.builders.property_builder import (
    RESULTS,
    CandidateInputs,
    PropertyBuilder,
    Value,
)
from hts_battery.builders.reference_hulls import REFERENCE_FIELDS, reference_hulls
from hts_battery.electrochemistry.carriers import carrier_charge
from hts_battery.schemas.charged_cells import ChargedCells
from hts_battery.schemas.entry import EntryKind, EntryState
from hts_battery.schemas.formula import atomic_fractions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hts_battery.builders.property_builder import RecipeResult
    from hts_battery.builders.stability import ReferenceHull
    from hts_battery.schemas.rows import UsedEntryRow

CHGNET_ERROR_V = 0.4
"""Of averages of seven electrodes against experiment: mean -0.30, largest -0.61 V."""
_UNCORRECTED = "none"
_NOTES = (
    "0 K, relaxed cells, no kinetics",
    "of one ordering, the lowest",
    "only averages are compared: a step of a curve is less certain",
)
_NO_OXYGEN = "no cell beyond the ceilings of the metals was computed"
_NO_METAL = "metals are at their ceilings of charge already"


class _Charged(NamedTuple):
    """Charged cells of a candidate, and the result that holds them."""

    result: RecipeResult
    cells: ChargedCells


class ChargedCellsBuilder(PropertyBuilder):
    """Take, of each engine, the charged cells of most amounts."""

    name = "charged_cells"
    names = (
        "voltage_average",
        "voltage_metal",
        "voltage_oxygen",
        "charged_volume_change",
        "charged_e_hull",
        "charged_freed_oxygen",
    )
    reads = ("entries", RESULTS)
    recipe = "charged_cells"
    code_version = "1"

    def common(self) -> tuple[object, object]:
        """Read the hulls of the references in use, of every engine."""
        criteria = {"kind": EntryKind.REFERENCE, "state": EntryState.USED}
        entries = self.entries.query(criteria, properties=list(REFERENCE_FIELDS))
        hulls = reference_hulls(cast("Iterator[UsedEntryRow]", entries))
        return hulls, sorted(known.hull.digest for known in hulls.values())

    def values(self, found: CandidateInputs) -> Iterator[Value]:
        """
        Yield the voltages by each engine that computed a cell of this campaign.

        Those of the campaign's own engine are columns; others stand under the condition
        ``engine``.
        """
        entries = {entry.entry_id for entry in found.entries}
        read = (
            _Charged(one, ChargedCells.model_validate(one.output))
            for one in found.results
        )
        own = [one for one in read if one.cells.entry_id in entries]
        if not own:
            why = "computed of a cell that is none of this campaign's any more"
            yield from (Value(name, reason=why) for name in self.names)
        hulls = cast("Mapping[str, ReferenceHull]", found.common)
        for engine in dict.fromkeys(one.result.engine for one in own):
            best = _best([one for one in own if one.result.engine == engine])
            conditions = {} if engine == self.campaign.engine else {"engine": engine}
            known = [
                hull
                for hull in hulls.values()
                if hull.calculator == best.cells.calculator
            ]
            for value in _values(best.cells, known[0] if known else None):
                yield replace(
                    value,
                    conditions=conditions,
                    inputs=(best.cells.entry_id,),
                    engine=engine,
                    calculator=best.cells.calculator,
                )


def _best(found: Sequence[_Charged]) -> _Charged:
    """Return that of most cells, of those the newest."""
    return max(found, key=lambda one: (len(one.cells.cells), one.result.completed_at))


def _values(cells: ChargedCells, known: ReferenceHull | None) -> Iterator[Value]:
    """Write down voltages, the change of volume and what the charged cell becomes."""
    yield from _voltages(cells, known)
    notes = _notes(cells)
    change = cells.volume_change
    reason = "one amount of carrier only" if change is None else None
    yield Value("charged_volume_change", change, reason=reason, notes=notes)
    yield from _stability(cells, known)


def _notes(cells: ChargedCells) -> tuple[str, ...]:
    lowest = list(cells.lowest)
    steps = " to ".join(f"{count}" for count in lowest)
    exact = all(cell.exact for cell in cells.cells)
    search = "every arrangement tried" if exact else "arrangements by a search"
    return (f"{steps} {cells.carrier} of the cell; {search}", *cells.flags, *_NOTES)


def _voltages(cells: ChargedCells, known: ReferenceHull | None) -> Iterator[Value]:
    """Write down the average voltage and its two parts."""
    names = ChargedCellsBuilder.names[:3]
    carrier = cells.carrier
    if known is None or not known.hull.ids_at(carrier):
        why = f"no {carrier} metal by {cells.calculator} among the references"
        yield from (Value(name, reason=why) for name in names)
        return
    # Lowest energy of the metal alone: a mixture of one element is a phase.
    metal = float(known.hull.lower_energies(carrier))
    lowest = list(cells.lowest)
    ranges = {
        names[0]: (lowest[0], lowest[-1], "one amount of carrier only"),
        names[1]: (lowest[0], cells.charged, _NO_METAL),
        names[2]: (cells.charged, lowest[-1], _NO_OXYGEN),
    }
    charge = carrier_charge(carrier)
    error = CHGNET_ERROR_V if cells.calculator.startswith("chgnet") else None
    for name, (high, low, why) in ranges.items():
        value = cells.voltage(high, low, metal, charge)
        yield Value(
            name,
            value,
            None if value is None else error,
            n=len(cells.cells),
            reason=why if value is None else None,
            notes=(f"against {carrier} metal", *_notes(cells)),
        )


def _stability(cells: ChargedCells, known: ReferenceHull | None) -> Iterator[Value]:
    """Write down how far the charged cell is from what it becomes, and its oxygen."""
    names = ChargedCellsBuilder.names[4:]
    last = list(cells.lowest.values())[-1]
    if known is None or not known.example.correction_scheme.startswith(_UNCORRECTED):
        why = f"no hull of uncorrected energies by {cells.calculator}"
        yield from (Value(name, reason=why) for name in names)
        return
    found = known.hull.decompositions([last.formula])[0]
    if found is None:
        why = str(known.hull.missing_reference(last.formula))
        yield from (Value(name, reason=why) for name in names)
        return
    mixture = ", ".join(f"{phase} {n:.2f}" for phase, n in found.amounts.items())
    notes = (f"{last.formula}: {mixture} by atoms", *_notes(cells))
    yield Value(names[0], last.energy / last.n_atoms - found.energy, notes=notes)
    oxygen = sum(_oxygen_share(phase) * n for phase, n in found.amounts.items())
    free = sum(n for phase, n in found.amounts.items() if _oxygen_share(phase) == 1)
    reason = None if oxygen else f"{last.formula} holds no oxygen"
    yield Value(names[1], free / oxygen if oxygen else None, reason=reason, notes=notes)


def _oxygen_share(formula: str) -> float:
    """Part of the atoms of a phase that is oxygen."""
    return float(atomic_fractions(formula).get("O", 0))
