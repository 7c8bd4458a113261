"""The published tolerance factor of NASICON stability, with its convention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hts_battery.compositions.descriptors import composition_descriptors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

SLOPE = 0.2034
BOUNDARY = 0.3219
ELECTROSTATIC = 0.0005422912481778321
_SODIUM_ELECTRONEGATIVITY = 0.93


def nasicon_tolerance_2021(
    formula: str | Mapping[str, Fraction], ewald_energy: float
) -> float:
    r"""
    Return the published tolerance factor minus its boundary: stable where not positive.

    .. math:: t = 0.2034\,(N^{1/3} + Q^2) + 5.423\cdot10^{-4}\,E^2 X R - 0.3219

    with N the sodium per twelve O, Q the spread of the polyanions' charges, R that of
    the metals' radii (amount-weighted standard deviations, angstrom), X the mean
    electronegativity of the metals minus 0.93, of sodium. Fitted by B. Ouyang et al.,
    Nat. Commun. 12, 5752 (2021), 10.1038/s41467-021-26006-3, to E_hull(1000 K) with the
    entropy of the mode ``ouyang2021``. Amounts here are exact; those of the published
    table are truncated in 782 of 3,104 rows.

    Parameters
    ----------
    formula
        Na(x)M2(XO4)3, as text or amounts.
    ewald_energy
        Electrostatic energy of the lowest ordering of formal charges, eV/atom.

    Examples
    --------
    >>> round(nasicon_tolerance_2021("NaZr2(PO4)3", -66.0), 4)
    -0.1185
    """
    found = composition_descriptors(formula)
    x = found["carrier_amount"] ** (1 / 3) + found["polyanion_charge_spread"] ** 2
    shift = found["metal_electronegativity_mean"] - _SODIUM_ELECTRONEGATIVITY
    y = ELECTROSTATIC * ewald_energy**2 * shift * found["metal_radius_spread"]
    return float(SLOPE * x + y - BOUNDARY)
