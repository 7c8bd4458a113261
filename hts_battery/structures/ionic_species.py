r"""
Parameters of the ionic potential: charges, repulsion and energy of every species.

- *Charges* are formal charges times 0.23. With this share the energies of relaxed
  oxides and fluorides follow CHGNet's best (176 compounds, each species with a free
  energy of its own); formal charges would put ordering energies at twenty times that.
- *Repulsion* of a cation c and an anion a is M. Born's and J. E. Mayer's, Z. Phys. 75,
  1 (1932), 10.1007/BF01340511. Its prefactor follows from the distance in the manner of
  A. F. Kapustinskii, Q. Rev. Chem. Soc. 10, 283 (1956), 10.1039/QR9561000283: it puts
  the n bonds of c in the compound of c and a at the sum of radii r,

  .. math:: A_{ca} = \frac{e^2}{4 \pi \epsilon_0} \zeta^2 M
      \frac{q_c (q_c + |q_a|)}{2} \frac{\rho}{n r^2} e^{r / \rho}

  with rocksalt's Madelung constant M. Radii of cations are R. D. Shannon's, Acta Cryst.
  A 32, 751 (1976), 10.1107/S0567739476001551, with n = 6, and n = 4 for centres of
  polyanions. Radii of anions (1.365 and 1.30 angstrom) and the decay length (0.15
  angstrom) are ours: the lengths of these compounds then agree with CHGNet's in the
  mean, and disordered cells keep their lattice better than with softer ions.
- *Species energies* carry what charges at a distance do not: ionisation and the
  binding of an element. ``data/ionic_species.csv`` says how they were found.
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

from hts_battery.errors import CalculationError
from hts_battery.schemas.species import Species, parse_species
from hts_battery.schemas.species_table import species_properties
from hts_battery.structures.ewald import COULOMB_EV_ANGSTROM
from hts_battery.structures.radii import between_charges, ionic_radius

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

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
    """
    Energy of each species in eV, of a neutral element too: species text → energy.

    Examples
    --------
    >>> species_energies()["O2-"]
    0.0
    """
    data = files("hts_battery.structures") / "data" / "ionic_species.csv"
    with data.open(encoding="utf-8") as handle:
        rows = csv.DictReader(line for line in handle if not line.startswith("#"))
        return {row["species"]: float(row["energy_ev"]) for row in rows}


def species_energy(element: str, charge: float, energies: Mapping[str, float]) -> float:
    """
    Energy of a species in eV; between two integer charges it is linear.

    Parameters
    ----------
    element
        Symbol.
    charge
        In elementary charges.
    energies
        Species text → energy in eV.

    Raises
    ------
    CalculationError
        If the table lacks it; the message lists the charges of the element.
    """
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
