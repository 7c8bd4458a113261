"""What engines take of an ordered cell, and the one form of what they give back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hts_battery.structures.neighbours import wrapped

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from hts_battery.schemas.structure import OrderedCell

_DECIMALS = 10  # of fractional coordinates
MOMENT = "magmom"
"""Site property of the starting moments; the name that pymatgen's VASP input sets and
its ASE adaptor read."""
CHARGE = "charge"
"""Site property of formal charges; the name that pymatgen's ASE adaptor reads."""


def calculator_structure(
    cell: OrderedCell, *, magmom: bool, charge: bool = False
) -> Structure:
    """
    Return an ordered cell as engines take it: elements, in the cell's order of sites.

    ======  ======  ======  ========================================================
    engine  magmom  charge  what else follows from it
    ======  ======  ======  ========================================================
    VASP    yes     no      MAGMOM is the site property; LDAUU, LDAUJ, LDAUL and POTCAR
                            go by element, so two valences of an element share them
    GPAW    yes     no      pymatgen's ASE adaptor makes it the initial magnetic moments
    CHGNet  no      no      takes elements and positions alone
    ionic   no      yes     pymatgen's ASE adaptor makes it the initial charges
    ======  ======  ======  ========================================================

    Parameters
    ----------
    cell
        The ordered cell.
    magmom
        Whether starting moments (Bohr magnetons) stay as the site property
        ``magmom``.
    charge
        Whether formal charges (elementary charges) become the site property
        ``charge``.

    Returns
    -------
    Structure
        Without oxidation states and any other site property: engines hand these back
        altered or not at all. Site i is site i of the stored structure.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from hts_battery.schemas.candidate import Candidate
    >>> from hts_battery.structures import order_candidate
    >>> two = Fraction(2)
    >>> nickel_oxide = Candidate("hedrx", {"Ni": two, "O": two},
    ...     sites={"cation": two, "anion": two},
    ...     assignments=({"cation": {"Ni2+": two}, "anion": {"O2-": two}},))
    >>> cell = order_candidate(nickel_oxide, atoms=4)
    >>> calculator_structure(cell, magmom=True).site_properties
    {'magmom': [2.0, 2.0, 0.0, 0.0]}
    >>> calculator_structure(cell, magmom=False).site_properties
    {}
    >>> calculator_structure(cell, magmom=False, charge=True).site_properties
    {'charge': [2.0, 2.0, -2.0, -2.0]}
    """
    return bare_structure(cell.to_structure(), magmom=magmom, charge=charge)


def bare_structure(structure: Structure, *, magmom: bool, charge: bool) -> Structure:
    """
    Return a decorated structure as :func:`calculator_structure` does a cell.

    Oxidation states become the site property ``charge`` where that is asked for;
    ``magmom`` says whether that site property stays.
    """
    structure = structure.copy()
    charges = [float(site.specie.oxi_state or 0) for site in structure]
    structure.remove_oxidation_states()
    for name in tuple(structure.site_properties):
        if name != MOMENT or not magmom:
            structure.remove_site_property(name)
    if charge:
        structure.add_site_property(CHARGE, charges)
    return structure


def wrapped_structure(structure: Structure) -> Structure:
    """
    Bring a relaxed structure into the form that is stored, the same on every machine.

    Fractional coordinates are rounded to ten decimals and lie in [0, 1): what an
    engine leaves of a zero may come back as the last digit below one.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> cell = Structure(Lattice.cubic(4), ["Li"], [[1 - 1e-16, -1e-17, 1.25]])
    >>> wrapped_structure(cell).frac_coords.tolist()
    [[0.0, 0.0, 0.25]]
    """
    found = structure.copy()
    for site, position in zip(
        found, wrapped(np.round(structure.frac_coords, _DECIMALS)), strict=True
    ):
        site.frac_coords = position
    return found
