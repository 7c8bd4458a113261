"""What each metal does to the energy, with lithium, fluorine and the others held."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from statsmodels.regression.linear_model import OLS

from hts_battery.errors import ConfigurationError
from hts_battery.learning.element_pairs import MIN_PAIR_ROWS
from hts_battery.learning.shares import discovery_rates
from hts_battery.learning.tables import MIN_ROWS, independent
from hts_battery.schemas.rules import ElementEffect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def element_effects(
    energies: Array,
    present: Mapping[str, NDArray[np.bool_]],
    held: Mapping[str, Array],
    *,
    false_discovery_rate: float = 0.05,
) -> tuple[ElementEffect, ...]:
    r"""
    Fit the energy by the metals that are there, all at once, and what is held.

    .. math:: E = a + \sum_m b_m [m] + \sum_h c_h X_h

    by least squares, with errors that allow rows of unequal scatter (HC3).

    Parameters
    ----------
    energies
        Shape (rows,), in the unit of the effects; NaN: left out.
    present
        Metal → whether each row holds it.
    held
        Name → what is taken out beside the other metals, such as the amounts of Li and
        F.
    false_discovery_rate
        Share of false ones among the supported effects (Benjamini and Hochberg).

    Returns
    -------
    tuple of ElementEffect
        One a metal, lowest effect first, those without a number last.

    Raises
    ------
    ConfigurationError
        If no metal is given.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> metals = {name: random.random(200) < 0.5 for name in ("Mn", "Ti")}
    >>> energies = 5.0 * metals["Ti"] + random.normal(size=200)
    >>> [(one.element, one.verdict) for one in element_effects(energies, metals, {})]
    [('Mn', 'not supported'), ('Ti', 'supported')]
    """
    if not present:
        raise ConfigurationError("there is no metal whose effect could be asked for")
    rows = np.isfinite(energies)
    for values in held.values():
        rows &= np.isfinite(values)
    counts = {name: int(here[rows].sum()) for name, here in present.items()}
    used = int(rows.sum())
    known = [
        name
        for name, count in counts.items()
        if used >= MIN_ROWS and MIN_PAIR_ROWS <= count <= used - MIN_PAIR_ROWS
    ]
    fitted = _fitted(
        energies[rows],
        {name: present[name][rows].astype(float) for name in known},
        [values[rows] for values in held.values()],
    )
    tested = discovery_rates([one.p_value for one in fitted.values()])
    rates = dict(zip(fitted, tested, strict=True))
    found = [
        _effect((name, counts[name], used), fitted.get(name), rates.get(name))
        for name in present
    ]
    for place, one in enumerate(found):
        is_real = one.q_value is not None and one.q_value <= false_discovery_rate
        if is_real:
            found[place] = one.model_copy(update={"verdict": "supported"})
    return tuple(
        sorted(
            found,
            key=lambda one: (one.effect is None, one.effect or 0.0, one.element),
        )
    )


class _Fit(NamedTuple):
    """Effect of one metal, its standard error and p value."""

    effect: float
    error: float
    p_value: float


def _fitted(
    energies: Array, metals: Mapping[str, Array], held: list[Array]
) -> dict[str, _Fit]:
    """Fit all metals at once; those that others determine are left out."""
    if not metals:
        return {}
    columns = [np.ones(len(energies)), *held, *metals.values()]
    design = np.column_stack(columns)
    kept = independent(design)
    model = OLS(energies, design[:, kept])
    fit = model.fit(cov_type="HC3")
    first = len(columns) - len(metals)
    places = {number: place for place, number in enumerate(kept)}
    parts = (fit.params, fit.bse, fit.pvalues)
    return {
        name: _Fit(*(float(one[places[number]]) for one in parts))
        for number, name in enumerate(metals, start=first)
        if number in places
    }


def _effect(
    which: tuple[str, int, int], fit: _Fit | None, rate: float | None
) -> ElementEffect:
    name, count, used = which
    few = min(count, used - count) < MIN_PAIR_ROWS or used < MIN_ROWS
    unknown = None if few else "it follows from the other metals and what is held"
    return ElementEffect(
        element=name,
        n=count,
        rows=used,
        effect=fit.effect if fit else None,
        error=fit.error if fit else None,
        p_value=fit.p_value if fit else None,
        q_value=rate,
        verdict="too few rows" if few else "not supported",
        reason=None if fit else unknown,
    )
