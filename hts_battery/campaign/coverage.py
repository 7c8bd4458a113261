"""Which competing phases a campaign lacks, said before anything is computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hts_battery.campaign.conduct import hull_engines
from hts_battery.schemas.formula import parse_formula

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hts_battery.connections.stores import Stores
    from hts_battery.schemas.campaign import CampaignSpec


def missing_references(
    spec: CampaignSpec, elements: Iterable[str], stores: Stores | None = None
) -> list[str]:
    """
    List the elements of a campaign for which an engine has no competing phase.

    A hull needs every element; the engine of the gate needs one, too.

    Parameters
    ----------
    spec
        The campaign.
    elements
        Elements of its candidates.
    stores
        Open stores, whose references count beside the shipped ones.

    Returns
    -------
    list[str]
        One line for each engine that lacks something, with what to do.
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


def _covered(engine_name: str, stores: Stores | None) -> set[str]:
    """Elements of the usable reference energies of an engine."""
    from hts_battery.flows.references import known_energies  # noqa: PLC0415 - jobflow takes a second

    formulas = [
        energy.formula
        for energy in known_energies(engine_name).values()
        if energy.rejected is None
    ]
    if stores is not None:
        formulas += stores.references.distinct(
            "formula", {"engine": engine_name, "rejected": None}
        )
    return {element for formula in formulas for element in parse_formula(formula)}
