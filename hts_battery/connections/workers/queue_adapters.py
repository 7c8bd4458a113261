"""FireWorks' queue adapter, with what a Firework asks for in the words of its queue."""

from __future__ import annotations

import math
import re
import shlex
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter

from hts_battery.connections.workers.queue_scripts import missing_values
from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

LEAVE_OUT = "_leave_out"
"""Key of my_qadapter.yaml: what this queue does not take from a Firework."""
_SIZE = re.compile(
    r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[kmgt]?)(?:i?b)?", re.IGNORECASE
)
_MIB = {"": 1, "k": 1 / 1024, "m": 1, "g": 1024, "t": 1024**2}
_SLURM_MEMORY = ("mem_per_cpu", "mem_per_gpu")


class QueueAdapter(CommonAdapter):
    """
    An adapter whose script holds everything that is asked for, or that says what not.

    ``mem`` is the memory of a node's job and ``walltime`` is hours, minutes and
    seconds, whatever the queue; the script has them as its queue reads them.
    """

    _fw_name = "{{hts_battery.connections.workers.queue_adapters.QueueAdapter}}"

    def get_script_str(self, launch_dir: str) -> str:
        """
        Write the queue script of a launch.

        Raises
        ------
        ConfigurationError
            If a value that was asked for would not stand in it.
        """
        folder = str(Path(launch_dir).absolute())
        asked = in_words_of(self.q_type, self)
        writer = CommonAdapter(self.q_type, template_file=self.template_file, **asked)
        with warnings.catch_warnings():
            # Of a key without a place, which is refused below.
            warnings.filterwarnings("ignore", "Key .* has been specified", UserWarning)
            script = str(writer.get_script_str(folder))
        template = Path(self.template_file).read_text("utf-8")
        problems = missing_values({**asked, "launch_dir": folder}, template, script)
        if problems:
            raise ConfigurationError(
                f"the queue script would lack what is asked for: {'; '.join(problems)}"
            )
        return script.replace(f"\ncd {folder}\n", f"\ncd {shlex.quote(folder)}\n")


def in_words_of(queue: str, asked: Mapping[str, object]) -> dict[str, object]:
    """
    Return what is asked for as the script of a queue takes it.

    Examples
    --------
    >>> in_words_of("PBS", {"nnodes": 2, "mem": "4G"})
    {'nnodes': 2, 'mem': '8GB'}
    >>> in_words_of("SGE", {"ntasks": 8, "mem": "4G"})
    {'ntasks': 8, 'mem': '4G', 'mem_per_slot': '512M'}
    >>> in_words_of("LoadSharingFacility", {"walltime": "12:30:00"})
    {'run_limit': '12:30'}
    """
    left_out = listed(asked.get(LEAVE_OUT))
    found = {
        key: value
        for key, value in asked.items()
        if value is not None and value != "" and key not in left_out
    }
    found.pop(LEAVE_OUT, None)
    memory = found.get("mem")
    if queue == "SLURM" and memory is not None:
        # Slurm takes one of them; what a Firework asks for counts.
        found = {key: one for key, one in found.items() if key not in _SLURM_MEMORY}
    elif queue == "PBS" and memory is not None:
        # PBS takes the memory of all nodes together.
        found["mem"] = _written(mebibytes(memory) * _count(found, "nnodes"), "B")
    elif queue == "SGE" and memory is not None:
        # Grid Engine multiplies it by the slots.
        found["mem"] = _written(mebibytes(memory))
        slots = _count(found, "ntasks")
        found["mem_per_slot"] = _written(math.ceil(mebibytes(memory) / slots))
    elif queue == "LoadSharingFacility":
        if memory is not None:
            # Without a unit it would be KiB.
            found["mem"] = _written(mebibytes(memory))
        if "walltime" in found:
            # LSF takes hours and minutes.
            found["run_limit"] = str(found.pop("walltime")).rpartition(":")[0]
    return found


def mebibytes(memory: object) -> float:
    """
    Return an amount of memory as queues write it, in MiB; without a unit it is MiB.

    Examples
    --------
    >>> mebibytes("4G"), mebibytes("512mb")
    (4096.0, 512.0)
    """
    found = _SIZE.fullmatch(str(memory).strip())
    if found is None:
        raise ConfigurationError(f"mem: {memory} is no amount of memory such as 4G")
    return float(found["number"]) * _MIB[found["unit"].lower()]


def _written(size: float, unit: str = "") -> str:
    whole = math.ceil(size)
    return f"{whole}M{unit}" if whole % 1024 else f"{whole // 1024}G{unit}"


def _count(asked: Mapping[str, object], key: str) -> int:
    value = str(asked.get(key, 1))
    return max(1, int(value)) if value.isdecimal() else 1


def listed(value: object) -> tuple[str, ...]:
    """Return the words of a list in a file, where one may stand alone."""
    if isinstance(value, str):
        return (value,)
    return tuple(map(str, value)) if isinstance(value, list | tuple) else ()
