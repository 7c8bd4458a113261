r"""
An analytic potential of ions: point charges, Born-Mayer repulsion, species energies.

.. math::

    E = \frac{e^2}{4 \pi \epsilon_0} \zeta^2 \sum_{i<j} \frac{q_i q_j}{r_{ij}}
        + \sum_{c, a} A_{ca} e^{-r_{ca} / \rho} + \sum_i \epsilon(s_i)

with formal charges q, all scaled by one factor, over cations c, anions a and species
s. The first sum is Ewald's. :mod:`hts_battery.structures.ionic` holds the
parameters and their rules. Forces and stress are the exact derivatives.
"""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from math import ceil, exp
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq
from scipy.special import erfc

from hts_battery.errors import CalculationError
from hts_battery.schemas.species import Species, parse_species
from hts_battery.schemas.species_table import species_properties
from hts_battery.structures.ewald import COULOMB_EV_ANGSTROM
from hts_battery.structures.neighbours import lattice_vectors, neighbour_pairs
from hts_battery.structures.radii import between_charges, ionic_radius

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

# Both sums end where erfc(x) and exp(-x^2) have fallen to 1e-8.
_REACH = 4.0
# Cube of the splitting times the volume at which both sums take about as long.
_SPLITTING = 140.0
_LEAST_SPLITTING, _GREATEST_SPLITTING = 0.55, 0.75
# Repulsion ends where it has fallen to e^-20 of that of a bond.
_DECAY_LENGTHS = 35.0
_LEAST_SCALE, _GREATEST_SCALE = 0.6, 1.6
_SKIN_ANGSTROM = 1.0


@dataclass(frozen=True)
class IonicState:
    """Energy of the cell in eV, forces in eV/angstrom, stress in eV/angstrom^3."""

    energy: float
    forces: NDArray[np.float64]
    stress: NDArray[np.float64]
    """Derivative of the energy by strain over the volume, 3 by 3; positive pulls
    together."""


class IonicPotential:
    """
    The potential of the ions of one cell, evaluated at many geometries.

    Lists of pairs and waves are kept from one geometry to the next and made anew when
    atoms or cell have moved far enough.

    Examples
    --------
    >>> from hts_battery.structures.ionic import ions
    >>> cell = 4.0 * (1 - np.eye(3)) / 2
    >>> state = IonicPotential(ions(["Li", "F"], [1, -1])).evaluate(
    ...     cell, np.array([[0.0, 0, 0], [2.0, 2.0, 2.0]])
    ... )
    >>> bool(abs(state.forces).max() < 1e-9)
    True
    """

    def __init__(self, parameters: Ions) -> None:
        self._ions = parameters
        self._lists: _Lists | None = None

    def evaluate(
        self, cell: NDArray[np.float64], positions: NDArray[np.float64]
    ) -> IonicState:
        """Energy, forces and stress at one geometry, in angstrom."""
        lists, charges = self._lists_of(cell, positions), self._ions.charges
        volume = float(abs(np.linalg.det(cell)))
        vectors = lists.vectors(cell, positions)
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        energy, slopes = self._pairs(lists, lengths)
        pulls = (slopes / lengths)[:, None] * vectors
        forces = _summed(lists.first, pulls, len(charges))
        # Every pair is listed from both ends, so each end counts half its energy.
        virial = 0.5 * vectors.T @ pulls
        far, far_forces, far_virial = _far(lists, charges, cell, positions)
        own = -lists.splitting / np.sqrt(np.pi) * float(charges @ charges)
        total = energy + far + COULOMB_EV_ANGSTROM * own + self._ions.energy
        return IonicState(total, forces + far_forces, (virial + far_virial) / volume)

    def equilibrium_scale(
        self, cell: NDArray[np.float64], positions: NDArray[np.float64]
    ) -> float:
        """
        Find the factor of all lengths at which the cell has no pressure, else 1.

        Charges scale as one over the length and the repulsion of every pair is known,
        so one evaluation is enough.
        """
        state = self.evaluate(cell, positions)
        lists = self._lists_of(cell, positions)
        lengths = lists.lengths(cell, positions)
        prefactor = self._ions.repulsion[lists.first, lists.second]
        repelling = prefactor > 0
        decays = lengths[repelling] / SOFTNESS_ANGSTROM
        strength = 0.5 * prefactor[repelling]
        coulomb = state.energy - self._ions.energy - float(np.exp(-decays) @ strength)

        def slope(scale: float) -> float:
            return -coulomb / scale**2 - float(
                np.exp(-scale * decays) @ (strength * decays)
            )

        if slope(_LEAST_SCALE) >= 0 or slope(_GREATEST_SCALE) <= 0:
            return 1.0
        return float(brentq(slope, _LEAST_SCALE, _GREATEST_SCALE))

    def _lists_of(
        self, cell: NDArray[np.float64], positions: NDArray[np.float64]
    ) -> _Lists:
        if self._lists is None or self._lists.outdated(cell, positions):
            self._lists = _Lists(cell, positions, self._ions.charges)
        return self._lists

    @property
    def listed_at(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """
        Cell and positions at which its pairs were listed.

        Pairs near the end of the list add 1e-9 eV: who goes on exactly evaluates here
        first.
        """
        return (
            None if self._lists is None else (self._lists.cell, self._lists.positions)
        )

    def _pairs(
        self, lists: _Lists, lengths: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64]]:
        """Screened charges and repulsion: their energy, and slopes of both ends."""
        s = lists.splitting
        strength = COULOMB_EV_ANGSTROM * lists.products
        screened = strength * erfc(s * lengths) / lengths
        slope = -screened / lengths - strength * (
            2 * s / np.sqrt(np.pi) * np.exp(-((s * lengths) ** 2)) / lengths
        )
        prefactor = self._ions.repulsion[lists.first, lists.second]
        repulsion = prefactor * np.exp(-lengths / SOFTNESS_ANGSTROM)
        energy = 0.5 * float(np.sum(screened) + np.sum(repulsion))
        return energy, slope - repulsion / SOFTNESS_ANGSTROM


