"""A decomposition as it is stored: phases by falling amount."""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

from hts_battery.schemas.formula import canonical_formula, parse_formula
from hts_battery.schemas.thermo import DecompositionPhase
from hts_battery.thermo.competing_phases import competitor_kind

if TYPE_CHECKING:
    from hts_battery.thermo.decomposition import Decomposition


@lru_cache(maxsize=1)
def _gases() -> dict[str, str]:
    """Canonical formula → name of every substance in the table."""
    text = files("hts_battery.thermo").joinpath("data/gases.csv").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {
        canonical_formula(parse_formula(row["formula"])): row["name"]
        for row in csv.DictReader(lines)
    }


@lru_cache(maxsize=65536)
def is_gas(formula: str) -> bool:
    """
    Whether a phase is a gas at the temperatures at which samples are made.

    Examples
    --------
    >>> is_gas("O2"), is_gas("Li2O")
    (True, False)
    """
    return canonical_formula(parse_formula(formula)) in _gases()


def decomposition_phases(mixture: Decomposition) -> tuple[DecompositionPhase, ...]:
    """
    Competing phases by falling amount; ties by id, so that runs agree.

    Parameters
    ----------
    mixture
        The decomposition, in atomic fractions.

    Examples
    --------
    >>> from hts_battery.thermo import Hull
    >>> found = Hull(["Li", "O2", "Li2O"], [0, 0, -2]).decomposition("Li2O2")
    >>> [(phase.formula, phase.gas) for phase in decomposition_phases(found)]
    [('Li2O', False), ('O2', True)]
    """
    ranked = sorted(mixture.phases.items(), key=lambda item: (-item[1], item[0]))
    return tuple(
        DecompositionPhase(
            formula=mixture.formulas[name],
            reference_id=name,
            kind=competitor_kind(name),
            amount=amount,
            gas=is_gas(mixture.formulas[name]),
        )
        for name, amount in ranked
    )
