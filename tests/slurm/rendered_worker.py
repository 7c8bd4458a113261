"""A worker of launchpad_configs, rendered for the Slurm of the tests."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from fireworks import FWorker

from hts_battery.connections.workers.configs import render_worker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fireworks import LaunchPad
    from slurm.one_node_slurm import OneNodeSlurm

PROJECT = Path(__file__).resolve().parents[2]
TEMPLATES = PROJECT / "launchpad_configs"
MODEST = {
    "HTS_SLURM_NODES": "1",
    "HTS_SLURM_NTASKS": "1",
    "HTS_SLURM_CPUS_PER_TASK": "1",
    "HTS_SLURM_WALLTIME": "00:10:00",
    "HTS_SLURM_PARTITION": "debug",
    "HTS_SLURM_ACCOUNT": "",
    "HTS_SLURM_QOS": "",
    "HTS_SLURM_GPU_CPUS": "1",
    "HTS_SLURM_GPU_GRES": "gpu:1",
    "HTS_SLURM_GPU_WALLTIME": "00:10:00",
    "HTS_SLURM_GPU_PARTITION": "debug",
    "HTS_SLURM_GPU_ACCOUNT": "",
    "HTS_SLURM_GPU_QOS": "",
    "HTS_WORKER_SETUP": "",
    "HTS_VASP_CMD": "",
    "HTS_VASP_GAMMA_CMD": "",
    "HTS_PYTHON": sys.executable,
}


@dataclass
class RenderedWorker:
    """
    A rendered worker and the folder in which its jobs run.

    Parameters
    ----------
    name
        Folder of launchpad_configs.
    slurm
        Where its jobs go.
    folder
        Folder of everything that belongs to it.
    uri, database
        What it is rendered with.
    more
        Variables beside the usual ones.
    """

    name: str
    slurm: OneNodeSlurm
    folder: Path
    uri: str
    database: str
    more: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.launches.mkdir(parents=True, exist_ok=True)
        given = {
            **MODEST,
            "HTS_BATTERY_MONGO_URI": self.uri,
            "HTS_BATTERY_DATABASE": self.database,
            "HTS_BATTERY_EXECUTION_RECORD": str(self.executions),
            "HTS_OFFLINE_FOLDER": str(self.offline),
            **self.more,
        }
        render_worker(TEMPLATES, self.name, self.config, given)
        path = self.config / "FW_config.yaml"
        # A tests' queue knows of a job at once; a rocket that is silent for seconds is
        # lost if its queue says so.
        content = yaml.safe_load(path.read_text())
        content |= {"QUEUE_UPDATE_INTERVAL": 0, "PING_TIME_SECS": 2}
        path.write_text(yaml.safe_dump(content))

    @property
    def config(self) -> Path:
        return self.folder / "config"

    @property
    def launches(self) -> Path:
        return self.folder / "launches"

    @property
    def executions(self) -> Path:
        return self.folder / "executions"

    @property
    def offline(self) -> Path:
        return self.folder / "offline"

    @property
    def environment(self) -> dict[str, str]:
        """Variables of commands, which jobs inherit; no way to the database in it."""
        ours = ("HTS_BATTERY_", "FW_", "JOBFLOW_", "ATOMATE2_")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        return {
            **kept,
            **self.slurm.environment,
            "FW_CONFIG_FILE": str(self.config / "FW_config.yaml"),
            # Named fakes are imported on the node.
            "PYTHONPATH": f"{PROJECT}:{PROJECT / 'tests'}",
        }

    def qlaunch(self, *, jobs: int = 4, timeout: float = 240.0) -> None:
        """Send what is ready to the queue until nothing more is to come."""
        command = [
            *(
                sys.executable,
                "-m",
                "hts_battery.connections.launchpad.fireworks_commands",
            ),
            *("qlaunch", "-c", str(self.config), "--launch_dir", str(self.launches)),
            *("-r", "--loglvl", "WARNING", "rapidfire", "--nlaunches", "0"),
            *("-m", str(jobs), "--sleep", "1", "--timeout", str(int(timeout))),
        ]
        done = subprocess.run(  # noqa: S603 - our own words
            command,
            env=self.environment,
            cwd=self.folder,
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout + 60,
        )
        if done.returncode or "Traceback" in done.stderr:
            raise RuntimeError(f"qlaunch: {done.stdout}\n{done.stderr}")

    def run_all(self, launchpad: LaunchPad, *, jobs: int = 4) -> None:
        """Send and wait until nothing is left for this worker."""
        # Jobs made on a node are not there yet when qlaunch looks for the last time.
        while launchpad.run_exists(FWorker(name=self.name)):
            self.qlaunch(jobs=jobs)
            self.slurm.wait_for_jobs(timeout=240)

    def printed(self) -> str:
        """Return all that the jobs printed."""
        return "\n".join(
            path.read_text(errors="replace")
            for kind in ("out", "error")
            for path in sorted(self.launches.rglob(f"*.{kind}"))
        )
