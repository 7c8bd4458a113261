"""Released oxygen as a gas at a temperature and pressure."""

from __future__ import annotations

from functools import lru_cache
from math import isfinite, log
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.electrochemistry.carriers import table_rows
from hts_battery.thermo.hull import Hull

if TYPE_CHECKING:
    from collections.abc import Mapping

EV_PER_KJ_PER_MOL = 1 / 96.48533212
_R = 8.31446261815324e-3  # kJ/(mol K)


class OxygenGas(NamedTuple):
    """Temperature and pressure at which oxygen leaves."""

    temperature: float
    """K."""
    pressure: float = 1.0
    """bar."""


def oxygen_potential(gas: OxygenGas) -> float:
    r"""
    Chemical potential of oxygen gas relative to its enthalpy at 298.15 K, eV/atom.

    .. math:: \Delta\mu = \tfrac12 \left[H(T) - H(298.15\,K) - T S(T)
              + R T \ln (p / 1\,bar)\right]

    The heat content of the solids is left out on both sides, as it is in the tabulated
    Gibbs energies of the elements.

    Raises
    ------
    ValueError
        If the temperature is outside the table or the pressure is not positive.

    Examples
    --------
    >>> round(oxygen_potential(OxygenGas(298.15)), 3)
    -0.317
    """
    temperature, pressure = gas
    if not (isfinite(pressure) and pressure > 0):
        raise ValueError(f"pressure of O2 is {pressure} bar: give more than 0")
    ranges = _shomate()
    found = [one for one in ranges if one["low"] <= temperature <= one["high"]]
    if not found:
        raise ValueError(
            f"temperature {temperature} K: give {ranges[0]['low']:g} to "
            f"{ranges[-1]['high']:g} K, for which O2 is tabulated"
        )
    a, b, c, d, e, f, g, h = (found[0][name] for name in "ABCDEFGH")
    t = temperature / 1000
    heat = a * t + b * t**2 / 2 + c * t**3 / 3 + d * t**4 / 4 - e / t + f - h
    entropy = a * log(t) + b * t + c * t**2 / 2 + d * t**3 / 3 - e / (2 * t**2) + g
    pressure_term = _R * temperature * log(pressure)
    return 0.5 * (heat - t * entropy + pressure_term) * EV_PER_KJ_PER_MOL


@lru_cache(maxsize=1)
def _shomate() -> tuple[Mapping[str, float], ...]:
    rows = table_rows("oxygen_shomate.csv")
    return tuple({name: float(text) for name, text in row.items()} for row in rows)


def with_oxygen_gas(hull: Hull, gas: OxygenGas | None) -> Hull:
    """Put the references that are oxygen at a temperature and pressure, if given."""
    if gas is None:
        return hull
    shift = oxygen_potential(gas)
    here = set(hull.ids_at("O")) if "O" in hull.elements else set()
    energies = [
        energy + shift * (name in here)
        for name, energy in zip(hull.ids, hull.energies_per_atom, strict=True)
    ]
    return Hull(hull.formulas, energies, ids=hull.ids)
