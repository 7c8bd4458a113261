"""Cells with carriers taken out: what their recipe is told, and what it gives."""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field

from hts_battery.schemas.base import Document, Rational


class ChargedFlag(StrEnum):
    """What to look at before a voltage is believed."""

    OXYGEN_MOMENT = "oxygen_moment"
    """An oxygen with a moment above 0.5 Bohr magnetons: a hole."""
    METAL_MOMENT = "metal_moment"
    """A metal with a moment that none of its valences explains."""
    OXYGEN_CONTACT = "oxygen_contact"
    """Two oxygens nearer than 2.2 angstrom: a dimer."""
    VOLUME_JUMP = "volume_jump"
    """A volume that changes by more than 3 % from one amount to the next."""
    CARRIER_MOVED = "carrier_moved"
    """A carrier that left its site by more than 1 angstrom."""
    NOT_CONVERGED = "not_converged"
    """Of this amount an arrangement did not converge and is left out."""


class ChargedCellsOptions(Document):
    """Options of the recipe ``charged_cells``."""

    carrier: str | None = Field(
        None,
        description="Element that leaves; by default the alkali metal of which there "
        "is most.",
    )
    left: tuple[Annotated[Rational, Field(ge=0, lt=1)], ...] = Field(
        (),
        description="Shares of the carriers that stay, one a state; by default what "
        "stays when metals are at their ceilings, and half of that.",
    )
    cells: int = Field(
        3, ge=1, le=20, description="Arrangements that are relaxed of each amount."
    )
    ceilings: Literal["reachable", "conservative"] | dict[str, int] = Field(
        "reachable", description="Table of the highest charges of metals, or charges."
    )
    swaps: int = Field(
        20_000, ge=1, description="Of the search, where not all can be tried."
    )
    seed: int = Field(0, description="Of the search.")


class ChargedCell(Document):
    """One relaxed cell with so many carriers left."""

    carriers: int = Field(ge=0, description="Carriers in the cell.")
    formula: str = Field(description="Of the cell.")
    arrangement: int = Field(gt=0, description="1 for the lowest Ewald energy.")
    ewald_energy: float = Field(description="Of the start, eV per cell.")
    exact: bool = Field(description="Whether every arrangement was tried.")
    energy: float = Field(description="As calculated, eV per cell.")
    n_atoms: int = Field(gt=0, description="Atoms of the cell.")
    volume: float = Field(gt=0, description="Of the cell, in angstrom^3.")
    oxygen_contact: float | None = Field(
        None, description="Shortest distance of two oxygens below 3 angstrom."
    )
    largest_oxygen_moment: float | None = Field(
        None, description="In Bohr magnetons; null where the engine gives no moments."
    )
    flags: tuple[ChargedFlag, ...] = Field((), description="What the cell shows.")


class ChargedCells(Document):
    """A cell with more and less carriers, relaxed: what its recipe gives."""

    candidate_id: str = Field(description="Candidate whose cell it is.")
    entry_id: str = Field(description="Entry whose relaxed cell it starts from.")
    ordering_id: str = Field(description="Which of its orderings that is.")
    calculator: str = Field(description="Calculator with its version.")
    carrier: str = Field(description="Element that left.")
    charged: int = Field(
        ge=0, description="Carriers in the cell when metals are at their ceilings."
    )
    cells: tuple[ChargedCell, ...] = Field(
        description="Every cell that converged, by falling carriers, lowest first."
    )
    flags: tuple[ChargedFlag, ...] = Field(
        (), description="Those of the lowest cell of each amount, and of the whole."
    )

    @property
    def lowest(self) -> dict[int, ChargedCell]:
        """Carriers → the cell of lowest energy, from full to empty."""
        found: dict[int, ChargedCell] = {}
        for cell in self.cells:
            best = found.get(cell.carriers)
            if best is None or cell.energy < best.energy:
                found[cell.carriers] = cell
        return dict(sorted(found.items(), reverse=True))

    @property
    def volume_change(self) -> float | None:
        """Volume of the least charged against the full cell, relative; null of one."""
        cells = list(self.lowest.values())
        if len(cells) == 1:
            return None
        return cells[-1].volume / cells[0].volume - 1

    def voltage(
        self, high: int, low: int, metal_energy: float, charge: int = 1
    ) -> float | None:
        """
        Average voltage between two numbers of carriers, V; null where one is missing.

        ``metal_energy``: of the carrier's metal, eV/atom. ``charge``: electrons that
        pass with one carrier.
        """
        lowest = self.lowest
        if high <= low or not {high, low} <= lowest.keys():
            return None
        gained = lowest[high].energy - lowest[low].energy
        return -(gained / (high - low) - metal_energy) / charge

    @property
    def share(self) -> Fraction:
        """Part of the carriers that are gone in the cell with fewest."""
        counts = list(self.lowest)
        return Fraction(counts[0] - counts[-1], counts[0])
