"""What a campaign's competing phases lack: chemical systems and compositions."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from hts_battery.errors import ConfigurationError
from hts_battery.schemas.base import Document
from hts_battery.schemas.formula import parse_formula
from hts_battery.thermo.hull_depth import HullDepth, chemical_system, known_compositions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.candidate import Candidate
    from hts_battery.thermo.hull_depth import Depth

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
    weight: float = Field(
        default=0.0,
        ge=0,
        description="Atomic fraction of the lowest mixtures of known compositions that "
        "lies in it and has no reference, added up over the candidates; no unit.",
    )


class MissingComposition(Document):
    """One known composition that candidates decompose into and no reference has."""

    formula: str = Field(description="Smallest integers.")
    chemical_system: str = Field(description="Symbols joined by hyphens, sorted.")
    n_candidates: int = Field(
        description="Candidates in whose lowest mixture of known compositions it is."
    )
    mean_atomic_fraction: float = Field(
        description="Its atomic fraction there, their mean; no unit."
    )
    weight: float = Field(description="Product of the two; no unit.")
    formation_energy: float = Field(description="Machine-learned, eV/atom.")
    reported: bool = Field(
        description="Whether a source at hand reports it as a compound."
    )
    below_hull: float = Field(
        description="How far it lies below the hull of the references' compositions, "
        "with the same formation energies, eV/atom."
    )


class DepthOfHull(Document):
    """How much the E_hull of a campaign's candidates may fall."""

    median: float = Field(description="Median over the candidates, eV/atom.")
    ninety: float = Field(description="90th percentile, eV/atom.")
    largest: float = Field(description="Largest, eV/atom.")


class CampaignGaps(Document):
    """What the competing phases of an engine lack for a campaign."""

    systems: tuple[ReferenceGap, ...] = Field(
        description="Chemical systems with few phases: small ones, and those of any "
        "size in which candidates decompose; those of most weight first."
    )
    compositions: tuple[MissingComposition, ...] = Field(
        description="Known compositions without a reference, heaviest first."
    )
    chemical_system: str = Field(
        description="Elements of all candidates, joined by hyphens, sorted."
    )
    n_candidates: int = Field(description="Candidates looked at.")
    n_complete: int = Field(
        description="Those whose lowest mixture of known compositions is of "
        "compositions that references have."
    )
    n_unknown: int = Field(
        description="Candidates with an element that no known composition holds."
    )
    depth: DepthOfHull | None = Field(
        description="How much E_hull may fall by all known compositions; null where "
        "it is known of no candidate."
    )
    depth_reported: DepthOfHull | None = Field(
        description="The same by reported compounds only."
    )


def campaign_gaps(
    candidates: Iterable[Candidate],
    formulas: Iterable[str],
    *,
    largest: int = 2,
    fewer_than: int = 1,
) -> CampaignGaps:
    """
    Say what the competing phases lack for the candidates of a campaign.

    ``candidates``: candidates of a campaign. ``formulas``: formula of each usable
    competing phase of one engine. ``largest``: systems of at most so many elements are
    listed whether or not compositions of them are known, at most 3; larger ones where
    candidates decompose in them. ``fewer_than``: systems with fewer phases than this
    are listed. Raises ConfigurationError if ``largest`` is not 1, 2 or 3.
    """
    asked, references = list(candidates), list(formulas)
    depth = HullDepth(references)
    answers = depth.at([candidate.amounts for candidate in asked])
    missing = _missing(answers, depth)
    small = reference_gaps(asked, references, largest=largest, fewer_than=fewer_than)
    answered = [answer for answer in answers if answer.risk is not None]
    return CampaignGaps(
        systems=_weighed(small, missing, answers, asked, references),
        compositions=missing,
        chemical_system="-".join(sorted({el for one in asked for el in one.amounts})),
        n_candidates=len(asked),
        n_complete=sum(not answer.missing for answer in answered),
        n_unknown=len(asked) - len(answered),
        depth=_depth([answer.risk for answer in answered]),
        depth_reported=_depth([answer.risk_reported for answer in answered]),
    )


