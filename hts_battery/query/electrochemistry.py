"""The electrochemistry of one candidate as people ask for it: questions and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hts_battery.schemas.property import PropertyDoc

MEV_PER_EV = 1000.0
_ARROW = " -> "
_MEANINGS = {
    "oxygen_moment": "an oxygen has a hole",
    "metal_moment": "a metal has a moment that no valence of it explains",
    "oxygen_contact": "two oxygens have bonded",
    "volume_jump": "the volume jumps by more than 3 % in a step",
    "carrier_moved": "a carrier left its site",
    "not_converged": "some arrangements did not converge",
    "metastable": "above the hull: the window is that of its products",
    "far_below_hull": "far below the hull: phases are missing, not ranked",
    "plateau": "between two phases: the window has no width",
    "valence_above_ceiling": "a metal is above its ceiling of charge",
    "second_alkali": "another alkali metal stays inside",
    "stable_at_the_metal": "nothing is reduced before the metal is plated",
}


class Answer(NamedTuple):
    """One question about a candidate."""

    question: str
    answer: str
    because: str = ""
    """What it rests on, or what limits it."""


def volts(value: float | None, error: float | None = None) -> str:
    """
    Write a voltage as people need it: two decimals, one where the error is as large.

    Examples
    --------
    >>> volts(3.42567), volts(3.42567, 0.4), volts(1.2875, 0.02), volts(None)
    ('3.43 V', '3.4 ± 0.4 V', '1.29 ± 0.02 V', 'not known')
    """
    if value is None:
        return "not known"
    if error is None:
        return f"{value:.2f} V"
    decimals = 1 if error >= 0.1 else 2  # noqa: PLR2004 - a tenth of a volt
    return f"{value:.{decimals}f} ± {max(error, 10.0**-decimals):.{decimals}f} V"


def electrochemistry_answers(properties: Iterable[PropertyDoc]) -> list[Answer]:
    """
    Answer what one asks of a cathode, and what one asks of an electrolyte.

    Of a cathode: how much, at what voltage, how much of it from oxygen, how sure. Of
    both: between which voltages it stands, what forms at each end, what at an
    electrode. What is null for all of a kind, like the capacity of an electrolyte, is
    left out.

    ``properties``: those of one candidate in one campaign.
    """
    every = list(properties)
    found = {one.name: one for one in every if not one.conditions}
    return [
        *_capacity(found),
        *_voltage(found),
        *_window(found),
        *_electrodes([one for one in every if "electrode" in one.conditions]),
        *_certainty(found),
    ]


def _numbers(found: dict[str, PropertyDoc], names: Sequence[str]) -> list[float | None]:
    """Values by name, None where there is none."""
    values = (found[name].value if name in found else None for name in names)
    return [float(v) if isinstance(v, int | float) else None for v in values]


def _capacity(found: dict[str, PropertyDoc]) -> Iterator[Answer]:
    names = ("capacity_carrier", "capacity_metal_redox", "capacity_oxygen_redox")
    carrier, metal, oxygen = _numbers(found, names)
    if carrier is None or metal is None or oxygen is None:
        return
    because = found[names[0]].notes[0]
    yield Answer("How much?", f"{carrier:.0f} mAh/g", because)
    share = f", {100 * oxygen / carrier:.0f} %" if carrier else ""
    yield Answer(
        "How much of it from oxygen?",
        f"{oxygen:.0f} mAh/g{share}",
        f"{metal:.0f} mAh/g by metals up to their highest charges",
    )


def _voltage(found: dict[str, PropertyDoc]) -> Iterator[Answer]:
    average = found.get("voltage_average")
    if average is None:
        return
    parts = [
        f"{title} {volts(value)}"
        for title, value in zip(
            ("metals", "oxygen"),
            _numbers(found, ("voltage_metal", "voltage_oxygen")),
            strict=True,
        )
        if value is not None
    ]
    (value,) = _numbers(found, ("voltage_average",))
    yield Answer(
        "At what voltage?",
        volts(value, average.uncertainty),
        average.reason or "; ".join((*parts, *average.notes[:2])),
    )


def _window(found: dict[str, PropertyDoc]) -> Iterator[Answer]:
    low, high = found.get("window_reduction"), found.get("window_oxidation")
    if low is None or high is None:
        return
    ends = [
        volts(value, doc.uncertainty)
        for doc, value in zip(
            (low, high),
            _numbers(found, ("window_reduction", "window_oxidation")),
            strict=True,
        )
    ]
    because = [note for note in low.notes if _ARROW not in note][:1]
    yield Answer("Between which voltages?", " to ".join(ends), "; ".join(because))
    for side, doc in (("below", low), ("above", high)):
        yield Answer(
            f"What forms {side}?",
            next((note for note in doc.notes if _ARROW in note), "nothing"),
            doc.reason or "",
        )


def _electrodes(found: Sequence[PropertyDoc]) -> Iterator[Answer]:
    for one in found:
        conditions = one.conditions
        at = (
            f" at {volts(float(conditions['voltage']))}"
            if "voltage" in conditions
            else ""
        )
        value = one.value
        yield Answer(
            f"What at {conditions['electrode']}{at}?",
            f"{MEV_PER_EV * value:.0f} meV/atom"
            if isinstance(value, float)
            else "not known",
            one.reason or next((n for n in one.notes if _ARROW in n), "no reaction"),
        )


def _certainty(found: dict[str, PropertyDoc]) -> Iterator[Answer]:
    """Say what the numbers hang on: engine, hull, and what the cells show."""
    words = dict.fromkeys(
        _MEANINGS[note]
        for doc in found.values()
        for note in doc.notes
        if note in _MEANINGS
    )
    depth = dict.fromkeys(
        note
        for doc in found.values()
        for note in doc.notes
        if note.startswith(("missing phases may", "hull depth"))
    )
    said = [*_charged_cell(found), *words, *depth]
    if said or "voltage_average" in found:
        average = found.get("voltage_average")
        error = average.uncertainty if average is not None else None
        sure = (
            f"voltages of the engine are off by {error:.1f} V"
            if error is not None
            else "by the error of the engine and by phases that are missing"
        )
        yield Answer("How sure?", sure, "; ".join(said))


def _charged_cell(found: dict[str, PropertyDoc]) -> Iterator[str]:
    """Say how far the charged cell is from falling apart."""
    above, freed = _numbers(found, ("charged_e_hull", "charged_freed_oxygen"))
    if above is not None:
        share = "" if freed is None else f", {100 * freed:.0f} % of its oxygen free"
        yield f"charged cell {MEV_PER_EV * above:.0f} meV/atom above the hull{share}"
