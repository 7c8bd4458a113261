from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from atomate2.settings import Atomate2Settings
from fireworks import FWorker, LaunchPad, fw_config
from fireworks.utilities.fw_serializers import load_object_from_file
from jobflow.settings import JobflowSettings

from hts_battery.connections.stores import COLLECTIONS
from hts_battery.connections.worker_configs import (
    TEMPLATE_NAMES,
    render_worker,
    worker_names,
    worker_variables,
)
from hts_battery.errors import ConfigurationError
from hts_battery.settings import refuse_unknown_variables

if TYPE_CHECKING:
    from collections.abc import Mapping

TEMPLATES = Path(__file__).resolve().parents[1] / "launchpad_configs"
WORKERS = worker_names(TEMPLATES)
URI = "mongodb://me:pass%3A%22word@127.0.0.1:9/?connectTimeoutMS=100"
ENVIRONMENT = {
    "HTS_BATTERY_MONGO_URI": URI,
    "HTS_BATTERY_DATABASE": "hts_test",
    "HTS_BATTERY_EXECUTION_RECORD": "/shared/record",
    "HTS_SLURM_NODES": "2",
    "HTS_SLURM_NTASKS": "64",
    "HTS_SLURM_CPUS_PER_TASK": "1",
    "HTS_SLURM_WALLTIME": "04:00:00",
    "HTS_SLURM_PARTITION": "standard",
    "HTS_SLURM_ACCOUNT": "",
    "HTS_SLURM_QOS": "",
    "HTS_WORKER_SETUP": "module load vasp",
    "HTS_VASP_CMD": "srun vasp_std",
    "HTS_VASP_GAMMA_CMD": "srun vasp_gam",
}


