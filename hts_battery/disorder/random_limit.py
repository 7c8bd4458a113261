"""Percolation of a composition whose carriers stand at random: no structure needed."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.disorder.clusters import KERNEL
from hts_battery.disorder.networks import TETRAHEDRAL
from hts_battery.disorder.percolation import accessible_curve, percolation_threshold
from hts_battery.errors import OrderingError
from hts_battery.schemas.formula import display_formula
from hts_battery.schemas.percolation import RandomLimit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hts_battery.disorder.percolation import AccessibleCurve
    from hts_battery.schemas.percolation import PercolationThreshold

DEFAULT_CATIONS = 32_000
"""Sites of a cell."""

DEFAULT_SAMPLES = 60
"""Cells that are filled."""

PARENTS = {
    "hedrx": ("rocksalt", "0tm"),
    "layered": ("layered", "0tm"),
    "gamma_lifeo2": ("gamma_lifeo2", "0tm"),
    "nasicon": ("nasicon", "nasicon"),
}
"""Parent lattice and rule of a family where nothing else is asked for."""

_ANIONS = ("O", "F", "S", "Cl")
_POLYANIONS = ("P", "Si", "S")
_NASICON_OXYGEN = 12
_NASICON_SITES = 4
_CAVEAT = (
    "Carriers at random on the parent lattice: short-range order changes accessible "
    "carriers more than composition does, and barriers are not in it."
)


class CarrierFilling(NamedTuple):
    """How many carriers a composition puts on the sites that they may take."""

    carrier: str
    amount: Fraction
    """Per formula unit."""
    sites: Fraction
    """Sites filled at random per formula unit."""
    given: Fraction
    """Carriers that are placed before those at random."""


def family_of(amounts: Mapping[str, Fraction]) -> str:
    """
    Tell the family of a formula: NASICON by twelve oxygens and a polyanion.

    Examples
    --------
    >>> from hts_battery.schemas.formula import parse_formula
    >>> family_of(parse_formula("Na3Zr2Si2PO12")), family_of(parse_formula("LiMnO2"))
    ('nasicon', 'hedrx')
    """
    polyanion = sum(amounts.get(element, 0) for element in _POLYANIONS)
    oxygen = amounts.get("O", 0)
    return "nasicon" if polyanion and oxygen == 4 * polyanion else "hedrx"


def carrier_filling(
    amounts: Mapping[str, Fraction], parent: str, carrier: str | None = None
) -> CarrierFilling:
    """
    Count the carriers of a formula and the sites that they may take.

    Parameters
    ----------
    amounts
        Amount of each element per formula unit.
    parent
        Parent lattice: as many cation sites as anions, or NASICON's four sodium sites
        for twelve oxygens.
    carrier
        Element that moves; Li, or else Na, if not given.

    Raises
    ------
    OrderingError
        No carrier, or more cations than sites.
    """
    moving = carrier or ("Li" if "Li" in amounts else "Na")
    formula = display_formula(amounts)
    amount = amounts.get(moving, Fraction(0))
    anions = sum((amounts.get(e, Fraction(0)) for e in _ANIONS), Fraction(0))
    if parent == "nasicon":
        units = amounts.get("O", Fraction(0)) / _NASICON_OXYGEN
        full = units * _NASICON_SITES
        if not units or amount > full:
            raise OrderingError(
                f"{formula}: NASICON has twelve oxygens and room for four {moving}"
            )
        return CarrierFilling(moving, amount, full - units, min(amount, units))
    cations = sum(amounts.values(), Fraction(0)) - anions
    if not anions or cations > anions:
        raise OrderingError(
            f"{formula}: {float(cations):g} cations and {float(anions):g} anions; "
            f"{parent} has as many sites for both"
        )
    return CarrierFilling(moving, amount, anions, Fraction(0))


def random_limit(  # noqa: PLR0913
    amounts: Mapping[str, Fraction],
    *,
    parent: str | None = None,
    rule: str | None = None,
    carrier: str | None = None,
    cations: int = DEFAULT_CATIONS,
    samples: int = DEFAULT_SAMPLES,
    seed: int = 0,
) -> RandomLimit:
    """
    Say what percolates in a composition whose carriers stand at random.

    Parameters
    ----------
    amounts
        Amount of each element per formula unit, exact.
    parent, rule
        By the family of the formula if not given.
    carrier
        Li, or else Na, if not given.
    cations
        About so many sites that the carrier may take in a cell.
    samples, seed
        Cells, and the seed of their random numbers.

    Raises
    ------
    OrderingError
        A formula that the parent has no room for, an unknown parent or rule, or a rule
        of no composition.
    """
    usual = PARENTS[family_of(amounts)]
    chosen = parent or usual[0]
    by = rule or ("nasicon" if chosen == "nasicon" else "0tm")
    if by == "bond":
        raise OrderingError(
            "the rule 'bond' opens bonds between full sites: no composition has that; "
            "percolation_threshold takes it"
        )
    held = carrier_filling(amounts, chosen, carrier)
    if by == "nasicon_all":  # 6b is filled at random like 18e
        held = held._replace(sites=held.sites * 4 / 3, given=Fraction(0))
    filling = float((held.amount - held.given) / held.sites)
    threshold, curve = measured_lattice(chosen, by, cations, samples, seed)
    unit = 2.0 if by in TETRAHEDRAL else 1.0
    share, error, wraps = curve.at(filling)
    critical = threshold.value / unit
    return RandomLimit(
        formula=display_formula(amounts),
        parent=chosen,
        rule=by,
        carrier=held.carrier,
        filling=filling,
        carriers_per_formula_unit=float(held.amount),
        sites_per_formula_unit=float(held.sites),
        threshold=critical,
        threshold_error=threshold.standard_error / unit,
        excess=float(held.sites) * (filling - critical),
        accessible=share if held.amount else 0.0,
        accessible_error=error,
        accessible_per_formula_unit=share * float(held.amount),
        wrap_probability=wraps,
        sites=threshold.sites,
        samples=samples,
        seed=seed,
        kernel=KERNEL,
        caveat=_CAVEAT,
    )


def cells_along(parent: str, cations: int) -> tuple[int, int, int] | int:
    """
    Return the conventional cells along each axis of a near-cubic cell of so many sites.

    Examples
    --------
    >>> cells_along("rocksalt", 32_000), cells_along("layered", 32_000)
    (20, (25, 25, 9))
    """
    cubes = float(cations) / 4  # cubic cells of four cations
    side = float(cubes ** (1 / 3))
    if parent == "layered":  # a is 1/sqrt(2), c is 2 sqrt(3) of a cubic edge
        across = max(1, round(1.235 * side))
        return across, across, max(1, round(cations / (6 * across**2)))
    if parent == "gamma_lifeo2":
        return max(1, round(side)), max(1, round(side)), max(1, round(side / 2))
    sites = {"spinel_like": 32, "nasicon": 24, "simple_cubic": 1}.get(parent, 4)
    return max(1, round(float((cations / sites) ** (1 / 3))))


@lru_cache(maxsize=32)
def measured_lattice(
    parent: str, rule: str, cations: int, samples: int, seed: int
) -> tuple[PercolationThreshold, AccessibleCurve]:
    """Measure threshold and curve of a lattice once for all compositions."""
    size = cells_along(parent, cations)
    return (
        percolation_threshold(parent, rule, size=size, samples=samples, seed=seed),
        accessible_curve(parent, rule, size=size, samples=samples, seed=seed),
    )
