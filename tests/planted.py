"""A module that somebody else put on the path, and documents that name it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

_TEXT = """\
from pathlib import Path
Path({marker!r}).touch()

class Planted:
    @classmethod
    def from_dict(cls, content):
        return cls()

    def method(self):
        pass
"""


class PlantedModule:
    """A module that leaves a mark when it is imported."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.name = f"planted_{uuid4().hex[:8]}"
        self._marker = folder / "it was imported"
        place = folder / "of somebody else"
        place.mkdir()
        (place / f"{self.name}.py").write_text(_TEXT.format(marker=str(self._marker)))
        monkeypatch.syspath_prepend(str(place))

    @property
    def was_imported(self) -> bool:
        return self._marker.exists() or self.name in sys.modules

    def naming(self, kind: str = "class") -> dict[str, object]:
        """Write what monty makes an object, or a function, of the module of."""
        if kind == "class":
            return {"@module": self.name, "@class": "Planted"}
        if kind == "callable":
            return {"@module": self.name, "@callable": "Planted"}
        bound = {"@module": self.name, "@class": "Planted"}
        return {"@module": "builtins", "@callable": "x.method", "@bound": bound}
