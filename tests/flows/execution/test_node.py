from __future__ import annotations

from importlib.metadata import version

import pytest

from hts_battery.errors import VersionSkewError
from hts_battery.flows.execution.node import (
    installed_versions,
    refuse_other_versions,
)


def test_every_lookup_gives_the_same_and_leaves_out_what_is_missing() -> None:
    for _ in range(2):
        assert installed_versions(["pymatgen", "no-such-package", "pymatgen"]) == {
            "pymatgen": version("pymatgen")
        }


def test_a_package_that_is_missing_here_is_another_version() -> None:
    refuse_other_versions({"pymatgen": version("pymatgen")})
    for _ in range(2):
        with pytest.raises(VersionSkewError, match=r"no-such-package 1\.0 there, none"):
            refuse_other_versions({"no-such-package": "1.0"})
