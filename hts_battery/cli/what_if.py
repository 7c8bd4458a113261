"""Tables of a candidate at other temperatures, and with one competing phase less."""

from __future__ import annotations

from itertools import groupby
from math import isfinite
from typing import TYPE_CHECKING

from hts_battery.cli import formatting
from hts_battery.errors import ConfigurationError
from hts_battery.query.tables import MEV_PER_EV

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hts_battery.query.what_if import CurvePoint
    from hts_battery.schemas.left_out import LeftOutPhase, LeftOutTable

_MOST = 10_000
_ROUNDING = 1e-9
_WITHOUT, _WITHOUT_ALL = "E_hull without it", "without its\ncomposition"
_ERROR = "too low by\nat least"


def temperatures(text: str | None) -> list[float]:
    """
    Read temperatures in K: ``0,300,1473``, or ``first:last:step``.

    Raises ConfigurationError if they are none; says what would be.

    Examples
    --------
    >>> temperatures("0:1000:500"), temperatures("1473"), temperatures(None)
    ([0.0, 500.0, 1000.0], [1473.0], [])
    """
    if text is None:
        return []
    try:
        found = [float(one) for one in text.replace(":", ",").split(",")]
        if ":" in text:
            first, last, step = found
            number = int((last - first) / step + _ROUNDING) + 1
            found = [first + one * step for one in range(min(number, _MOST + 1))]
    except (ValueError, ZeroDivisionError, OverflowError):
        found = []
    if not 0 < len(found) <= _MOST:
        raise ConfigurationError(
            f"--at {text!r}: write temperatures in K like 0,300,1473, or first:last:"
            f"step like 0:2000:100; at most {_MOST:,}"
        )
    if wrong := [one for one in found if not (isfinite(one) and one >= 0)]:
        raise ConfigurationError(f"--at {text!r}: {wrong[0]:g} K is below 0 K")
    return found


def show_curve(points: Sequence[CurvePoint], *, as_json: bool) -> None:
    """Print E_hull at each temperature, campaign by campaign."""
    if as_json:
        for point in points:
            formatting.json_line(point)
        return
    for campaign, group in groupby(points, key=lambda point: point["campaign"]):
        mine = list(group)
        formatting.table(
            ("T in K", "E_hull(T)", "random mean", "label"),
            (
                (
                    f"{one['temperature']:g}",
                    _millis(one["energy_above_hull"]),
                    _millis(one["energy_above_hull_random"]),
                    one["label"] or "-",
                )
                for one in mine
            ),
            title=f"{mine[0]['formula']}, campaign {campaign}, engine "
            f"{mine[0]['engine']}: E_hull in meV/atom from the stored terms",
            right=("T in K", "E_hull(T)", "random mean"),
        )
        for reason in {one["reason"] for one in mine if one["reason"]}:
            formatting.line(f"-: {reason}")


def show_left_out(tables: Sequence[LeftOutTable], *, as_json: bool) -> None:
    """Print each product left out in turn, campaign by campaign."""
    for table in tables:
        if as_json:
            formatting.json_line(table.model_dump(mode="json"))
            continue
        numbers = ("amount", _WITHOUT, _WITHOUT_ALL, _ERROR)
        formatting.table(
            ("phase", *numbers, "then"),
            (
                (
                    one.phase_id,
                    f"{one.amount:.3f}",
                    _millis(one.energy_above_hull),
                    _millis(one.energy_above_hull_without_composition),
                    _millis(one.least_error),
                    _then(one),
                )
                for one in table.phases
            ),
            title=f"{table.formula}, campaign {table.campaign}, engine "
            f"{table.engine}: E_hull({table.temperature:g} K) is "
            f"{_millis(table.energy_above_hull)} meV/atom; without one product each",
            right=numbers,
        )
        formatting.line(_verdict(table))


def _then(one: LeftOutPhase) -> str:
    if one.reason:
        return one.reason
    if one.stable_without:
        return "stable"
    if one.stable_without_composition:
        return "stable without its other forms too"
    return " + ".join(
        f"{amount:.3f} {name}" for name, amount in one.decomposition.items()
    )


def _verdict(table: LeftOutTable) -> str:
    """Say in one line what would have to go."""
    if table.reason:
        return f"no table: {table.reason}"
    if table.energy_above_hull <= 0:
        return "it is stable: no phase has to go"
    alone = [one.phase_id for one in table.phases if one.stable_without]
    whole = [one.formula for one in table.phases if one.stable_without_composition]
    if alone:
        return f"stable if one of these went: {', '.join(alone)}"
    if whole:
        return f"stable only if every form of it went: {', '.join(whole)}"
    return "no single phase is in the way: without any one of them it is above the hull"


def _millis(value: float | None) -> str:
    return "-" if value is None else f"{MEV_PER_EV * value:.1f}"
