"""The database as analysts see it: summaries by filter, as documents or frames."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

from hts_battery.connections.database.stores import screening_stores
from hts_battery.errors import QueryError
from hts_battery.query.columns import documents, sorted_documents
from hts_battery.query.comparison import Comparison, compared
from hts_battery.query.explanation import explanation
from hts_battery.query.groups import NEEDED, GroupBy, GroupCounts, grouped
from hts_battery.query.query_fields import Kind
from hts_battery.query.rankings import ranked
from hts_battery.query.reading import COLD, ENERGY_AT, ONCE, SummaryReader
from hts_battery.query.selection import (
    criteria_of,
    default_fields,
    fields_of,
    joined,
    order_of,
    selected_rows,
)
from hts_battery.query.structures import computed_entry, structures
from hts_battery.query.tables import summary_rows
from hts_battery.schemas.summary import temperature_key
from hts_battery.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd
    from pymatgen.core import Structure
    from pymatgen.entries.computed_entries import ComputedStructureEntry

    from hts_battery.connections.database.stores import Stores
    from hts_battery.query.conditions import Criteria
    from hts_battery.query.explanation import Explanation
    from hts_battery.query.selection import Filter
    from hts_battery.schemas.rows import SummaryRow

_ENERGIES = "energy_above_hull_at"
_OPEN = "open_at"
_ORDER = {COLD: 1, "candidate_id": 1}


class ScreeningDatabase:
    """
    Read-only view of what the builders wrote.

    Filters are texts in OPTIMADE's language (``elements HAS ALL "Mn","Ti" AND
    e_hull_1473 <= 0``) or MongoDB filters on the fields of
    :class:`~hts_battery.schemas.summary.SummaryDoc`.

    Parameters
    ----------
    stores
        Open stores; if not given, those of the settings are opened and closed again
        by :meth:`close` or at the end of a ``with`` block.
    time_limit
        Seconds that the server may take for one query; none if not given.

    Examples
    --------
    Not run here, since it needs a database::

        with ScreeningDatabase() as screening:
            screening.to_frame('elements HAS "Mn" AND e_hull_1473 <= 0')
    """

    def __init__(
        self, stores: Stores | None = None, *, time_limit: float | None = None
    ) -> None:
        self._stack = ExitStack()
        if stores is None:
            stores = self._stack.enter_context(screening_stores(get_settings()))
        self._stores = stores
        self._reader = SummaryReader(stores, time_limit=time_limit)

    def close(self) -> None:
        """Close what was opened here."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def find(
        self,
        criteria: Filter | None = None,
        *,
        limit: int = 0,
        sort: Mapping[str, int] | Sequence[str] | None = None,
        fields: Sequence[str] | None = None,
    ) -> Iterator[Any]:
        """
        Yield summaries, the most stable first.

        Parameters
        ----------
        criteria
            Filter of either language; all if not given.
        limit
            Number of documents; 0 is no limit.
        sort
            Names of fields, falling ones with a minus before them; or path → 1 or -1.
            By E_hull if not given.
        fields
            Names of the fields to return, as :meth:`table` does; whole documents if
            not given, which takes several times as long.

        Raises
        ------
        QueryError
            If filter, order or fields are refused, or the server takes too long.
        """
        if fields is not None:
            yield from self.table(criteria, limit=limit, sort=sort, fields=fields)
            return
        found = criteria_of(criteria, temperatures=self._known(criteria))
        yield from self._reader.in_order(found, self._order(sort), limit)

    def documents(
        self,
        criteria: Filter | None = None,
        *,
        limit: int = 0,
        sort: Mapping[str, int] | Sequence[str] | None = None,
    ) -> list[SummaryRow]:
        """
        Return the same summaries as :meth:`find`, all of them in memory.

        Without a limit they are sorted here, which spares the server half of its work.

        Parameters
        ----------
        criteria, limit, sort
            As for :meth:`find`.
        """
        if limit:
            return list(self.find(criteria, limit=limit, sort=sort))
        found = criteria_of(criteria, temperatures=self._known(criteria))
        docs = self._reader.summaries(self._reader.plan(found).stages())
        return sorted_documents(docs, self._order(sort))

    def table(
        self,
        criteria: Filter | None = None,
        *,
        limit: int = 0,
        sort: Mapping[str, int] | Sequence[str] | None = None,
        fields: Sequence[str] | None = None,
    ) -> list[dict[str, object]]:
        """
        Return named fields of summaries, the most stable first, as the last build left.

        Parameters
        ----------
        criteria, limit, sort
            As for :meth:`find`.
        fields
            Names of the fields; :meth:`default_fields` if not given.

        Returns
        -------
        list of dict
            Name of a field → value.

        Raises
        ------
        QueryError
            As for :meth:`find`.
        """
        stored = self.temperatures()
        found = criteria_of(criteria, temperatures=stored or None)
        names = default_fields(stored) if fields is None else fields
        chosen = fields_of(names, temperatures=stored)
        paths = {field.path for field in chosen}
        docs = self._reader.fields(found, paths, self._order(sort, stored), limit)
        return selected_rows(docs, chosen)

    def default_fields(self) -> tuple[str, ...]:
        """Name the fields of a table for which none are asked for."""
        return default_fields(self.temperatures())

    def _order(
        self,
        sort: Mapping[str, int] | Sequence[str] | None,
        stored: tuple[float, ...] | None = None,
    ) -> dict[str, int]:
        if sort is None:
            return dict(_ORDER)
        if isinstance(sort, dict):
            return dict(sort)
        return order_of(list(sort), temperatures=stored or self.temperatures())

    def _known(self, criteria: object) -> tuple[float, ...] | None:
        """Return stored temperatures for a filter in words; None before any build."""
        return (
            self.temperatures() or None
            if isinstance(criteria, str) and criteria.strip()
            else None
        )

    def stable(
        self,
        *,
        temperature: float,
        threshold: float = 0.0,
        campaign: str | None = None,
        limit: int = 0,
        criteria: Filter | None = None,
    ) -> Iterator[SummaryRow]:
        """
        Yield summaries at or below a threshold at a stored temperature.

        A calculated cell that several candidates share comes once.

        Parameters
        ----------
        temperature
            In K; one that the builders used.
        threshold
            Largest E_hull(T) in eV/atom.
        campaign
            Name of a campaign; all if not given.
        limit
            Number of documents; 0 is no limit.
        criteria
            A further filter of either language.
        """
        field = f"{ENERGY_AT}{temperature_key(temperature)}"
        bound: Criteria = {field: {"$lte": threshold}}
        if campaign is not None:
            bound = {"campaign": campaign, **bound}
        if self._reader.shares_cells(campaign):
            bound[ONCE] = None
        found = joined(bound, criteria_of(criteria, temperatures=self._known(criteria)))
        return self._reader.in_order(found, {field: 1, "candidate_id": 1}, limit)

    def temperatures(self) -> tuple[float, ...]:
        """Return every temperature in K at which a campaign was assessed."""
        return tuple(
            sorted(
                {
                    value
                    for at in self._reader.stored_temperatures().values()
                    for value in at
                }
            )
        )

    def has_temperature(self, temperature: float) -> bool:
        """Say whether any summary was assessed at a temperature in K."""
        return temperature in self.temperatures()

    def aggregates(self) -> list[dict[str, Any]]:
        """Return what each campaign adds up to, by its name; few documents."""
        return list(self._stores.aggregates.aggregated([{"$sort": {"campaign": 1}}]))

    def ranking(
        self, *, campaign: str, temperature: float, first: int = 1, limit: int = 0
    ) -> Iterator[SummaryRow]:
        """
        Yield the summaries of a campaign, the most stable at a temperature first.

        Parameters
        ----------
        campaign
            Name of the campaign.
        temperature
            In K; one that the builders used.
        first
            Rank to begin with: the next page begins where the last one ended.
        limit
            Number of documents; 0 is no limit.
        """
        places = ranked(self._stores, campaign, temperature, first=first)
        return self._reader.at(islice(places, limit or None))

    def get(
        self, candidate_id: str, *, campaign: str | None = None
    ) -> list[SummaryRow]:
        """
        Return the summaries of one candidate, one per campaign that screened it.

        Parameters
        ----------
        candidate_id
            Key of the candidate.
        campaign
            Name of a campaign; all, by name, if not given.

        Returns
        -------
        list[dict]
            Empty if no builder has assessed it; ``campaign`` and ``engine`` say whose.
        """
        wanted = {} if campaign is None else {"campaign": campaign}
        found = self.find({"candidate_id": candidate_id, **wanted})
        return sorted(found, key=lambda doc: str(doc["campaign"]))

    def count(self, criteria: Filter | None = None) -> int:
        """Return how many summaries match a filter."""
        found = criteria_of(criteria, temperatures=self._known(criteria))
        rows = self._reader.columns(found, ())
        if rows is not None:
            return len(rows)
        stages = self._reader.plan(found).stages()
        stages.append({"$count": "n"})
        return next((doc["n"] for doc in self._reader.aggregated(stages)), 0)

    def distinct(
        self, field: str, criteria: Filter | None = None
    ) -> list[tuple[Any, int]]:
        """
        Return the values of a field and how many summaries have each.

        Parameters
        ----------
        field
            Name of a field; the items of a list count one by one.
        criteria
            Filter of either language; all if not given.

        Returns
        -------
        list of tuple
            Value and number, the commonest first.
        """
        found = criteria_of(criteria, temperatures=self._known(criteria))
        (chosen,) = fields_of([field], temperatures=self.temperatures())
        rows = self._reader.columns(found, [chosen.path])
        if rows is not None:
            return _counted([row[chosen.path] for row in rows])
        stages = self._reader.plan(found).stages()
        if chosen.kind is Kind.LIST:
            stages.append({"$unwind": f"${chosen.path.partition('.formula')[0]}"})
        stages.append({"$group": {"_id": f"${chosen.path}", "n": {"$sum": 1}}})
        stages.append({"$project": {"value": "$_id", "n": 1}})
        pairs = [
            (doc.get("value"), doc["n"]) for doc in self._reader.aggregated(stages)
        ]
        return sorted(pairs, key=lambda pair: (-pair[1], str(pair[0])))

    def group(
        self,
        by: GroupBy | str,
        criteria: Filter | None = None,
        *,
        temperature: float | None = None,
    ) -> list[GroupCounts]:
        """
        Group summaries by element, element set or number of metals.

        Parameters
        ----------
        by
            One of :class:`~hts_battery.query.groups.GroupBy`.
        criteria
            Filter of either language; all if not given.
        temperature
            In K, at which stable ones are counted; the lowest stored one if not
            given.
        """
        found = criteria_of(criteria, temperatures=self._known(criteria))
        kelvin = min(self.temperatures(), default=0.0)
        key = temperature_key(kelvin if temperature is None else temperature)
        paths = (*NEEDED, f"{ENERGY_AT}{key}", f"{_OPEN}.{key}")
        rows = self._reader.columns(found, paths)
        if rows is not None:
            return grouped(documents(rows), GroupBy(by), key=key)
        stages = self._reader.plan(found).stages()
        stages.append({"$project": dict.fromkeys((*NEEDED, _ENERGIES, _OPEN), 1)})
        return grouped(self._reader.summaries(stages), GroupBy(by), key=key)

    def compare(self, first: str, second: str, *, temperature: float) -> Comparison:
        """
        Compare what two campaigns, or two engines, say of the same candidates.

        Parameters
        ----------
        first, second
            Names of campaigns or of engines.
        temperature
            In K; one that the builders used.
        """
        return compared(self._stores, first, second, temperature=temperature)

    def why(
        self, candidate_id: str, *, campaign: str | None = None
    ) -> list[Explanation]:
        """
        Say how each E_hull of a candidate was made, term by term.

        Parameters
        ----------
        candidate_id
            Key of the candidate.
        campaign
            Name of a campaign; all if not given.
        """
        return explanation(self._stores, candidate_id, campaign=campaign)

    def structure(self, candidate_id: str, *, campaign: str | None = None) -> Structure:
        """
        Return the relaxed structure of a candidate's lowest ordering.

        Parameters
        ----------
        candidate_id
            Key of the candidate.
        campaign
            Whose ordering; may be left out where one campaign alone has assessed it.

        Raises
        ------
        QueryError
            If no builder has assessed the candidate, or its calculation is gone; names
            the campaigns where several have assessed it and none is named.
        """
        ((_, found),) = structures(self._stores, [self._one(candidate_id, campaign)])
        return found

    def entry(
        self, candidate_id: str, *, campaign: str | None = None
    ) -> ComputedStructureEntry:
        """
        Return a candidate's lowest ordering as pymatgen's computed entry.

        Raises
        ------
        QueryError
            As for :meth:`structure`.
        """
        return computed_entry(self._stores, self._one(candidate_id, campaign))

    def structures(
        self, summaries: Sequence[SummaryRow]
    ) -> Iterator[tuple[SummaryRow, Structure]]:
        """Yield each summary with the relaxed structure of its lowest ordering."""
        return structures(self._stores, summaries)

    def _one(self, candidate_id: str, campaign: str | None) -> SummaryRow:
        found = self.get(candidate_id, campaign=campaign)
        if not found:
            place = "" if campaign is None else f" in campaign {campaign}"
            raise QueryError(f"no builder has assessed candidate {candidate_id}{place}")
        if len(found) > 1:
            names = ", ".join(f"{doc['campaign']} ({doc['engine']})" for doc in found)
            raise QueryError(
                f"candidate {candidate_id} has been assessed by several campaigns: "
                f"{names}; name one of them as campaign"
            )
        return found[0]

    def to_frame(
        self,
        criteria: Filter | None = None,
        *,
        limit: int = 0,
        sort: Sequence[str] | None = None,
        fields: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """
        Return summaries as a frame, one row each, the most stable first.

        Parameters
        ----------
        criteria, limit, sort, fields
            As for :meth:`find`.

        Returns
        -------
        pandas.DataFrame
            Flat columns, or the chosen ones; energies in eV/atom.
        """
        import pandas as pd  # noqa: PLC0415 - half a second that documents do not need

        if fields is not None:
            found = self.table(criteria, limit=limit, sort=sort, fields=fields)
            return pd.DataFrame(found, columns=list(fields))
        docs = self.documents(criteria, limit=limit, sort=sort)
        return pd.DataFrame(summary_rows(docs))


def _counted(values: Sequence[Any]) -> list[tuple[Any, int]]:
    """Count values, those of lists one by one, the commonest first."""
    each = [
        one
        for value in values
        for one in (value if isinstance(value, list) else [value])
    ]
    return sorted(Counter(each).items(), key=lambda pair: (-pair[1], str(pair[0])))
