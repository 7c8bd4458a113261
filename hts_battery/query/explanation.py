"""Why a candidate is where it is: every term of its E_hull, and where it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict, cast

from hts_battery.schemas.entropy import EntropyOptions
from hts_battery.thermo.entropy import mixing_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hts_battery.connections.database.stores import Stores
    from hts_battery.query.reading import SummaryReader
    from hts_battery.schemas.rows import (
        AdjustmentRow,
        EntropyTermRow,
        OrderingRow,
        PhaseRow,
        ResultRow,
        ThermoRow,
    )

_TERMS = (
    "energy_per_atom",
    "hull_energy",
    "energy_above_hull_0k",
    "entropy_term",
    "competition_term",
    "energy_above_hull",
    "energy_above_hull_lowest",
    "energy_above_hull_random",
    "energy_above_hull_gibbs",
    "label",
    "open",
    "probability_stable",
    "other_mixings",
)
_DEPTH = (
    "hull_depth_risk",
    "hull_depth_risk_reported",
    "hull_depth_reason",
    "missing_compositions",
    "needed_systems_without_reference",
)


class CellEnergy(TypedDict):
    """Energy of the calculated cell in eV, and what was added to it."""

    uncorrected_energy: float | None
    n_atoms: int | None
    corrections: Sequence[AdjustmentRow]
    scheme: str | None


class Explanation(TypedDict):
    """How the numbers of one candidate of one campaign were made, energies in eV."""

    candidate_id: str
    formula: str
    calculated_formula: str
    same_cell_as: str | None
    campaign: str
    engine: str
    calculator: str
    entry_id: str | None
    terms: list[dict[str, Any]]
    rank: dict[str, int | None]
    entropy: float
    mixing: str
    other_mixings: list[str]
    entropy_terms: Sequence[EntropyTermRow]
    mixing_temperature: float | None
    decomposition: Sequence[PhaseRow]
    chemical_potentials: Mapping[str, float]
    energy_per_cell: CellEnergy
    orderings: Sequence[OrderingRow]
    orderings_by_campaign: Mapping[str, int]
    deviation: Mapping[str, str]
    ordering_spread: float | None
    uncertainty: float | None
    uncertainty_terms: Mapping[str, object]
    references: dict[str, Any]
    flags: list[str]


def explanation(
    stores: Stores,
    reader: SummaryReader,
    candidate_id: str,
    *,
    campaign: str | None = None,
) -> list[Explanation]:
    """
    Say how each E_hull of a candidate was made.

    ``campaign``: name of a campaign; all that screened it if not given. Returns: one
    per campaign: ``terms`` (one per temperature; energy_above_hull is energy_per_atom -
    hull_energy + entropy_term + competition_term, eV/atom), ``entropy`` (each
    sublattice's), ``decomposition``, ``corrections`` (eV per cell), ``orderings``,
    ``uncertainty``, ``references``, ``rank``, and which ``mixing`` is counted with the
    names of ``other_mixings``, whose numbers stand in the terms.
    """
    criteria = {"candidate_id": candidate_id}
    groups: dict[str, list[ThermoRow]] = {}
    found = stores.thermo.query(criteria, sort={"temperature": 1})
    for record in cast("Iterator[ThermoRow]", found):
        if record["result"] and campaign in (None, record["campaign"]):
            groups.setdefault(record["campaign"], []).append(record)
    return [
        _explained(stores, reader, name, group)
        for name, group in sorted(groups.items())
    ]


def _explained(
    stores: Stores, reader: SummaryReader, campaign: str, records: list[ThermoRow]
) -> Explanation:
    first = records[0]
    results = [cast("ResultRow", record["result"]) for record in records]
    result = results[0]
    estimates = result["orderings"]
    entry = stores.entries.query_one({"entry_id": first["entry_id"]}) or {}
    energy = entry.get("energy") or {}
    key = {"campaign": campaign, "candidate_id": first["candidate_id"]}
    summary = stores.summary.query_one(key) or {}
    return {
        "candidate_id": first["candidate_id"],
        "formula": summary.get("formula", result["formula"]),
        "calculated_formula": result["formula"],
        "same_cell_as": summary.get("same_cell_as"),
        "campaign": campaign,
        "engine": first["engine"],
        "calculator": result["calculator"],
        "entry_id": first["entry_id"],
        "terms": [
            {
                "temperature": record["temperature"],
                **{name: terms[name] for name in _TERMS},
            }
            for record, terms in zip(
                records, cast("list[Mapping[str, object]]", results), strict=True
            )
        ],
        "rank": {
            f"{record['temperature']:g}": reader.rank(
                campaign, record["temperature"], record["candidate_id"]
            )
            for record in records
        },
        "entropy": result["entropy"],
        "mixing": mixing_words(
            EntropyOptions.model_validate(result["entropy_terms"]["options"])
        ),
        "other_mixings": [
            mixing_words(EntropyOptions.model_validate(other["options"]))
            for other in result["other_mixings"]
        ],
        "entropy_terms": result["entropy_terms"]["terms"],
        "mixing_temperature": result["mixing_temperature"],
        "decomposition": result["decomposition"],
        "chemical_potentials": result["chemical_potentials"],
        "energy_per_cell": {
            "uncorrected_energy": energy.get("uncorrected_energy"),
            "n_atoms": energy.get("n_atoms"),
            "corrections": energy.get("adjustments", []),
            "scheme": energy.get("correction_scheme"),
        },
        "orderings": first["orderings"],
        "orderings_by_campaign": first.get("orderings_by_campaign", {}),
        "deviation": first["deviation"],
        "ordering_spread": estimates["random_spread"] if estimates else None,
        "uncertainty": result["uncertainty"],
        "uncertainty_terms": result["uncertainty_terms"],
        "references": {
            "hull_version": result["hull_version"],
            "n_references": result["n_references"],
            "excluded": result["excluded_references"],
            "systems_without_reference": result["systems_without_reference"],
            **{name: result.get(name) for name in _DEPTH},
        },
        "flags": [*result["flags"], *first["flags"]],
    }
