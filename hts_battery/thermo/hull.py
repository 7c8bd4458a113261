"""The lower convex hull of reference phases, for any number of elements."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from hts_battery.errors import MissingReferenceError
from hts_battery.thermo.atomic_fractions import atomic_fractions, fraction_rows
from hts_battery.thermo.linear_program import Mixture, lowest_mixture

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from hts_battery.thermo.atomic_fractions import Formula

_SAME_COMPOSITION = 1e-9


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

    def lowered_by(self, formula: Formula, energy_per_atom: float) -> bool:
        """
        Whether a new or lowered reference could change this answer.

        Exact in one direction: False means that the answer stands. True also
        occurs where the answer is degenerate and in fact stands.

        Parameters
        ----------
        formula
            Composition of the reference.
        energy_per_atom
            Its energy, eV/atom.
        """
        potentials = self.chemical_potentials
        fractions = atomic_fractions(formula)
        if not fractions.keys() <= potentials.keys():
            return False
        plane = sum(potentials[el] * amount for el, amount in fractions.items())
        return energy_per_atom < plane


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
    {'O2': 0.25, 'Li2O': 0.75}
    """

    def __init__(
        self,
        formulas: Sequence[Formula],
        energies_per_atom: ArrayLike,
        *,
        ids: Sequence[str] | None = None,
    ) -> None:
        self.formulas = tuple(_text(formula) for formula in formulas)
        self._energies = _finite(energies_per_atom, len(formulas), "reference")
        if not self.formulas:
            raise ValueError("a hull needs at least one reference phase")
        self.ids = self.formulas if ids is None else tuple(ids)
        _check_ids(self.ids, len(self.formulas), unique=ids is not None)
        self.elements = tuple(
            sorted(set().union(*(atomic_fractions(formula) for formula in formulas)))
        )
        self._fractions, _ = fraction_rows(formulas, self.elements)

    def __len__(self) -> int:
        return len(self.formulas)

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
                self.ids, self._energies.tolist(), self._fractions, strict=True
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
        solutions = self._solve(formulas, exclude)
        return np.array([np.nan if s is None else s.energy for s in solutions])

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
            None if solution is None else self._decomposition(formula, solution)
            for formula, solution in zip(formulas, solutions, strict=True)
        ]

    def ids_at(self, formula: Formula) -> tuple[str, ...]:
        """Ids of the references that have exactly this composition."""
        rows, inside = fraction_rows([formula], self.elements)
        distance = np.abs(self._fractions - rows[0]).max(axis=1)
        here = np.flatnonzero(inside[0] & (distance < _SAME_COMPOSITION))
        return tuple(self.ids[index] for index in here)

    def n_references(self, formula: Formula, *, exclude: Collection[str] = ()) -> int:
        """Count the references that contain only elements of a composition."""
        row = fraction_rows([formula], self.elements)[0][0]
        return int((self._within(row) & ~self._named(exclude)).sum())

    def systems_without_reference(
        self, formula: Formula, *, largest: int = 2
    ) -> tuple[str, ...]:
        """
        Chemical systems inside a composition's that hold no reference of their own.

        Parameters
        ----------
        formula
            Composition asked for.
        largest
            Largest number of elements of the systems looked at.

        Examples
        --------
        >>> hull = Hull(["Li", "O2", "F2", "Li2O"], [0.0, 0.0, 0.0, -2.0])
        >>> hull.systems_without_reference("Li3OF")
        ('F-Li', 'F-O')
        """
        row = fraction_rows([formula], self.elements)[0][0]
        present = {
            frozenset(np.flatnonzero(reference).tolist())
            for reference in self._fractions[self._within(row)]
        }
        known = {
            frozenset(self.elements[column] for column in system) for system in present
        }
        wanted = sorted(atomic_fractions(formula))
        return tuple(
            "-".join(system)
            for size in range(1, min(largest, len(wanted)) + 1)
            for system in combinations(wanted, size)
            if frozenset(system) not in known
        )

    def missing_reference(
        self, formula: Formula, *, exclude: Collection[str] = ()
    ) -> MissingReferenceError:
        """
        Error that names what a composition's hull lacks, for the caller to raise.

        Elements without any reference; if there are none, elements without a
        reference of their own.
        """
        wanted = sorted(atomic_fractions(formula))
        row = fraction_rows([formula], self.elements)[0][0]
        kept = self._fractions[self._within(row) & ~self._named(exclude)]
        present = {self.elements[column] for column in np.flatnonzero(kept.any(axis=0))}
        pure = {
            self.elements[column] for column in np.flatnonzero((kept == 1).any(axis=0))
        }
        missing = set(wanted) - present or set(wanted) - pure
        return MissingReferenceError("-".join(wanted), missing)

    def _within(self, row: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which references contain only elements present in a row."""
        within: NDArray[np.bool_] = (self._fractions[:, row == 0.0] == 0.0).all(axis=1)
        return within

    def _solve(
        self,
        formulas: Sequence[Formula],
        exclude: Sequence[Collection[str]] | None,
    ) -> list[Mixture | None]:
        """Solve for each composition; the phases are indices of references."""
        if exclude is not None and len(exclude) != len(formulas):
            raise ValueError(
                f"{len(exclude)} sets of excluded references for {len(formulas)} "
                "formulas: give one for each"
            )
        rows, inside = fraction_rows(formulas, self.elements)
        left_out = exclude if exclude is not None else [()] * len(formulas)
        return [
            self._solve_one(row, names) if complete else None
            for row, complete, names in zip(rows, inside, left_out, strict=True)
        ]

    def _solve_one(
        self, row: NDArray[np.float64], exclude: Collection[str]
    ) -> Mixture | None:
        allowed = self._within(row) & ~self._named(exclude)
        references = np.flatnonzero(allowed)
        active = np.flatnonzero(row)
        mixture = lowest_mixture(
            self._fractions[np.ix_(references, active)],
            self._energies[references],
            row[active],
        )
        return mixture and mixture._replace(phases=references[mixture.phases])

    def _named(self, names: Collection[str]) -> NDArray[np.bool_]:
        """Mark the references with given ids, refusing an id that none has."""
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

    def _decomposition(self, formula: Formula, mixture: Mixture) -> Decomposition:
        active = [el for el in self.elements if el in atomic_fractions(formula)]
        amounts: dict[str, float] = {}
        phases: dict[str, float] = {}
        for index, amount in zip(
            mixture.phases.tolist(), mixture.amounts.tolist(), strict=True
        ):
            name, text = self.ids[index], self.formulas[index]
            phases[name] = phases.get(name, 0.0) + amount
            amounts[text] = amounts.get(text, 0.0) + amount
        return Decomposition(
            energy=mixture.energy,
            amounts=amounts,
            phases=phases,
            formulas={
                self.ids[index]: self.formulas[index] for index in mixture.phases
            },
            chemical_potentials=dict(
                zip(active, mixture.potentials.tolist(), strict=True)
            ),
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
