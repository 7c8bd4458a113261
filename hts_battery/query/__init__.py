"""READ: what the builders wrote, as documents, frames, files and figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hts_battery.query.screening_database import ScreeningDatabase

__all__ = ["ScreeningDatabase"]


def __getattr__(name: str) -> object:
    """Load the database, and with it pandas, when first asked for."""
    if name == "ScreeningDatabase":
        from hts_battery.query.screening_database import (  # noqa: PLC0415
            ScreeningDatabase,
        )

        return ScreeningDatabase
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
