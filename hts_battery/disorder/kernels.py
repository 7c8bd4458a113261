"""Compile a function of numbers and arrays, where the extra ``disorder`` is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

from hts_battery.errors import MissingExtraError

try:
    from numba import njit
except ImportError as err:
    raise MissingExtraError("disorder", "numba") from err

if TYPE_CHECKING:
    from collections.abc import Callable

Function = TypeVar("Function", bound="Callable[..., object]")


def kernel(function: Function) -> Function:
    """Compile a function when it is first called; what was compiled is kept."""
    return cast("Function", njit(cache=True)(function))
