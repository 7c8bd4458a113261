"""A property is added in three files, and can be asked for at every face."""

from __future__ import annotations

import filecmp
import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("dash", reason="the extra 'dashboard' is not installed")

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores

SCIENCE = '''\
"""Mean mass of the atoms of a formula."""

from pymatgen.core import Composition


def mean_mass(formula: str) -> float:
    found = Composition(formula)
    return float(found.weight / found.num_atoms)
'''
BUILDER = '''\
"""Mean mass of a candidate's atoms."""

from hts_battery.builders.property_builder import PropertyBuilder, Value
from hts_battery.thermo.mean_mass import mean_mass


class MeanMassBuilder(PropertyBuilder):
    """Weigh each candidate."""

    name = "mean_mass"
    names = ("mean_mass",)
    code_version = "1"

    def values(self, found):
        yield Value("mean_mass", mean_mass(found.candidate.formula), 0.1)
'''
FIRST = "for spec in (*_LOCAL_STRUCTURE"
DECLARED = """\
from hts_battery.schemas.field_spec import FieldSpec

FIELDS = (
    FieldSpec("mean_mass", "mean mass of the atoms", "u", uncertainty="made up"),
)
"""


def differing(first: Path, second: Path) -> list[str]:
    """Name the files that two folders do not have in common."""
    found = filecmp.dircmp(first, second, ignore=["__pycache__"])
    here = [*found.left_only, *found.right_only, *found.diff_files]
    return here + [
        name
        for folder in found.common_dirs
        for name in differing(first / folder, second / folder)
    ]


@pytest.fixture
def copied(project_root: Path, tmp_path: Path) -> Path:
    """Copy the package and add a property to it."""
    package = tmp_path / "copy" / "hts_battery"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(project_root / "hts_battery", package, ignore=ignored)
    (package / "thermo" / "mean_mass.py").write_text(SCIENCE)
    (package / "builders" / "properties" / "mean_mass.py").write_text(BUILDER)
    (package / "schemas" / "property_fields" / "mean_mass.py").write_text(DECLARED)
    return package


@pytest.mark.mongo
@pytest.mark.slow
def test_a_property_in_three_files_is_asked_for_at_every_face(
    ranked: Campaign, stores: Stores, copied: Path, project_root: Path, tmp_path: Path
) -> None:
    assert ranked.spec.name == "small"
    touched = differing(project_root / "hts_battery", copied)
    assert sorted(touched) == ["mean_mass.py"] * 3
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(
            [str(copied.parent), str(project_root / "tests")]
        ),
        "HTS_BATTERY_MONGO_URI": stores.database.uri,
        "HTS_BATTERY_DATABASE": stores.database.name,
    }
    script = project_root / "tests" / "new_property.py"
    done = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-P", script, tmp_path],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])

    # A run of the builders makes the new property and the table, and nothing else.
    written = {name for name, counts in found["first"].items() if counts[0]}
    assert written == {"mean_mass", "summary_table"}
    assert not any(written for written, _ in found["second"].values())
    # So does a new version of its code; the values are the same, and so is the table.
    anew = {name for name, counts in found["new version"].items() if counts[0]}
    assert anew == {"mean_mass"}
    for name, (_, unchanged) in found["new version"].items():
        assert name == "mean_mass" or unchanged == found["second"][name][1]
    assert json.loads(found["builders"])["mean_mass"]["unchanged"] == 2

    masses = sorted(found["frame"])
    assert len(masses) == found["python"] == 2
    assert 10 < masses[0] < masses[1] < 50
    assert found["document"] == ["u", "2"]
    assert sorted(found["command line"]) == sorted(found["optimade"]) == masses
    values, units = found["api values"]
    assert sorted(values) == masses
    assert units == {"mean_mass": "u"}
    assert found["csv"] == found["parquet"] == found["optimade info"] == "u"
    assert {"mean_mass", "mean_mass_uncertainty"} <= {*found["CSV heading"].split(",")}
    assert found["all columns"]
    assert found["api field"] == {
        "name": "mean_mass",
        "description": "mean mass of the atoms",
        "unit": "u",
        "kind": "number",
        "property": True,
        "stored": True,
    }
    assert found["axis"] == "mean_mass (u)"
    assert "mean_mass" in found["table"]
