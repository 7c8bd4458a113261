"""Why a stability changed: words for people, from what went in before and now."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hts_battery.schemas.build import Change, StabilityNumbers, ThermoRecord

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from hts_battery.schemas.build import OrderingEnergy
    from hts_battery.schemas.rows import OrderingRow, ResultRow, ThermoRow
    from hts_battery.schemas.thermo import ThermoDoc

NEW_CANDIDATE = "new candidate"
REMOVED = "no usable energy any more"
NEW_ORDERING = "new ordering"
REMOVED_ORDERING = "removed ordering"
RECALCULATED = "recalculated ordering"
CORRECTION = "correction change"
OPTIONS = "options"
CODE = "code change"
RETRIED = "tried again"
REFERENCES = "references changed"
CANDIDATE = "candidate or cell changed"

_SAME_EV_PER_ATOM = 1e-12
_MOST_NAMED = 5


@dataclass(frozen=True)
class HullNews:
    """What happened to the references between two versions of a hull, in words."""

    gone: Mapping[str, str] = field(default_factory=dict)
    """Id of each reference that left or moved → how."""
    arrived: Collection[str] = frozenset()
    """Ids of references that were not there."""
    recorrected: bool = False
    """Whether the scheme that corrects energies is another one."""


def hull_news(
    before: Mapping[str, tuple[str, float]],
    now: Mapping[str, tuple[str, float]],
    *,
    recorrected: bool,
) -> HullNews:
    """
    Put the difference of two sets of references into words.

    ``before``, ``now``: id → formula and energy in eV/atom. ``recorrected``: whether
    their correction schemes differ.

    Examples
    --------
    >>> now = {"a": ("Li", -0.1), "b": ("O2", 0.0)}
    >>> hull_news({"a": ("Li", 0.0)}, now, recorrected=False)
    HullNews(gone={'a': 'by -100.0 meV/atom'}, arrived={'b'}, recorrected=False)
    """
    gone: dict[str, str] = {}
    for name, (formula, energy) in before.items():
        if name not in now:
            gone[name] = "removed"
        elif now[name][0] != formula:
            gone[name] = "of another composition"
        elif now[name][1] != energy:
            gone[name] = f"by {1000 * (now[name][1] - energy):+.1f} meV/atom"
    return HullNews(gone, now.keys() - before.keys(), recorrected)


def stability_numbers(result: ThermoDoc | ResultRow) -> StabilityNumbers:
    """Take the numbers that may change out of a stability, stored or new."""
    names = StabilityNumbers.model_fields
    known: Mapping[str, object] = result if isinstance(result, dict) else vars(result)
    return StabilityNumbers(**{name: known[name] for name in names if name in known})


def reasons(
    old: ThermoRow | None,
    *,
    orderings: Iterable[OrderingEnergy],
    phases: Collection[str],
    options_digest: str,
    code_version: str,
    news: HullNews | None,
) -> tuple[str, ...]:
    """
    Say why a record is another than the one before.

    ``old``: the stored record; None if there was none. ``orderings``: what it is made
    from now. ``phases``: ids in the decomposition now. ``options_digest``: digest of
    the options now. ``code_version``: of the builder now. ``news``: difference between
    the hull of the old record and that of now; None if they are the same hull or the
    old one is not known.
    """
    if old is None:
        return (NEW_CANDIDATE,)
    found = []
    if old["code_version"] != code_version:
        found.append(CODE)
    if old["options_digest"] != options_digest:
        found.append(OPTIONS)
    found += _orderings(old["orderings"], orderings)
    if news is not None:
        found += _references(old, phases, news)
    if not found:
        found.append(RETRIED if old["state"] == "failed" else CANDIDATE)
    return tuple(dict.fromkeys(found))


def _orderings(
    before: Iterable[OrderingRow], now: Iterable[OrderingEnergy]
) -> list[str]:
    old = {ordering["entry_id"]: ordering for ordering in before}
    new = {ordering.entry_id: ordering for ordering in now}
    if not old:  # a record that failed kept none
        return []
    found = []
    if new.keys() - old.keys():
        found.append(NEW_ORDERING)
    if old.keys() - new.keys():
        found.append(REMOVED_ORDERING)
    for name in sorted(new.keys() & old.keys()):
        moved = new[name].energy_per_atom - old[name]["energy_per_atom"]
        corrected = new[name].correction_per_atom - old[name]["correction_per_atom"]
        if (
            abs(corrected) > _SAME_EV_PER_ATOM
            or new[name].scheme != old[name]["scheme"]
        ):
            found.append(CORRECTION)
        if abs(moved - corrected) > _SAME_EV_PER_ATOM:
            found.append(RECALCULATED)
    return found


def _references(old: ThermoRow, phases: Collection[str], news: HullNews) -> list[str]:
    if news.recorrected:
        return [CORRECTION]
    result = old["result"]
    phases_before = result["decomposition"] if result else ()
    before = [phase["reference_id"] for phase in phases_before]
    found = [f"new reference {name}" for name in phases if name in news.arrived]
    for name in dict.fromkeys([*before, *phases]):
        how = news.gone.get(name)
        if how == "removed":
            found.append(f"removed reference {name}")
        elif how is not None:
            found.append(f"changed reference {name} ({how})")
    if len(found) > _MOST_NAMED:
        more = len(found) - _MOST_NAMED
        found = [*found[:_MOST_NAMED], f"{more} more references"]
    return found or [REFERENCES]


def change_of(
    old: ThermoRow | None, record: ThermoRecord | None, why: tuple[str, ...]
) -> Change:
    """
    Put what stood there and what stands there now side by side.

    ``old``: the stored record; None if there was none. ``record``: the record now; None
    if it is removed. ``why``: reasons, as words.
    """
    before = stability_numbers(old["result"]) if old and old["result"] else None
    after = stability_numbers(record.result) if record and record.result else None
    stored = old["result"] if old else None
    formula = stored["formula"] if stored else None
    if record is not None:
        name, temperature = record.candidate_id, record.temperature
        formula = record.result.formula if record.result else formula
    elif old is not None:
        name, temperature = old["candidate_id"], old["temperature"]
    else:
        raise ValueError("a change needs a record before or now")
    return Change(
        candidate_id=name,
        formula=formula,
        temperature=temperature,
        before=before,
        after=after,
        reasons=why,
    )
