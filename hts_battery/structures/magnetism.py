"""Magnetic moments that a calculation starts from, decided by the species alone."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import TYPE_CHECKING

from hts_battery.schemas.species_table import species_properties, species_table
from hts_battery.schemas.structure import MagneticOrder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def starting_moments(
    decoration: Sequence[str],
    *,
    order: MagneticOrder = MagneticOrder.FERROMAGNETIC,
    overrides: Mapping[str, int] | None = None,
) -> tuple[float, ...]:
    r"""
    Give every site the spin-only moment of its species, with the sign of its species.

    .. math:: \mu_i = s_{k(i)}\, n_{k(i)}

    with n unpaired electrons of species k on an octahedral site (species table:
    octahedral Co3+ and Ni3+ are not high spin) and s its sign. Ferromagnetic: every
    sign is plus. Ferrimagnetic: see :func:`species_signs`. Both depend on how many
    sites each species has and not on which, so every ordering of one composition
    starts in the same magnetic state.

    Parameters
    ----------
    decoration
        Species of each site; vacancies allowed.
    order
        How the moments stand to each other.
    overrides
        Species → unpaired electrons, in place of the table's: another spin state.

    Returns
    -------
    tuple[float, ...]
        Moments in Bohr magnetons, one a site.

    Raises
    ------
    ValueError
        If an override is negative.

    Examples
    --------
    >>> starting_moments(["Li+", "Mn3+", "Co3+", "O2-"])
    (0.0, 4.0, 0.0, 0.0)
    >>> starting_moments(["Ni2+", "Mn4+", "Ni2+"], order=MagneticOrder.FERRIMAGNETIC)
    (-2.0, 3.0, -2.0)
    >>> starting_moments(["Co3+"], overrides={"Co3+": 4})
    (4.0,)
    """
    counts = Counter(decoration)
    unpaired = unpaired_electrons(counts, overrides)
    signs = dict.fromkeys(counts, 1)
    if order is MagneticOrder.FERRIMAGNETIC:
        signs |= species_signs({k: n * unpaired[k] for k, n in counts.items()})
    return tuple(float(signs[k] * unpaired[k]) for k in decoration)


def unpaired_electrons(
    species: Iterable[str], overrides: Mapping[str, int] | None = None
) -> dict[str, int]:
    """
    Look up the unpaired electrons of each species, or take them from overrides.

    Raises
    ------
    ValueError
        If an override is negative.

    Examples
    --------
    >>> unpaired_electrons(["Fe2+", "Ni3+"], {"Fe2+": 0})
    {'Fe2+': 0, 'Ni3+': 1}
    """
    given = dict(overrides or {})
    negative = sorted(k for k, n in given.items() if n < 0)
    if negative:
        raise ValueError(
            f"unpaired electrons of {', '.join(negative)} must not be negative; the "
            f"magnetic order decides signs"
        )
    return {
        k: given[k] if k in given else species_properties(k).unpaired_electrons
        for k in species
    }


def species_signs(moments: Mapping[str, int]) -> dict[str, int]:
    r"""
    Choose the sign of each magnetic species so that the cell's moment is smallest.

    All ions of one species are parallel. Of all signs with plus for the first
    species, those with the smallest :math:`|\sum_k s_k m_k|`; of these the first in
    the order that turns the last species first. Species stand in the order of the
    species table, others behind them by name. With one magnetic species nothing can
    be reversed: the start is ferromagnetic.

    Parameters
    ----------
    moments
        Species → sum of the moments of its sites, unsigned, in Bohr magnetons.

    Returns
    -------
    dict
        Magnetic species → 1 or -1.

    Examples
    --------
    >>> species_signs({"Mn2+": 10, "Fe3+": 5, "Cr3+": 6, "Li+": 0})
    {'Cr3+': 1, 'Mn2+': -1, 'Fe3+': 1}
    """
    rank = {text: i for i, text in enumerate(species_table())}
    magnetic = sorted(
        (k for k, total in moments.items() if total),
        key=lambda k: (rank.get(k, len(rank)), k),
    )
    if not magnetic:
        return {}
    choices = ((1, *rest) for rest in product((1, -1), repeat=len(magnetic) - 1))
    best = min(
        choices,
        key=lambda signs: abs(
            sum(s * moments[k] for s, k in zip(signs, magnetic, strict=True))
        ),
    )
    return dict(zip(magnetic, best, strict=True))
