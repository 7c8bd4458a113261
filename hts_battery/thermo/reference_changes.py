r"""
Which answers of a hull a change of its references can change.

The stored answer at composition x is a mixture and chemical potentials
:math:`\mu`. It stays an optimal answer exactly if no phase of the mixture is gone
and no new phase lies below its plane: with :math:`\mu \cdot a \le c` for every
phase, no mixture costs less than :math:`\mu \cdot x` (weak duality of linear
programming), and the stored one costs that. The test costs one product per answer
and new phase, so a rebuild touches only what is affected.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose
from typing import TYPE_CHECKING

import numpy as np

from hts_battery.schemas.formula import (
    atomic_fractions,
    canonical_formula,
    parse_formula,
)
from hts_battery.thermo.envelope import fraction_rows
from hts_battery.thermo.simplex import ENERGY_TOLERANCE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from hts_battery.schemas.thermo import ThermoDoc
    from hts_battery.thermo.hull_depth import Depth, HullDepth

    Phases = Mapping[str, tuple[str, float]]
    """Id → formula and energy in eV/atom."""


@dataclass(frozen=True)
class StoredAnswer:
    """What must be kept of an answer to tell whether it still stands."""

    formula: str
    """Composition asked for."""
    chemical_potentials: Mapping[str, float] | None
    """Element → eV/atom; None where there was no answer for want of references."""
    phases: Collection[str] = ()
    """Ids of the phases in the mixture."""
    exclude: Collection[str] = ()
    """Ids of the phases that it is not compared with."""

    @classmethod
    def of(cls, document: ThermoDoc, *, exclude: Collection[str] = ()) -> StoredAnswer:
        """Read the answer from a stored stability, its own ids left out besides."""
        return cls(
            formula=document.formula,
            chemical_potentials=document.chemical_potentials,
            phases=tuple(phase.reference_id for phase in document.decomposition),
            exclude=(*document.excluded_references, *exclude),
        )


@dataclass(frozen=True)
class ReferenceChanges:
    """Difference between the references of two hulls."""

    added: Phases
    """Phases that are new, or as they are now where energy or formula changed."""
    removed: frozenset[str]
    """Ids of phases that are gone, or are no more what they were."""

    def __bool__(self) -> bool:
        return bool(self.added or self.removed)

    def affected(self, answers: Sequence[StoredAnswer]) -> NDArray[np.bool_]:
        """Tell which answers must be computed again; False is certain."""
        flags = np.array(
            [not self.removed.isdisjoint(answer.phases) for answer in answers],
            dtype=bool,
        )
        if self.added and len(answers):
            for number in np.flatnonzero(self._below(answers) & ~flags):
                flags[number] = self._matters(answers[int(number)])
        return flags

    def _below(self, answers: Sequence[StoredAnswer]) -> NDArray[np.bool_]:
        """Whether any new phase lies below the plane, excluded or not."""
        elements = sorted(
            {
                element
                for answer in answers
                for element in atomic_fractions(answer.formula)
            }
        )
        rows, inside = fraction_rows([f for f, _ in self.added.values()], elements)
        rows = rows[inside]
        energies = np.array([energy for _, energy in self.added.values()])[inside]
        planes = np.full((len(answers), len(elements)), -np.inf)
        column = {element: number for number, element in enumerate(elements)}
        for number, answer in enumerate(answers):
            potentials = answer.chemical_potentials
            for element in atomic_fractions(answer.formula):
                planes[number, column[element]] = (
                    np.inf if potentials is None else potentials[element]
                )
        below = np.zeros(len(answers), dtype=bool)
        for row, energy in zip(rows, energies, strict=True):
            active = np.flatnonzero(row)
            below |= planes[:, active] @ row[active] > energy + ENERGY_TOLERANCE / 2
        return below

    def _matters(self, answer: StoredAnswer) -> bool:
        """Whether a new phase that is not excluded lies below one answer's plane."""
        potentials = answer.chemical_potentials
        wanted = atomic_fractions(answer.formula).keys()
        for name, (formula, energy) in self.added.items():
            fractions = atomic_fractions(formula)
            if name in answer.exclude or not fractions.keys() <= wanted:
                continue
            if potentials is None:
                return True
            plane = sum(potentials[el] * part for el, part in fractions.items())
            if energy < plane - ENERGY_TOLERANCE:
                return True
        return False


def reference_changes(before: Phases, after: Phases) -> ReferenceChanges:
    """
    Compare the references of two hulls.

    Parameters
    ----------
    before, after
        Id → formula and energy in eV/atom; of a hull: ``hull.references``.

    Examples
    --------
    >>> found = reference_changes({"a": ("Li2O", -2.0)}, {"a": ("Li2O", -2.1)})
    >>> dict(found.added), sorted(found.removed)
    ({'a': ('Li2O', -2.1)}, ['a'])
    """
    same = {name for name, phase in after.items() if before.get(name) == phase}
    return ReferenceChanges(
        added={name: phase for name, phase in after.items() if name not in same},
        removed=frozenset(before.keys() - same),
    )


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
        """Compare two libraries."""
        changed = _compositions(before) ^ _compositions(now)
        return cls(
            frozenset(frozenset(atomic_fractions(one)) for one in changed), depth
        )

    def affected(self, stored: Mapping[str, StoredDepth]) -> set[str]:
        """Name the answers that a changed composition touches and changes."""
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
