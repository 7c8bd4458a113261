"""Which answers on the depth of a hull a change of its references can change."""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose
from typing import TYPE_CHECKING

from hts_battery.schemas.formula import canonical_formula, parse_formula
from hts_battery.thermo.atomic_fractions import atomic_fractions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from hts_battery.thermo.hull_depth import Depth, HullDepth

_SAME = 1e-6  # eV/atom, or atomic fractions


@dataclass(frozen=True)
class StoredDepth:
    """What an answer said, and of what."""

    formula: str
    """Composition asked for."""
    depth: Depth
    """How deep the hull was said to be."""
    exclude: Collection[str] = ()
    """Compositions that it is not compared with."""


@dataclass(frozen=True)
class DepthChanges:
    """Difference between the compositions of two libraries."""

    systems: frozenset[frozenset[str]]
    """Elements of each composition that was won or lost."""
    depth: HullDepth
    """Compositions of the library as it is now."""

    @classmethod
    def between(
        cls, before: Iterable[str], now: Iterable[str], depth: HullDepth
    ) -> DepthChanges:
        """
        Compare two libraries.

        Parameters
        ----------
        before, now
            Formulas of their phases.
        depth
            Compositions of the library as it is now.
        """
        changed = _compositions(before) ^ _compositions(now)
        return cls(
            frozenset(frozenset(atomic_fractions(one)) for one in changed), depth
        )

    def affected(self, stored: Mapping[str, StoredDepth]) -> set[str]:
        """
        Name the answers that are no longer right.

        Only those are asked again in whose elements a composition was won or lost; the
        new answer then tells.

        Parameters
        ----------
        stored
            Name → what was said before.
        """
        doubtful = {
            name: answer
            for name, answer in stored.items()
            if self._touches(atomic_fractions(answer.formula).keys())
        }
        found = self.depth.at(
            [answer.formula for answer in doubtful.values()],
            exclude=[answer.exclude for answer in doubtful.values()],
        )
        return {
            name
            for (name, answer), depth in zip(doubtful.items(), found, strict=True)
            if not _same(answer.depth, depth)
        }

    def _touches(self, elements: Collection[str]) -> bool:
        return any(system.issubset(elements) for system in self.systems)


def _compositions(formulas: Iterable[str]) -> set[str]:
    return {canonical_formula(parse_formula(one)) for one in set(formulas)}


def _same(before: Depth, now: Depth) -> bool:
    """Tell whether two answers are the same up to rounding."""
    return (
        (before.reason, before.systems) == (now.reason, now.systems)
        and before.missing.keys() == now.missing.keys()
        and _close(before.risk, now.risk)
        and _close(before.risk_reported, now.risk_reported)
        and all(_close(n, now.missing[name]) for name, n in before.missing.items())
    )


def _close(before: float | None, now: float | None) -> bool:
    if before is None or now is None:
        return before is now
    return isclose(before, now, rel_tol=0.0, abs_tol=_SAME)
