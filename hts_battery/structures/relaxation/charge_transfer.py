"""Whether ions kept the oxidation and spin state that they were given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment

from hts_battery.schemas.relaxed import ChargeTransfer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hts_battery.schemas.relaxed import RelaxationThresholds
    from hts_battery.structures.relaxation.parent_map import ParentMap

_DECIMALS = 3
# Cost of giving an ion a species whose moment it does not show.
_MISFIT = 1.0


def moment_bounds(assigned: float, limits: RelaxationThresholds) -> tuple[float, float]:
    r"""
    Between which moments an ion is taken to be in the state that it was given.

    .. math:: m - \max(f m, \delta) \le |m_\mathrm{found}| \le m + g

    with m the spin-only moment. A calculation counts the spin inside a sphere round
    the ion, and covalency puts part of it on the anions, so what is missing grows
    with m; hardly anything can be too much.

    Parameters
    ----------
    assigned
        Spin-only moment in Bohr magnetons, unsigned.
    limits
        ``moment_lost_share`` f, ``moment_lost_least`` :math:`\delta` and
        ``moment_gained`` g.

    Returns
    -------
    tuple[float, float]
        Least and largest moment in Bohr magnetons.

    Examples
    --------
    >>> from hts_battery.schemas.relaxed import RelaxationThresholds
    >>> moment_bounds(5.0, RelaxationThresholds())
    (4.1, 5.4)
    >>> moment_bounds(1.0, RelaxationThresholds())
    (0.5, 1.4)
    """
    lost = max(limits.moment_lost_share * assigned, limits.moment_lost_least)
    return (
        round(max(assigned - lost, 0.0), _DECIMALS),
        round(assigned + limits.moment_gained, _DECIMALS),
    )


def charge_transfers(
    mapped: ParentMap,
    decoration: Sequence[str],
    moments: Sequence[float],
    limits: RelaxationThresholds,
) -> tuple[ChargeTransfer, ...]:
    """
    Find the ions whose final moment is not that of the species they were given.

    Signs are left out: a program may report magnitudes only, and a reversed ion has
    the same valence. The moment that was given is the one in the starting structure.

    Parameters
    ----------
    mapped
        The relaxed cell on its parent.
    decoration
        Species of every site of the parent cell at the start.
    moments
        Final moment of each atom of the relaxed structure in Bohr magnetons.
    limits
        See :func:`moment_bounds`.

    Raises
    ------
    ValueError
        If there is not one moment for each atom.
    """
    if len(moments) != len(mapped.relaxed):
        raise ValueError(
            f"{len(moments)} moments for {len(mapped.relaxed)} atoms: give one for "
            f"each, in the order of the relaxed structure"
        )
    given = mapped.start.site_properties["magmom"]
    found = []
    for atom, (site, assigned) in enumerate(zip(mapped.own, given, strict=True)):
        expected = abs(float(assigned))
        moment = abs(float(moments[mapped.matched[atom]]))
        least, largest = moment_bounds(expected, limits)
        if not least <= moment <= largest:
            found.append(
                ChargeTransfer(
                    site=int(site),
                    species=decoration[site],
                    moment_assigned=expected,
                    moment_found=round(moment, _DECIMALS),
                )
            )
    return tuple(found)


def states_exchanged(
    mapped: ParentMap, moments: Sequence[float], limits: RelaxationThresholds
) -> bool:
    """
    Whether ions of an element only exchanged the states that they were given.

    True if the states of each element can be dealt out to its ions in some order so
    that every moment fits: the cell then holds the valences that it was given, on
    other sites.

    Parameters
    ----------
    mapped, moments, limits
        As of :func:`charge_transfers`.
    """
    given = np.abs(np.array(mapped.start.site_properties["magmom"], dtype=float))
    found = np.abs(np.asarray(moments, dtype=float))[mapped.matched]
    elements = np.array([site.specie.symbol for site in mapped.start])
    for element in np.unique(elements):
        ions = np.flatnonzero(elements == element)
        bounds = np.array([moment_bounds(float(m), limits) for m in given[ions]])
        shown = found[ions][:, None]
        misfits = np.where(
            (bounds[:, 0] <= shown) & (shown <= bounds[:, 1]), 0, _MISFIT
        )
        rows, columns = linear_sum_assignment(misfits)
        if misfits[rows, columns].any():
            return False
    return True
