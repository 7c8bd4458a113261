"""Stabilities become summaries: one flat document per candidate, for analysts."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypedDict, Unpack, cast

from hts_battery.builders.screening_builder import (
    Made,
    ScreeningBuilder,
    by_key,
    dumped,
)
from hts_battery.connections.database.content_digests import query_values
from hts_battery.schemas.build import ThermoRecord
from hts_battery.schemas.candidate import CandidateDoc, candidate_id
from hts_battery.schemas.formula import canonical_formula
from hts_battery.schemas.species import VACANCY, parse_species
from hts_battery.schemas.species_table import METAL_ROLES, species_properties
from hts_battery.schemas.summary import SummaryDoc, element_pairs, temperature_key
from hts_battery.thermo.entropy import mixing_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from maggma.core import Store

    from hts_battery.builders.screening_builder import Options
    from hts_battery.schemas.rows import CandidateRow, ThermoRow
    from hts_battery.schemas.thermo import ThermoDoc

    Records = dict[float, tuple[str, str | None]]
    """Temperature in K → digest of the inputs and version of the hull."""

RECORD_FIELDS = (
    "candidate_id",
    "temperature",
    "state",
    "input_digest",
    "hull_version",
    "deviation",
)
"""What says of a stability whether it belongs to the others of its candidate."""


_OF_CANDIDATE = (
    *("candidate_id", "formula", "canonical_formula", "family"),
    *("elements", "n_elements"),
)
_OF_RESULT = (
    *("calculator", "energy_per_atom", "uncertainty", "entropy", "mixing_temperature"),
    *("decomposition", "hull_depth_risk", "hull_depth_risk_reported"),
    *("hull_depth_reason", "n_references", "excluded_references", "hull_version"),
)
"""Fields that a summary takes over as they are: not one of them differs by T."""


def cell_of(candidate: CandidateRow, deviation: Mapping[str, str]) -> str:
    """
    Name what was calculated for a candidate: the candidate that its cell would hold.

    ``candidate``: its ``family`` and ``amounts`` per formula unit. ``deviation``:
    element → cell minus candidate, exact number per formula unit.

    Examples
    --------
    >>> found = {"family": "hedrx", "amounts": {"Li": "1.1", "Mn": "0.9", "O": "2"}}
    >>> cell_of(found, {"Li": "-1/10", "Mn": "1/10"}) == candidate_id(
    ...     "hedrx", "Li1Mn1O2"
    ... )
    True
    """
    amounts = {el: Fraction(amount) for el, amount in candidate["amounts"].items()}
    for element, amount in deviation.items():
        amounts[element] = amounts.get(element, Fraction(0)) + Fraction(amount)
    held = {el: amount for el, amount in amounts.items() if amount}
    return candidate_id(candidate["family"], canonical_formula(held))


def largest_deviation(deviation: Mapping[str, Fraction | str]) -> float:
    """
    Say how far a cell is from a candidate, in atoms per formula unit.

    ``deviation``: element → cell minus candidate, exact number per formula unit.

    Examples
    --------
    >>> largest_deviation({"Li": "-1/20", "O": "1/20"})
    0.05
    """
    return float(max((abs(Fraction(one)) for one in deviation.values()), default=0))


def same_cells(
    cells: Mapping[str, str], deviations: Mapping[str, Mapping[str, str]]
) -> dict[str, str]:
    """
    Choose under which candidate each shared cell is ranked: the nearest one.

    ``cells``: candidate → what was calculated for it, as :func:`cell_of` names it.
    ``deviations``: candidate → cell minus candidate, elements per formula unit.
    Returns: candidate → the one that stands for its cell; those that stand for their
    own are not in it.

    Examples
    --------
    >>> same_cells({"a": "b", "b": "b"}, {"a": {"Li": "1/10"}, "b": {}})
    {'a': 'b'}
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for name, cell in cells.items():
        groups[cell].append(name)
    found: dict[str, str] = {}
    for names in groups.values():
        nearest, *others = sorted(
            names, key=lambda name: (largest_deviation(deviations[name]), name)
        )
        found |= dict.fromkeys(others, nearest)
    return found


logger = logging.getLogger(__name__)


class _Part(TypedDict):
    candidate: CandidateRow
    records: list[ThermoRow]
    input_digest: str
    same_cell_as: str | None


class _Batch(TypedDict):
    inputs: list[_Part]