class _Lists:
    """Pairs of ions and waves of a cell, good until something has moved."""

    def __init__(
        self,
        cell: NDArray[np.float64],
        positions: NDArray[np.float64],
        charges: NDArray[np.float64],
    ) -> None:
        self.cell, self.positions = cell.copy(), positions.copy()
        volume = float(abs(np.linalg.det(cell)))
        self.splitting = float(
            np.clip(
                (_SPLITTING / volume) ** (1 / 3), _LEAST_SPLITTING, _GREATEST_SPLITTING
            )
        )
        self.reach = max(_REACH / self.splitting, _DECAY_LENGTHS * SOFTNESS_ANGSTROM)
        self.first, self.second, images, _ = neighbour_pairs(
            cell, positions @ np.linalg.inv(cell), self.reach + _SKIN_ANGSTROM
        )
        self.shifts = images.astype(np.float64)
        self.products = charges[self.first] * charges[self.second]
        reciprocal = np.asarray(2 * np.pi * np.linalg.inv(cell).T)
        waves = lattice_vectors(reciprocal, 2 * self.splitting * _REACH)
        # One of each pair of opposite waves, as whole multiples of the vectors.
        half = waves[: len(waves) // 2]
        self.waves = np.round(half @ cell.T / (2 * np.pi))

    def vectors(
        self, cell: NDArray[np.float64], positions: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the vector of every pair, in angstrom."""
        return np.asarray(
            positions[self.second] - positions[self.first] + self.shifts @ cell
        )

    def lengths(
        self, cell: NDArray[np.float64], positions: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the length of every pair, in angstrom."""
        return np.asarray(np.linalg.norm(self.vectors(cell, positions), axis=1))

    def outdated(
        self, cell: NDArray[np.float64], positions: NDArray[np.float64]
    ) -> bool:
        """Say whether a pair that is not listed may have come within reach."""
        strain = np.linalg.solve(self.cell, cell)
        moved = positions - self.positions @ strain
        farthest = float(np.sqrt(np.einsum("ij,ij->i", moved, moved).max()))
        stretch = float(np.abs(np.linalg.svd(strain, compute_uv=False) - 1).max())
        return 2 * farthest + stretch * self.reach > _SKIN_ANGSTROM


def _far(
    lists: _Lists,
    charges: NDArray[np.float64],
    cell: NDArray[np.float64],
    positions: NDArray[np.float64],
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Sum the smooth rest of the charges over waves: energy, forces and virial."""
    volume = float(abs(np.linalg.det(cell)))
    waves = lists.waves @ np.asarray(2 * np.pi * np.linalg.inv(cell).T)
    squares = np.einsum("ij,ij->i", waves, waves)
    damping = 1 / (4 * lists.splitting**2)
    # Both waves of a pair; the factor two of one half goes with it.
    weights = (4 * np.pi / volume * COULOMB_EV_ANGSTROM) * (
        np.exp(-damping * squares) / squares
    )
    phases = positions @ waves.T
    cosines, sines = np.cos(phases), np.sin(phases)
    real, imaginary = charges @ cosines, charges @ sines
    terms = weights * (real**2 + imaginary**2)
    forces = (
        2
        * charges[:, None]
        * ((sines * (weights * real) - cosines * (weights * imaginary)) @ waves)
    )
    energy = float(np.sum(terms))
    virial = (waves.T * (terms * 2 * (1 / squares + damping))) @ waves
    return energy, forces, virial - energy * np.eye(3)


def _summed(
    owners: NDArray[np.intp], vectors: NDArray[np.float64], n: int
) -> NDArray[np.float64]:
    """Sum vectors by the ion they belong to."""
    return np.stack(
        [np.bincount(owners, vectors[:, axis], minlength=n) for axis in range(3)],
        axis=1,
    )


UNDESCRIBED = "UndescribedIons"
"""Kind of the error of ions that the potential cannot describe."""
VERSION = "1"
"""Of the potential: changed with every change of a parameter or of the formula."""
CHARGE_SCALE = 0.23
SOFTNESS_ANGSTROM = 0.15
_MADELUNG_ROCKSALT = 1.747565
_ANION_RADII_ANGSTROM = {("O", -2): 1.365, ("F", -1): 1.30}
_BONDS, _BONDS_OF_A_POLYANION = 6, 4
_NEUTRAL = 1e-6
_ALKALI_OXIDE = frozenset({"Li", "Na", "K", "O"})


@dataclass(frozen=True)
class Ions:
    """The parameters of all ions of a cell."""

    charges: NDArray[np.float64]
    """Scaled charge of every ion in elementary charges."""
    repulsion: NDArray[np.float64]
    """Prefactor of every pair in eV, zero for ions of one sign."""
    energy: float
    """Sum of the species energies in eV."""


def ions(
    symbols: Sequence[str],
    charges: Sequence[float],
    energies: Mapping[str, float] | None = None,
) -> Ions:
    """
    Look up the parameters of the ions of a cell.

    Parameters
    ----------
    symbols
        Element of every ion.
    charges
        Formal charge of every ion in elementary charges, zero in an element.
    energies
        Species energies instead of the table's, in eV.

    Raises
    ------
    CalculationError
        If the charges do not cancel, an ion has no parameters, or this is an oxide of
        alkali metals alone.

    Examples
    --------
    >>> ions(["Li", "F"], [1, -1]).charges.tolist()
    [0.23, -0.23]
    """
    if abs(sum(charges)) > _NEUTRAL * len(charges):
        raise CalculationError(
            UNDESCRIBED,
            f"the ions of a cell have the charge {sum(charges):g}: the ionic engine "
            "needs a species assignment that is neutral",
        )
    present = set(symbols)
    if "O" in present and present - {"O"} and present <= _ALKALI_OXIDE:
        raise CalculationError(
            UNDESCRIBED,
            f"{'-'.join(sorted(present))}: with constant charges an oxide of alkali "
            "metals alone comes out 0.4 to 0.6 eV/atom too stable",
        )
    species = [
        (symbol, round(float(charge), 6))
        for symbol, charge in zip(symbols, charges, strict=True)
    ]
    kinds = sorted(set(species))
    number = {kind: index for index, kind in enumerate(kinds)}
    of_atom = np.array([number[kind] for kind in species])
    known = species_energies() if energies is None else energies
    table = np.array([[_prefactor(*a, *b) for b in kinds] for a in kinds])
    return Ions(
        charges=CHARGE_SCALE * np.asarray(charges, dtype=float),
        repulsion=table[np.ix_(of_atom, of_atom)],
        energy=sum(
            count * species_energy(*kind, known)
            for kind, count in Counter(species).items()
        ),
    )


@cache
def species_energies() -> Mapping[str, float]:
    """Energy in eV of each species, of a neutral element too."""
    data = files("hts_battery.structures") / "data" / "ionic_species.csv"
    with data.open(encoding="utf-8") as handle:
        rows = csv.DictReader(line for line in handle if not line.startswith("#"))
        return {row["species"]: float(row["energy_ev"]) for row in rows}


def species_energy(element: str, charge: float, energies: Mapping[str, float]) -> float:
    """Energy of a species in eV; between two integer charges it is linear."""
    try:
        return between_charges(charge, lambda state: energies[_text(element, state)])
    except KeyError as err:
        known = sorted(name for name in energies if _element(name) == element)
        raise CalculationError(
            UNDESCRIBED,
            f"the ionic engine has no parameters of {element} with the charge "
            f"{charge:g}; it knows {', '.join(known) or 'no species of it'}",
        ) from err


def elements() -> frozenset[str]:
    """Return the elements that have parameters."""
    return frozenset(_element(name) for name in species_energies())


def _element(name: str) -> str:
    return name if name.isalpha() else parse_species(name).element


def _text(element: str, charge: int) -> str:
    return str(Species(element, charge)) if charge else element


@lru_cache(maxsize=4096)
def _prefactor(first: str, charge: float, second: str, other: float) -> float:
    """Prefactor of the repulsion of two species in eV; zero for those of one sign."""
    if charge < other:
        return _prefactor(second, other, first, charge)
    if charge <= 0 or other >= 0:
        return 0.0
    try:
        anion = _ANION_RADII_ANGSTROM[second, round(other)]
    except KeyError as err:
        raise CalculationError(
            UNDESCRIBED,
            f"the ionic engine has no parameters of {second} with the charge "
            f"{other:g}; its anions are O2- and F-",
        ) from err
    bonds = _bonds(first, ceil(charge))
    cation = between_charges(
        charge, lambda state: ionic_radius(_text(first, max(state, 1)), bonds)
    )
    distance = cation + anion
    attraction = (
        COULOMB_EV_ANGSTROM
        * CHARGE_SCALE**2
        * _MADELUNG_ROCKSALT
        * charge
        * (charge - other)
        / 2
    )
    return (
        attraction
        * SOFTNESS_ANGSTROM
        / (bonds * distance**2)
        * exp(distance / SOFTNESS_ANGSTROM)
    )


def _bonds(element: str, charge: int) -> int:
    """Anions around a cation in the compound that its repulsion is taken from."""
    role = species_properties(_text(element, charge)).role
    return _BONDS_OF_A_POLYANION if role == "polyanion centre" else _BONDS
