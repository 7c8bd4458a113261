"""One batch of candidates: from entries to stabilities, or to the reasons why not."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, TypedDict

from hts_battery.errors import HTSBatteryError
from hts_battery.schemas.build import OrderingEnergy
from hts_battery.schemas.candidate import CandidateDoc
from hts_battery.schemas.energy import ComparableEnergy
from hts_battery.schemas.entry import SMALL_CELL
from hts_battery.schemas.formula import display_formula
from hts_battery.schemas.species import VACANCY
from hts_battery.schemas.thermo import LeftOutReferences
from hts_battery.thermo.competing_phases import OtherCandidate, left_out_references
from hts_battery.thermo.corrections import require_one_calculator
from hts_battery.thermo.entropy import candidate_entropy, other_entropies
from hts_battery.thermo.hull_depth import HullDepth
from hts_battery.thermo.stability import (
    CandidateEnergy,
    HullContext,
    ReferenceFacts,
    ordering_estimates,
    ordering_kind,
    stabilities,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hts_battery.schemas.candidate import Candidate
    from hts_battery.schemas.entropy import EntropyOptions
    from hts_battery.schemas.rows import CandidateRow, EnergyRow, UsedEntryRow
    from hts_battery.schemas.thermo import OrderingKind, StabilityOptions, ThermoDoc
    from hts_battery.schemas.uncertainty import CalculatorError
    from hts_battery.thermo.hull import Hull

ENTRY_FIELDS = (
    "entry_id",
    "candidate_id",
    "formula",
    "calculator",
    "calculation",
    "energy",
    "ordering_id",
    "ordering_method",
    "assignment",
    "deviation",
    "relaxed.site_occupancies",
    "volume_per_atom",
    "flags",
)
"""What a stability is made from; the content of these fields is digested."""


class StabilityInput(TypedDict):
    """What the stability of one candidate is made from."""

    candidate: CandidateRow
    entries: list[UsedEntryRow]


@dataclass(frozen=True)
class ReferenceHull:
    """A hull with what a comparison needs to know of its references."""

    hull: Hull
    scheme: str
    """Calculator, correction scheme and versions of every reference."""
    calculator: str
    """Calculator alone."""
    families: Mapping[str, tuple[str, ...]]
    """Family → ids of the references that are members of it."""
    example: ComparableEnergy
    """One of the energies, for the message when others do not fit."""
    facts: ReferenceFacts
    """Volumes and oxidation states of the references."""

    @cached_property
    def depth(self) -> HullDepth:
        """Compositions of the references among all that are known."""
        return HullDepth(self.hull.formulas)

    def excluded(
        self, family: str, formula: str, rule: LeftOutReferences
    ) -> tuple[str, ...]:
        """
        Ids of the references that a candidate is not compared with.

        ``family``: family of the candidate. ``formula``: what its cell holds. ``rule``:
        what is left out; see :func:`~hts_battery.thermo.left_out_references`.
        """
        own = frozenset(self.families.get(family, ()))
        return left_out_references(self.hull, formula, rule=rule, family=own)


@dataclass(frozen=True)
class CandidateStability:
    """What became of one candidate."""

    candidate_id: str
    orderings: tuple[OrderingEnergy, ...] = ()
    flags: tuple[str, ...] = ()
    deviation: Mapping[str, Fraction] = field(default_factory=dict)
    """Calculated cell minus candidate, elements per formula unit."""
    results: tuple[ThermoDoc, ...] = ()
    """One per temperature, empty if it failed."""
    error: str | None = None
    hull_version: str | None = None

    @property
    def entry_id(self) -> str | None:
        """Entry of the lowest ordering."""
        lowest = min(
            self.orderings,
            key=lambda ordering: (ordering.energy_per_atom, ordering.entry_id),
            default=None,
        )
        return None if lowest is None else lowest.entry_id

    def at(self, temperature: float) -> ThermoDoc | None:
        """Return the result at one temperature."""
        return next((r for r in self.results if r.temperature == temperature), None)


@dataclass(frozen=True)
class _Prepared:
    """One candidate ready to be compared."""

    energy: CandidateEnergy
    orderings: tuple[OrderingEnergy, ...]
    flags: tuple[str, ...]
    deviation: Mapping[str, Fraction]
    scheme: str


def energy_scheme(energy: EnergyRow, calculator: str) -> str:
    """
    Name what must be the same of all energies in one hull.

    Examples
    --------
    >>> energy_scheme({"correction_scheme": "none", "package_versions": {}}, "x 1")
    'x 1 / none'
    """
    versions = ", ".join(
        f"{package} {version}"
        for package, version in sorted(energy["package_versions"].items())
    )
    parts = (calculator, energy["correction_scheme"], versions)
    return " / ".join(part for part in parts if part)


def candidate_stabilities(  # noqa: PLR0913 - whatever decides an answer, by name
    inputs: Sequence[StabilityInput],
    hulls: Mapping[str, ReferenceHull],
    *,
    temperatures: Sequence[float],
    entropy: EntropyOptions,
    stability: StabilityOptions,
    engine_error: CalculatorError,
    others: Mapping[str, Sequence[OtherCandidate]] | None = None,
) -> list[CandidateStability]:
    """
    Assess a batch of candidates, one call for all that share a hull.

    ``inputs``: for each a ``candidate`` document and its ``entries``. ``hulls``: scheme
    → hull. ``temperatures`` in K. ``entropy``, ``stability``: options of the campaign.
    ``engine_error``: what is known of the error of its engine. ``others``: scheme → all
    candidates, where the options let them take part. Returns: one per input, in order;
    a failure is an outcome.
    """
    outcomes: dict[int, CandidateStability] = {}
    groups: dict[str, dict[int, _Prepared]] = defaultdict(dict)
    for number, item in enumerate(inputs):
        try:
            ready = _prepare(
                item, hulls, entropy=entropy, rule=stability.left_out_references
            )
        except (HTSBatteryError, ValueError) as err:
            outcomes[number] = CandidateStability(
                item["candidate"]["candidate_id"],
                error=str(err),
                hull_version=_only_version(hulls),
            )
            continue
        groups[ready.scheme][number] = ready
    for scheme, members in groups.items():
        known = hulls[scheme]
        found = stabilities(
            [ready.energy for ready in members.values()],
            known.hull,
            calculator=known.calculator,
            temperatures=temperatures,
            context=HullContext(
                options=stability,
                others=None if others is None else others.get(scheme, ()),
                facts=known.facts,
                engine_error=engine_error,
                depth=known.depth,
            ),
        )
        for (number, ready), result in zip(members.items(), found, strict=True):
            failed = isinstance(result, HTSBatteryError)
            outcomes[number] = CandidateStability(
                ready.energy.candidate_id,
                orderings=ready.orderings,
                flags=ready.flags,
                deviation=ready.deviation,
                results=() if isinstance(result, HTSBatteryError) else result,
                error=str(result) if failed else None,
                hull_version=known.hull.digest,
            )
    return [outcomes[number] for number in range(len(inputs))]


def other_candidates(
    inputs: Iterable[StabilityInput],
    hulls: Mapping[str, ReferenceHull],
    *,
    entropy: EntropyOptions,
) -> dict[str, list[OtherCandidate]]:
    """
    Make competing phases of all candidates, grouped by the scheme of their energy.

    Parameters are those of :func:`candidate_stabilities`; a candidate that cannot be
    assessed does not compete.
    """
    groups: dict[str, list[OtherCandidate]] = defaultdict(list)
    for item in inputs:
        try:
            ready = _prepare(item, hulls, entropy=entropy)
        except (HTSBatteryError, ValueError):
            continue  # its own record says why
        groups[ready.scheme].append(
            OtherCandidate(
                candidate_id=ready.energy.candidate_id,
                formula=ready.energy.formula,
                energy_per_atom=ready.energy.energy_per_atom,
                entropy=ready.energy.entropy.entropy,
                volume_per_atom=ready.energy.volume_per_atom,
            )
        )
    return {
        scheme: sorted(group, key=lambda other: other.candidate_id)
        for scheme, group in groups.items()
    }


def _only_version(hulls: Mapping[str, ReferenceHull]) -> str | None:
    """Version that a failed candidate waits for to change, if there is one."""
    versions = [known.hull.digest for known in hulls.values()]
    return versions[0] if len(versions) == 1 else None


def _prepare(
    item: StabilityInput,
    hulls: Mapping[str, ReferenceHull],
    *,
    entropy: EntropyOptions,
    rule: LeftOutReferences = LeftOutReferences.OWN_COMPOSITION,
) -> _Prepared:
    candidate = CandidateDoc.model_validate(item["candidate"]).to_candidate()
    scheme, entries = _one_scheme(item["entries"], hulls)
    entries, several = _one_composition(entries)
    lowest = min(entries, key=lambda e: (e["energy"]["energy_per_atom"], e["entry_id"]))
    deviation = {el: Fraction(amount) for el, amount in lowest["deviation"].items()}
    assignment = _assignment(lowest) if deviation else None
    occupancies = _mean_occupancies(entries)
    formula = _cell_formula(candidate, deviation)
    orderings = tuple(
        sorted(
            (_ordering(entry, scheme) for entry in entries),
            # Ids of entries differ from run to run.
            key=lambda one: (one.energy_per_atom, one.ordering_id or "", one.entry_id),
        )
    )
    notes = [*lowest["flags"]]
    if deviation:
        notes.append("cell of another composition")
    if several:
        notes.append("orderings of other compositions left out")
    return _Prepared(
        energy=CandidateEnergy(
            candidate_id=candidate.candidate_id,
            formula=formula,
            energy_per_atom=lowest["energy"]["energy_per_atom"],
            entropy=candidate_entropy(
                candidate, entropy, assignment=assignment, site_occupancies=occupancies
            ),
            other_entropies=other_entropies(
                candidate, entropy, assignment=assignment, site_occupancies=occupancies
            ),
            exclude=hulls[scheme].excluded(candidate.family, formula, rule),
            orderings=ordering_estimates(_by_kind(orderings)),
            own_orderings={
                ordering.entry_id: ordering.energy_per_atom
                for ordering in orderings
                if ordering.entry_id != lowest["entry_id"]
            },
            species=_species(assignment or candidate.assignment),
            volume_per_atom=lowest.get("volume_per_atom"),
        ),
        orderings=orderings,
        flags=tuple(dict.fromkeys(notes)),
        deviation=deviation,
        scheme=scheme,
    )


def _one_scheme(
    entries: Iterable[UsedEntryRow], hulls: Mapping[str, ReferenceHull]
) -> tuple[str, list[UsedEntryRow]]:
    """Keep the entries of the scheme that has a hull, the one of most orderings."""
    groups: dict[str, list[UsedEntryRow]] = defaultdict(list)
    for entry in entries:
        groups[energy_scheme(entry["energy"], entry["calculator"])].append(entry)
    usable = [name for name in groups if name in hulls]
    if not usable:
        energies = [group[0]["energy"] for group in groups.values()]
        require_one_calculator(
            [
                *(ComparableEnergy.model_validate(energy) for energy in energies),
                *(known.example for known in hulls.values()),
            ]
        )
        raise HTSBatteryError("no competing phase has an energy: a hull needs some")
    best = max(usable, key=lambda name: (len(groups[name]), name))
    return best, groups[best]


def _one_composition(
    entries: Sequence[UsedEntryRow],
) -> tuple[list[UsedEntryRow], bool]:
    """Keep the cells nearest to the candidate: energies of others do not compare."""
    groups: dict[tuple[tuple[str, str], ...], list[UsedEntryRow]] = defaultdict(list)
    for entry in entries:
        groups[tuple(sorted(entry["deviation"].items()))].append(entry)
    best = min(groups, key=lambda key: (sum(abs(Fraction(n)) for _, n in key), key))
    return groups[best], len(groups) > 1


def _assignment(entry: UsedEntryRow) -> dict[str, dict[str, Fraction]]:
    return {
        sublattice: {name: Fraction(amount) for name, amount in species.items()}
        for sublattice, species in entry["assignment"].items()
    }


def _cell_formula(candidate: Candidate, deviation: Mapping[str, Fraction]) -> str:
    """Write what the cell holds as a formula, per formula unit of the candidate."""
    if not deviation:
        return candidate.formula
    amounts = dict(candidate.amounts)
    for element, amount in deviation.items():
        amounts[element] = amounts.get(element, Fraction(0)) + amount
    return display_formula({el: n for el, n in amounts.items() if n})


def _species(assignment: Mapping[str, Mapping[str, Fraction]]) -> dict[str, Fraction]:
    """Amount of each species of all sublattices; vacancies are none."""
    total: dict[str, Fraction] = defaultdict(Fraction)
    for occupation in assignment.values():
        for name, amount in occupation.items():
            if name != VACANCY:
                total[name] += amount
    return dict(total)


def _ordering(entry: UsedEntryRow, scheme: str) -> OrderingEnergy:
    energy = entry["energy"]
    method = str(entry["ordering_method"])
    total = sum(adjustment["value"] for adjustment in energy["adjustments"])
    return OrderingEnergy(
        entry_id=entry["entry_id"],
        ordering_id=entry.get("ordering_id"),
        source=entry.get("source"),
        method=method,
        kind=ordering_kind(method, small_cell=SMALL_CELL in entry["flags"]),
        energy_per_atom=energy["energy_per_atom"],
        correction_per_atom=total / energy["n_atoms"],
        scheme=scheme,
    )


def _by_kind(orderings: Iterable[OrderingEnergy]) -> dict[OrderingKind, list[float]]:
    kinds: dict[OrderingKind, list[float]] = defaultdict(list)
    for ordering in orderings:
        kinds[ordering.kind].append(ordering.energy_per_atom)
    return kinds


def _mean_occupancies(
    entries: Iterable[UsedEntryRow],
) -> dict[str, dict[str, float]] | None:
    """Add up the occupancies of all orderings: only ratios matter."""
    total: dict[str, dict[str, float]] = {}
    for entry in entries:
        relaxed = entry.get("relaxed")
        found = (relaxed.get("site_occupancies") if relaxed else None) or {}
        for label, counts in found.items():
            site = total.setdefault(label, {})
            for name, count in counts.items():
                site[name] = site.get(name, 0.0) + count
    return total or None
