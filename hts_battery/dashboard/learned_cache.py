"""What pages learned last, kept until a newer build."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, TypeVar, cast

from hts_battery.errors import HTSBatteryError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable

_KEPT = 12
Made = TypeVar("Made")


@dataclass
class LearnedCache:
    """What was learned last, by what it was learned from; made once at a time."""

    _made: dict[object, object] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def get(self, key: object, make: Callable[[], Made]) -> Made | str:
        """Return what was made before, or make it; a sentence if that is refused."""
        with self._lock:
            if key not in self._made:
                try:
                    self._made[key] = make()
                except HTSBatteryError as err:
                    self._made[key] = str(err)
                except ModuleNotFoundError as err:
                    missing = MissingExtraError("learning", str(err.name))
                    self._made[key] = str(missing)
                if len(self._made) > _KEPT:
                    del self._made[next(iter(self._made))]
            return cast("Made | str", self._made[key])
