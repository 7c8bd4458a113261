"""Which competing phases a campaign lacks, said before anything is computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hts_battery.campaign.run import hull_engines
from hts_battery.schemas.formula import canonical_formula, parse_formula

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.campaign import CampaignSpec

_NOT_COMPUTED = "not computed"
_NAMED = 12
"""Compounds that a line names; it counts the others."""


def missing_references(
    spec: CampaignSpec, elements: Iterable[str], stores: Stores | None = None
) -> list[str]:
    """
    List the elements of a campaign for which an engine has no competing phase.

    A hull needs every element; the engine of the gate needs one, too.

    ``elements``: elements of its candidates. ``stores``: open stores, whose references
    count beside the shipped ones. Returns: one line for each engine that lacks
    something, with what to do.
    """
    wanted = set(elements)
    lacking = {
        name: sorted(wanted - _covered(name, stores)) for name in hull_engines(spec)
    }
    return [
        f"the engine {name} has no competing phase with {', '.join(symbols)}: no "
        f"E_hull without them; `hts references compute --engine {name} --elements "
        f"{','.join(sorted(wanted))}`"
        for name, symbols in lacking.items()
        if symbols
    ]


def lacking_compounds(
    spec: CampaignSpec, elements: Iterable[str], stores: Stores | None = None
) -> list[str]:
    """
    List the compounds of the library that the hull of a campaign has no energy for.

    A compound counts where every phase of its formula was rejected or never computed:
    E_hull of candidates that would decompose into it comes out too low.

    ``elements``: elements of its candidates. ``stores``: open stores, whose references
    count beside the shipped ones. Returns: one line for each engine that lacks some,
    with the reason of each.
    """
    from hts_battery.structures.references.library import phases_within  # noqa: PLC0415 - pymatgen is slow

    phases = phases_within(elements)
    lines = []
    for name in hull_engines(spec):
        energies = _energies(name, stores)
        usable = {
            canonical_formula(parse_formula(formula))
            for formula, reason in energies.values()
            if reason is None
        }
        reasons: dict[str, str] = {}
        for phase in phases:
            if canonical_formula(phase.amounts) not in usable:
                _, reason = energies.get(phase.phase_id, (phase.formula, None))
                reasons.setdefault(phase.formula, reason or _NOT_COMPUTED)
        if usable and reasons:
            lines.append(_lacking(name, reasons))
    return lines


def _lacking(engine_name: str, reasons: Mapping[str, str]) -> str:
    """Name compounds without an energy, those with a reason first."""
    sorted_reasons = sorted(reasons.items(), key=lambda one: one[1] == _NOT_COMPUTED)
    named = "; ".join(f"{formula}: {why}" for formula, why in sorted_reasons[:_NAMED])
    more = len(reasons) - _NAMED
    return (
        f"the hull of {engine_name} lacks {len(reasons)} compounds of the library, so "
        f"that E_hull near them comes out too low: {named}"
        + (f"; and {more} more" if more > 0 else "")
    )


def _energies(
    engine_name: str, stores: Stores | None
) -> dict[str, tuple[str, str | None]]:
    """Phase id → formula and why its energy may not be used."""
    from hts_battery.flows.recipes.references import known_energies  # noqa: PLC0415 - jobflow takes a second

    found = {
        name: (energy.formula, energy.rejected)
        for name, energy in known_energies(engine_name).items()
    }
    if stores is not None:
        for doc in stores.references.query(
            {"engine": engine_name}, properties=["phase_id", "formula", "rejected"]
        ):
            found[doc["phase_id"]] = (doc["formula"], doc["rejected"])
    return found


def _covered(engine_name: str, stores: Stores | None) -> set[str]:
    """Elements of the usable reference energies of an engine."""
    return {
        element
        for formula, reason in _energies(engine_name, stores).values()
        if reason is None
        for element in parse_formula(formula)
    }
