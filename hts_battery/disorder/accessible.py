"""What a wrapping cluster of one cell holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hts_battery.disorder.cells import cation_sites, site_symbols
from hts_battery.disorder.clusters import KERNEL, clusters, grouped
from hts_battery.disorder.networks import (
    TETRAHEDRAL,
    neighbours,
    refuse_rule,
    tetrahedra,
)
from hts_battery.errors import OrderingError
from hts_battery.schemas.percolation import AccessibleCarriers

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from hts_battery.disorder.clusters import SiteNetwork

SMALLEST = 4_000
"""Sites that a cell of one's own must have before it speaks for a material."""

_SODIUM_REACH = 4.3  # angstrom; 6b to 18e is 3.2 to 3.6, 18e to 18e 4.6 and more
_SODIUM_SITES_AN_OXYGEN = 4 / 12


def accessible_carriers(
    structure: Structure, rule: str = "0tm", carrier: str = "Li", *, small: bool = False
) -> AccessibleCarriers:
    """
    Count the carriers of a cell that a wrapping cluster holds.

    Parameters
    ----------
    structure
        A cell in any orientation, origin and order of sites. Cations are the sites with
        a positive oxidation state, or without states those of no anion element; a site
        may hold a vacancy as a dummy species.
    rule
        ``0tm``, ``1tm`` or ``nearest`` on the cation lattice; ``nasicon`` for sodium on
        6b and 18e, joined where they are at most 4.3 angstrom apart.
    carrier
        Element that moves.
    small
        Take a cell with fewer than 4,000 sites that the carrier may take. A cell of 40
        atoms says nothing about the material.

    Raises
    ------
    OrderingError
        Unknown rule, too small a cell, or no face-centred cubic cation lattice for a
        rule of tetrahedra.
    """
    refuse_rule(rule)
    if rule in ("bond", "nasicon_all"):
        raise OrderingError(
            f"the rule {rule!r} is one of a lattice filled at random; a cell takes "
            "0tm, 1tm, nearest or nasicon"
        )
    network, occupied, sites = _cell_network(structure, rule, carrier)
    if sites < SMALLEST and not small:
        raise OrderingError(
            f"a cell with {sites} sites that {carrier} may take says nothing about the "
            f"material: take one with {SMALLEST} at least, or small=True (--small)"
        )
    carriers = int(occupied.sum())
    found = clusters(grouped(network), occupied)
    inside = found.roots[occupied]
    wrapping = found.wraps[inside] > 0
    bits = int(np.bitwise_or.reduce(found.wraps[inside], initial=0))
    return AccessibleCarriers(
        rule=rule,
        carrier=carrier,
        fraction=float(wrapping.mean()) if carriers else 0.0,
        carriers=carriers,
        sites=sites,
        wraps=(bool(bits & 1), bool(bits & 2), bool(bits & 4)),
        clusters=len(np.unique(inside[wrapping])),
        tetrahedra=carriers_on(network, occupied) if rule in TETRAHEDRAL else None,
        reason=_reason(carriers, carrier, bits),
        kernel=KERNEL,
    )


def _cell_network(
    structure: Structure, rule: str, carrier: str
) -> tuple[SiteNetwork, NDArray[np.bool_], int]:
    """Network of a cell, where carriers stand, and how many sites they may take."""
    symbols = site_symbols(structure)
    lattice = np.asarray(structure.lattice.matrix)
    if rule == "nasicon":
        chosen = symbols == carrier
        oxygen = int((symbols == "O").sum())
        network = neighbours(
            lattice, structure.frac_coords[chosen], cutoff=_SODIUM_REACH
        )
        sites = round(oxygen * _SODIUM_SITES_AN_OXYGEN)
        return network, np.ones(int(chosen.sum()), dtype=bool), sites
    chosen = cation_sites(structure)
    places = structure.frac_coords[chosen]
    if rule == "nearest":
        network = neighbours(lattice, places)
    else:
        network = tetrahedra(lattice, places, TETRAHEDRAL[rule])
    return network, symbols[chosen] == carrier, int(chosen.sum())


def carriers_on(network: SiteNetwork, occupied: NDArray[np.bool_]) -> tuple[float, ...]:
    """Fractions of tetrahedra with 0, 1, 2, 3, 4 carriers."""
    numbers = occupied[network.members].sum(axis=1)
    shares = np.bincount(numbers, minlength=5) / len(numbers)
    return tuple(float(share) for share in shares)


def _reason(carriers: int, carrier: str, bits: int) -> str | None:
    """Say why nothing is accessible."""
    if not carriers:
        return f"no {carrier} in the cell"
    if not bits:
        return "no cluster wraps the cell"
    return None
