"""Handing flows to FireWorks."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, cast

from jobflow.managers.fireworks import flow_to_workflow
from pymongo.errors import PyMongoError

from hts_battery.connections.database.clients import translated_errors
from hts_battery.connections.launchpad.retrying_launchpad import (
    COUNTERS,
    OUTAGE_SECONDS,
    ExactLaunchPad,
)
from hts_battery.errors import SubmissionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fireworks import LaunchPad, Workflow
    from jobflow import Flow, Job

    from hts_battery.connections.database.database import Database
    from hts_battery.connections.database.stores import Stores

DISPATCH_ID, CAMPAIGN = "hts_dispatch_id", "hts_campaign"
"""Fields in the spec of every Firework that we send, and in its workflow's metadata."""

_INDEXES = {
    "fireworks": ((f"spec.{DISPATCH_ID}",), (f"spec.{CAMPAIGN}", "state")),
    "workflows": ((f"metadata.{CAMPAIGN}",), (f"metadata.{DISPATCH_ID}",)),
}
_COUNTERS_ID = -1  # the one FireWorks' own reset uses


@contextmanager
def open_launchpad(
    database: Database,
    *,
    log_level: str = "WARNING",
    outage_seconds: float = OUTAGE_SECONDS,
) -> Iterator[ExactLaunchPad]:
    """
    Open the launchpad of a database, and set it up if it is new.

    FireWorks keeps its collections (``fireworks``, ``workflows``, ``launches``, …)
    beside ours. Operations wait ``outage_seconds`` for a database that went away.
    """
    launchpad = ExactLaunchPad(
        host=database.uri,
        name=database.name,
        uri_mode=True,
        strm_lvl=log_level,
        outage_seconds=outage_seconds,
    )
    try:
        with translated_errors(database.uri, "setting up its launchpad"):
            _set_up(launchpad)
        yield launchpad
    finally:
        launchpad.connection.close()


def launchpad_beside(stores: Stores) -> LaunchPad:
    """
    Return FireWorks' collections of a database, to be looked at.

    No launchpad has to be set up for that, and nothing is written.
    """
    return cast("LaunchPad", stores.campaigns.collection.database)


def submit(
    flows: Sequence[Flow | Job],
    launchpad: LaunchPad,
    worker: str,
    *,
    priority: int | None = None,
) -> list[dict[str, int]]:
    """
    Insert flows as workflows, all at once, for one worker.

    The flows are not checked for having been submitted before; the caller does that by
    content key. No store goes into a Firework, and so no password: the node takes its
    own from the ``jobflow.yaml`` of its worker. Their jobs, and those they make on the
    node, are tied to the worker in place.

    Returns
    -------
    list of dict
        For each flow, job uuid → Firework id.

    Raises
    ------
    SubmissionError
        If the insertion fails. Some workflows may then stand in the launchpad.
    """
    if not flows:
        return []
    manager_config: dict[str, object] = {"_fworker": worker}
    if priority is not None:
        manager_config["_priority"] = priority
    for flow in flows:
        # FireWorks does not hand the worker on to jobs that a job makes; jobflow does.
        flow.update_config({"manager_config": manager_config}, dynamic=True)
    # A flow that goes on refers to outputs of an earlier one.
    workflows = [
        flow_to_workflow(flow, allow_external_references=True) for flow in flows
    ]
    try:
        launchpad.bulk_add_wfs(workflows)
    except PyMongoError as err:
        raise SubmissionError(
            f"{len(flows)} flows could not be inserted for worker {worker}: "
            f"{type(err).__name__}; submit again when the database answers"
        ) from err
    return [_firework_ids(workflow) for workflow in workflows]


class NewWorkflow(NamedTuple):
    """One workflow to be sent, and what FireWorks is told of it."""

    dispatch_id: str
    """Its key, by which it is found again."""
    flow: Flow | Job
    """Its first job; the others are made on the node."""
    name: str
    """Name of the workflow."""
    config: Mapping[str, object]
    """``_fworker``, ``_priority``, ``_queueadapter``."""
    fw_id: int
    """Number of its Firework, reserved."""


def send(new: Sequence[NewWorkflow], launchpad: ExactLaunchPad, campaign: str) -> None:
    """
    Insert workflows of a campaign, all at once.

    Not repeated after an outage, because nobody knows what was inserted: what is there
    is found by :func:`hts_battery.connections.launchpad.workflows.read_workflows`.

    Raises
    ------
    SubmissionError
        If the insertion fails. Some workflows may then stand in the launchpad.
    """
    if not new:
        return
    workflows = []
    for one in new:
        tags = {DISPATCH_ID: one.dispatch_id, CAMPAIGN: campaign}
        # Not dynamic: jobflow hands it on to the jobs made on the node by itself.
        one.flow.update_config(
            {"manager_config": {**one.config, **tags}}, dynamic=False
        )
        workflows.append(
            flow_to_workflow(
                one.flow,
                allow_external_references=True,
                name=one.name,
                metadata=tags,
            )
        )
    try:
        launchpad.insert_numbered(workflows, [one.fw_id for one in new])
    except PyMongoError as err:
        raise SubmissionError(
            f"{len(workflows)} workflows of {campaign} could not be inserted: "
            f"{type(err).__name__}; `hts launchpad feed` completes it"
        ) from err


def _firework_ids(workflow: Workflow) -> dict[str, int]:
    """Map the jobs of an inserted workflow to its Fireworks."""
    return {firework.tasks[0]["job"].uuid: firework.fw_id for firework in workflow.fws}


def _set_up(launchpad: LaunchPad) -> None:
    """Start the counters of a new launchpad; make FireWorks' indexes and ours."""
    if launchpad.fw_id_assigner.find_one({}) is None:
        launchpad.tuneup()
        # FireWorks' own reset deletes everything first. This upsert on a fixed key is
        # one atomic step, so two operators who begin at once share the counters.
        launchpad.fw_id_assigner.update_one(
            {"_id": _COUNTERS_ID}, {"$setOnInsert": COUNTERS}, upsert=True
        )
    for name, indexes in _INDEXES.items():
        collection = getattr(launchpad, name)
        present = {
            tuple(field for field, _ in found["key"])
            for found in collection.index_information().values()
        }
        for fields in indexes:
            if fields not in present:
                collection.create_index([(field, 1) for field in fields])
