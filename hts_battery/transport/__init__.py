"""SCIENCE: ions that move: diffusivity, Arrhenius lines, hops and where ions are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hts_battery.transport.arrhenius_fit import arrhenius
    from hts_battery.transport.conductivity import diffusivity

__all__ = ["arrhenius", "diffusivity"]

_MODULES = {"arrhenius": "arrhenius_fit", "diffusivity": "conductivity"}


def __getattr__(name: str) -> object:
    """Load what is asked for, and with it numpy and scipy, then only."""
    if name in _MODULES:
        from importlib import import_module  # noqa: PLC0415 - only when needed

        module = import_module(f"hts_battery.transport.{_MODULES[name]}")
        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
