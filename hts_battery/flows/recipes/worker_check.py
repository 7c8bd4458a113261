"""Small real jobs by which a worker is tested: one for each stage."""

from __future__ import annotations

import hashlib
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from jobflow import Flow, Job, job
from pymatgen.core import Lattice, Structure

from hts_battery.connections.processes import host_name
from hts_battery.flows.engines.registry import engine
from hts_battery.flows.execution.recorded import recorded
from hts_battery.schemas.campaign import RelaxationSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

_PAYLOAD = "lithium manganese oxyfluoride " * 40_000  # 1.2 MB: no small output
_PACKAGES = ("hts_battery", "jobflow", "FireWorks", "atomate2", "pymatgen")
STAGE = "worker_test"
"""Metadata of these jobs: which stage. Without a step no builder takes them."""
NODE, OUTPUTS = "node", "outputs"
"""Stages that every worker has; beside them stands one for each engine."""


@job(data="payload")
def describe_node() -> dict[str, object]:
    """
    Say where the job runs and with what, and leave a large output.

    Returns
    -------
    dict
        Host, interpreter, folder and versions; ``payload``, kept where large outputs
        are, and its ``digest``.
    """
    return {
        "host": host_name(),
        "python": sys.executable,
        "folder": str(Path.cwd()),
        "processors": len(os.sched_getaffinity(0)),
        "versions": {name: version(name) for name in _PACKAGES},
        "payload": _PAYLOAD,
        "digest": _digest(_PAYLOAD),
    }


@job
def read_outputs_back(payload: str, digest: str) -> dict[str, object]:
    """
    Read the outputs of another job, the large one too, as every later step does.

    Raises
    ------
    ValueError
        If the large output is not what was stored.
    """
    if _digest(payload) != digest:
        raise ValueError(
            f"of the large output {len(payload)} characters came back, and others than "
            "were stored"
        )
    return {"characters": len(payload)}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def worker_check_flows(engines: Sequence[str], *, reads: bool = True) -> list[Flow]:
    """
    Return flows of one small job for each stage; no engine waits for another.

    Parameters
    ----------
    engines
        Engines that are to relax a cell of LiF with two atoms.
    reads
        Whether jobs of the worker reach the outputs of others; offline ones do not.
    """
    node = describe_node()
    jobs: list[Flow | Job] = [node]
    if reads:
        back = read_outputs_back(node.output["payload"], node.output["digest"])
        back.update_metadata({STAGE: OUTPUTS})
        jobs.append(back)
    node.update_metadata({STAGE: NODE})
    flows = [Flow(jobs)]
    cell = Structure(
        Lattice([[0, 2.015, 2.015], [2.015, 0, 2.015], [2.015, 2.015, 0]]),
        ["Li", "F"],
        [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]],
        site_properties={"charge": [1, -1]},
    )
    for name in engines:
        made = engine(name).relax_maker(RelaxationSpec(steps=50)).make(cell)
        flow = made if isinstance(made, Flow) else Flow([made])
        flow.update_metadata({STAGE: name})
        flows.append(flow)
    for flow in flows:
        flow.name = "worker test"
    return [recorded(flow) for flow in flows]
