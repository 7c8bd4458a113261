"""A queue as a launcher uses it: does it answer, take this, what is named so."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from hts_battery.connections.launchpad.queues import queue_kinds
from hts_battery.errors import ConfigurationError, QueueRefusalError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter

    from hts_battery.connections.launchpad.queues import QueueKind

_TIMEOUT_S = 60.0
_LSF = "LoadSharingFacility"


class Scheduler(Protocol):
    """What a launcher asks of a queue."""

    def jobs(self) -> frozenset[str]:
        """List the jobs that wait or run; QueueRefusalError if it does not answer."""
        ...

    def submit(self, script: Path) -> str:
        """Submit a script from its folder; return the number, or QueueRefusalError."""
        ...

    def named(self, name: str) -> frozenset[str] | None:
        """List the jobs of a name that wait or run; None where nobody can say."""
        ...

    def withdraw(self, job: str) -> None:
        """Cancel a job; QueueRefusalError if that is refused."""
        ...


@dataclass(frozen=True)
class QueueScheduler:
    """
    The queue that an adapter of FireWorks speaks of, asked in its own commands.

    FireWorks' own submission passes over what the command said.

    Parameters
    ----------
    adapter
        The adapter of the worker.
    variables
        The environment in which its commands are run.
    """

    adapter: CommonAdapter
    variables: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def kind(self) -> QueueKind:
        """How this kind of queue is asked."""
        for one in queue_kinds():
            if one.kind == self.adapter.q_type:
                return one
        known = ", ".join(one.kind for one in queue_kinds())
        raise ConfigurationError(
            f"my_qadapter.yaml: a queue {self.adapter.q_type} cannot be asked for its "
            f"jobs; these can: {known}"
        )

    def jobs(self) -> frozenset[str]:
        """List the jobs that wait or run."""
        return self.kind.jobs(self._run(self.kind.command))

    def submit(self, script: Path) -> str:
        """Submit a script from its folder; return the number of the job."""
        command = str(self.adapter.q_commands[self.adapter.q_type]["submit_cmd"])
        # LSF reads what a job asks for from its standard input alone.
        words = [command] if self.adapter.q_type == _LSF else [command, script.name]
        printed = self._run(words, script=script)
        try:
            return str(self.adapter._parse_jobid(printed))  # noqa: SLF001 - no public name
        except RuntimeError:
            said = printed.strip()
            raise QueueRefusalError(command, said, may_have_it=True) from None

    def named(self, name: str) -> frozenset[str] | None:
        """List the jobs of a name that wait or run; None where nobody can say."""
        if not self.kind.named:
            return None
        try:
            return self.kind.jobs(
                self._run([one.format(name=name) for one in self.kind.named])
            )
        except QueueRefusalError:
            return None

    def withdraw(self, job: str) -> None:
        """Cancel a job."""
        self._run([one.format(job=job) for one in self.kind.withdraw])

    def attempt(self, script: Path) -> str | None:
        """Say in the queue's words why it would not take a script; None if it would."""
        if not self.kind.attempt:
            return None
        words = [one.format(script=script.name) for one in self.kind.attempt]
        try:
            self._run(words, script=script)
        except QueueRefusalError as err:
            return str(err)
        return None

    def _run(self, command: Sequence[str], *, script: Path | None = None) -> str:
        """Run a command of the queue; return what it printed."""
        try:
            done = subprocess.run(  # noqa: S603 - words of our table and of the worker's files
                command,
                cwd=None if script is None else script.parent,
                input=None if script is None else script.read_text("utf-8"),
                stdin=subprocess.DEVNULL if script is None else None,
                env=dict(self.variables),
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except OSError as err:
            raise QueueRefusalError(command[0], err.strerror or str(err)) from None
        except subprocess.TimeoutExpired:
            words = f"no answer within {_TIMEOUT_S:.0f} s"
            raise QueueRefusalError(command[0], words, may_have_it=True) from None
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip()) or (
                f"it ended with status {done.returncode}"
            )
            # "Socket timed out" has this status too. Where the queue can be asked for
            # the job by its name, that decides.
            unsure = script is not None and bool(self.kind.named)
            raise QueueRefusalError(command[0], said, may_have_it=unsure)
        return done.stdout
