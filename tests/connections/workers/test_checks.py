"""What is wrong with a rendered worker is said before a job waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml
from slurm.rendered_worker import MODEST, TEMPLATES

from hts_battery.connections.workers.checks import check_worker, placeholder_in
from hts_battery.connections.workers.configs import render_worker, worker_names
from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

OTHERS = {
    "HTS_PBS_NODES": "1",
    "HTS_PBS_CORES_PER_NODE": "4",
    "HTS_PBS_WALLTIME": "01:00:00",
    "HTS_PBS_QUEUE": "standard",
    "HTS_PBS_ACCOUNT": "",
    "HTS_SGE_PARALLEL_ENVIRONMENT": "mpi",
    "HTS_SGE_SLOTS": "4",
    "HTS_SGE_WALLTIME": "01:00:00",
    "HTS_SGE_QUEUE": "all.q",
    "HTS_SGE_PROJECT": "",
    "HTS_LSF_SLOTS": "4",
    "HTS_LSF_WALLTIME": "01:00",
    "HTS_LSF_QUEUE": "normal",
    "HTS_LSF_PROJECT": "",
}


def rendered(folder: Path, name: str = "slurm", **changes: str) -> Path:
    given = {
        **MODEST,
        **OTHERS,
        "HTS_BATTERY_MONGO_URI": "mongodb://me:s3cr3t@db.example.org:27017/",
        "HTS_BATTERY_DATABASE": "hts",
        "HTS_BATTERY_EXECUTION_RECORD": str(folder / "executions"),
        "HTS_OFFLINE_FOLDER": str(folder / "offline"),
        **changes,
    }
    config = folder / name
    render_worker(TEMPLATES, name, config, given)
    return config


@pytest.mark.parametrize("name", worker_names(TEMPLATES))
def test_a_sound_worker_has_no_findings(tmp_path: Path, name: str) -> None:
    assert check_worker(rendered(tmp_path, name)) == []


@pytest.mark.parametrize(
    ("changes", "file", "words"),
    [
        (
            {"HTS_PYTHON": "/opt/absent/bin/python"},
            "my_qadapter.yaml",
            "/opt/absent/bin/python is not there",
        ),
        (
            {"HTS_BATTERY_MONGO_URI": "mongodb://USER:PASSWORD@HOST:27017/?tls=true"},
            "my_launchpad.yaml",
            "still has the placeholder USER",
        ),
        (
            {"HTS_BATTERY_MONGO_URI": "mongodb://me:s3cr3t@<host>/"},
            "jobflow.yaml",
            "still has the placeholder <host>",
        ),
        ({"HTS_SLURM_NODES": "0"}, "my_qadapter.yaml", "nodes: 0 is no number"),
        ({"HTS_SLURM_NTASKS": "many"}, "my_qadapter.yaml", "ntasks: many is no"),
        ({"HTS_SLURM_WALLTIME": "1h"}, "my_qadapter.yaml", "walltime: 1h is no time"),
        ({"HTS_SLURM_WALLTIME": "00:00:00"}, "my_qadapter.yaml", "is no time"),
    ],
)
def test_each_is_named_with_its_file_and_without_the_password(
    tmp_path: Path, changes: dict[str, str], file: str, words: str
) -> None:
    found = check_worker(rendered(tmp_path, **changes))
    matching = [one for one in found if words in one.what]
    assert matching, found
    assert any(one.where.endswith(file) for one in matching)
    assert not [one for one in found if "s3cr3t" in f"{one.what}{one.action}"]
    assert all(one.action for one in found)


def test_a_blank_in_an_option_of_the_queue(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"HTS_SLURM_PARTITION .*my part"):
        rendered(tmp_path, HTS_SLURM_PARTITION="my part")
    # Rendering refuses it; files that were changed by hand are checked all the same.
    config = rendered(tmp_path)
    path = config / "my_qadapter.yaml"
    content = yaml.safe_load(path.read_text()) | {"queue": "my part"}
    path.write_text(yaml.safe_dump(content))
    assert any("holds a blank" in one.what for one in check_worker(config))


def test_a_blank_in_the_path_of_its_files(tmp_path: Path) -> None:
    config = rendered(tmp_path)
    path = config / "my_qadapter.yaml"
    content = yaml.safe_load(path.read_text())
    content["rocket_launch"] = f"{MODEST['HTS_PYTHON']} -m x rlaunch -c /my files s"
    path.write_text(yaml.safe_dump(content))
    (found,) = check_worker(config)
    assert f"from /my, and not from {config}" in found.what


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    config = rendered(tmp_path)
    (config / "my_launchpad.yaml").unlink()
    with pytest.raises(ConfigurationError, match=r"my_launchpad\.yaml"):
        check_worker(config)


@pytest.mark.parametrize(
    ("uri", "left"),
    [
        ("mongodb://me:PASSWORD@db/", "PASSWORD"),
        ("mongodb://me:x@HOST:27017/", "HOST"),
        ("mongodb://me:x@a,SERVER/", "SERVER"),
        ("mongodb+srv://${USER}:x@db/", "${USER}"),
        ("mongodb://{user}:x@db/", "{user}"),
        ("mongodb://me:x@[host]/", "[host]"),
        ("mongodb://me:...@db/", "..."),
        # What people really have.
        ("mongodb://user:password@host:27017/", None),
        ("mongodb://127.0.0.1:27017/?authSource=USER", None),
        ("mongodb://NODE7:27017/", None),
        ("mongodb://me:Tr0ub%24dor@db-1.example.org/", None),
        ("mongodb://[::1]:27017/", None),
    ],
)
def test_placeholders_of_a_uri(uri: str, left: str | None) -> None:
    assert placeholder_in(uri) == left
