"""The charge carrier: its charge, its metal as reference, its chemical potential."""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.schemas.formula import atomic_fractions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hts_battery.schemas.formula import Formula


class Carrier(NamedTuple):
    """An ion that carries charge."""

    charge: int
    """Electrons that pass through the circuit with one ion."""
    alkali: bool
    """Whether it is an alkali metal."""


def table_rows(name: str) -> list[dict[str, str]]:
    """Read a table of this room, its comments left out."""
    text = files("hts_battery.electrochemistry").joinpath(f"data/{name}").read_text()
    return list(csv.DictReader(x for x in text.splitlines() if not x.startswith("#")))


@lru_cache(maxsize=1)
def carriers() -> Mapping[str, Carrier]:
    """Name the known carriers by their element."""
    return {
        row["carrier"]: Carrier(int(row["charge"]), row["alkali"] == "yes")
        for row in table_rows("carriers.csv")
    }


def carrier_charge(carrier: str) -> int:
    """
    Electrons that pass through the circuit with one ion of the carrier.

    Raises
    ------
    ValueError
        If the element is no known carrier.

    Examples
    --------
    >>> carrier_charge("Na"), carrier_charge("Mg")
    (1, 2)
    """
    if carrier not in carriers():
        raise ValueError(f"carrier {carrier!r}: give one of {', '.join(carriers())}")
    return carriers()[carrier].charge


def other_alkali(formula: Formula, carrier: str) -> tuple[str, ...]:
    """Alkali metals of a formula that are not the carrier and so stay inside."""
    return tuple(
        symbol
        for symbol in sorted(atomic_fractions(formula))
        if symbol != carrier and symbol in carriers() and carriers()[symbol].alkali
    )
