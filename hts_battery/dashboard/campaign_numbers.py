"""The numbers of one campaign at any temperature, from columns of the table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from hts_battery.query.expressions import EVERYTHING, ONCE, one_of
from hts_battery.schemas.summary import temperature_key
from hts_battery.schemas.summary_table import AMOUNTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from hts_battery.query.summary_table import SummaryTable

    Floats = NDArray[np.float64]

CARRIERS_AND_ANIONS = frozenset(("Li", "Na", "K", "O", "F"))
_NUMBERS = ("energy_above_hull", "entropy", "uncertainty", "hull_depth_risk")
_AT = (
    "energy_above_hull_at",
    "energy_above_hull_upper_at",
    "energy_above_hull_other_at",
)


@dataclass(frozen=True)
class CampaignNumbers:
    """
    Candidates of one campaign, each calculated cell once, in the order of their keys.

    E_hull at a temperature that the builders used is theirs; at another one it is
    E_hull - T·S of the stored terms, which is the same wherever other candidates take
    no part in the hull.
    """

    rows: pa.Table
    """The columns of the table of summaries."""
    stored: tuple[float, ...]
    """Temperatures in K at which the builders have assessed them."""

    def __len__(self) -> int:
        return len(self.rows)

    def array(self, path: str) -> Floats:
        """Return a column of numbers; what is not known is NaN."""
        found: Floats = self.rows[path].to_numpy().astype(float)
        return found

    def _stored(self, field: str, kelvin: float) -> Floats:
        return self.array(f"{field}.{temperature_key(kelvin)}")

    @cached_property
    def energies(self) -> Floats:
        """E_hull without entropy, eV/atom."""
        return self.array("energy_above_hull")

    @cached_property
    def entropies(self) -> Floats:
        """Ideal mixing entropy, eV/K per atom."""
        return self.array("entropy")

    @cached_property
    def uncertainties(self) -> Floats:
        """Standard uncertainty of E_hull, eV/atom; NaN where not known."""
        return self.array("uncertainty")

    @cached_property
    def gaps(self) -> Floats:
        """
        Mean of the random orderings minus the lowest one, eV/atom; NaN without any.

        It is the same at every temperature.
        """
        found = np.full(len(self), np.nan)
        for kelvin in self.stored:
            gap = self._stored(_AT[1], kelvin) - self._stored(_AT[0], kelvin)
            found = np.where(np.isnan(found), gap, found)
        return found

    @cached_property
    def other_entropies(self) -> Floats:
        """
        Mixing entropy that is counted minus that of the other convention.

        In eV/K per atom; NaN where that is not known.
        """
        found = np.full(len(self), np.nan)
        for kelvin in filter(None, self.stored):
            added = self._stored(_AT[2], kelvin) - self._stored(_AT[0], kelvin)
            found = np.where(np.isnan(found), added / kelvin, found)
        return found

    def at(self, temperature: float) -> Floats:
        """Return E_hull of every row at a temperature in K, in eV/atom."""
        linear = self.energies - temperature * self.entropies
        if temperature not in self.stored:
            return linear
        built = self._stored(_AT[0], temperature)
        return np.where(np.isnan(built), linear, built)

    def upper(self, temperature: float) -> Floats:
        """Return the mean of the random orderings at a temperature, eV/atom."""
        return self.at(temperature) + self.gaps

    def other(self, temperature: float) -> Floats:
        """Return E_hull at a temperature had the other mixing been counted, eV/atom."""
        return self.at(temperature) + temperature * self.other_entropies

    def open(self, temperature: float) -> NDArray[np.bool_]:
        """
        Say which labels may turn at a temperature in K.

        As :func:`~hts_battery.thermo.estimates.is_open`; what is not known opens none.
        """
        hot = self.at(temperature)
        near = np.abs(hot) < self.uncertainties
        crossed = ~np.isnan(self.gaps) & ((hot <= 0) != (hot + self.gaps <= 0))
        return np.asarray(near | crossed)

    def stable(self, temperature: float) -> tuple[int, int]:
        """Count what is stable at a temperature, and what of it is certain."""
        below = self.at(temperature) <= 0
        return int(below.sum()), int((below & ~self.open(temperature)).sum())

    def stable_curve(self, temperatures: Floats) -> NDArray[np.int64]:
        """Count the same at some temperatures in K: stable, and of them certain."""
        found = [self.stable(float(kelvin)) for kelvin in temperatures]
        return np.array(found, np.int64).T

    def ranking(self, temperature: float) -> NDArray[np.int64]:
        """Return the rows, the most stable at a temperature in K first."""
        return np.argsort(self.at(temperature), kind="stable")

    def amounts(self, element: str) -> Floats:
        """Return the atoms of an element per formula unit."""
        return np.nan_to_num(self.array(f"{AMOUNTS}{element}"))


def read_numbers(
    table: SummaryTable,
    campaign: str | None,
    columns: Sequence[str] = (),
    *,
    where: pc.Expression = EVERYTHING,
) -> CampaignNumbers:
    """
    Read the numbers of a campaign.

    ``campaign``: name; nothing belongs to none. ``columns``: others to read beside
    them. ``where``: filter, as
    :func:`~hts_battery.query.filters.read_filter` reads it.
    """
    own = table.campaigns.get(campaign or "")
    stored = own.temperatures if own else ()
    keys = [temperature_key(kelvin) for kelvin in stored]
    at = [f"{field}.{key}" for field in _AT for key in keys]
    mine = one_of("campaign", [own.campaign] if own else []) & where
    # A calculated cell that several candidates share is shown once.
    mine &= pc.field(ONCE).is_null()
    return CampaignNumbers(table.rows(mine, [*_NUMBERS, *at, *columns]), stored)


def elements_of(table: SummaryTable) -> tuple[str, ...]:
    """Return the symbols of all candidates of the table, alphabetical."""
    found = (path for path in table.columns if path.startswith(AMOUNTS))
    return tuple(sorted(path.removeprefix(AMOUNTS) for path in found))


@dataclass(frozen=True)
class PairCounts:
    """How often each pair of elements stands together, and how often it is stable."""

    elements: tuple[str, ...]
    present: NDArray[np.int64]
    """Candidates that hold both; on the diagonal, that hold the element."""
    stable: NDArray[np.int64]
    """Those of them on or below the hull."""
    certain: NDArray[np.int64]
    """Those of the stable ones whose label is not open."""

    @property
    def share(self) -> Floats:
        """Stable over present; NaN where nothing is present."""
        with np.errstate(invalid="ignore"):
            return np.where(self.present > 0, self.stable / self.present, np.nan)


def pair_counts(
    table: SummaryTable,
    *,
    campaign: str | None,
    temperature: float,
    left_out: frozenset[str] = frozenset(),
) -> PairCounts:
    """
    Count pairs of elements among the candidates of a campaign.

    ``temperature`` in K. ``left_out``: elements that are not counted, like carriers and
    anions, which nearly every candidate holds.
    """
    elements = [one for one in elements_of(table) if one not in left_out]
    paths = [f"{AMOUNTS}{one}" for one in elements]
    numbers = read_numbers(table, campaign, paths)
    holds = np.array(
        [numbers.rows[path].is_valid().to_numpy() for path in paths], np.float32
    ).reshape(len(paths), len(numbers))
    below = numbers.at(temperature) <= 0
    sure = below & ~numbers.open(temperature)
    present = np.rint(holds @ holds.T).astype(np.int64)
    stable, certain = (
        np.rint((holds * which) @ holds.T).astype(np.int64) for which in (below, sure)
    )
    used = np.flatnonzero(np.diag(present) > 0)
    return PairCounts(
        tuple(elements[number] for number in used),
        *(counted[np.ix_(used, used)] for counted in (present, stable, certain)),
    )
