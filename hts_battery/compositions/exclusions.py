"""Elements that may not all be present, as bits along a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hts_battery.compositions.mixture import Mixture


class ExclusionBits:
    """Which excluded elements are present, and whether one more would be too many."""

    def __init__(self, mixture: Mixture) -> None:
        self.is_empty = not mixture.exclusions
        self._order = {item.element: n for n, item in enumerate(mixture.items)}
        self._sets = [
            frozenset(self._order[name] for name in names)
            for names in mixture.exclusions
        ]
        self._cache: dict[tuple[int, int, bool], int | None] = {}
        self.reached: list[set[int]] = [{0}]
        for level in range(len(mixture.items)):
            after: set[int] = set()
            for present in self.reached[level]:
                for is_present in (False, True):
                    bits = self.after(level, present, is_present=is_present)
                    if bits is not None:
                        after.add(bits)
            self.reached.append(after)

    def after(self, level: int, present: int, *, is_present: bool) -> int | None:
        """Bits after an item; nothing if an exclusion is then complete."""
        if not self._sets:
            return 0
        key = (level, present, is_present)
        if key not in self._cache:
            self._cache[key] = self._after(level, present, is_present=is_present)
        return self._cache[key]

    def _after(self, level: int, present: int, *, is_present: bool) -> int | None:
        bits = present | (1 << level if is_present else 0)
        kept = 0
        for names in self._sets:
            mask = sum(1 << name for name in names if name <= level)
            if bits & mask != mask:
                continue  # a member is absent for good: this set asks no more
            if max(names) <= level:
                return None
            kept |= mask
        return kept