@pytest.fixture(params=WORKERS)
def worker(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def rendered(worker: str, tmp_path: Path) -> Path:
    render_worker(TEMPLATES, worker, tmp_path / "config", ENVIRONMENT)
    return tmp_path / "config"


def load(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    return content


def test_there_are_workers() -> None:
    assert {"local", "slurm"} <= set(WORKERS)


def test_every_file_is_there_for_its_owner_alone(rendered: Path) -> None:
    assert sorted(path.name for path in rendered.iterdir()) == sorted(TEMPLATE_NAMES)
    for path in rendered.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "$" not in path.read_text()


def test_launchpad_is_accepted(rendered: Path) -> None:
    content = load(rendered / "my_launchpad.yaml")
    accepted = set(LaunchPad.__init__.__annotations__) | set(
        LaunchPad.__init__.__code__.co_varnames
    )
    assert set(content) <= accepted
    launchpad = LaunchPad.from_file(str(rendered / "my_launchpad.yaml"))
    try:
        assert launchpad.host == URI
        assert launchpad.uri_mode is True
        assert launchpad.name == "hts_test"
        assert launchpad.strm_lvl == "WARNING"
    finally:
        launchpad.connection.close()


def test_fworker_is_named_after_its_folder(worker: str, rendered: Path) -> None:
    fworker = FWorker.from_file(str(rendered / "my_fworker.yaml"))
    assert fworker.name == worker
    assert {"spec._fworker": worker} in fworker.query["$or"]


def test_queue_script(worker: str, rendered: Path) -> None:
    adapter = load_object_from_file(str(rendered / "my_qadapter.yaml"))
    script = adapter.get_script_str("/launch")
    assert f"fireworks_commands rlaunch -c {rendered} singleshot" in script
    assert f'export JOBFLOW_CONFIG_FILE="{rendered}/jobflow.yaml"' in script
    assert 'HTS_BATTERY_EXECUTION_RECORD="/shared/record"' in script
    if worker == "slurm":
        assert "#SBATCH --ntasks=64" in script
        assert "#SBATCH --time=04:00:00" in script
        assert "--account" not in script
        assert "module load vasp" in script


def test_fireworks_configuration_has_known_keys(rendered: Path) -> None:
    content = load(rendered / "FW_config.yaml")
    assert set(content) <= set(fw_config.config_to_dict())
    for key in ("LAUNCHPAD_LOC", "FWORKER_LOC", "QUEUEADAPTER_LOC"):
        assert Path(content[key]).is_file()
    # What FireWorks itself says of the file, in a process that reads it on import.
    subprocess.run(
        [sys.executable, "-c", "import fireworks.fw_config"],
        check=True,
        env={**os.environ, "FW_CONFIG_FILE": str(rendered / "FW_config.yaml")},
        cwd=rendered,
    )


def test_jobflow_store_is_ours(rendered: Path) -> None:
    settings = JobflowSettings(CONFIG_FILE=str(rendered / "jobflow.yaml"))
    store = settings.JOB_STORE
    blobs = store.additional_stores["data"]
    for part, name in ((store.docs_store, "tasks"), (blobs, "blobs")):
        assert part.uri == URI
        assert part.database == "hts_test"
        assert part.collection_name == name
        assert part.key == COLLECTIONS[name][0]


def test_atomate2_keys_are_known(rendered: Path) -> None:
    content = load(rendered / "atomate2.yaml")
    assert set(content) <= set(Atomate2Settings.model_fields)
    settings = Atomate2Settings(CONFIG_FILE=str(rendered / "atomate2.yaml"))
    for key, value in content.items():
        assert getattr(settings, key) == value


def test_readme_explains_every_variable_and_file(worker: str) -> None:
    text = (TEMPLATES / worker / "README.md").read_text()
    for name in (*worker_variables(TEMPLATES, worker), *TEMPLATE_NAMES):
        assert f"`{name}`" in text, name


def test_variables_of_ours_are_settings(worker: str) -> None:
    refuse_unknown_variables(worker_variables(TEMPLATES, worker))


def test_no_secret_in_a_template(worker: str) -> None:
    for name in TEMPLATE_NAMES:
        text = (TEMPLATES / worker / name).read_text().lower()
        assert "password" not in text
        assert "mongodb://" not in text


def test_missing_variables_are_all_named(worker: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        render_worker(TEMPLATES, worker, tmp_path / "config", {})
    for name in worker_variables(TEMPLATES, worker):
        assert name in str(caught.value)
    assert not (tmp_path / "config").exists()


def test_uri_may_not_be_empty(tmp_path: Path) -> None:
    environment: Mapping[str, str] = {**ENVIRONMENT, "HTS_BATTERY_MONGO_URI": ""}
    with pytest.raises(ConfigurationError, match="HTS_BATTERY_MONGO_URI"):
        render_worker(TEMPLATES, "local", tmp_path / "config", environment)


@pytest.mark.parametrize("inside", ["out", "hts_battery/out", "../{name}/out"])
def test_repository_is_refused(inside: str) -> None:
    root = TEMPLATES.parent
    target = root / inside.format(name=root.name)
    with pytest.raises(ConfigurationError, match="inside the repository"):
        render_worker(TEMPLATES, "local", target, ENVIRONMENT)
    assert not target.exists()


def test_any_repository_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    with pytest.raises(ConfigurationError, match="inside the repository"):
        render_worker(TEMPLATES, "local", tmp_path / "config", ENVIRONMENT)


def test_unknown_worker_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"local, .*slurm"):
        render_worker(TEMPLATES, "moon", tmp_path / "config", ENVIRONMENT)


def test_template_that_is_not_yaml(tmp_path: Path) -> None:
    folder = tmp_path / "templates" / "broken"
    folder.mkdir(parents=True)
    (folder / "my_fworker.yaml").write_text("name: [\n")
    with pytest.raises(ConfigurationError, match=r"lacks .*my_launchpad\.yaml"):
        worker_variables(tmp_path / "templates", "broken")
    (folder / "my_launchpad.yaml").write_text("a: 1\n")
    with pytest.raises(ConfigurationError, match=r"my_fworker\.yaml"):
        worker_variables(tmp_path / "templates", "broken")


def test_value_cannot_add_a_key(tmp_path: Path) -> None:
    environment = {**ENVIRONMENT, "HTS_BATTERY_DATABASE": "x\npassword: y\n- ${Z}"}
    render_worker(TEMPLATES, "local", tmp_path / "config", environment)
    content = load(tmp_path / "config" / "my_launchpad.yaml")
    assert content["name"] == "x\npassword: y\n- ${Z}"
    assert "password" not in content


def test_rendering_again_replaces(rendered: Path, worker: str) -> None:
    environment = {**ENVIRONMENT, "HTS_BATTERY_DATABASE": "other"}
    render_worker(TEMPLATES, worker, rendered, environment)
    assert load(rendered / "my_launchpad.yaml")["name"] == "other"
    assert len(list(rendered.iterdir())) == len(TEMPLATE_NAMES)
