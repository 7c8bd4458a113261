"""How VASP is run under custodian: command, polling, and the time that is left."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from atomate2.vasp.run import DEFAULT_HANDLERS
from custodian.vasp.handlers import WalltimeHandler
from pydantic import Field

from hts_battery.schemas.base import Document

_START_VARIABLE = "CUSTODIAN_WALLTIME_START"
_START_FORMAT = "%a %b %d %H:%M:%S UTC %Y"


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
    wall_time: int | None = Field(
        None,
        gt=0,
        description="Time of the allocation in s; null asks Slurm or PBS on the node. "
        "Near its end VASP is asked to stop, so that it writes its files.",
    )
    wall_time_buffer: int = Field(
        300, ge=0, description="Time in s before its end at which VASP is asked."
    )
    custodian: dict[str, Any] = Field(
        default_factory=dict, description="Keywords of custodian."
    )


def rehearsal_options(command: str, *, engine: str, calculator: str) -> VaspOptions:
    """
    Return options for the stand-in: no POTCARs, and custodian looks often.

    Parameters
    ----------
    command
        Command of the stand-in.
    engine, calculator
        Names that its documents carry.
    """
    return VaspOptions(
        engine=engine,
        calculator=calculator,
        command=command,
        potcar_spec=True,
        custodian={"polling_time_step": 0.2, "monitor_freq": 5},
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
    wall_time = options.wall_time
    if allocation is not None:
        begin = datetime.fromtimestamp(int(allocation), UTC).astimezone()
        os.environ[_START_VARIABLE] = begin.strftime(_START_FORMAT)
        end = os.environ.get("SLURM_JOB_END_TIME")
        if wall_time is None and end is not None:
            wall_time = int(end) - int(allocation)
    walltime = WalltimeHandler(
        wall_time=wall_time,
        buffer_time=options.wall_time_buffer,
        # A static calculation has one ionic step: it can only be stopped inside.
        electronic_step_stop=step == "static",
    )
    return [*(type(handler)() for handler in DEFAULT_HANDLERS), walltime]
