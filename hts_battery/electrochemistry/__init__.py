"""SCIENCE: capacity, stability window, interfaces and voltages."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hts_battery.electrochemistry.capacities import capacity
    from hts_battery.electrochemistry.decomposition import decomposition_energy
    from hts_battery.electrochemistry.interfaces import interface_reaction
    from hts_battery.electrochemistry.oxygen import OxygenGas
    from hts_battery.electrochemistry.voltages import voltage_profile
    from hts_battery.electrochemistry.window import stability_window

__all__ = [
    "OxygenGas",
    "capacity",
    "decomposition_energy",
    "interface_reaction",
    "stability_window",
    "voltage_profile",
]

_MODULES = {
    "OxygenGas": "oxygen",
    "capacity": "capacities",
    "decomposition_energy": "decomposition",
    "interface_reaction": "interfaces",
    "stability_window": "window",
    "voltage_profile": "voltages",
}


def __getattr__(name: str) -> object:
    """Load what is asked for, and with it numpy and pymatgen, then only."""
    if name in _MODULES:
        from importlib import import_module  # noqa: PLC0415 - only when needed

        module = import_module(f"hts_battery.electrochemistry.{_MODULES[name]}")
        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
