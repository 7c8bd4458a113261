"""Rockets in processes of their own, on a server of their own that may be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hts_battery.connections.database.server_process import ServerFolder
from hts_battery.connections.workers.configs import render_worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from hts_battery.connections.database.embedded import EmbeddedServer
    from hts_battery.connections.database.stores import Stores

PROJECT = Path(__file__).resolve().parents[1]
PATIENCE = 120  # seconds, far more than any step takes
WORKER = "local"


def wait_until(
    condition: Callable[[], bool], process: subprocess.Popen[str], what: str
) -> None:
    """Wait for something that a rocket does; not longer than it lives."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            raise AssertionError(f"not so: {what}\n{process.communicate()[0]}")
        time.sleep(0.05)


@dataclass
class Rockets:
    """Starts rockets and ends their server."""

    server: EmbeddedServer
    stores: Stores
    folder: Path

    @property
    def quick_uri(self) -> str:
        """URI of the server by which an outage is noticed as soon as it can be."""
        joint = "&" if "?" in self.server.uri else "/?"
        return f"{self.server.uri}{joint}serverSelectionTimeoutMS=1500"

    @property
    def executions(self) -> Path:
        return self.folder / "executions"

    def start(
        self,
        name: str,
        *,
        patience: float = 60.0,
        script: str | None = None,
        variables: dict[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """Start a rocket in a launch folder of this name."""
        launch = self.folder / name
        launch.mkdir()
        given = {
            "HTS_BATTERY_MONGO_URI": self.quick_uri,
            "HTS_BATTERY_DATABASE": self.stores.database.name,
            "HTS_BATTERY_EXECUTION_RECORD": str(self.executions),
            "HTS_BATTERY_OUTAGE_PATIENCE": str(patience),
            "PYTHONPATH": os.pathsep.join((str(PROJECT), str(PROJECT / "tests"))),
        }
        config = self.folder / "config"
        if not config.exists():
            templates = PROJECT / "launchpad_configs"
            known = {"HTS_PYTHON": sys.executable, **given}
            render_worker(templates, WORKER, config, known)
        command = [
            sys.executable,
            "-m",
            "hts_battery.connections.launchpad.fireworks_commands",
        ]
        if script is not None:
            command = [sys.executable, "-c", script]
        return subprocess.Popen(  # noqa: S603 - our own interpreter, our own words
            [*command, "rlaunch", "-c", str(config), "singleshot"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=launch,
            start_new_session=True,  # what it starts ends with it, as in a queue
            env={
                **os.environ,
                **given,
                **(variables or {}),
                "FW_CONFIG_FILE": str(config / "FW_config.yaml"),
                "JOBFLOW_CONFIG_FILE": str(config / "jobflow.yaml"),
            },
        )

    def run(self, name: str, *, patience: float = 60.0) -> str:
        """Run a rocket to its end; return what it printed."""
        process = self.start(name, patience=patience)
        output, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, output
        return output

    def kill(self, process: subprocess.Popen[str]) -> None:
        """Kill a rocket with everything it has started."""
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=PATIENCE)

    def kill_server(self) -> None:
        state = ServerFolder(self.server.data_dir).read_state()
        assert state is not None
        os.kill(state.pid, signal.SIGKILL)
