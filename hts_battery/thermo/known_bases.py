"""
Optimal bases of compositions solved before, tried on others of the same elements.

Multiparametric linear programming: a basis that is optimal for one composition is
optimal for each composition of the same elements whose amounts come out non-negative.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.thermo.chemical_systems import by_system
from hts_battery.thermo.simplex import AMOUNT_TOLERANCE, Bases

if TYPE_CHECKING:
    from hts_battery.thermo.chemical_systems import Flags, Floats, Integers

# Trying more bases of one system than this costs as much as solving anew.
_KEPT_BASES = 128
_KEPT_SYSTEMS = 200_000
_NUMBERS_AT_ONCE = 500_000


class _Stack(NamedTuple):
    """Optimal bases of one chemical system."""

    phases: Integers
    inverses: Floats
    potentials: Floats

    def after(self, skip: int) -> _Stack:
        """Leave the first bases out."""
        return _Stack(self.phases[skip:], self.inverses[skip:], self.potentials[skip:])

    def joined(self, other: _Stack) -> _Stack:
        """Append other bases."""
        return _Stack(
            np.concatenate([self.phases, other.phases]),
            np.concatenate([self.inverses, other.inverses]),
            np.concatenate([self.potentials, other.potentials]),
        )

    def best(self, targets: Floats) -> tuple[Integers, Floats]:
        """For each composition the basis with the least negative amount."""
        size = targets.shape[1]
        amounts = (targets @ self.inverses.reshape(-1, size).T).reshape(
            len(targets), -1, size
        )
        best = amounts.min(axis=2).argmax(axis=1)
        return best, amounts[np.arange(len(targets)), best]


class KnownBases:
    """Bases by chemical system; forgotten with the hull they belong to."""

    def __init__(self) -> None:
        self._stacks: dict[bytes, _Stack] = {}

    def count(self, key: bytes) -> int:
        """Count the bases known for a chemical system."""
        stack = self._stacks.get(key)
        return 0 if stack is None else len(stack.phases)

    def answer(self, key: bytes, targets: Floats, *, skip: int) -> tuple[Flags, Bases]:
        """
        Answer the compositions that a known basis answers.

        Parameters
        ----------
        key
            The chemical system; at least one basis of it must be known.
        targets
            Composition, element: atomic fractions over the system's elements.
        skip
            How many of the first bases were tried on them before.

        Returns
        -------
        answered, bases
            A flag per composition, and the bases of those that are answered.
        """
        stack = self._stacks[key].after(skip)
        step = max(1, _NUMBERS_AT_ONCE // stack.phases.size)
        parts = [
            stack.best(targets[start : start + step])
            for start in range(0, len(targets), step)
        ]
        best = np.concatenate([part[0] for part in parts])
        amounts = np.concatenate([part[1] for part in parts])
        answered: Flags = amounts.min(axis=1) >= -AMOUNT_TOLERANCE
        chosen = best[answered]
        return answered, Bases(
            phases=stack.phases[chosen],
            amounts=np.maximum(amounts[answered], 0.0),
            potentials=stack.potentials[chosen],
            inverses=stack.inverses[chosen],
            solved=np.ones(len(chosen), dtype=bool),
        )

    def keep(self, words: Integers, bases: Bases) -> None:
        """
        Remember verified bases.

        Parameters
        ----------
        words
            Elements of the composition of each basis.
        bases
            Their phases are references, not columns of a batch.
        """
        if len(self._stacks) > _KEPT_SYSTEMS:
            self._stacks.clear()
        for key, places in by_system(words, np.arange(len(words))).items():
            room = places[: max(0, _KEPT_BASES - self.count(key))]
            new = _Stack(
                bases.phases[room], bases.inverses[room], bases.potentials[room]
            )
            known = self._stacks.get(key)
            self._stacks[key] = new if known is None else known.joined(new)
