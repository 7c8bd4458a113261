"""SCIENCE: where the atoms sit."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hts_battery.structures.inputs import calculator_structure
    from hts_battery.structures.ordering import generate_orderings, order_candidate

__all__ = ["calculator_structure", "generate_orderings", "order_candidate"]

_MODULES = {
    "calculator_structure": "inputs",
    "generate_orderings": "ordering",
    "order_candidate": "ordering",
}


def __getattr__(name: str) -> object:
    """Load the orderings, and with them numpy and pymatgen, when first asked for."""
    if name in _MODULES:
        from importlib import import_module  # noqa: PLC0415 - only when needed

        module = import_module(f"hts_battery.structures.{_MODULES[name]}")
        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
