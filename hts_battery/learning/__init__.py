"""SCIENCE: rules, symbolic descriptors, and models that say how sure they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hts_battery.learning.descriptors import composition_descriptors
    from hts_battery.learning.logit import stability_logit
    from hts_battery.learning.rules import mine_rules

__all__ = ["composition_descriptors", "mine_rules", "stability_logit"]

_MODULES = {
    "composition_descriptors": "descriptors",
    "mine_rules": "rules",
    "stability_logit": "logit",
}


def __getattr__(name: str) -> object:
    """Load what is asked for, and with it numpy and statsmodels, then only."""
    if name in _MODULES:
        from importlib import import_module  # noqa: PLC0415 - only when needed

        module = import_module(f"hts_battery.learning.{_MODULES[name]}")
        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
