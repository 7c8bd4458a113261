"""Which candidates have no exact cell, how far theirs are, and who shares one."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.schemas.candidate import atoms_per_formula_unit, candidate_id
from hts_battery.schemas.formula import canonical_formula, display_formula
from hts_battery.structures.prototypes import prototype_of_family
from hts_battery.structures.representation import least_formula_units, represent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hts_battery.schemas.campaign import StructureSpec
    from hts_battery.schemas.candidate import Candidate

_SHOWN = 3


class DeviatingCell(NamedTuple):
    """A candidate that is calculated in the cell of another composition."""

    formula: str
    """The candidate."""
    calculated_formula: str
    """What its cell holds, per formula unit."""
    deviation: float
    """Largest difference of any element, atoms per formula unit."""


class DeviatingCells:
    """
    Looks at the cell of one candidate after the other.

    ``structure``: how cells are made; where it allows no deviation every cell is exact.
    """

    def __init__(self, structure: StructureSpec) -> None:
        self._structure = structure
        self._holders: dict[str, list[str]] = defaultdict(list)
        self.found: list[DeviatingCell] = []
        self.too_small = 0

    def add(self, candidate: Candidate) -> None:
        """
        Note whether the cell of a candidate holds something else, or is too small.

        Raises OrderingError if no cell holds the candidate closely enough.
        """
        if self._structure.atoms is not None:
            self.too_small += self._is_too_small(candidate, self._structure.atoms)
        if not self._structure.max_deviation:
            return
        held = represent(
            candidate.assignment,
            prototype_of_family(candidate.family),
            atoms=self._structure.atoms,
            max_deviation=self._structure.max_deviation,
        )
        cell = candidate_id(candidate.family, canonical_formula(held.amounts))
        self._holders[cell].append(candidate.formula)
        if held.deviation:
            self.found.append(
                DeviatingCell(
                    candidate.formula,
                    display_formula(held.amounts),
                    float(held.largest_deviation),
                )
            )

    @staticmethod
    def _is_too_small(candidate: Candidate, atoms: int) -> bool:
        assignment = candidate.assignment
        least = least_formula_units(assignment, prototype_of_family(candidate.family))
        return atoms < least * atoms_per_formula_unit(assignment)

    @property
    def shared(self) -> list[list[str]]:
        """Formulas of the candidates of each cell that several of them have."""
        return [names for names in self._holders.values() if len(names) > 1]

    def as_dict(self) -> dict[str, object]:
        """Return everything, in JSON types."""
        return {
            "deviating": [cell._asdict() for cell in self.found],
            "shared_cells": self.shared,
            "too_small": self.too_small,
        }

    def lines(self) -> Iterator[str]:
        """Say how many there are, how far, and which; nothing where all serve."""
        if self.too_small:
            yield (
                f"{self.too_small:,} candidates are ordered in cells too small for a "
                f"random solution (atoms {self._structure.atoms}): compounds, flagged, "
                "and no upper bound; atoms null takes a cell that is large enough"
            )
        if self.found:
            far = max(self.found, key=lambda cell: cell.deviation)
            yield (
                f"{len(self.found):,} candidates are calculated in a cell of another "
                f"composition, off by up to {far.deviation:g} atoms of an element per "
                "formula unit:"
            )
            ranked = sorted(self.found, key=lambda cell: -cell.deviation)
            for cell in ranked[:_SHOWN]:
                yield (
                    f"  {cell.formula} ≈ {cell.calculated_formula} (off "
                    f"{cell.deviation:g})"
                )
        if self.shared:
            many = sum(map(len, self.shared))
            yield (
                f"{many:,} candidates share {len(self.shared):,} cells; each cell is "
                "ranked once, under the candidate that it is nearest to:"
            )
            for names in self.shared[:_SHOWN]:
                yield f"  {', '.join(names)}"
