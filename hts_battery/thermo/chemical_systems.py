"""Chemical systems as bits: which elements a composition has, and what lies inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.intp]
    Flags = NDArray[np.bool_]

_WORD = 63


def element_words(rows: Floats) -> Integers:
    """Mark the elements present in each row as bits, in as many words as needed."""
    columns = np.arange(rows.shape[1])
    bits = np.zeros((rows.shape[1], -(-rows.shape[1] // _WORD)), dtype=np.int64)
    bits[columns, columns // _WORD] = np.int64(1) << (columns % _WORD)
    words: Integers = (rows > 0.0).astype(np.int64) @ bits
    return words


def contained(references: Integers, systems: Integers) -> Flags:
    """
    Tell which references have no element outside a system.

    Parameters
    ----------
    references, systems
        Elements of each, from :func:`element_words`.

    Returns
    -------
    ndarray
        System, reference.
    """
    outside = np.zeros((len(systems), len(references)), dtype=np.int64)
    for word in range(references.shape[1]):
        outside |= references[None, :, word] & ~systems[:, None, word]
    return np.asarray(outside == 0)


def by_system(words: Integers, numbers: Integers) -> dict[bytes, Integers]:
    """
    Group compositions by the elements present.

    Parameters
    ----------
    words
        Elements of each composition, from :func:`element_words`.
    numbers
        What to group, one number per composition.

    Returns
    -------
    dict
        Bytes of the words → numbers of the compositions.
    """
    if not len(numbers):
        return {}
    order = np.lexsort(words.T)
    ordered = words[order]
    starts = np.flatnonzero((ordered[1:] != ordered[:-1]).any(axis=1)) + 1
    groups = np.split(numbers[order], starts)
    firsts = ordered[np.concatenate([[0], starts])]
    return {first.tobytes(): group for first, group in zip(firsts, groups, strict=True)}


def pure_phases(fractions: Floats, energies: Floats) -> Integers:
    """
    Find the lowest phase of each pure element.

    Parameters
    ----------
    fractions
        Phase, element: atomic fractions.
    energies
        Energy of each phase, eV/atom.

    Returns
    -------
    ndarray
        Phase of each element, -1 where there is none.
    """
    pure = np.full(fractions.shape[1], -1)
    for phase in np.argsort(-energies, kind="stable"):
        element = int(fractions[phase].argmax())
        if fractions[phase, element] == 1.0:
            pure[element] = phase
    return pure