def _missing(
    answers: Sequence[Depth], depth: HullDepth
) -> tuple[MissingComposition, ...]:
    amounts: dict[str, list[float]] = defaultdict(list)
    for answer in answers:
        for formula, amount in answer.missing.items():
            amounts[formula].append(amount)
    names = sorted(amounts, key=lambda name: (-sum(amounts[name]), name))
    known = {row.formula: row for row in known_compositions()}
    return tuple(
        MissingComposition(
            formula=name,
            chemical_system=chemical_system(name),
            n_candidates=len(amounts[name]),
            mean_atomic_fraction=round(sum(amounts[name]) / len(amounts[name]), 6),
            weight=round(sum(amounts[name]), 6),
            formation_energy=known[name].formation_energy,
            reported=known[name].reported,
            below_hull=round(below.risk or 0.0, 6),
        )
        for name, below in zip(names, depth.at(names, with_own=True), strict=True)
    )


def _weighed(
    small: Iterable[ReferenceGap],
    missing: Iterable[MissingComposition],
    answers: Sequence[Depth],
    candidates: Sequence[Candidate],
    references: Iterable[str],
) -> tuple[ReferenceGap, ...]:
    """Join small systems with those of any size that candidates ask for."""
    weights: dict[str, float] = defaultdict(float)
    for one in missing:
        weights[one.chemical_system] += one.weight
    gaps = {gap.chemical_system: gap for gap in small}
    systems = Counter(chemical_system(one) for one in references)
    asked = set(weights).union(*(answer.systems for answer in answers))
    new = sorted(name for name in asked - gaps.keys() if not systems[name])
    rows = [frozenset(candidate.amounts) for candidate in candidates]
    anions = _anions_of(candidates)
    for name, count in zip(new, _holders(rows, new), strict=True):
        gaps[name] = ReferenceGap(
            chemical_system=name,
            n_candidates=count,
            n_references=0,
            has_anion=not anions.isdisjoint(name.split("-")),
        )
    found = [
        gap.model_copy(update={"weight": round(weights[name], 6)})
        for name, gap in gaps.items()
    ]
    return tuple(
        sorted(
            found,
            key=lambda gap: (
                -gap.weight,
                -gap.n_candidates,
                gap.chemical_system.count("-"),
                gap.chemical_system,
            ),
        )
    )


def _holders(rows: Sequence[frozenset[str]], systems: Sequence[str]) -> list[int]:
    """Count, for each system, the rows that hold all its elements."""
    groups = Counter(rows)
    return [
        sum(count for row, count in groups.items() if row.issuperset(wanted))
        for wanted in (name.split("-") for name in systems)
    ]


def _depth(values: Sequence[float | None]) -> DepthOfHull | None:
    if not values:
        return None
    median, ninety, largest = np.percentile(np.array(values, float), [50, 90, 100])
    return DepthOfHull(median=median, ninety=ninety, largest=largest)


def reference_gaps(
    candidates: Iterable[Candidate],
    formulas: Iterable[str],
    *,
    largest: int = 2,
    fewer_than: int = 1,
) -> tuple[ReferenceGap, ...]:
    """
    List the chemical systems inside candidates that have few competing phases.

    ``candidates``: candidates of a campaign. ``formulas``: formula of each usable
    competing phase of one engine. ``largest``: largest number of elements of a system,
    at most 3. ``fewer_than``: systems with fewer phases than this are listed. Returns:
    those inside most candidates first. Raises ConfigurationError if ``largest`` is not
    1, 2 or 3.
    """
    if not 1 <= largest <= LARGEST_SYSTEM:
        raise ConfigurationError(
            f"systems of 1 to {LARGEST_SYSTEM} elements can be listed, not of {largest}"
        )
    known = Counter(frozenset(parse_formula(formula)) for formula in formulas)
    asked = list(candidates)
    rows = [frozenset(candidate.amounts) for candidate in asked]
    anions = _anions_of(asked)
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


def _anions_of(candidates: Iterable[Candidate]) -> set[str]:
    """Elements that carry a negative charge in a candidate."""
    anions: set[str] = set()
    seen: set[str] = set()
    for candidate in candidates:
        if not candidate.amounts.keys() <= seen:  # assigning species takes long
            seen |= candidate.amounts.keys()
            anions |= {
                name.rstrip("0123456789+-/.")
                for name in candidate.species
                if name[-1] == "-"
            }
    return anions


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

    ``engine_name``: name of the engine. ``stores``: open stores, whose references count
    beside the shipped ones.
    """
    from hts_battery.flows.recipes.references import known_energies  # noqa: PLC0415 - jobflow takes a second

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
