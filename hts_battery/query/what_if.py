"""What a stored stability says of other temperatures, and with one phase less."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict, cast

from hts_battery.errors import QueryError
from hts_battery.schemas.left_out import LeftOutTable
from hts_battery.schemas.thermo import CompetitorKind
from hts_battery.thermo.estimates import stability_label
from hts_battery.thermo.hull import Hull
from hts_battery.thermo.left_out_phases import left_out_phases
from hts_battery.thermo.ordering_spectrum import energies_above_hull

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.rows import ResultRow, ThermoRow

OTHERS_COMPETE = (
    "other candidates took part, each with its own entropy: their hull at another "
    "temperature is not stored; name the temperature in the campaign, `hts build all`"
)
_OTHER_PRODUCTS = (
    "other candidates or orderings took part, which the stored hull does not hold: ask "
    "a campaign without other_candidates and own_orderings"
)


class CurvePoint(TypedDict):
    """E_hull of one candidate of one campaign at one temperature, eV/atom."""

    candidate_id: str
    formula: str
    campaign: str
    engine: str
    temperature: float
    energy_above_hull: float | None
    energy_above_hull_lowest: float | None
    energy_above_hull_random: float | None
    label: str | None
    hull_version: str
    reason: str | None


def stability_curve(
    stores: Stores,
    candidate_id: str,
    temperatures: Sequence[float],
    *,
    campaign: str | None = None,
) -> list[CurvePoint]:
    """
    Say E_hull of a candidate at any temperatures from the terms that are stored.

    Nothing is built again: without other candidates among the competing phases E_hull
    is linear in the temperature. With them, temperatures that were not built have no
    number but a reason.

    ``temperatures`` in K. ``campaign``: its name; all that screened it if not given.
    Returns: one a campaign and temperature.
    """
    points: list[CurvePoint] = []
    for records in _records(stores, candidate_id, campaign):
        built = {record["temperature"]: _result(record) for record in records}
        first, result = records[0], _result(records[0])
        energies = energies_above_hull(
            result["energy_above_hull_0k"], result["entropy"], list(temperatures)
        )
        others = result["options"]["other_candidates"]
        for temperature, linear in zip(temperatures, energies.tolist(), strict=True):
            known = built.get(temperature)
            stored = None if known is None else known["energy_above_hull"]
            energy = stored if others else linear
            lift = 0.0 if known is None else known["competition_term"]
            points.append(
                {
                    "candidate_id": candidate_id,
                    "formula": result["formula"],
                    "campaign": first["campaign"],
                    "engine": first["engine"],
                    "temperature": float(temperature),
                    "energy_above_hull": energy,
                    "energy_above_hull_lowest": _bound(result, "lowest", energy),
                    "energy_above_hull_random": _bound(result, "random_mean", energy),
                    "label": None
                    if energy is None
                    else str(
                        stability_label(
                            result["energy_above_hull_0k"],
                            result["entropy"],
                            temperature,
                            competition_term=lift,
                        )
                    ),
                    "hull_version": result["hull_version"],
                    "reason": OTHERS_COMPETE if energy is None else None,
                }
            )
    return points


def _bound(
    result: ResultRow, name: Literal["lowest", "random_mean"], energy: float | None
) -> float | None:
    """Move a bound with the energy: all orderings are compared with one hull."""
    estimates = result["orderings"]
    bound = None if estimates is None else estimates[name]
    if bound is None or energy is None:
        return None
    return energy + bound - result["energy_per_atom"]


def left_out_tables(
    stores: Stores,
    candidate_id: str,
    *,
    temperature: float | None = None,
    campaign: str | None = None,
) -> list[LeftOutTable]:
    """
    Leave each product of a candidate out in turn, on the hull that its build stored.

    ``temperature`` in K, any; the highest that was built if not given. ``campaign``:
    its name; all that screened it if not given. Returns: one table a campaign. Raises
    QueryError if the hull is not in the database any more.
    """
    return [
        _left_out(stores, records, temperature)
        for records in _records(stores, candidate_id, campaign)
    ]


def _left_out(
    stores: Stores, records: Sequence[ThermoRow], asked: float | None
) -> LeftOutTable:
    record = max(records, key=lambda one: one["temperature"])
    result = _result(record)
    temperature = record["temperature"] if asked is None else asked
    term = 0.0 - temperature * result["entropy"]
    above = float(
        energies_above_hull(
            result["energy_above_hull_0k"], result["entropy"], temperature
        )[0]
    )
    products = {
        phase["reference_id"]: phase["amount"]
        for phase in result["decomposition"]
        if phase["kind"] == CompetitorKind.REFERENCE
    }
    others = result["options"]["other_candidates"] or len(products) < len(
        result["decomposition"]
    )
    return LeftOutTable(
        candidate_id=record["candidate_id"],
        formula=result["formula"],
        campaign=record["campaign"],
        engine=record["engine"],
        temperature=temperature,
        energy_above_hull=above,
        hull_version=result["hull_version"],
        phases=()
        if others
        else left_out_phases(
            stored_hull(stores, result["hull_version"]),
            result["formula"],
            result["energy_per_atom"],
            phases=products,
            entropy_term=term,
            exclude=result["excluded_references"],
        ),
        reason=_OTHER_PRODUCTS if others else None,
    )


def stored_hull(stores: Stores, version: str) -> Hull:
    """Make the hull of a stored version again. QueryError if it is gone."""
    found = stores.hulls.query_one({"hull_version": version})
    if found is None:
        raise QueryError(
            f"the hull {version} is not in this database any more: `hts build all` "
            "makes and stores it"
        )
    names, formulas, energies = zip(*found["references"], strict=True)
    return Hull(formulas, energies, ids=names)


def _records(
    stores: Stores, candidate_id: str, campaign: str | None
) -> Iterator[list[ThermoRow]]:
    """Yield the stabilities of each campaign that has some, by temperature."""
    groups: dict[str, list[ThermoRow]] = {}
    found = stores.thermo.query({"candidate_id": candidate_id}, sort={"temperature": 1})
    for record in cast("Iterator[ThermoRow]", found):
        if record["result"] and campaign in (None, record["campaign"]):
            groups.setdefault(record["campaign"], []).append(record)
    yield from (groups[name] for name in sorted(groups))


def _result(record: ThermoRow) -> ResultRow:
    return cast("ResultRow", record["result"])