class SummaryBuilder(ScreeningBuilder):
    """
    Join what is known of each candidate of one campaign.

    Where candidates share one calculated cell, because it holds another composition
    than they have, the summaries of all but the nearest one name that one: a cell is
    ranked and counted once.

    A candidate whose records were not made from the same inputs on one hull, or not
    for every temperature, keeps the summary it has until they are, and is counted and
    named in the log: :func:`why_unmade`.

    ``summary`` is written, keyed by campaign and candidate. ``temperatures`` in K:
    those at which a candidate must have been assessed.
    """

    code_version = "7"

    def __init__(
        self,
        candidates: Store,
        thermo: Store,
        summary: Store,
        *,
        campaign: str,
        temperatures: Sequence[float],
        **options: Unpack[Options],
    ) -> None:
        self.candidates = candidates
        self.thermo = thermo
        self.summary = summary
        self.campaign = campaign
        self.temperatures = tuple(temperatures)
        super().__init__(
            [candidates, thermo],
            [summary],
            key=["candidate_id"],
            scope={"campaign": campaign},
            options=options,
        )

    def get_items(self) -> Iterator[_Batch]:
        """Yield batches of candidates whose summary is missing or outdated."""
        known = self.stored_digests(self.summary)
        for name in known:
            self.knows(name)
        groups, shared = self._groups()
        self.remove("candidate_id", set(known) - set(groups))
        digests: dict[str, str] = {}
        unmade: Counter[str] = Counter()
        for name, group in groups.items():
            why = why_unmade(group, self.temperatures)
            same = [shared[name]] if name in shared else []
            digest = why or self.digest(sorted(group.items()), *same)
            self.saw(digest)
            if why is None:
                digests[name] = digest
            else:
                unmade[why] += 1
        self._warn_unmade(unmade)
        outdated = [name for name in digests if known.get(name) != digests[name]]
        self.unchanged = len(digests) - len(outdated)
        for names in self.batches(outdated):
            records = by_key(self.thermo, names, "candidate_id", criteria=self.scope)
            docs = by_key(self.candidates, names, "candidate_id", criteria={})
            yield {
                "inputs": [
                    {
                        "candidate": docs[name][0],
                        "records": sorted(
                            records[name], key=lambda record: record["temperature"]
                        ),
                        "input_digest": digests[name],
                        "same_cell_as": shared.get(name),
                    }
                    for name in names
                    if name in docs
                ]
            }

    def _warn_unmade(self, unmade: Counter[str]) -> None:
        self.unmade = unmade.total()
        for why, number in unmade.most_common():
            logger.warning(
                "%d candidates of %s have no summary of all temperatures: %s; "
                "`hts build all` assesses them again",
                number,
                self.campaign,
                why,
            )

    def _groups(self) -> tuple[dict[str, Records], dict[str, str]]:
        """Group this worker's stabilities; name those ranked under others."""
        records, deviations = [], {}
        for record in self.thermo.query(self.scope, properties=list(RECORD_FIELDS)):
            if record["state"] == "successful":
                deviations[record["candidate_id"]] = record["deviation"]
            if self.mine(record["candidate_id"]):
                records.append(record)
        return grouped_records(records), self._shared_cells(deviations)

    def _shared_cells(
        self, deviations: Mapping[str, Mapping[str, str]]
    ) -> dict[str, str]:
        """Look for candidates whose calculated cell holds what another one's does."""
        far = {name: deviation for name, deviation in deviations.items() if deviation}
        if not far:
            return {}
        held: dict[str, str] = {}
        for doc in query_values(
            self.candidates,
            "candidate_id",
            far,
            criteria={},
            properties=["family", "amounts"],
        ):
            name = doc["candidate_id"]
            cell = held[name] = cell_of(cast("CandidateRow", doc), far[name])
            if cell in deviations and cell not in far:
                held[cell] = cell
        return same_cells(held, deviations)

    def process_item(self, item: _Batch) -> Made:
        """Return the summaries of one batch."""
        made = [
            candidate_summary(
                CandidateDoc.model_validate(part["candidate"]),
                [ThermoRecord.model_validate(record) for record in part["records"]],
                digest=part["input_digest"],
                same_cell_as=part["same_cell_as"],
            )
            for part in item["inputs"]
        ]
        return {"documents": dumped(made), "failed": 0}


def grouped_records(records: Iterable[Mapping[str, Any]]) -> dict[str, Records]:
    """
    Group the stabilities of a campaign by candidate, without those of which one failed.

    ``records``: of each :data:`RECORD_FIELDS`.
    """
    groups: dict[str, Records] = defaultdict(dict)
    failed = set()
    for record in records:
        name = record["candidate_id"]
        if record["state"] != "successful":
            failed.add(name)
        groups[name][record["temperature"]] = (
            record["input_digest"],
            record["hull_version"],
        )
    return {name: group for name, group in groups.items() if name not in failed}


def why_unmade(records: Records, temperatures: Sequence[float]) -> str | None:
    """
    Say why the stabilities of a candidate cannot be one summary; None where they can.

    ``records``: temperature in K → digest of the inputs and version of the hull.
    ``temperatures`` in K, at which it must have been assessed.

    Examples
    --------
    >>> why_unmade({0.0: ("i", "h")}, [0.0, 1000.0])
    'not assessed at 1000 K'
    >>> why_unmade({0.0: ("i", "h"), 1000.0: ("i", "g")}, [0.0, 1000.0])
    'assessed on different hulls: h at 0 K, g at 1000 K'
    """
    missing = sorted(set(temperatures) - set(records))
    if missing:
        return f"not assessed at {', '.join(f'{kelvin:g}' for kelvin in missing)} K"
    surplus = sorted(set(records) - set(temperatures))
    if surplus:
        said = ", ".join(f"{kelvin:g}" for kelvin in surplus)
        return f"still assessed at {said} K, which the campaign does not ask for"
    if len({version for _, version in records.values()}) > 1:
        said = ", ".join(f"{records[k][1]} at {k:g} K" for k in sorted(records))
        return f"assessed on different hulls: {said}"
    if len(set(records.values())) > 1:
        return "assessed from different inputs at different temperatures"
    return None


