"""How VASP is run under custodian: command, polling, and the time that is left."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from atomate2.vasp.run import DEFAULT_HANDLERS
from custodian.vasp.handlers import WalltimeHandler
from pydantic import Field

from hts_battery.schemas.base import Document
from hts_battery.vasp_standin.faults import WALL_TIME_VARIABLE

_BUFFER_S = 300


class VaspOptions(Document):
    """How VASP is run, and what its energies are called."""

    engine: str = Field("vasp-mp-gga", description="Name of the engine.")
    calculator: str = Field(
        "vasp mp-gga PBE", description="Label of the energies: one a hull."
    )
    command: str | None = Field(
        None, description="Command; null takes those of atomate2's settings."
    )
    potcar_spec: bool = Field(
        default=False,
        description="Whether to write POTCAR.spec instead of POTCAR: for the stand-in.",
    )
    keep_cell: bool = Field(
        default=False,
        description="Whether only atoms are relaxed; no energy for a hull comes of it.",
    )
    wall_time: int | None = Field(
        None,
        gt=0,
        description="Time of the allocation in s; null asks Slurm or PBS on the node. "
        "Near its end VASP is asked to stop, so that it writes its files.",
    )
    wall_time_buffer: int = Field(
        _BUFFER_S, ge=0, description="Time in s before its end at which VASP is asked."
    )
    own_allocation: bool = Field(
        default=False,
        description="Whether the time counts from the start of each run, as if each "
        "had an allocation of its own: for the stand-in.",
    )
    custodian: dict[str, int | float] = Field(
        default_factory=dict, description="Keywords of custodian."
    )


def rehearsal_options(command: str, *, engine: str, calculator: str) -> VaspOptions:
    """
    Return options for the stand-in: no POTCARs, and custodian looks often.

    Where the environment gives a rehearsal a wall time, each run has as much, and half
    of it passes before VASP is asked to stop.
    """
    limit = int(os.environ.get(WALL_TIME_VARIABLE, "0"))
    return VaspOptions(
        engine=engine,
        calculator=calculator,
        command=command,
        potcar_spec=True,
        custodian={"polling_time_step": 0.2, "monitor_freq": 5},
        wall_time=limit or None,
        wall_time_buffer=limit // 2 if limit else _BUFFER_S,
        own_allocation=bool(limit),
    )


def run_keywords(options: VaspOptions, step: str) -> dict[str, Any]:
    """Return the keywords of atomate2's function that runs VASP."""
    keywords: dict[str, Any] = {
        "handlers": _handlers(options, step),
        "custodian_kwargs": dict(options.custodian),
    }
    if options.command is not None:
        keywords |= {"vasp_cmd": options.command, "vasp_gamma_cmd": options.command}
    return keywords


def _handlers(options: VaspOptions, step: str) -> list[Any]:
    """
    Make custodian's handlers anew.

    atomate2's own are made once a process and count what they corrected in earlier
    calculations of the same worker.
    """
    allocation = os.environ.get("SLURM_JOB_START_TIME")
    end = os.environ.get("SLURM_JOB_END_TIME")
    wall_time, begin = options.wall_time, None
    if options.own_allocation:
        begin = datetime.now(UTC)
    elif allocation is not None:
        begin = datetime.fromtimestamp(int(allocation), UTC)
        if wall_time is None and end is not None:
            wall_time = int(end) - int(allocation)
    walltime = WalltimeHandler(
        wall_time=wall_time,
        buffer_time=options.wall_time_buffer,
        # A static calculation has one ionic step: it can only be stopped inside.
        electronic_step_stop=step == "static",
    )
    if begin is not None:
        # Otherwise it takes what the first of this process noted in the environment.
        walltime.start_time = begin.astimezone().replace(tzinfo=None)
        walltime.prev_check_time = walltime.start_time
    return [*(type(handler)() for handler in DEFAULT_HANDLERS), walltime]
