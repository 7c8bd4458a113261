"""The lower convex hull of reference phases, for any number of elements."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from hts_battery.errors import MissingReferenceError
from hts_battery.schemas.formula import atomic_fractions
from hts_battery.thermo.envelope import (
    Envelope,
    contained,
    element_words,
    fraction_rows,
)
from hts_battery.thermo.exchanges import lowest_exchanges

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from hts_battery.schemas.formula import Formula
    from hts_battery.thermo.envelope import Solutions
    from hts_battery.thermo.exchanges import Exchanged, Exchanges

_SAME_COMPOSITION = 1e-9
_NO_AMOUNT = 1e-9  # smaller amounts are rounding of phases at the edge of a basis


@dataclass(frozen=True)
class Decomposition:
    """The lowest mixture of reference phases at one composition."""

    energy: float
    """Energy of the mixture, eV/atom."""
    amounts: Mapping[str, float]
    """Formula of each phase → atomic fraction of the mixture in it."""
    phases: Mapping[str, float]
    """Id of each phase → atomic fraction of the mixture in it."""
    formulas: Mapping[str, str]
    """Id of each phase → its formula."""
    chemical_potentials: Mapping[str, float]
    """Element → chemical potential, eV/atom, on the scale of the references."""


class Hull:
    r"""
    Lower convex hull of reference phases in energy per atom.

    The hull energy at composition :math:`x` is the lowest energy of any mixture,
    :math:`\min c \cdot \lambda` subject to :math:`A^T \lambda = x`,
    :math:`\lambda \ge 0`; the dual solution is the chemical potentials.

    Parameters
    ----------
    formulas
        Reference phases: text, or element → amount. A composition may occur more
        than once (polymorphs); the lowest counts.
    energies_per_atom
        Their energies in eV/atom, from one calculator.
    ids
        One unique name per reference; the formula if not given.

    Raises
    ------
    ValueError
        If there are no references, the lengths differ, an energy is not finite or
        an id occurs twice.
    CompositionError
        If a formula cannot be read.

    Examples
    --------
    >>> hull = Hull(["Li", "O2", "Li2O"], [0.0, 0.0, -2.0])
    >>> round(float(hull.energies_above_hull(["Li2O2"], [-1.6])[0]), 9)
    -0.1
    >>> hull.decomposition("Li2O2").amounts
    {'Li2O': 0.75, 'O2': 0.25}
    """

    def __init__(
        self,
        formulas: Sequence[Formula],
        energies_per_atom: ArrayLike,
        *,
        ids: Sequence[str] | None = None,
    ) -> None:
        self.formulas = tuple(_text(formula) for formula in formulas)
        self.energies_per_atom = _finite(energies_per_atom, len(formulas), "reference")
        self.energies_per_atom.setflags(write=False)
        if not self.formulas:
            raise ValueError("a hull needs at least one reference phase")
        self.ids = self.formulas if ids is None else tuple(ids)
        _check_ids(self.ids, len(self.formulas), unique=ids is not None)
        self.elements = tuple(
            sorted(set().union(*(atomic_fractions(formula) for formula in formulas)))
        )
        self._fractions, _ = fraction_rows(formulas, self.elements)
        self._envelope = Envelope(self._fractions, self.energies_per_atom)

    def __len__(self) -> int:
        return len(self.formulas)

    @property
    def references(self) -> dict[str, tuple[str, float]]:
        """Id of each reference → formula and energy in eV/atom."""
        energies = self.energies_per_atom.tolist()
        return dict(
            zip(self.ids, zip(self.formulas, energies, strict=True), strict=True)
        )

    @cached_property
    def digest(self) -> str:
        """Version of the hull: SHA-256 of ids, compositions and energies, 16 digits."""
        lines = {
            f"{name} {energy!r} "
            + " ".join(
                f"{self.elements[column]}{row[column]:.9f}"
                for column in np.flatnonzero(row)
            )
            for name, energy, row in zip(
                self.ids, self.energies_per_atom.tolist(), self._fractions, strict=True
            )
        }
        return sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]

    def lower_energies(
        self,
        formulas: Sequence[Formula] | str,
        *,
        exclude: Sequence[Collection[str]] | None = None,
    ) -> NDArray[np.float64]:
        """
        Lowest energy of any mixture of the references.

        Parameters
        ----------
        formulas
            Compositions asked for.
        exclude
            For each of them the ids of references to leave out.

        Returns
        -------
        ndarray
            eV/atom; NaN where the references cannot be mixed to the composition.
            For one text instead of a sequence, an array without dimensions.

        Raises
        ------
        MissingReferenceError
            For one text whose elements are not all covered by references.
        """
        if isinstance(formulas, str):
            return np.asarray(self.decomposition(formulas).energy)
        return self._solve(formulas, exclude).energies

    def energies_above_hull(
        self,
        formulas: Sequence[Formula] | str,
        energies_per_atom: ArrayLike,
        *,
        exclude: Sequence[Collection[str]] | None = None,
    ) -> NDArray[np.float64]:
        """
        Energy relative to the lowest mixture of references, signed.

        Parameters
        ----------
        formulas
            Compositions of the candidates.
        energies_per_atom
            Their energies, eV/atom, on the scale of the references.
        exclude
            For each of them the ids of references to leave out; with
            :meth:`ids_at` a reference is compared with *other* phases.

        Returns
        -------
        ndarray
            eV/atom; negative below the hull, never clipped; NaN where the
            references cannot be mixed to the composition.

        Raises
        ------
        ValueError
            If an energy is not finite or the lengths differ.
        MissingReferenceError
            For one text whose elements are not all covered by references.
        """
        count = 1 if isinstance(formulas, str) else len(formulas)
        energies = _finite(energies_per_atom, count, "candidate")
        lower = self.lower_energies(formulas, exclude=exclude)
        return energies.reshape(lower.shape) - lower

    def decomposition(
        self, formula: Formula, *, exclude: Collection[str] = ()
    ) -> Decomposition:
        """
        Lowest mixture at one composition, with amounts and chemical potentials.

        Raises
        ------
        MissingReferenceError
            If the references cannot be mixed to the composition.
        """
        found = self.decompositions([formula], exclude=[exclude])[0]
        if found is None:
            raise self.missing_reference(formula, exclude=exclude)
        return found

    def decompositions(
        self,
        formulas: Sequence[Formula],
        *,
        exclude: Sequence[Collection[str]] | None = None,
    ) -> list[Decomposition | None]:
        """Lowest mixture at each composition; None where there is no mixture."""
        solutions = self._solve(formulas, exclude)
        return [
            None if missing else self._decomposition(solutions, number)
            for number, missing in enumerate(np.isnan(solutions.energies))
        ]

    @property
    def element_energies(self) -> NDArray[np.float64]:
        """Energy of the lowest phase of each element, eV/atom; 0 where none is pure."""
        return self._envelope.zeros

    def exchanges(self, asked: Exchanges) -> Exchanged:
        """Solve for lowest mixtures that exchange atoms with the outside."""
        return lowest_exchanges(self._envelope, asked)

    def joined_by(
        self,
        formulas: Sequence[Formula],
        energies_per_atom: ArrayLike,
        *,
        ids: Sequence[str],
    ) -> Hull:
        """
        Build the hull of these references and more phases, with ids of their own.

        Examples
        --------
        >>> hull = Hull(["Li", "O2"], [0.0, 0.0])
        >>> len(hull.joined_by(["Li2O"], [-2.0], ids=["oxide"]))
        3
        """
        added = _finite(energies_per_atom, len(formulas), "new")
        return Hull(
            [*self.formulas, *formulas],
            np.concatenate([self.energies_per_atom, added]),
            ids=[*self.ids, *ids],
        )

    def without(self, names: Collection[str]) -> Hull:
        """Build the hull of the other references; this one if none goes."""
        kept = np.flatnonzero(~self._named(names))
        if len(kept) == len(self):
            return self
        return Hull(
            [self.formulas[index] for index in kept],
            self.energies_per_atom[kept],
            ids=[self.ids[index] for index in kept],
        )

    def ids_at(self, formula: Formula) -> tuple[str, ...]:
        """Ids of the references that have exactly this composition."""
        rows, inside = fraction_rows([formula], self.elements)
        distance = np.abs(self._fractions - rows[0]).max(axis=1)
        here = np.flatnonzero(inside[0] & (distance < _SAME_COMPOSITION))
        return tuple(self.ids[index] for index in here)

    def ids_within(self, formula: Formula) -> tuple[str, ...]:
        """Ids of the references that contain only elements of a composition."""
        here = np.flatnonzero(self._within(formula))
        return tuple(self.ids[index] for index in here)

    def stable_references(self, elements: Collection[str]) -> tuple[str, ...]:
        """
        Ids of the references on the hull of their own chemical system.

        Only these can take part in a decomposition, as long as none is left out.

        Examples
        --------
        >>> Hull(["Li", "O2", "Li2O", "Li2O"], [0, 0, -2, -1]).stable_references({"Li"})
        ('Li',)
        """
        columns = np.array([symbol in elements for symbol in self.elements])
        stable = np.flatnonzero(self._envelope.stable(columns))
        return tuple(self.ids[index] for index in stable)

    def n_references(self, formula: Formula, *, exclude: Collection[str] = ()) -> int:
        """Count the references that contain only elements of a composition."""
        return int((~self._named(exclude) & self._within(formula)).sum())

    def systems_without_reference(
        self, formula: Formula, *, largest: int = 2
    ) -> tuple[str, ...]:
        """
        Chemical systems inside a composition's that hold no reference of their own.

        Examples
        --------
        >>> hull = Hull(["Li", "O2", "F2", "Li2O"], [0.0, 0.0, 0.0, -2.0])
        >>> hull.systems_without_reference("Li3OF")
        ('F-Li', 'F-O')
        """
        wanted = sorted(atomic_fractions(formula))
        return tuple(
            "-".join(system)
            for size in range(1, min(largest, len(wanted)) + 1)
            for system in combinations(wanted, size)
            if frozenset(system) not in self._systems
        )

    @cached_property
    def _systems(self) -> frozenset[frozenset[str]]:
        """Elements of every reference."""
        return frozenset(
            frozenset(self.elements[column] for column in np.flatnonzero(row))
            for row in self._fractions
        )

    def missing_reference(
        self, formula: Formula, *, exclude: Collection[str] = ()
    ) -> MissingReferenceError:
        """Name the elements without any reference or, if none, without a pure one."""
        wanted = sorted(atomic_fractions(formula))
        kept = self._fractions[self._within(formula) & ~self._named(exclude)]
        present = {self.elements[column] for column in np.flatnonzero(kept.any(axis=0))}
        pure = {
            self.elements[column] for column in np.flatnonzero((kept == 1).any(axis=0))
        }
        missing = set(wanted) - present or set(wanted) - pure
        return MissingReferenceError("-".join(wanted), missing)

    def _within(self, formula: Formula) -> NDArray[np.bool_]:
        """Which references contain only elements of a composition."""
        rows, _ = fraction_rows([formula], self.elements)
        return np.asarray(contained(self._envelope.words, element_words(rows))[0])

    def _solve(
        self,
        formulas: Sequence[Formula],
        exclude: Sequence[Collection[str]] | None,
    ) -> Solutions:
        """Solve for each composition; the phases are indices of references."""
        if exclude is not None and len(exclude) != len(formulas):
            raise ValueError(
                f"{len(exclude)} sets of excluded references for {len(formulas)} "
                "formulas: give one for each"
            )
        rows, inside = fraction_rows(formulas, self.elements)
        rows[~inside] = 0.0
        excluded = {
            number: np.flatnonzero(self._named(names))
            for number, names in enumerate(exclude or ())
            if names
        }
        return self._envelope.solve(rows, excluded)

    def _named(self, names: Collection[str]) -> NDArray[np.bool_]:
        """Mark the references with given ids, refusing an id that none has."""
        if isinstance(names, str):
            raise TypeError(f"excluded references {names!r}: give a collection of ids")
        named = np.zeros(len(self), dtype=bool)
        for name in names:
            if name not in self._indices:
                raise ValueError(f"cannot leave out {name!r}: no reference has this id")
            named[self._indices[name]] = True
        return named

    @cached_property
    def _indices(self) -> dict[str, list[int]]:
        indices: dict[str, list[int]] = {}
        for index, name in enumerate(self.ids):
            indices.setdefault(name, []).append(index)
        return indices

    def _decomposition(self, solutions: Solutions, number: int) -> Decomposition:
        amounts: dict[str, float] = {}
        phases: dict[str, float] = {}
        formulas: dict[str, str] = {}
        basic = zip(
            solutions.amounts[number].tolist(),
            solutions.phases[number].tolist(),
            strict=True,
        )
        # Last digits of equal amounts differ between processors.
        for amount, index in sorted(
            basic, key=lambda one: (-round(one[0], 9), self.formulas[one[1]], one[1])
        ):
            if amount > _NO_AMOUNT:
                name, text = self.ids[index], self.formulas[index]
                formulas[name] = text
                phases[name] = phases.get(name, 0.0) + amount
                amounts[text] = amounts.get(text, 0.0) + amount
        potentials = solutions.potentials[number]
        return Decomposition(
            energy=float(solutions.energies[number]),
            amounts=amounts,
            phases=phases,
            formulas=formulas,
            chemical_potentials={
                self.elements[column]: float(potentials[column])
                for column in np.flatnonzero(~np.isnan(potentials))
            },
        )


def _text(formula: Formula) -> str:
    """Name a reference phase by its formula."""
    if isinstance(formula, str):
        return formula
    return "".join(f"{symbol}{amount}" for symbol, amount in formula.items() if amount)


def _finite(values: ArrayLike, count: int, kind: str) -> NDArray[np.float64]:
    """Read energies, refusing a wrong length and anything that is not finite."""
    energies = np.atleast_1d(np.array(values, dtype=float))
    if energies.shape != (count,):
        raise ValueError(f"{count} {kind} formulas but {energies.size} energies")
    wrong = np.flatnonzero(~np.isfinite(energies))
    if wrong.size:
        raise ValueError(
            f"{kind} energy number {wrong[0]} is {energies[wrong[0]]}, not a finite "
            "number of eV/atom"
        )
    return energies


def _check_ids(ids: Sequence[str], count: int, *, unique: bool) -> None:
    if len(ids) != count:
        raise ValueError(f"{count} reference formulas but {len(ids)} ids")
    if unique and len(set(ids)) != count:
        twice = next(name for name in ids if ids.count(name) > 1)
        raise ValueError(f"reference id {twice!r} occurs twice: ids must be unique")
