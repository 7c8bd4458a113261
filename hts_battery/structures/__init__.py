"""SCIENCE: where the atoms sit."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hts_battery.structures.ordering import order_candidate

__all__ = ["order_candidate"]


def __getattr__(name: str) -> object:
    """Load the orderings, and with them numpy and pymatgen, when first asked for."""
    if name == "order_candidate":
        from hts_battery.structures.ordering import order_candidate  # noqa: PLC0415

        return order_candidate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
