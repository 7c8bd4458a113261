"""SCIENCE: is a candidate stable; corrections, hull, mixing entropy, temperature."""

from __future__ import annotations

from hts_battery.thermo.hull import Decomposition, Hull

__all__ = ["Decomposition", "Hull"]