def candidate_summary(
    candidate: CandidateDoc,
    records: Sequence[ThermoRecord],
    *,
    digest: str,
    same_cell_as: str | None,
) -> SummaryDoc:
    """
    Flatten the stabilities of one candidate.

    ``records``: one successful record per temperature; ValueError if there is none.
    ``same_cell_as``: candidate under which the same calculated cell is ranked; none if
    under this.
    """
    results = {
        temperature_key(record.temperature): record.result
        for record in records
        if record.result is not None
    }
    if not results:
        raise ValueError(f"{candidate.candidate_id} has no successful record")
    record = records[0]
    first = next(iter(results.values()))
    estimates = first.orderings
    roles = _roles(candidate)

    def at_temperatures(name: str) -> dict[str, object]:
        values = {key: getattr(result, name) for key, result in results.items()}
        return {key: value for key, value in values.items() if value is not None}

    return SummaryDoc(
        **{name: getattr(candidate, name) for name in _OF_CANDIDATE},
        **{name: getattr(first, name) for name in _OF_RESULT},
        campaign=record.campaign,
        chemical_system="-".join(sorted(candidate.elements)),
        element_keys=(*sorted(candidate.elements), *element_pairs(candidate.elements)),
        n_metals=len({el for role in METAL_ROLES for el in roles.get(role, ())}),
        species=_species(candidate),
        roles={role.replace(" ", "_"): symbols for role, symbols in roles.items()},
        engine=record.engine,
        energy_above_hull=first.energy_above_hull_0k,
        energy_above_hull_at=at_temperatures("energy_above_hull"),
        energy_above_hull_upper_at=at_temperatures("energy_above_hull_random"),
        label_at=at_temperatures("label"),
        open_at=at_temperatures("open"),
        probability_stable_at=at_temperatures("probability_stable"),
        uncertainty_source=first.uncertainty_terms.words,
        mixing=mixing_words(first.entropy_terms.options),
        other_mixing=_other_mixing(first),
        energy_above_hull_other_at={
            key: result.other_mixings[0].energy_above_hull
            for key, result in results.items()
            if result.other_mixings
        },
        entropy_by_sublattice={
            term.sublattice: term.entropy_per_formula_unit
            for term in first.entropy_terms.terms
            if term.counted
        },
        n_orderings=estimates.n_orderings if estimates else 1,
        n_random_orderings=estimates.n_random if estimates else 0,
        orderings_by_campaign=record.orderings_by_campaign,
        lowest_ordering_kind=estimates.lowest_kind if estimates else None,
        ordering_spread=estimates.random_spread if estimates else None,
        entry_id=str(record.entry_id),
        calculated_formula=first.formula,
        deviation=largest_deviation(record.deviation),
        deviation_by_element=record.deviation,
        same_cell_as=same_cell_as,
        previous_at={
            temperature_key(record.temperature): record.previous
            for record in records
            if record.previous is not None
        },
        flags=_flags(candidate, first, record.flags),
        input_digest=digest,
    )


def _other_mixing(result: ThermoDoc) -> str:
    others = result.other_mixings
    return mixing_words(others[0].options) if others else ""


def _species(candidate: CandidateDoc) -> tuple[str, ...]:
    """Species of the chosen assignment; a vacancy is none."""
    found = {name for here in candidate.assignments[0].values() for name in here}
    return tuple(sorted(found - {VACANCY}))


def _roles(candidate: CandidateDoc) -> dict[str, tuple[str, ...]]:
    """Role in the species table → symbols of the chosen assignment."""
    found: dict[str, set[str]] = defaultdict(set)
    for name in _species(candidate):
        role = species_properties(name).role
        if role is not None:
            found[role].add(parse_species(name).element)
    return {role: tuple(sorted(symbols)) for role, symbols in sorted(found.items())}


def _flags(
    candidate: CandidateDoc, result: ThermoDoc, others: Sequence[str]
) -> tuple[str, ...]:
    own = ["releases gas"] if result.releases_gas else []
    if missing := _missing_compounds(result, candidate):
        own.append(f"no reference in {', '.join(missing)}")
    return tuple(dict.fromkeys([*own, *result.flags, *others]))


def _missing_compounds(result: ThermoDoc, candidate: CandidateDoc) -> list[str]:
    """Systems of one cation and one anion of the candidate that hold no reference."""
    anions = {
        parse_species(name).element
        for sublattice in candidate.assignments[0].values()
        for name in sublattice
        if parse_species(name).charge < 0
    }
    return [
        system
        for system in result.systems_without_reference
        if len(anions.intersection(system.split("-"))) == 1 and "-" in system
    ]
