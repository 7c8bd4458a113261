"""The right way to count for each mixture, its tables made once."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from hts_battery.compositions.interval import IntervalTables
from hts_battery.compositions.mixture import interval_choices
from hts_battery.compositions.subset_automaton import SubsetAutomaton, count_species
from hts_battery.compositions.walk import Walker
from hts_battery.errors import CompositionError

if TYPE_CHECKING:
    from hts_battery.compositions.mixture import Mixture


class MixtureCounter:
    """Counts of one mixture for every charge, in both views."""

    def __init__(self, mixture: Mixture, state_limit: int) -> None:
        self.mixture = mixture
        self._limit = state_limit
        found = interval_choices(mixture)
        self._tables = (
            None if found is None else IntervalTables(mixture, *found, state_limit)
        )

    def walker(self, target: int) -> Walker:
        """
        Make the counted tree of the members with one charge.

        Parameters
        ----------
        target
            Charge in charge units.
        """
        if self._tables is not None:
            return Walker(self._tables, self._tables.start(target))
        tree = SubsetAutomaton(self.mixture, target, self._limit)
        return Walker(tree, tree.start)

    def species_count(self, target: int) -> int:
        """
        Count the species assignments with one charge.

        Parameters
        ----------
        target
            Charge in charge units.
        """
        if self._tables is not None:
            return self._tables.species_size(self._tables.start(target))
        return self._species_counts.get(target, 0)

    @cached_property
    def _species_counts(self) -> dict[int, int]:
        return count_species(self.mixture)


def with_metals(mixture: Mixture, metals: int) -> Mixture | None:
    """
    Restrict a mixture to an exact number of metals.

    Returns
    -------
    Mixture or None
        Nothing where the mixture's own bounds forbid the number.

    Raises
    ------
    CompositionError
        If metals sit on several sublattices: their numbers do not add up to the
        number of different metals.
    """
    homes = {s.group for item in mixture.items if item.metal for s in item.shares}
    if len(homes) > 1:
        names = ", ".join(mixture.groups[home].sublattice for home in sorted(homes))
        raise CompositionError(
            f"metals sit on several sublattices ({names}), so members cannot be "
            "grouped by their number"
        )
    if not homes:
        return mixture if metals == 0 else None
    home = homes.pop()
    low, high = mixture.groups[home].metals
    if not low <= metals <= high:
        return None
    groups = list(mixture.groups)
    groups[home] = groups[home]._replace(metals=(metals, metals))
    return mixture._replace(groups=tuple(groups))
