"""Pairs of anions that a relaxation brought too close together, and how close."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import yaml

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymatgen.core import Structure

    from hts_battery.schemas.relaxed import RelaxationThresholds

_DATA = files("hts_battery.structures") / "data" / "anion_radii.yaml"
_COVALENT, _VAN_DER_WAALS = "covalent", "van_der_waals"


class AnionPairs(NamedTuple):
    """Numbers of pairs of anions; the elements of a pair are alphabetical: ``F-O``."""

    bonds: dict[str, int]
    """Pairs at a bonding distance."""
    contacts: dict[str, int]
    """Pairs closer than anions come in a crystal, those at a bonding distance too."""


@lru_cache(maxsize=1)
def _radii() -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = yaml.safe_load(_DATA.read_text("utf-8"))
    return found


def bond_limit(first: str, second: str, *, oxygen: float) -> float:
    r"""
    Distance below which two anions are bonded, in angstrom.

    .. math:: d_{AB} = d_{OO} (r_A + r_B) / 2 r_O

    with the radii of covalent single bonds (10.1002/chem.200800987).

    Parameters
    ----------
    first, second
        Elements.
    oxygen
        The distance for two oxygen atoms, angstrom.

    Examples
    --------
    >>> [round(bond_limit(a, b, oxygen=1.6), 2) for a, b in ("OO", "FO", "FF", "SS")]
    [1.6, 1.61, 1.63, 2.62]
    """
    radii = _radii()
    total = radii[first][_COVALENT] + radii[second][_COVALENT]
    return oxygen * total / (2 * radii["O"][_COVALENT])


def contact_limit(first: str, second: str, *, share: float) -> float:
    """
    Distance that two anions of a crystal keep at least, in angstrom.

    Parameters
    ----------
    first, second
        Elements.
    share
        Of the sum of their van der Waals radii (10.1039/c3dt50599e).

    Examples
    --------
    >>> [round(contact_limit(a, b, share=0.7), 2) for a, b in ("OO", "FO", "FF")]
    [2.1, 2.07, 2.04]
    """
    radii = _radii()
    return share * (radii[first][_VAN_DER_WAALS] + radii[second][_VAN_DER_WAALS])


def anion_pairs(
    structure: Structure, anions: Sequence[bool], limits: RelaxationThresholds
) -> AnionPairs:
    """
    Count the pairs of anions that are bonded, and those that are too close.

    Parameters
    ----------
    structure
        The relaxed cell; images of its atoms count.
    anions
        Whether each of its atoms is an anion: sulfur in a sulfate is none.
    limits
        ``oxygen_contact`` and ``anion_contact``.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> from hts_battery.schemas.relaxed import RelaxationThresholds
    >>> pair = Structure(Lattice.cubic(9), ["O", "F"], [[0, 0, 0], [0.16, 0, 0]])
    >>> anion_pairs(pair, [True, True], RelaxationThresholds())
    AnionPairs(bonds={'F-O': 1}, contacts={'F-O': 1})
    """
    symbols = [site.specie.symbol for site in structure]
    known = {
        symbol for symbol, anion in zip(symbols, anions, strict=True) if anion
    } & _radii().keys()
    bonds: Counter[str] = Counter()
    contacts: Counter[str] = Counter()
    if not known:
        return AnionPairs({}, {})
    limit = {
        (a, b): (
            bond_limit(a, b, oxygen=limits.oxygen_contact),
            contact_limit(a, b, share=limits.anion_contact),
        )
        for a in known
        for b in known
    }
    counted = np.array(anions) & np.isin(symbols, sorted(known))
    reach = max(max(pair) for pair in limit.values())
    first, second, _, lengths = structure.get_neighbor_list(reach)
    between = counted[first] & counted[second]
    for i, j, length in zip(
        first[between], second[between], lengths[between], strict=True
    ):
        pair = "-".join(sorted((symbols[i], symbols[j])))
        bond, contact = limit[symbols[i], symbols[j]]
        bonds[pair] += length < bond
        contacts[pair] += length < max(bond, contact)
    # Every pair is found from both of its ends.
    return AnionPairs(_halved(bonds), _halved(contacts))


def _halved(counts: Counter[str]) -> dict[str, int]:
    return {pair: int(n) // 2 for pair, n in sorted(counts.items()) if n}
