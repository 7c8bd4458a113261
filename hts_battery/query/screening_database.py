"""The database as analysts see it: summaries by filter, as documents or frames."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from hts_battery.connections.stores import screening_stores
from hts_battery.query.tables import summary_rows
from hts_battery.schemas.summary import temperature_key
from hts_battery.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from hts_battery.connections.stores import Stores

_ORDER = {"energy_above_hull": 1, "candidate_id": 1}


class ScreeningDatabase:
    """
    Read-only view of what the builders wrote.

    Parameters
    ----------
    stores
        Open stores; if not given, those of the settings are opened and closed again
        by :meth:`close` or at the end of a ``with`` block.

    Examples
    --------
    Not run here, since it needs a database::

        with ScreeningDatabase() as screening:
            screening.to_frame({"energy_above_hull_at.1473K": {"$lte": 0}})
    """

    def __init__(self, stores: Stores | None = None) -> None:
        self._stack = ExitStack()
        if stores is None:
            stores = self._stack.enter_context(screening_stores(get_settings()))
        self._stores = stores

    def close(self) -> None:
        """Close what was opened here."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def find(
        self,
        criteria: Mapping[str, Any] | None = None,
        *,
        limit: int = 0,
        sort: Mapping[str, int] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """
        Yield summaries, the most stable first.

        Parameters
        ----------
        criteria
            MongoDB filter on the fields of
            :class:`~hts_battery.schemas.summary.SummaryDoc`; all if not given.
        limit
            Number of documents; 0 is no limit.
        sort
            Field → 1 or -1; by E_hull if not given.
        """
        for doc in self._stores.summary.query(
            dict(criteria or {}), sort=dict(sort or _ORDER), limit=limit
        ):
            doc.pop("_id", None)
            yield doc

    def stable(
        self,
        *,
        temperature: float,
        threshold: float = 0.0,
        campaign: str | None = None,
        limit: int = 0,
    ) -> Iterator[dict[str, Any]]:
        """
        Yield summaries at or below a threshold at a stored temperature.

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
        """
        field = f"energy_above_hull_at.{temperature_key(temperature)}"
        criteria: dict[str, Any] = {field: {"$lte": threshold}}
        if campaign is not None:
            criteria["campaign"] = campaign
        return self.find(criteria, limit=limit, sort={field: 1, "candidate_id": 1})

    def has_temperature(self, temperature: float) -> bool:
        """
        Say whether any summary was judged at a temperature.

        Parameters
        ----------
        temperature
            In K.
        """
        field = f"energy_above_hull_at.{temperature_key(temperature)}"
        return next(self.find({field: {"$exists": True}}, limit=1), None) is not None

    def ranking(self, *, campaign: str, temperature: float) -> Iterator[dict[str, Any]]:
        """
        Yield every summary of a campaign, the most stable at a temperature first.

        Parameters
        ----------
        campaign
            Name of the campaign.
        temperature
            In K; one that the builders used.
        """
        field = f"energy_above_hull_at.{temperature_key(temperature)}"
        return self.find({"campaign": campaign}, sort={field: 1, "candidate_id": 1})

    def get(self, candidate_id: str) -> list[dict[str, Any]]:
        """
        Return the summaries of one candidate, one per campaign that screened it.

        Parameters
        ----------
        candidate_id
            Key of the candidate.

        Returns
        -------
        list[dict]
            Empty if no builder has judged it.
        """
        return list(self.find({"candidate_id": candidate_id}))

    def to_frame(self, criteria: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """
        Return summaries as a frame, one row each, the most stable first.

        Parameters
        ----------
        criteria
            As for :meth:`find`.

        Returns
        -------
        pandas.DataFrame
            Flat columns; energies in eV/atom.
        """
        import pandas as pd  # noqa: PLC0415 - half a second that documents do not need

        return pd.DataFrame(summary_rows(self.find(criteria)))
