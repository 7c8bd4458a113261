"""Fields that builders of properties make: a module a builder, named like it."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hts_battery.schemas.field_spec import FieldSpec


def declared() -> Iterator[FieldSpec]:
    """Yield what the modules of this folder declare, by the names of the modules."""
    for module in sorted(one.name for one in pkgutil.iter_modules(__path__)):
        yield from import_module(f"{__name__}.{module}").FIELDS
