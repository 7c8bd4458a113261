from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from atomate2.settings import Atomate2Settings
from fireworks import FWorker, LaunchPad, fw_config
from fireworks.utilities.fw_serializers import load_object, load_object_from_file
from jobflow.settings import JobflowSettings

from hts_battery.connections.database.collection_specs import COLLECTIONS
from hts_battery.connections.records.journal_store import JournalStore
from hts_battery.connections.workers.configs import (
    SCRIPT_NAME,
    TEMPLATE_NAMES,
    adapter_keys,
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
    "HTS_SLURM_GPU_CPUS": "4",
    "HTS_SLURM_GPU_GRES": "gpu:a100:1",
    "HTS_SLURM_GPU_WALLTIME": "02:00:00",
    "HTS_SLURM_GPU_PARTITION": "gpu",
    "HTS_SLURM_GPU_ACCOUNT": "",
    "HTS_SLURM_GPU_QOS": "",
    "HTS_PBS_NODES": "2",
    "HTS_PBS_CORES_PER_NODE": "32",
    "HTS_PBS_WALLTIME": "04:00:00",
    "HTS_PBS_QUEUE": "standard",
    "HTS_PBS_ACCOUNT": "",
    "HTS_SGE_PARALLEL_ENVIRONMENT": "mpi",
    "HTS_SGE_SLOTS": "64",
    "HTS_SGE_WALLTIME": "04:00:00",
    "HTS_SGE_QUEUE": "",
    "HTS_SGE_PROJECT": "batteries",
    "HTS_LSF_SLOTS": "64",
    "HTS_LSF_WALLTIME": "04:00",
    "HTS_LSF_QUEUE": "standard",
    "HTS_LSF_PROJECT": "batteries",
    "HTS_OFFLINE_FOLDER": "/shared/offline",
    "HTS_PYTHON": "/env/bin/python",
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
    assert set(WORKERS) == {
        *("local", "pbs", "sge", "lsf"),
        *("slurm", "slurm_cpu", "slurm_gpu", "slurm_offline"),
    }


def test_every_file_is_there_for_its_owner_alone(rendered: Path, worker: str) -> None:
    names = list(TEMPLATE_NAMES)
    if (TEMPLATES / worker / SCRIPT_NAME).exists():
        names.append(SCRIPT_NAME)
    assert sorted(path.name for path in rendered.iterdir()) == sorted(names)
    for path in rendered.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert not re.search(r"(?<!\$)\$\{?(HTS|CONFIG|WORKER)", path.read_text())


@pytest.mark.parametrize("name", ["my_launchpad.yaml", "my_fworker.yaml"])
def test_what_workers_share_is_the_same_everywhere(name: str, worker: str) -> None:
    mine = (TEMPLATES / worker / name).read_text()
    assert mine == (TEMPLATES / "slurm" / name).read_text()


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


QUEUE_LINES = {
    "local": ["#SBATCH --time=00:30:00"],
    "slurm": ["#SBATCH --ntasks=64", "#SBATCH --time=04:00:00", "module load vasp"],
    "slurm_cpu": ["#SBATCH --ntasks=64", "#SBATCH --no-requeue"],
    "slurm_gpu": [
        *("#SBATCH --gres=gpu:a100:1", "#SBATCH --time=02:00:00"),
        "export HTS_BATTERY_CHGNET_DEVICE=cuda",
    ],
    "slurm_offline": ["#SBATCH --no-requeue", "singleshot --offline"],
    "pbs": ["#PBS -l nodes=2:ppn=32", "#PBS -l walltime=04:00:00"],
    "sge": ["#$ -pe mpi 64", "#$ -l h_rt=04:00:00", "#$ -P batteries"],
    "lsf": ["#BSUB -n 64", "#BSUB -W 04:00", "#BSUB -P batteries"],
}


@pytest.mark.filterwarnings("error")  # FireWorks warns of a key without a place
def test_queue_script(worker: str, rendered: Path) -> None:
    adapter = load_object_from_file(str(rendered / "my_qadapter.yaml"))
    script = adapter.get_script_str("/launch")
    python = ENVIRONMENT["HTS_PYTHON"]
    assert (
        f"{python} -P -m hts_battery.connections.launchpad.fireworks_commands rlaunch"
        in script
    )
    assert f"-c {rendered} singleshot" in script
    assert f'export JOBFLOW_CONFIG_FILE="{rendered}/jobflow.yaml"' in script
    assert 'HTS_BATTERY_EXECUTION_RECORD="/shared/record"' in script
    for line in QUEUE_LINES[worker]:
        assert line in script
    for word in ("--account", "-A ", "#$ -q", "--qos"):
        assert word not in script
    # What stands after the first command is no longer read by sbatch.
    before, _, after = script.partition("module load vasp\n")
    assert "#SBATCH" not in after or not before
    subprocess.run(["/bin/bash", "-n"], input=script, text=True, check=True)


@pytest.mark.filterwarnings("error")
def test_lsf_is_given_the_time_of_a_firework(tmp_path: Path) -> None:
    folder = tmp_path / "lsf"
    render_worker(TEMPLATES, "lsf", folder, ENVIRONMENT)
    adapter = load_object_from_file(str(folder / "my_qadapter.yaml"))
    # As qlaunch does.
    adapter = load_object(adapter.to_dict())
    adapter.update({"walltime": "12:30:00", "mem": "4G"})
    script = adapter.get_script_str("/launch")
    assert "#BSUB -W 12:30\n" in script
    assert "#BSUB -M 4G\n" in script


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("my_launchpad.yaml", "strm_lvl", "strm_level", "did you mean strm_lvl?"),
        ("my_fworker.yaml", "category", "categories", "did you mean category?"),
        ("my_qadapter.yaml", "walltime:", "wall_time:", "did you mean walltime?"),
        ("my_qadapter.yaml", "SLURM", "SLURN", "FireWorks knows no queue SLURN"),
        ("FW_config.yaml", "SORT_FWS", "SORT_FW", "did you mean SORT_FWS?"),
        ("jobflow.yaml", "JOB_STORE", "JOBSTORE", "did you mean JOB_STORE?"),
        ("jobflow.yaml", "docs_store", "doc_store", "did you mean docs_store?"),
        (
            "jobflow.yaml",
            "collection_name",
            "collection",
            "JOB_STORE.docs_store: collection is not accepted; did you",
        ),
        ("jobflow.yaml", "MongoStore", "MongStore", "did you mean MongoStore?"),
        ("atomate2.yaml", "VASP_CMD", "VASP_COMMAND", "did you mean VASP_CMD?"),
        ("my_fworker.yaml", "${WORKER}", "other", "the name must be"),
        ("my_fworker.yaml", "name: ${WORKER}", "- name", "key: value"),
    ],
)
def test_unknown_key_is_refused(
    name: str, old: str, new: str, message: str, tmp_path: Path
) -> None:
    templates = tmp_path / "repository" / "templates"
    shutil.copytree(TEMPLATES / "slurm", templates / "slurm")
    path = templates / "slurm" / name
    text = path.read_text()
    assert old in text
    text = new + "\n" if new.startswith("- ") else text.replace(old, new)
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=re.escape(message)) as caught:
        render_worker(templates, "slurm", tmp_path / "out", ENVIRONMENT)
    assert f"slurm/{name}" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_gpu_bind_cannot_be_set() -> None:
    # The template of FireWorks has a place for it that its own reader never fills.
    assert "gpu-bind" not in adapter_keys({"_fw_q_type": "SLURM"})
    assert "walltime" not in adapter_keys({"_fw_q_type": "SGE"})


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


