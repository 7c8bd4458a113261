"""SCIENCE: which compositions exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hts_battery.compositions.loader import load_space
    from hts_battery.compositions.sampling import selected
    from hts_battery.compositions.space import CompositionSpace

__all__ = ["CompositionSpace", "load_space", "selected"]

_HOMES = {
    "CompositionSpace": "hts_battery.compositions.space",
    "load_space": "hts_battery.compositions.loader",
    "selected": "hts_battery.compositions.sampling",
}


def __getattr__(name: str) -> object:
    """Import a public name on first use, so that importing the package is cheap."""
    if name in _HOMES:
        from importlib import import_module  # noqa: PLC0415 - only when asked for

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
