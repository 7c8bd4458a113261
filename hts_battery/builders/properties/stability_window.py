"""Stability window of candidates, and reactions with electrodes, as properties."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, cast

from hts_battery.builders.properties.capacity import carrier_of, still_inside
from hts_battery.builders.property_builder import (
    CandidateInputs,
    PropertyBuilder,
    Value,
)
from hts_battery.builders.reference_hulls import REFERENCE_FIELDS, reference_hulls
from hts_battery.builders.stability import energy_scheme
from hts_battery.electrochemistry import (
    OxygenGas,
    interface_reaction,
    stability_window,
)
from hts_battery.errors import HTSBatteryError
from hts_battery.schemas.entry import EntryKind, EntryState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hts_battery.builders.stability import ReferenceHull
    from hts_battery.electrochemistry.interfaces import InterfaceReaction
    from hts_battery.electrochemistry.window import StabilityWindow
    from hts_battery.schemas.electrochemistry import ElectrodeSpec
    from hts_battery.schemas.rows import EnergyRow, UsedEntryRow
    from hts_battery.schemas.thermo import ThermoDoc
    from hts_battery.thermo.hull import Hull


class _Subject(NamedTuple):
    """One candidate with its energy and the hull of its calculator."""

    formula: str
    carrier: str
    stability: ThermoDoc
    hull: Hull


class _Solved(NamedTuple):
    """One candidate with its window, and its reactions or why there is none."""

    subject: _Subject
    window: StabilityWindow
    reactions: Sequence[InterfaceReaction | str]
    """One an electrode of the campaign."""


class StabilityWindowBuilder(PropertyBuilder):
    """Say between which voltages a candidate stands, and what it does at electrodes."""

    name = "stability_window"
    names = (
        "window_reduction",
        "window_oxidation",
        "window_width",
        "interface_mutual",
    )
    reads = ("entries", "thermo")
    code_version = "1"

    def common(self) -> tuple[object, object]:
        """Read the hulls of the references in use, one a calculator."""
        criteria = {
            "kind": EntryKind.REFERENCE,
            "engine": self.campaign.engine,
            "state": EntryState.USED,
        }
        entries = self.entries.query(criteria, properties=list(REFERENCE_FIELDS))
        hulls = reference_hulls(cast("Iterator[UsedEntryRow]", entries))
        versions = sorted(known.hull.digest for known in hulls.values())
        options = self.campaign.electrochemistry.model_dump(mode="json")
        return hulls, [versions, options]

    def together(self, batch: Sequence[CandidateInputs]) -> Sequence[CandidateInputs]:
        """Solve the candidates of one hull and carrier at once: 300 times as fast."""
        subjects = [self._subject(found) for found in batch]
        groups: dict[tuple[int, str], list[int]] = defaultdict(list)
        for number, one in enumerate(subjects):
            if isinstance(one, _Subject):
                groups[id(one.hull), one.carrier].append(number)
        solved: dict[int, _Solved | Exception] = {}
        for numbers in groups.values():
            own = [one for n in numbers if isinstance(one := subjects[n], _Subject)]
            solved.update(zip(numbers, self._solved(own), strict=True))
        return [
            found._replace(common=solved.get(number, subjects[number]))
            for number, found in enumerate(batch)
        ]

    def values(self, found: CandidateInputs) -> Iterator[Value]:
        """Yield both limits, the width, and the reaction with each electrode."""
        solved = cast("_Solved | Exception | str", found.common)
        if isinstance(solved, Exception):
            raise solved
        if isinstance(solved, str):
            yield from (Value(name, reason=solved) for name in self.names)
            return
        if solved.window.reduction is None:
            raise solved.subject.hull.missing_reference(solved.subject.formula)
        yield from _window(solved.window, solved.subject.stability)
        yield from self._interfaces(solved.reactions)

    def _solved(self, subjects: Sequence[_Subject]) -> Sequence[_Solved | Exception]:
        """Solve candidates of one hull and carrier, or say what none of them has."""
        hull, carrier = subjects[0].hull, subjects[0].carrier
        formulas = [one.formula for one in subjects]
        energies = [one.stability.energy_per_atom for one in subjects]
        options = self.campaign.electrochemistry
        kelvin, bar = options.oxygen_temperature, options.oxygen_pressure
        try:
            windows = stability_window(
                hull,
                formulas,
                energies,
                carrier=carrier,
                tolerance=options.tolerance,
                oxygen=None if kelvin is None else OxygenGas(kelvin, bar),
            )
        except (HTSBatteryError, ValueError) as err:
            return [err] * len(subjects)
        reactions = [
            _reactions(subjects, electrode) for electrode in options.electrodes
        ]
        return [
            _Solved(subject, window, [one[number] for one in reactions])
            for number, (subject, window) in enumerate(
                zip(subjects, windows, strict=True)
            )
        ]

    def _subject(self, found: CandidateInputs) -> _Subject | str:
        """Find the candidate's energy and hull, or why there is none."""
        record = next((one for one in found.stabilities if one.result), None)
        if record is None or record.result is None:
            errors = [one.error for one in found.stabilities if one.error]
            return errors[0] if errors else "no stability of it is known"
        entry = next((e for e in found.entries if e.entry_id == record.entry_id), None)
        if entry is None or entry.energy is None or entry.calculator is None:
            return "its lowest ordering is none of this campaign's any more"
        energy = cast("EnergyRow", entry.energy.model_dump(mode="json"))
        hulls = cast("Mapping[str, ReferenceHull]", found.common)
        known = hulls.get(energy_scheme(energy, entry.calculator))
        if known is None:
            return f"no reference of {entry.calculator}"
        return _Subject(
            record.result.formula,
            carrier_of(found.candidate, self.campaign),
            record.result,
            known.hull,
        )

    def _interfaces(
        self, reactions: Sequence[InterfaceReaction | str]
    ) -> Iterator[Value]:
        """Yield the reaction with each electrode, and the strongest as a column."""
        electrodes = self.campaign.electrochemistry.electrodes
        if not electrodes:
            why = "the campaign names no electrodes"
            yield Value("interface_mutual", reason=why)
            return
        found = [
            _interface(electrode, reaction)
            for electrode, reaction in zip(electrodes, reactions, strict=True)
        ]
        known = [one for one in found if one.reason is None]
        strongest = min(known or found, key=lambda one: cast("float", one.value or 0.0))
        yield replace(strongest, conditions={})
        yield from found


