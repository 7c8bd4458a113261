"""How soon a learner would have found the stable rows of a table that is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import norm

from hts_battery.errors import ConfigurationError, MissingExtraError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Integers = NDArray[np.integer]

_TREES = 100


@dataclass(frozen=True, eq=False)
class Replay:
    """In which order rows were evaluated, and which of them were stable."""

    order: Integers
    """Rows, shape (evaluated,)."""
    found: Integers
    """Stable rows among the first 1, 2, … evaluated."""
    stable: int
    """Stable rows of the table."""

    def evaluations(self, share: float) -> int | None:
        """Count evaluations until a share of the stable was found; None: not yet."""
        reached = self.found >= share * self.stable
        return int(reached.argmax()) + 1 if reached.any() else None


def in_order(order: Integers, energies: Array) -> Replay:
    """
    Follow a fixed order of rows.

    Examples
    --------
    >>> in_order(np.array([2, 0, 1]), np.array([0.1, -0.2, -0.3])).evaluations(0.5)
    1
    """
    stable = energies <= 0
    return Replay(order, np.cumsum(stable[order]), int(stable.sum()))


def replay(
    features: Array,
    energies: Array,
    *,
    start: int = 50,
    batch: int = 50,
    until: float = 0.8,
    seed: int = 0,
) -> Replay:
    """
    Evaluate batches by the chance of being stable, the first at random.

    Extremely randomised trees are fitted to what was evaluated; the spread of the
    trees is taken as the standard deviation of a normal error. Nothing is explored for
    its own sake.

    Parameters
    ----------
    features
        Shape (rows, columns), finite.
    energies
        Above the hull, eV/atom, shape (rows,); stable is at most zero.
    start, batch
        Rows of the first batch and of each later one.
    until
        Share of the stable rows after which it ends.
    seed
        Of the first batch and the trees.

    Raises
    ------
    ConfigurationError
        If no row is stable, or there are fewer rows than the first batch.
    """
    rows, stable = len(energies), energies <= 0
    if rows < start or not stable.any():
        raise ConfigurationError(
            f"{rows} rows with {int(stable.sum())} stable: nothing to replay"
        )
    random = np.random.default_rng(seed)
    order = random.permutation(rows)[:start]
    left = np.ones(rows, dtype=bool)
    left[order] = False
    while left.any() and stable[order].sum() < until * stable.sum():
        chance = _chance_stable(features[order], energies[order], features[left], seed)
        best = np.flatnonzero(left)[np.argsort(-chance, kind="stable")[:batch]]
        order = np.concatenate([order, best])
        left[best] = False
    return in_order(order, energies)


def _chance_stable(known: Array, energies: Array, asked: Array, seed: int) -> Array:
    """Chance that rows are at most zero, by the spread of trees."""
    try:
        from sklearn.ensemble import ExtraTreesRegressor  # noqa: PLC0415 - extra
    except ImportError as err:
        raise MissingExtraError("learning", "scikit-learn") from err
    forest = ExtraTreesRegressor(_TREES, min_samples_leaf=2, random_state=seed)
    forest.fit(known, energies)
    each = np.stack([tree.predict(asked) for tree in forest.estimators_])
    least = 0.1 * float(energies.std()) + 1e-12
    found: Array = norm.cdf(-each.mean(axis=0) / np.maximum(each.std(axis=0), least))
    return found
