from __future__ import annotations

import subprocess
import sys

import hts_battery

HEAVY = ("atomate2", "jobflow", "pymatgen", "torch", "pymongo", "numpy", "pydantic")


def test_every_public_name_resolves_and_is_declared():
    assert sorted(hts_battery._HOMES) == sorted(hts_battery.__all__)
    for name in hts_battery.__all__:
        assert getattr(hts_battery, name).__name__ == name


def test_nothing_else_is_public():
    public = {
        name
        for name, value in vars(hts_battery).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == "hts_battery"
    }
    assert public == set()


def test_importing_the_package_imports_nothing_heavy(tmp_path):
    code = (
        "import sys, hts_battery\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert result.stdout.strip() == "[]"
    assert list(tmp_path.iterdir()) == []


def test_help_imports_no_heavy_room():
    code = (
        "import sys, hts_battery.cli.app\n"
        f"print([m for m in {HEAVY[:5]!r} if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
