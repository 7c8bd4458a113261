"""What engines need of an ordered cell: the one place where it is derived."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from hts_battery.schemas.structure import OrderedCell

MOMENT = "magmom"
"""Site property of the starting moments; the name that pymatgen's VASP input sets and
its ASE adaptor read."""


def calculator_structure(cell: OrderedCell, *, magmom: bool) -> Structure:
    """
    Return an ordered cell as engines take it: elements, in the cell's order of sites.

    ========  ======  ==============================================================
    engine    magmom  what else follows from it
    ========  ======  ==============================================================
    VASP      yes     MAGMOM is the site property; LDAUU, LDAUJ, LDAUL and POTCAR go by
                      element, so two valences of an element share them
    GPAW      yes     pymatgen's ASE adaptor makes it the initial magnetic moments
    CHGNet    no      takes elements and positions alone
    ========  ======  ==============================================================

    Parameters
    ----------
    cell
        The ordered cell.
    magmom
        Whether starting moments (Bohr magnetons) stay as the site property
        ``magmom``.

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
    """
    structure = cell.to_structure().remove_oxidation_states()
    for name in tuple(structure.site_properties):
        if name != MOMENT or not magmom:
            structure.remove_site_property(name)
    return structure
