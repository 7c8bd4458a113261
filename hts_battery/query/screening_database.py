"""The database as analysts see it: summaries by filter, as documents or frames."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from hts_battery.connections.database.stores import screening_stores
from hts_battery.errors import QueryError
from hts_battery.query.comparison import Comparison, compared
from hts_battery.query.explanation import explanation
from hts_battery.query.expressions import one_of
from hts_battery.query.groups import GroupCounts, counted, grouped
from hts_battery.query.reading import SummaryReader
from hts_battery.query.selection import default_fields, fields_of, selected_rows
from hts_battery.query.structures import computed_entry, structures
from hts_battery.query.tables import GroupBy, summary_rows
from hts_battery.schemas.field_spec import Kind
from hts_battery.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from pymatgen.core import Structure
    from pymatgen.entries.computed_entries import ComputedStructureEntry

    from hts_battery.connections.database.stores import Stores
    from hts_battery.query.explanation import Explanation
    from hts_battery.schemas.rows import SummaryRow


class ScreeningDatabase:
    """
    Read-only view of what the builders wrote.

    Filters are texts in OPTIMADE's language (``elements HAS ALL "Mn","Ti" AND
    e_hull_1473 <= 0``). They are answered from the table that the last build wrote;
    what is no column of it is read from the documents by their ids.

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
        criteria: str | None = None,
        *,
        limit: int = 0,
        sort: Sequence[str] | None = None,
        fields: Sequence[str] | None = None,
        campaign: str | None = None,
    ) -> Iterator[Any]:
        """
        Yield summaries, the most stable first.

        Parameters
        ----------
        criteria
            Filter; all if not given.
        campaign
            Name of a campaign; all if not given.
        limit
            Number of documents; 0 is no limit.
        sort
            Names of fields, falling ones with a minus before them; by E_hull if not
            given.
        fields
            Names of the fields to return, as :meth:`table` does; whole documents if
            not given, which takes several times as long.

        Raises
        ------
        QueryError
            If filter, order or fields are refused, or the server takes too long.
        """
        if fields is not None:
            yield from self.table(
                criteria, campaign=campaign, limit=limit, sort=sort, fields=fields
            )
            return
        table = self._reader.table()
        where = table.where(criteria, campaign)
        yield from self._reader.documents(
            table.sorted_rows(where, (), sort=sort, limit=limit)
        )

    def table(
        self,
        criteria: str | None = None,
        *,
        limit: int = 0,
        sort: Sequence[str] | None = None,
        fields: Sequence[str] | None = None,
        campaign: str | None = None,
    ) -> list[dict[str, object]]:
        """
        Return named fields of summaries, the most stable first.

        Parameters
        ----------
        criteria, campaign, limit, sort
            As for :meth:`find`.
        fields
            Names of the fields; those of
            :func:`~hts_battery.query.selection.default_fields` if not given.

        Returns
        -------
        list of dict
            Name of a field → value.

        Raises
        ------
        QueryError
            As for :meth:`find`.
        """
        table = self._reader.table()
        names = default_fields(table.temperatures) if fields is None else fields
        chosen = fields_of(names, table.field)
        where = table.where(criteria, campaign)
        paths = [field.column for field in chosen]
        rows = table.sorted_rows(where, paths, sort=sort, limit=limit)
        return selected_rows(rows.to_pydict(), chosen)

    def stable(
        self,
        *,
        temperature: float,
        threshold: float = 0.0,
        campaign: str | None = None,
        limit: int = 0,
        criteria: str | None = None,
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
            A further filter.
        """
        table = self._reader.table()
        where = table.where(criteria, campaign)
        rows = table.ranking(where, temperature, threshold=threshold)
        return self._reader.documents(rows.slice(0, limit or None))

    def temperatures(self) -> tuple[float, ...]:
        """Return every temperature in K at which a campaign was assessed."""
        return self._reader.table().temperatures

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
        mine = one_of("campaign", [campaign])
        rows = self._reader.table().ranking(mine, temperature)
        return self._reader.documents(rows.slice(first - 1, limit or None))

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
        found = self._reader.of_candidate(candidate_id)
        return [doc for doc in found if campaign in (None, doc["campaign"])]

    def count(self, criteria: str | None = None, *, campaign: str | None = None) -> int:
        """Return how many summaries match a filter."""
        table = self._reader.table()
        return table.count(table.where(criteria, campaign))

    def distinct(
        self, field: str, criteria: str | None = None, *, campaign: str | None = None
    ) -> list[tuple[object, int]]:
        """
        Return the values of a field and how many summaries have each.

        Parameters
        ----------
        field
            Name of a field; the items of a list count one by one.
        criteria, campaign
            As for :meth:`find`.

        Returns
        -------
        list of tuple
            Value and number, the commonest first.
        """
        table = self._reader.table()
        (chosen,) = fields_of([field], table.field)
        rows = table.rows(table.where(criteria, campaign), [chosen.column])
        return counted(rows[chosen.column], is_list=chosen.kind is Kind.LIST)

    def group(
        self,
        by: GroupBy | str,
        criteria: str | None = None,
        *,
        temperature: float | None = None,
        campaign: str | None = None,
    ) -> list[GroupCounts]:
        """
        Group summaries by element, element set or number of metals.

        Parameters
        ----------
        by
            One of :class:`~hts_battery.query.groups.GroupBy`.
        criteria, campaign
            As for :meth:`find`.
        temperature
            In K, at which stable ones are counted; the lowest stored one if not
            given.
        """
        table = self._reader.table()
        kelvin = min(table.temperatures, default=0.0)
        energy, is_open = table.assessed_at(
            kelvin if temperature is None else temperature
        )
        columns = (energy, "formula", is_open)
        where = table.where(criteria, campaign)
        rows = table.counted(where, columns[0], (*columns, GroupBy(by).column))
        return grouped(rows, columns, GroupBy(by))

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
        table, names = self._reader.table(), (first, second)
        return compared(self._stores, table, names, temperature=temperature)

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
        table = self._reader.table()
        return explanation(self._stores, table, candidate_id, campaign=campaign)

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
        criteria: str | None = None,
        *,
        limit: int = 0,
        sort: Sequence[str] | None = None,
        fields: Sequence[str] | None = None,
        campaign: str | None = None,
    ) -> pd.DataFrame:
        """
        Return summaries as a frame, one row each, the most stable first.

        Parameters
        ----------
        criteria, campaign, limit, sort, fields
            As for :meth:`find`.

        Returns
        -------
        pandas.DataFrame
            Flat columns, or the chosen ones; energies in eV/atom.
        """
        import pandas as pd  # noqa: PLC0415 - half a second that documents do not need

        if fields is not None:
            found = self.table(
                criteria, campaign=campaign, limit=limit, sort=sort, fields=fields
            )
            names = [field.name for field in fields_of(fields)]
            return pd.DataFrame(found, columns=names)
        table = self._reader.table()
        where = table.where(criteria, campaign)
        docs = table.summaries(where, sort=sort, limit=limit)
        return pd.DataFrame(summary_rows(docs))
