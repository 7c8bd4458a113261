r"""
How much deeper the hull may be than the competing phases at hand make it.

E_hull is optimistic by what the library of competing phases lacks. How much that may
be is told by formation energies that exist for far more compositions than structures
are at hand for: the hull of all of them, minus the hull of the library's compositions
among them, *both with the same formation energies*,

.. math:: \Delta(x) = E^\mathrm{library}(x) - E^\mathrm{all}(x) \ge 0.

No energy of the library's own engine enters, so no error of it does. The candidate's
own composition is left out of both hulls, like every composition that the candidate is
not compared with. Compositions of the library that have no formation energy in the
table take no part: the difference is then too large rather than too small.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.schemas.formula import (
    atomic_fractions,
)
from hts_battery.thermo.envelope import Envelope, element_words, fraction_rows
from hts_battery.thermo.hull import Hull

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from hts_battery.schemas.formula import Formula
    from hts_battery.thermo.envelope import Solutions

    Floats = NDArray[np.float64]
    Integers = NDArray[np.intp]
    Flags = NDArray[np.bool_]

SYSTEM_SHARE = 0.1
"""Atomic fraction from which a chemical system without reference is named."""
COMPETITIVE_WITHIN = 0.010
"""How far above the hull of all others a phase may lie and still compete, eV/atom."""
_SAME_COMPOSITION = 1e-9
_NO_AMOUNT = 1e-6
_NO_DEPTH = 1e-9  # eV/atom; smaller differences are rounding
_NOWHERE = np.zeros(0, dtype=np.intp)


@dataclass(frozen=True)
class Depth:
    """What the list of compositions says of the hull at one composition."""

    risk: float | None
    """How much E_hull may fall by all listed compositions, eV/atom."""
    risk_reported: float | None
    """The same by those that are reported, eV/atom."""
    reason: str | None = None
    """Why the two are not known."""
    missing: Mapping[str, float] = field(default_factory=dict)
    """Listed compositions in the lowest mixture of all that the library lacks →
    atomic fraction, largest first."""
    systems: tuple[str, ...] = ()
    """Chemical systems of any size that the hull asks for and the library lacks: the
    composition's own where it is listed, and those that hold a tenth of the atoms of
    the lowest mixture of all."""


class _Table(NamedTuple):
    """The listed compositions as arrays."""

    rows: Sequence[KnownComposition]
    elements: tuple[str, ...]
    fractions: Floats
    energies: Floats
    reported: Flags
    systems: tuple[str, ...]
    """Chemical system of each."""
    places: Mapping[bytes, Integers]
    """Words of a chemical system → rows that are exactly in it."""

    def find(self, formulas: Sequence[Formula]) -> tuple[Floats, Flags, list[Integers]]:
        """Rows of fractions, whether their elements are listed, and where they are."""
        rows, inside = fraction_rows(formulas, self.elements)
        rows[~inside] = 0.0
        found = []
        for row, word in zip(rows, element_words(rows), strict=True):
            here = self.places.get(word.tobytes(), _NOWHERE)
            distance = np.abs(self.fractions[here] - row).max(axis=1, initial=0.0)
            found.append(here[distance < _SAME_COMPOSITION])
        return rows, inside, found


def _table(rows: Sequence[KnownComposition]) -> _Table:
    formulas = [row.formula for row in rows]
    elements = tuple(sorted({el for one in formulas for el in atomic_fractions(one)}))
    systems = tuple(chemical_system(one) for one in formulas)
    fractions, _ = fraction_rows(formulas, elements)
    places: dict[bytes, list[int]] = defaultdict(list)
    for number, word in enumerate(element_words(fractions)):
        places[word.tobytes()].append(number)
    return _Table(
        rows=rows,
        elements=elements,
        fractions=fractions,
        energies=np.array([row.formation_energy for row in rows]),
        reported=np.array([row.reported for row in rows], dtype=bool),
        systems=systems,
        places={word: np.array(numbers) for word, numbers in places.items()},
    )


@lru_cache(maxsize=1)
def _shipped() -> _Table:
    return _table(known_compositions())


def chemical_system(formula: Formula) -> str:
    """Name the elements of a formula, alphabetically."""
    return "-".join(sorted(atomic_fractions(formula)))


class HullDepth:
    """
    Compares the hull of a library's compositions with that of all known ones.

    Parameters
    ----------
    library
        Composition of each usable competing phase. The elements always count.
    known
        Compositions with formation energies, the elements among them; the shipped
        table if not given.

    Examples
    --------
    >>> depth = HullDepth(["Li2O", "MoO3", "Li2MoO4"]).at(["Li6MoO6"])[0]
    >>> depth.missing.keys(), round(depth.risk, 3)
    (dict_keys(['Li4MoO5']), 0.059)
    """

    def __init__(
        self,
        library: Iterable[Formula],
        *,
        known: Sequence[KnownComposition] | None = None,
    ) -> None:
        self._table = table = _shipped() if known is None else _table(known)
        formulas = list(dict.fromkeys(_hashable(one) for one in library))
        self._systems = {chemical_system(one) for one in (*formulas, *table.elements)}
        held = np.count_nonzero(table.fractions, axis=1) == 1
        for numbers in table.find(formulas)[2]:
            held[numbers] = True
        self._held = held
        self._listed = frozenset(table.systems)
        self._library = _Part(table, held)
        self._with_reported = _Part(table, held | table.reported)
        self._all = _Part(table, np.ones_like(held))

    def at(
        self,
        formulas: Sequence[Formula],
        *,
        exclude: Sequence[Collection[Formula]] | None = None,
        with_own: bool = False,
    ) -> list[Depth]:
        """
        Compare the hulls at many compositions at once.

        Parameters
        ----------
        formulas
            Compositions.
        exclude
            For each of them the compositions that it is not compared with; its own
            needs no mention.
        with_own
            Whether its own composition takes part: how far a listed composition lies
            below the hull of the library is asked that way.
        """
        rows, inside, own = self._table.find(formulas)
        gone = (
            {} if with_own else {n: found for n, found in enumerate(own) if len(found)}
        )
        for number, names in enumerate(exclude or ()):
            if len(found := self._found(names)):
                gone[number] = np.union1d(gone.get(number, _NOWHERE), found)
        library = self._library.solve(rows, gone).energies
        reported = self._with_reported.solve(rows, gone).energies
        everything = self._all.solve(rows, gone)
        return [
            Depth(
                risk=_difference(library[number], everything.energies[number]),
                risk_reported=_difference(library[number], reported[number]),
                missing=self._missing(everything, number),
                systems=self._lacking(everything, number, formula),
            )
            if known
            else Depth(None, None, reason=self._unlisted(formula))
            for number, (formula, known) in enumerate(
                zip(formulas, inside.tolist(), strict=True)
            )
        ]

    def _found(self, names: Collection[Formula]) -> Integers:
        """Rows of some compositions."""
        found = self._table.find(list(names))[2] if names else []
        return np.concatenate([_NOWHERE, *found])

    def _unlisted(self, formula: Formula) -> str:
        unknown = sorted(atomic_fractions(formula).keys() - set(self._table.elements))
        return f"no listed composition holds {', '.join(unknown)}"

    def _mixture(self, solutions: Solutions, number: int) -> list[tuple[float, int]]:
        """Amount and row of each phase of a lowest mixture, largest first."""
        pairs = zip(
            solutions.amounts[number].tolist(),
            solutions.phases[number].tolist(),
            strict=True,
        )
        return sorted(
            ((amount, row) for amount, row in pairs if amount > _NO_AMOUNT),
            key=lambda pair: (-pair[0], pair[1]),
        )

    def _missing(self, solutions: Solutions, number: int) -> dict[str, float]:
        return {
            self._table.rows[row].formula: round(amount, 6)
            for amount, row in self._mixture(solutions, number)
            if not self._held[row]
        }

    def _lacking(
        self, solutions: Solutions, number: int, formula: Formula
    ) -> tuple[str, ...]:
        shares: dict[str, float] = defaultdict(float)
        for amount, row in self._mixture(solutions, number):
            shares[self._table.systems[row]] += amount
        wanted = {name for name, share in shares.items() if share >= SYSTEM_SHARE}
        wanted |= {chemical_system(formula)} & self._listed
        return tuple(sorted(wanted - self._systems))


class _Part:
    """The lower envelope of some rows of the table; phases are rows of the table."""

    def __init__(self, table: _Table, chosen: Flags) -> None:
        self._rows = np.flatnonzero(chosen)
        self._places = np.full(len(chosen), -1)
        self._places[self._rows] = np.arange(len(self._rows))
        self._envelope = Envelope(
            table.fractions[self._rows], table.energies[self._rows]
        )

    def solve(self, rows: Floats, gone: Mapping[int, Integers]) -> Solutions:
        """Find the lowest mixtures without what is gone."""
        excluded = {
            number: places[places >= 0]
            for number, found in gone.items()
            if (places := self._places[found]).max() >= 0
        }
        solutions = self._envelope.solve(rows, excluded)
        phases = self._rows[np.maximum(solutions.phases, 0)]
        return solutions._replace(
            phases=np.where(solutions.phases < 0, -1, phases).astype(np.intp)
        )


def competitive(
    formulas: Sequence[Formula],
    energies_per_atom: ArrayLike,
    *,
    within: float = COMPETITIVE_WITHIN,
) -> dict[str, float]:
    """
    Tell how the phases of a library compete with each other, by composition.

    Parameters
    ----------
    formulas
        Composition of each usable phase; several phases may share one.
    energies_per_atom
        Their energies, eV/atom, of one calculator.
    within
        How far above the hull of all other compositions the lowest phase of a
        composition may lie to be competitive, eV/atom.

    Returns
    -------
    dict
        The first spelling of each that competes → energy of its lowest phase relative
        to the hull of all other compositions, eV/atom; zero where they cannot be mixed
        to it.

    Examples
    --------
    >>> competitive(["Li", "O2", "Li2O", "LiO2"], [0.0, 0.0, -2.0, -0.3])
    {'Li': 0.0, 'O2': 0.0, 'Li2O': -1.85}
    """
    lowest = lowest_phases(formulas, energies_per_atom)
    above = above_others(lowest)
    return {name: height for name, height in above.items() if height <= within}


def lowest_phases(
    formulas: Sequence[Formula], energies_per_atom: ArrayLike
) -> dict[str, float]:
    """Keep the lowest phase of each composition: its first spelling → eV/atom."""
    energies = np.asarray(energies_per_atom, dtype=float)
    names: dict[tuple[tuple[str, float], ...], str] = {}
    lowest: dict[str, float] = {}
    for formula, energy in zip(formulas, energies.tolist(), strict=True):
        fractions = sorted(atomic_fractions(formula).items())
        key = tuple((symbol, round(amount, 9)) for symbol, amount in fractions)
        name = names.setdefault(key, str(formula))
        lowest[name] = min(energy, lowest.get(name, energy))
    return lowest


def above_others(lowest: Mapping[str, float]) -> dict[str, float]:
    """Energy of each composition over the hull of all others, eV/atom."""
    formulas = list(lowest)
    hull = Hull(formulas, list(lowest.values()), ids=formulas)
    heights = hull.energies_above_hull(
        formulas, list(lowest.values()), exclude=[[one] for one in formulas]
    )
    return dict(zip(formulas, np.nan_to_num(heights).tolist(), strict=True))


def _difference(higher: float, lower: float) -> float:
    """Depth between two hulls, one of which holds the other."""
    depth = float(higher - lower)
    return depth if depth > _NO_DEPTH else 0.0


def _hashable(formula: Formula) -> str:
    if isinstance(formula, str):
        return formula
    return "".join(f"{symbol}{float(n):.10g}" for symbol, n in formula.items() if n)


class KnownComposition(NamedTuple):
    """One row of the table."""

    formula: str
    """Smallest integers; for people."""
    formation_energy: float
    """Machine-learned, eV/atom, elements at zero, rounded to 0.1 meV/atom."""
    reported: bool
    """Whether a source at hand says that it was made; unknown counts as not."""
    source: str
    """Of the energy, then who reports it."""


@lru_cache(maxsize=1)
def known_compositions() -> tuple[KnownComposition, ...]:
    """
    Return the shipped table: what lies within 50 meV/atom of the hull of them all.

    The energies are those of 10.1038/s41524-020-00362-y for compositions of the
    Materials Project; ``workflows/known_compositions.py`` makes the table.

    Examples
    --------
    >>> next(row for row in known_compositions() if row.formula == "Li4MoO5")[:3]
    ('Li4MoO5', -2.3249, True)
    """
    lines = [line for line in _text().splitlines() if not line.startswith("#")]
    return tuple(
        KnownComposition(formula, float(energy), reported == "1", source)
        for formula, energy, reported, source in list(csv.reader(lines))[1:]
    )


@lru_cache(maxsize=1)
def known_compositions_digest() -> str:
    """Digest of the table, which is part of what answers are made from."""
    return sha256(_text().encode()).hexdigest()[:16]


def _text() -> str:
    path = files("hts_battery.thermo") / "data" / "known_compositions.csv"
    return path.read_text("utf-8")
