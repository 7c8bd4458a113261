"""What a campaign lacks before it is sent: refused, or said as a warning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hts_battery.campaign.conduct import ensure_references, hull_engines
from hts_battery.campaign.coverage import missing_references
from hts_battery.campaign.gate_hulls import GateHulls
from hts_battery.errors import ConfigurationError
from hts_battery.flows.engines import engine

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from hts_battery.campaign.sending_order import Member
    from hts_battery.connections.stores import Stores
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.dispatch import Submission

LOCAL_WORKER = "local"
"""The worker that is the machine one submits from."""


def readiness(
    spec: CampaignSpec,
    submission: Submission,
    members: Sequence[Member],
    stores: Stores,
) -> list[str]:
    """
    Import what is shipped and missing, and say what else a campaign lacks.

    What an engine needs is asked of this machine; another worker may have it.

    Parameters
    ----------
    spec
        The campaign.
    submission
        How it is sent.
    members
        Its candidates.
    stores
        Open stores.

    Returns
    -------
    list[str]
        Warnings, each with what to do.

    Raises
    ------
    ConfigurationError
        If an engine cannot compute an element, lacks something on this machine where
        this is the worker, or the gate has no competing phases.
    """
    elements = {element for _, candidate in members for element in candidate.elements}
    warnings = _engine_problems(spec, submission, elements)
    for name in hull_engines(spec):
        try:
            ensure_references(name, stores, elements=elements)
        except ConfigurationError as err:
            warnings.append(str(err))
    warnings += missing_references(spec, elements, stores)
    GateHulls.of_campaign(spec, stores)
    return warnings


def _engine_problems(
    spec: CampaignSpec, submission: Submission, elements: Collection[str]
) -> list[str]:
    workers = {spec.engine: submission.worker}
    if spec.prerelax is not None:
        workers[spec.prerelax.engine] = submission.routes.get(
            "prerelax", submission.worker
        )
    problems = []
    for name, worker in workers.items():
        if worker == LOCAL_WORKER:
            engine(name).require(elements)
        problems += [
            f"not on this machine, and worker {worker} needs it: {problem}"
            for problem in engine(name).missing(elements)
        ]
    return problems
