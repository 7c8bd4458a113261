"""A system that exchanges its carrier: chemical potentials and lowest energies."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from hts_battery.electrochemistry.carriers import carrier_charge
from hts_battery.errors import MissingReferenceError
from hts_battery.thermo.exchanges import Exchanges, spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from hts_battery.thermo.hull import Hull

    Floats = NDArray[np.float64]


class OpenElement:
    r"""
    A carrier exchanged with an electrode of its metal.

    .. math:: \mu(V) = \mu_\text{metal} - z e V

    Parameters
    ----------
    hull
        The references; the metal of the carrier is one of them.
    carrier
        Element that is open.

    Raises
    ------
    ValueError
        If the element is no known carrier.
    MissingReferenceError
        If the references hold no metal of the carrier.
    """

    def __init__(self, hull: Hull, carrier: str) -> None:
        self.charge = carrier_charge(carrier)
        self.carrier = carrier
        if not hull.ids_at(carrier):
            raise MissingReferenceError(carrier, [f"{carrier} metal"])
        self.column = hull.elements.index(carrier)
        self.unit: NDArray[np.float64] = np.eye(len(hull.elements))[self.column]

    def potential(self, voltage: float) -> float:
        """Chemical potential relative to the metal at a voltage, eV/atom."""
        if not (isfinite(voltage) and voltage >= 0):
            raise ValueError(
                f"{voltage} V against {self.carrier}: below 0 V the metal is plated "
                "without end; give 0 or more"
            )
        return -self.charge * float(voltage)


def finite_energies(energies: ArrayLike, formulas: Sequence[str]) -> Floats:
    """Read the energy of each formula, refusing what is not a finite number."""
    found = np.asarray(energies, dtype=float).reshape(-1)
    if len(found) != len(formulas):
        raise ValueError(f"{len(formulas)} formulas but {len(found)} energies")
    wrong = np.flatnonzero(~np.isfinite(found))
    if wrong.size:
        raise ValueError(
            f"energy of {formulas[wrong[0]]} is {found[wrong[0]]}, not a finite number "
            "of eV/atom"
        )
    return found


def hull_energies(hull: Hull, rows: Floats) -> Floats:
    """
    Lowest energy of each composition, nothing open, eV/atom relative to the elements.

    NaN where the references cannot be mixed to it, and for a row without atoms.
    """
    known = np.flatnonzero(rows.any(axis=1))
    asked = rows[known]
    nothing = np.empty((len(known), 0, rows.shape[1])), np.empty((len(known), 0))
    solved = hull.exchanges(Exchanges(asked > 0, asked, *nothing))
    return spread(solved.costs, known, len(rows))


def open_energies(
    hull: Hull, opened: OpenElement, rows: Floats, potentials: Floats
) -> Floats:
    """
    Lowest energy of each composition where carriers come and go, eV per its atoms.

    Potentials are those of the carrier relative to its metal, so the energies are
    relative to the elements; NaN where the references cannot be mixed to it.
    """
    count = len(rows)
    solved = hull.exchanges(
        Exchanges(
            systems=(rows + opened.unit) > 0,
            targets=rows,
            columns=np.broadcast_to(
                np.stack([opened.unit, -opened.unit]), (count, 2, rows.shape[1])
            ),
            costs=np.stack([potentials, -potentials], axis=1),
        )
    )
    return solved.costs
