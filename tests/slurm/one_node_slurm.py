"""A real Slurm of one node on loopback, started and ended by the tests that use it."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")
_SYSTEM_FOLDERS = "/usr/sbin:/sbin"  # where Debian keeps daemons
_WAIT_SECONDS = 180.0
_POLL_SECONDS = 0.1

_CONFIGURATION = """\
ClusterName=onenode
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={home}/munge.socket
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={home}/controller
SlurmdSpoolDir={home}/node
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/slurmd.pid
SlurmctldLogFile={home}/slurmctld.log
SlurmdLogFile={home}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={home}/finished.log
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0
SlurmdParameters=config_overrides
GresTypes=gpu
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
KillWait=2
InactiveLimit=0
MessageTimeout=60
SlurmdTimeout={node_timeout}
MinJobAge=3600
DefMemPerCPU={memory_per_cpu}
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:1
PartitionName=debug Nodes={host} Default=YES MaxTime=UNLIMITED DefaultTime=10
"""


def missing_parts() -> str | None:
    """Say why Slurm cannot be started here; none where it can."""
    absent = [name for name in _PROGRAMS if _program(name) is None]
    if absent:
        return f"{', '.join(absent)} not installed (apt-get install slurm-wlm munge)"
    if os.geteuid() != 0:
        return "slurmd starts jobs of other users and must be root"
    return None


class OneNodeSlurm:
    """
    munged, slurmctld and slurmd in a folder of their own, on free ports of loopback.

    Parameters
    ----------
    home
        Folder, short because a socket lies in it; made when missing.
    cpus
        Processors that Slurm believes in; more than there are is allowed.
    node_timeout
        Seconds after which a node that does not answer counts as down.
    """

    def __init__(self, home: Path, *, cpus: int = 2, node_timeout: int = 15) -> None:
        self.home = home
        self.cpus = cpus
        self.node_timeout = node_timeout
        self.host = socket.gethostname().split(".")[0]
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def configuration(self) -> Path:
        return self.home / "slurm.conf"

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which Slurm's commands find this Slurm."""
        return {"SLURM_CONF": str(self.configuration)}

    def start(self) -> Self:
        """Start all three and wait until the node takes jobs."""
        for name in ("controller", "node"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o755)  # munged insists that everybody can reach its socket
        self._write_configuration()
        self._start_munge()
        self._launch("slurmctld", "-D", "-f", str(self.configuration))
        self.start_node()
        return self

    def stop(self) -> None:
        """End every job, then exactly the processes that were started."""
        if "slurmctld" in self._daemons:
            with suppress(subprocess.SubprocessError, TimeoutError, RuntimeError):
                self.cancel_all()
        for name in ("slurmd", "slurmctld", "munged"):
            self._end(name, signal.SIGTERM)
        for pid in self._left_behind():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def kill_node(self) -> None:
        """Kill slurmd; the jobs that it started live on."""
        self._end("slurmd", signal.SIGKILL)

    def start_node(self) -> None:
        """Start slurmd, again if need be, and wait until the node takes jobs."""
        self._launch("slurmd", "-D", "-f", str(self.configuration))
        self.wait_for_node("idle", "mixed", "allocated", "completing")

    def kill_jobs(self) -> None:
        """Kill the processes of every job, as when the node loses its power."""
        for pid in self._left_behind():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def rockets(self) -> list[int]:
        """Find the processes of jobs that run a rocket."""
        found = []
        for pid in self._left_behind():
            with suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if b"rlaunch" in words:
                    found.append(pid)
        return sorted(found)

    def wait_for_node(self, *states: str) -> None:
        """Wait until the node is in one of some states."""

        def reached() -> bool:
            found = self.run("sinfo", "-h", "-o", "%T", check=False).strip()
            return found.rstrip("*") in states

        self._wait(reached, f"the node to be {' or '.join(states)}")

    def run(self, *command: str, check: bool = True) -> str:
        """Run one of Slurm's commands and return what it prints."""
        done = subprocess.run(  # noqa: S603 - our own words
            command,
            env={**os.environ, **self.environment},
            check=False,
            capture_output=True,
            text=True,
            timeout=_WAIT_SECONDS,
        )
        if check and done.returncode:
            raise subprocess.CalledProcessError(
                done.returncode, command, done.stdout, done.stderr
            )
        return done.stdout

    def submit(self, script: str, folder: Path, *options: str) -> str:
        """Hand a script to sbatch; return the number of the job."""
        path = folder / "job.sh"
        path.write_text(f"#!/bin/bash\n{script}\n")
        printed = self.run(
            "sbatch", "--parsable", "-D", str(folder), *options, str(path)
        )
        return printed.strip()

    def jobs(self) -> list[str]:
        """Return the numbers of the jobs that wait or run."""
        return self.run("squeue", "-h", "-o", "%i").split()

    def state(self, job: str) -> str:
        """Return the state of a job, ended or not."""
        text = self.run("scontrol", "show", "job", job)
        return text.split("JobState=")[1].split()[0]

    def wait_for_jobs(self, timeout: float = _WAIT_SECONDS) -> None:
        """Wait until the queue is empty."""
        self._wait(lambda: not self.jobs(), "the queue to be empty", timeout)

    def cancel_all(self) -> None:
        """Cancel every job and wait until they are gone."""
        if jobs := self.jobs():
            self.run("scancel", *jobs, check=False)
            self.wait_for_jobs()

    def _start_munge(self) -> None:
        key = self.home / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        socket_path = self.home / "munge.socket"
        self._launch(
            "munged",
            *("--foreground", "--key-file", str(key), "--socket", str(socket_path)),
            *("--pid-file", str(self.home / "munged.pid")),
            *("--log-file", str(self.home / "munged.log")),
            *("--seed-file", str(self.home / "munged.seed")),
        )
        self._wait(socket_path.exists, "munged")

    def _write_configuration(self) -> None:
        controller_port, node_port = _free_ports(2)
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
        self.configuration.write_text(
            _CONFIGURATION.format(
                home=self.home,
                host=self.host,
                controller_port=controller_port,
                node_port=node_port,
                cpus=self.cpus,
                memory=memory,
                memory_per_cpu=memory // self.cpus,
                node_timeout=self.node_timeout,
            )
        )
        (self.home / "gres.conf").write_text("Name=gpu File=/dev/null\n")

    def _launch(self, name: str, *arguments: str) -> None:
        with (self.home / f"{name}.out").open("ab") as log:
            self._daemons[name] = subprocess.Popen(  # noqa: S603 - our own words
                [str(_program(name)), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_without_slurm(os.environ) | self.environment,
                start_new_session=True,
            )

    def _end(self, name: str, how: signal.Signals) -> None:
        daemon = self._daemons.pop(name, None)
        if daemon is None:
            return
        daemon.send_signal(how)
        try:
            daemon.wait(10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait(10)

    def _left_behind(self) -> list[int]:
        """Find the processes of jobs: those that carry our configuration's name."""
        mark = f"SLURM_CONF={self.configuration}".encode()
        ours = {daemon.pid for daemon in self._daemons.values()} | {os.getpid()}
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                variables = path.read_bytes().split(b"\0")
                is_job = any(one.startswith(b"SLURM_JOB_ID=") for one in variables)
                is_step = b"slurmstepd" in (path.parent / "cmdline").read_bytes()
                pid = int(path.parent.name)
                if mark in variables and (is_job or is_step) and pid not in ours:
                    found.append(pid)
        return found

    def _wait(self, reached: object, what: str, timeout: float = _WAIT_SECONDS) -> None:
        assert callable(reached)
        deadline = time.monotonic() + timeout
        while not reached():
            for name, daemon in self._daemons.items():
                if daemon.poll() is not None:
                    log = (self.home / f"{name}.out").read_text(errors="replace")
                    raise RuntimeError(f"{name} ended: {log[-2000:]}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {timeout:.0f} s for {what}")
            time.sleep(_POLL_SECONDS)


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=_SYSTEM_FOLDERS)


def _without_slurm(variables: Mapping[str, str]) -> dict[str, str]:
    """Drop what a surrounding Slurm job would tell the daemons."""
    return {key: value for key, value in variables.items() if "SLURM" not in key}


def _free_ports(number: int) -> list[int]:
    """Choose ports that nobody uses now."""
    with socket.socket() as first, socket.socket() as second:
        for trial in (first, second):
            trial.bind(("127.0.0.1", 0))
        return [trial.getsockname()[1] for trial in (first, second)][:number]
