from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import hts_battery

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = ("atomate2", "jobflow", "pymatgen", "torch", "pymongo", "numpy", "pydantic")


def test_every_public_name_resolves_and_is_declared() -> None:
    assert set(dir(hts_battery)) >= set(hts_battery.__all__)
    for name in hts_battery.__all__:
        assert getattr(hts_battery, name).__name__ == name


def test_nothing_else_is_public() -> None:
    public = {
        name
        for name, value in vars(hts_battery).items()
        if not name.startswith("_")
        and getattr(value, "__module__", "") == "hts_battery"
    }
    assert public == set()


def test_importing_the_package_imports_nothing_heavy(tmp_path: Path) -> None:
    code = f"import sys, hts_battery\nprint([m for m in {HEAVY!r} if m in sys.modules])"
    result = subprocess.run(  # noqa: S603 - our own interpreter, our own text
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert result.stdout.strip() == "[]"
    assert list(tmp_path.iterdir()) == []


def test_help_imports_no_heavy_room() -> None:
    code = (
        "import sys, hts_battery.cli.app\n"
        f"print([m for m in {HEAVY[:5]!r} if m in sys.modules])"
    )
    result = subprocess.run(  # noqa: S603 - our own interpreter, our own text
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
