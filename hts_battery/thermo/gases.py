"""Which decomposition products are gases."""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib.resources import files

from hts_battery.schemas.formula import canonical_formula, parse_formula


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