def test_jobflow_store_is_ours(rendered: Path, worker: str) -> None:
    settings = JobflowSettings(CONFIG_FILE=str(rendered / "jobflow.yaml"))
    store = settings.JOB_STORE
    blobs = store.additional_stores["data"]
    for part, name in ((store.docs_store, "tasks"), (blobs, "blobs")):
        assert part.collection_name == name
        assert part.key == COLLECTIONS[name][0]
        if worker == "slurm_offline":
            assert isinstance(part, JournalStore)
            assert part.folder == "/shared/offline"
        else:
            assert part.uri == URI
            assert part.database == "hts_test"


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
    assert f"`{worker}/`" in (TEMPLATES / "README.md").read_text()


def test_variables_of_ours_are_settings(worker: str) -> None:
    refuse_unknown_variables(worker_variables(TEMPLATES, worker))
    assert set(worker_variables(TEMPLATES, worker)) <= set(ENVIRONMENT)


def test_no_secret_in_a_template(worker: str) -> None:
    for path in (TEMPLATES / worker).iterdir():
        text = path.read_text().lower()
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
    (folder / "my_launchpad.yaml").write_text("name: a\n")
    with pytest.raises(ConfigurationError, match=r"my_fworker\.yaml"):
        worker_variables(tmp_path / "templates", "broken")


def test_empty_value_leaves_its_key_out(tmp_path: Path) -> None:
    environment = {**ENVIRONMENT, "HTS_VASP_CMD": "", "HTS_VASP_GAMMA_CMD": ""}
    render_worker(TEMPLATES, "slurm", tmp_path / "config", environment)
    assert load(tmp_path / "config" / "atomate2.yaml") == {
        "VASP_HANDLE_UNSUCCESSFUL": "error"
    }
    assert load(tmp_path / "config" / "my_launchpad.yaml")["logdir"] is None


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
    assert not list(rendered.glob("*.part"))
