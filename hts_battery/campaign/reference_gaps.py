"""What a campaign's competing phases lack: elements, systems, compositions."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from hts_battery.errors import ConfigurationError
from hts_battery.schemas.base import Document
from hts_battery.schemas.formula import canonical_formula, parse_formula
from hts_battery.thermo.hull_depth import HullDepth, chemical_system, known_compositions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import Candidate
    from hts_battery.thermo.hull_depth import Depth

LARGEST_SYSTEM = 3
"""Systems of more elements are seldom needed and are too many to list."""
_NOT_COMPUTED = "not computed"
_NAMED = 12
"""Compounds that a line names; it counts the others."""


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
    anions = _anions_of(candidates)
    counts = _holders(candidates, [name.split("-") for name in new])
    for name, count in zip(new, counts, strict=True):
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


def _holders(
    candidates: Sequence[Candidate], systems: Iterable[Sequence[str]]
) -> list[int]:
    """Count, for each system, the candidates that hold all its elements."""
    symbols = {symbol for one in candidates for symbol in one.amounts}
    columns = {
        symbol: np.array([symbol in one.amounts for one in candidates])
        for symbol in symbols
    }
    return [
        int(np.count_nonzero(np.logical_and.reduce([columns[name] for name in system])))
        if symbols.issuperset(system)
        else 0
        for system in systems
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
    anions = _anions_of(asked)
    symbols = sorted({symbol for one in asked for symbol in one.amounts})
    systems = [
        system
        for size in range(1, largest + 1)
        for system in combinations(symbols, size)
        if known[frozenset(system)] < fewer_than
    ]
    found = [
        ReferenceGap(
            chemical_system="-".join(system),
            n_candidates=count,
            n_references=known[frozenset(system)],
            has_anion=not anions.isdisjoint(system),
        )
        for system, count in zip(systems, _holders(asked, systems), strict=True)
        if count
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


def hull_engines(spec: CampaignSpec) -> tuple[str, ...]:
    """Engines of which a campaign needs competing phases: for the hull and the gate."""
    if not spec.screens:
        return ()
    if spec.gate is None or spec.prerelax is None:
        return (spec.engine,)
    return tuple(dict.fromkeys((spec.engine, spec.prerelax.engine)))


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
        name: wanted.difference(*map(parse_formula, usable_formulas(name, stores)))
        for name in hull_engines(spec)
    }
    return [
        f"the engine {name} has no competing phase with {', '.join(sorted(symbols))}: "
        f"no E_hull without them; {_what_to_do(name, symbols, wanted)}"
        for name, symbols in lacking.items()
        if symbols
    ]


def _what_to_do(engine_name: str, lacking: set[str], wanted: set[str]) -> str:
    """Say how phases of the elements that an engine lacks come: made, or brought."""
    from hts_battery.structures.references.library import phases_within  # noqa: PLC0415 - pymatgen is slow

    known = {element for one in phases_within(wanted) for element in one.elements}
    here, nowhere = sorted(lacking & known), sorted(lacking - known)
    words = []
    if here:
        words.append(
            f"`hts references compute --engine {engine_name} --elements "
            f"{','.join(sorted(wanted & known))}` computes those of the library"
        )
    if nowhere:
        words.append(
            f"the library has none of {', '.join(nowhere)}: bring the element itself "
            f"and its compounds, `hts references add {nowhere[0]}.cif … --engine "
            f"{engine_name}`, or `hts references import --from-mp --structures "
            f"--elements {','.join(nowhere)},O --engine {engine_name}`"
        )
    return "; ".join(words)


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


def usable_formulas(engine_name: str, stores: Stores | None = None) -> list[str]:
    """Return the formula of each usable phase of an engine; the database outweighs."""
    energies = _energies(engine_name, stores).values()
    return [formula for formula, reason in energies if reason is None]


def campaign_elements(campaign: Campaign) -> frozenset[str]:
    """Return the elements of the candidates of a campaign."""
    return frozenset(
        element for _, candidate in campaign.kept() for element in candidate.amounts
    )
