"""Worker files as people write them, and the queue scripts made of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from fireworks.utilities.fw_serializers import load_object, load_object_from_file
from ruamel.yaml import YAML

from hts_battery.connections.workers.configs import (
    refuse_unmet_request,
    render_worker,
    worker_names,
    worker_variables,
)
from hts_battery.errors import ConfigurationError
from hts_battery.flows.execution.queue_requests import (
    largest_request,
    policy_factors,
    queue_request,
    queue_rule,
)
from hts_battery.schemas.failure import FailureClass

if TYPE_CHECKING:
    from collections.abc import Callable

TEMPLATES = Path(__file__).resolve().parents[3] / "launchpad_configs"
QUEUED = [name for name in worker_names(TEMPLATES) if name != "local"]
GIVEN = {
    "HTS_BATTERY_MONGO_URI": "mongodb://u:p@h:27017",
    "HTS_BATTERY_DATABASE": "hts",
    "HTS_BATTERY_EXECUTION_RECORD": "/tmp/record",  # noqa: S108 - a name, no file
    "HTS_PYTHON": "/opt/py/bin/python",
    "HTS_SLURM_NODES": "1",
    "HTS_SLURM_NTASKS": "4",
    "HTS_SLURM_CPUS_PER_TASK": "1",
    "HTS_SLURM_WALLTIME": "24:00:00",
    "HTS_SLURM_PARTITION": "",
    "HTS_SLURM_ACCOUNT": "",
    "HTS_SLURM_QOS": "",
    "HTS_WORKER_SETUP": "",
    "HTS_VASP_CMD": "",
    "HTS_VASP_GAMMA_CMD": "",
}
ODD_NAMES = [
    *("my workers", "it's", 'say "so"', "semi;colon", "glob*?", "hash #tag", "a&b|c"),
    *("Müller", "par(en)", "back\\slash", "~tilde", "bang!", "{a,b}", "<in>", "电池"),
]


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., str]:
    """Return what renders a changed copy of a worker, and the queue script of it."""

    def made(
        changes: dict[str, str] | None = None,
        *,
        worker: str = "slurm",
        target: str = "out",
        request: dict[str, Any] | None = None,
        launch: str = "/scratch/launch",
        **given: str,
    ) -> str:
        copy = tmp_path / "site" / "launchpad_configs"
        shutil.copytree(TEMPLATES, copy, dirs_exist_ok=True)
        file = copy / worker / "my_qadapter.yaml"
        text = file.read_text()
        for before, after in (changes or {}).items():
            assert before in text
            text = text.replace(before, after)
        file.write_text(text)
        folder = tmp_path / "outside" / target
        needed = dict.fromkeys(worker_variables(copy, worker), "1")
        render_worker(copy, worker, folder, {**needed, **GIVEN, **given})
        adapter = load_object_from_file(str(folder / "my_qadapter.yaml"))
        # As qlaunch does with what a Firework asks for.
        adapter = load_object(adapter.to_dict())
        adapter.update(request or {})
        return str(adapter.get_script_str(launch))

    return made


def lines(text: str, word: str) -> list[str]:
    return [line for line in text.splitlines() if word in line]


class TestFieldCases:
    """Templates as users reported them in public."""

    def test_f18_a_time_limit_without_quotes(self, script: Callable[..., str]) -> None:
        change = {"walltime: ${HTS_SLURM_WALLTIME}": "walltime: 24:00:00"}
        assert lines(script(change), "--time") == ["#SBATCH --time=24:00:00"]

    def test_f19_a_blank_in_the_folder_of_the_worker(
        self, script: Callable[..., str], tmp_path: Path
    ) -> None:
        (line,) = lines(script(target="my workers"), "rlaunch")
        assert f"-c '{tmp_path}/outside/my workers' singleshot" in line

    def test_f20_a_process_number_in_the_setup(
        self, script: Callable[..., str], tmp_path: Path
    ) -> None:
        setup = "module load vasp/6.4.3; export TMPDIR=/scratch/$USER.$$"
        message = r"my_qadapter\.yaml: pre_rocket: HTS_WORKER_SETUP: .*\$\$.*BASHPID"
        with pytest.raises(ConfigurationError, match=message):
            script(HTS_WORKER_SETUP=setup)
        assert not (tmp_path / "outside").exists()
        # What the message says to write instead.
        found = script(HTS_WORKER_SETUP=setup.replace("$$", "${BASHPID}"))
        assert lines(found, "module") == [setup.replace("$$", "${BASHPID}")]

    def test_p20_another_variable_in_the_setup(
        self, script: Callable[..., str]
    ) -> None:
        setup = "module load vasp/6.4.3; export A=$HOME/b"
        assert lines(script(HTS_WORKER_SETUP=setup), "module") == [setup]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *(("12:30", "12:30"), ("1-12:00:00", "1-12:00:00"), ("'90'", "90")),
        *(("007", "007"), ("1e3", "1e3"), ("0o17", "0o17"), ("1_000", "1_000")),
        *(("no", "no"), ("on", "on"), ("Yes", "Yes"), ("off", "off"), ("y", "y")),
        *(("true", "true"), ("0x1F", "0x1F"), ("1.10", "1.10"), (".5", ".5")),
        *(("2026-01-02", "2026-01-02"), ('"a b"', "a b")),
    ],
)
def test_a_value_stands_in_the_script_as_it_is_written(
    script: Callable[..., str], value: str, expected: str
) -> None:
    found = script({"queue: ${HTS_SLURM_PARTITION}": f"queue: {value}"})
    assert lines(found, "--partition") == [f"#SBATCH --partition={expected}"]


@pytest.mark.parametrize("value", ["~", "null", "", "${HTS_SLURM_PARTITION}"])
def test_nothing_is_asked_for_where_nothing_is_written(
    script: Callable[..., str], value: str
) -> None:
    found = script({"queue: ${HTS_SLURM_PARTITION}": f"queue: {value}"})
    assert lines(found, "--partition") == []


@pytest.mark.parametrize(
    "value",
    ["yes", "1e3", "0o17", "012", "1_000", "24:00:00", "null", "~", "3.0", "#a", "="],
)
def test_values_of_the_environment_are_texts_for_every_reader(
    script: Callable[..., str], tmp_path: Path, value: str
) -> None:
    script(HTS_BATTERY_DATABASE=value, HTS_VASP_CMD=value)
    folder = tmp_path / "outside" / "out"
    for name, key in (("my_launchpad.yaml", "name"), ("atomate2.yaml", "VASP_CMD")):
        text = (folder / name).read_text()
        assert yaml.safe_load(text)[key] == value
        assert YAML(typ="safe", pure=True).load(text)[key] == value


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_shell_reads_odd_names_as_they_are(
    script: Callable[..., str], tmp_path: Path, name: str
) -> None:
    launch = tmp_path / "launches" / name
    launch.mkdir(parents=True)
    python = tmp_path / name / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(
        '#!/bin/sh\nprintf "%s\\n" "$0" "$PWD" "$@" "$FW_CONFIG_FILE" '
        '"$HTS_BATTERY_EXECUTION_RECORD"\n'
    )
    python.chmod(0o700)
    found = script(
        target=name,
        launch=str(launch),
        HTS_PYTHON=str(python),
        HTS_BATTERY_EXECUTION_RECORD=f"/shared/{name}",
    )
    ran = subprocess.run(
        ["/bin/bash"],
        input=found,
        text=True,
        capture_output=True,
        check=True,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
    )
    folder = tmp_path / "outside" / name
    assert ran.stderr == ""
    assert ran.stdout.splitlines() == [
        *(str(python), str(launch), "-P", "-m"),
        *("hts_battery.connections.launchpad.fireworks_commands", "rlaunch", "-c"),
        *(str(folder), "singleshot"),
        *(f"{folder}/FW_config.yaml", f"/shared/{name}"),
    ]


@pytest.mark.parametrize("sign", ["$HOME", "$$", "`id`", "a\nb", "a\rb", "a\x00b"])
@pytest.mark.parametrize("name", ["HTS_PYTHON", "HTS_BATTERY_EXECUTION_RECORD"])
def test_what_a_shell_would_read_otherwise_is_refused(
    script: Callable[..., str], tmp_path: Path, name: str, sign: str
) -> None:
    with pytest.raises(ConfigurationError, match=rf"my_qadapter\.yaml: .*: {name} "):
        script(**{name: f"/opt/{sign}/x"})
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize(
    "value", ["a b", "a;b", "a'b", 'a"b', "a$b", "a\nb", "ä", "a\\"]
)
def test_an_option_of_a_queue_is_one_word(
    script: Callable[..., str], value: str
) -> None:
    with pytest.raises(ConfigurationError, match="HTS_SLURM_ACCOUNT"):
        script(HTS_SLURM_ACCOUNT=value)


@pytest.mark.parametrize("value", ["[rack1|rack2]", "intel&gpu", "gpu:a100:1", "a@b:1"])
def test_an_option_may_hold_what_queues_take(
    script: Callable[..., str], value: str
) -> None:
    found = script(HTS_SLURM_ACCOUNT=value)
    assert lines(found, "--account") == [f"#SBATCH --account={value}"]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("ntasks: ${HTS_SLURM_NTASKS}", "ntasks: 4\nntasks: 8", r"yaml:\d+: .*dupl"),
        ("job_name: hts", "job_name: [", r"my_qadapter\.yaml:\d+: "),
        ("job_name: hts", "job_name: a$$$$b", r"job_name: FireWorks leaves out"),
        ("  ${HTS_WORKER_SETUP}", "  echo $$$$", r"pre_rocket: FireWorks leaves out"),
        ("  ${HTS_WORKER_SETUP}", "  echo $(hostname)", r"pre_rocket: write \$\$ for"),
        ("job_name: hts", "job_name: $(x)", r"job_name: Invalid placeholder"),
    ],
)  # fmt: skip
def test_a_template_that_loses_something_is_refused_with_its_place(
    script: Callable[..., str], before: str, after: str, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        script({before: after})
    assert "\n" not in str(caught.value)
    assert "slurm/my_qadapter.yaml" in str(caught.value)


PLAIN = "'{{fireworks.user_objects.queue_adapters.common_adapter.CommonAdapter}}'"
OURS = "'{{hts_battery.connections.workers.queue_adapters.QueueAdapter}}'"


@pytest.mark.parametrize("adapter", [PLAIN, OURS])
def test_a_line_that_needs_another_value_is_not_lost_silently(
    script: Callable[..., str], adapter: str
) -> None:
    change = {
        OURS: adapter,
        "_fw_template_file: ${CONFIG_DIR}/queue_script.txt\n": "",
        "ppnode: ${HTS_PBS_CORES_PER_NODE}\n": "",
    }
    with pytest.raises(ConfigurationError, match="nnodes: its line needs ppnode too"):
        script(change, worker="pbs")


ENGINES = ("chgnet", "vasp-mp-gga", "gpaw", "forcefield:MACE-MP-0", "ionic", "other")


@pytest.mark.parametrize("worker", QUEUED)
@pytest.mark.parametrize("engine", ENGINES)
def test_what_an_engine_asks_for_stands_in_the_script(
    script: Callable[..., str], worker: str, engine: str
) -> None:
    memory = []
    for failed in ([], [FailureClass.OUT_OF_MEMORY], [FailureClass.OUT_OF_MEMORY] * 2):
        request = queue_request(
            queue_rule(engine), atoms=40, factors=policy_factors(failed)
        )
        found = script(worker=worker, request=dict(request))
        time = request["walltime"]
        assert time in found or f"-W {time[:-3]}\n" in found
        asked = re.findall(r"(?:--mem=|l mem=|-M |of )(\d+)G", found)
        assert asked, found
        assert asked[0] == request["mem"][:-1]
        memory.append(int(asked[0]))
    assert memory[1:] == [2 * memory[0], 4 * memory[0]]


def test_memory_in_the_words_of_each_queue(script: Callable[..., str]) -> None:
    request = {"mem": "4G", "walltime": "12:30:00"}
    pbs = script(worker="pbs", request=request, HTS_PBS_NODES="2")
    assert lines(pbs, "mem=") == ["#PBS -l mem=8GB"]
    sge = script(worker="sge", request=request, HTS_SGE_SLOTS="8")
    assert lines(sge, "#$ -l h_") == ["#$ -l h_rt=12:30:00", "#$ -l h_vmem=512M"]
    lsf = script(worker="lsf", request={**request, "mem": "512"})
    assert lines(lsf, "512M") == ["#BSUB -M 512M", '#BSUB -R "rusage[mem=512M/host]"']
    assert lines(lsf, "-W") == ["#BSUB -W 12:30"]
    per_cpu = {"job_name: hts": "job_name: hts\nmem_per_cpu: 1G"}
    slurm = script(per_cpu, request=request)
    assert lines(slurm, "--mem") == ["#SBATCH --mem=4G"]
    assert lines(script(per_cpu), "--mem") == ["#SBATCH --mem-per-cpu=1G"]


def test_no_amount_of_memory(script: Callable[..., str]) -> None:
    with pytest.raises(ConfigurationError, match="mem: much is no amount"):
        script(worker="pbs", request={"mem": "much"})


def test_what_a_firework_asks_for_in_vain_is_an_error(
    script: Callable[..., str],
) -> None:
    with pytest.raises(ConfigurationError, match=r"gpus_per_rack: .* no place for it"):
        script(request={"gpus_per_rack": 1})
    with pytest.raises(ConfigurationError, match="FireWorks leaves out every line"):
        script(request={"walltime": "$$"})


@pytest.mark.parametrize("worker", worker_names(TEMPLATES))
@pytest.mark.parametrize("engine", ENGINES)
def test_every_worker_of_ours_can_ask_for_every_remedy(
    worker: str, engine: str
) -> None:
    request = largest_request(engine, atoms=40, max_hours=24)
    assert refuse_unmet_request(TEMPLATES, worker, request) == ()


@pytest.mark.parametrize(
    ("worker", "lost"),
    [
        ("pbs", "mem"),
        ("sge", "walltime: .*; mem"),
        ("lsf", "mem"),
    ],
)
def test_a_remedy_that_cannot_be_applied_is_refused_with_what_to_set(
    tmp_path: Path, worker: str, lost: str
) -> None:
    shutil.copytree(TEMPLATES, tmp_path / "configs")
    folder = tmp_path / "configs" / worker
    (folder / "queue_script.txt").unlink()
    file = folder / "my_qadapter.yaml"
    text = file.read_text().replace(OURS, PLAIN)
    for line in (
        *("_fw_template_file: ${CONFIG_DIR}/queue_script.txt\n", "account: "),
        *("run_limit: ", "parallel_environment: ", "ntasks: ${HTS_SGE"),
        "walltime: ${HTS_SGE",
    ):
        text = re.sub(rf"^{re.escape(line)}.*\n?", "", text, flags=re.MULTILINE)
    file.write_text(text)
    request = largest_request("vasp-mp-gga", atoms=40, max_hours=24)
    message = (
        f"worker {worker} cannot ask its queue .*{lost}: .* no place for it.*"
        rf"{worker}/my_qadapter\.yaml set _fw_name: .*queue_script\.txt"
    )
    with pytest.raises(ConfigurationError, match=message):
        refuse_unmet_request(tmp_path / "configs", worker, request)
    # Where the queue gives it anyway, the operator says so.
    file.write_text(f"{text}_leave_out: [mem, walltime]\n")
    found = refuse_unmet_request(tmp_path / "configs", worker, request)
    assert set(found) == {"mem", "walltime"}


def test_what_a_worker_leaves_out_is_not_asked_for(script: Callable[..., str]) -> None:
    change = {"job_name: hts": "job_name: hts\n_leave_out: [mem]"}
    found = script(change, request={"mem": "4G", "walltime": "01:00:00"})
    assert lines(found, "--mem") == []
    assert lines(found, "--time") == ["#SBATCH --time=01:00:00"]
