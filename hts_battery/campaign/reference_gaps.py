"""Chemical systems of a campaign that have no competing phase, or few."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from hts_battery.errors import ConfigurationError
from hts_battery.schemas.base import Document
from hts_battery.schemas.formula import parse_formula

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from hts_battery.campaign.campaign_file import Campaign
    from hts_battery.connections.stores import Stores
    from hts_battery.schemas.candidate import Candidate

LARGEST_SYSTEM = 3
"""Systems of more elements are seldom needed and are too many to list."""


class ReferenceGap(Document):
    """One chemical system with few competing phases."""

    chemical_system: str = Field(description="Symbols joined by hyphens, sorted.")
    n_candidates: int = Field(description="Candidates that hold all its elements.")
    n_references: int = Field(description="Usable phases in exactly this system.")
    has_anion: bool = Field(
        description="Whether one of its elements is an anion of the campaign."
    )


def reference_gaps(
    candidates: Iterable[Candidate],
    formulas: Iterable[str],
    *,
    largest: int = 2,
    fewer_than: int = 1,
) -> tuple[ReferenceGap, ...]:
    """
    List the chemical systems inside candidates that have few competing phases.

    Parameters
    ----------
    candidates
        Candidates of a campaign.
    formulas
        Formula of each usable competing phase of one engine.
    largest
        Largest number of elements of a system, at most 3.
    fewer_than
        Systems with fewer phases than this are listed.

    Returns
    -------
    tuple[ReferenceGap, ...]
        Those inside most candidates first.

    Raises
    ------
    ConfigurationError
        If ``largest`` is not 1, 2 or 3.
    """
    if not 1 <= largest <= LARGEST_SYSTEM:
        raise ConfigurationError(
            f"systems of 1 to {LARGEST_SYSTEM} elements can be listed, not of {largest}"
        )
    known = Counter(frozenset(parse_formula(formula)) for formula in formulas)
    rows: list[frozenset[str]] = []
    anions: set[str] = set()
    seen: set[str] = set()
    for candidate in candidates:
        rows.append(frozenset(candidate.amounts))
        if not rows[-1] <= seen:  # assigning species takes most of the time
            seen |= rows[-1]
            anions.update(_anions(candidate))
    symbols = sorted(frozenset[str]().union(*rows))
    found = [
        ReferenceGap(
            chemical_system="-".join(system),
            n_candidates=count,
            n_references=known[frozenset(system)],
            has_anion=not anions.isdisjoint(system),
        )
        for system, count in _counts(rows, symbols, largest)
        if count and known[frozenset(system)] < fewer_than
    ]
    found.sort(
        key=lambda gap: (
            -gap.n_candidates,
            gap.chemical_system.count("-"),
            gap.chemical_system,
        )
    )
    return tuple(found)


def _anions(candidate: Candidate) -> set[str]:
    """Elements that carry a negative charge in a candidate."""
    return {
        name.rstrip("0123456789+-/.") for name in candidate.species if name[-1] == "-"
    }


def _counts(
    rows: Iterable[frozenset[str]], symbols: list[str], largest: int
) -> Iterator[tuple[tuple[str, ...], int]]:
    """
    Count, for each system, the rows that hold all its elements.

    Products of the table row x element do it for all systems at once: candidates of
    eleven elements have 231 systems each.
    """
    place = {symbol: number for number, symbol in enumerate(symbols)}
    rows = list(rows)
    table: NDArray[np.float64] = np.zeros((len(rows), len(symbols)))
    for number, row in enumerate(rows):
        table[number, [place[symbol] for symbol in row]] = 1.0
    pairs = table.T @ table
    for symbol in symbols:
        yield (symbol,), int(pairs[place[symbol], place[symbol]])
    if largest > 1:
        for a, b in combinations(symbols, 2):
            yield (a, b), int(pairs[place[a], place[b]])
    if largest > 2:  # noqa: PLR2004 - three elements
        for first, symbol in enumerate(symbols):
            with_it = table[table[:, first] > 0]
            triples = with_it.T @ with_it
            for a, b in combinations(symbols[first + 1 :], 2):
                yield (symbol, a, b), int(triples[place[a], place[b]])


def usable_formulas(engine_name: str, stores: Stores | None = None) -> list[str]:
    """
    Return the formula of each usable phase of an engine, shipped or in the database.

    Parameters
    ----------
    engine_name
        Name of the engine.
    stores
        Open stores, whose references count beside the shipped ones.
    """
    from hts_battery.flows.references import known_energies  # noqa: PLC0415 - jobflow takes a second

    phases: dict[str, str] = {
        energy.phase_id: energy.formula
        for energy in known_energies(engine_name).values()
        if energy.rejected is None
    }
    if stores is not None:
        phases |= {
            doc["phase_id"]: doc["formula"]
            for doc in stores.references.query(
                {"engine": engine_name, "rejected": None},
                properties=["phase_id", "formula"],
            )
        }
    return list(phases.values())


def campaign_elements(campaign: Campaign) -> frozenset[str]:
    """Return the elements of the candidates of a campaign."""
    return frozenset(
        element for _, candidate in campaign.kept() for element in candidate.amounts
    )