def _window(window: StabilityWindow, stability: ThermoDoc) -> Iterator[Value]:
    """Write down both limits and the width, each with its error by the slope."""
    notes = _notes(window, stability)
    error = stability.uncertainty
    slopes = window.reduction_slope, window.oxidation_slope
    reactions = window.reduction_reaction, window.oxidation_reaction
    limits = window.reduction, window.oxidation
    for name, value, slope, reaction in zip(
        StabilityWindowBuilder.names[:2], limits, slopes, reactions, strict=True
    ):
        equation = () if reaction is None else (reaction.equation,)
        yield Value(
            name,
            value,
            None if error is None or slope is None else error * slope,
            reason=window.reason if value is None else None,
            notes=(*equation, *notes),
        )
    far = "far below the hull: phases are missing, so its width is not ranked"
    width = window.width if window.rankable else None
    both = None if None in slopes else sum(s or 0.0 for s in slopes)
    yield Value(
        "window_width",
        width,
        None if width is None or error is None or both is None else error * both,
        reason=None if width is not None else window.reason or far,
        notes=notes,
    )


def _notes(window: StabilityWindow, stability: ThermoDoc) -> tuple[str, ...]:
    """Say what the limits hang on."""
    above, risk = 1000 * window.energy_above_hull, stability.hull_depth_risk
    depth = (
        f"hull depth not known: {stability.hull_depth_reason}"
        if risk is None
        else f"missing phases may lower the hull by {1000 * risk:.0f} meV/atom"
    )
    open_one = f"{window.carrier} is open, against its metal"
    return (
        f"{open_one}; {still_inside(window.formula, window.carrier)}",
        f"{above:.0f} meV/atom above the hull, references of its composition included",
        depth,
        *window.flags,
    )


def _reactions(
    subjects: Sequence[_Subject], electrode: ElectrodeSpec
) -> Sequence[InterfaceReaction | str]:
    """Find what each candidate does at one electrode, or why there is no answer."""
    try:
        found = interface_reaction(
            subjects[0].hull,
            [one.formula for one in subjects],
            electrode.formula,
            carrier=subjects[0].carrier,
            voltage=electrode.voltage,
            energies_per_atom=[one.stability.energy_per_atom for one in subjects],
        )
    except (HTSBatteryError, ValueError) as err:
        return [str(err)] * len(subjects)
    return [one.reason or one for one in found]


def _interface(electrode: ElectrodeSpec, found: InterfaceReaction | str) -> Value:
    """Write down the reaction with one electrode, or why there is none."""
    conditions: dict[str, float | int | str] = {"electrode": electrode.formula}
    if electrode.voltage is not None:
        conditions["voltage"] = electrode.voltage
    base = Value("interface_mutual", conditions=conditions)
    if isinstance(found, str):
        return replace(base, reason=found)
    equation = () if found.reaction is None else (found.reaction.equation,)
    return replace(
        base, value=found.mutual, notes=(*equation, *_interface_notes(found))
    )


def _interface_notes(found: InterfaceReaction) -> tuple[str, ...]:
    """Say with what, at which ratio, and what of it each does alone."""
    where = found.electrode
    if found.voltage is not None:
        where = f"{where} at {found.voltage:g} V, per atom without {found.carrier}"
    ratio = "no reaction"
    if found.fraction is not None:
        ratio = f"{found.fraction:.2f} of the atoms are the candidate's"
    total = 1000 * (found.total or 0.0)
    return (
        f"with {where}: {ratio}",
        f"with what each does alone {total:.0f} meV/atom",
    )
