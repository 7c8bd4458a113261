"""
FireWorks' launchpad, which outlives outages, and handing flows to it.

A launch that ended in a long outage is left on disk and told later
(:mod:`hts_battery.connections.records.launch_files`).
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self, cast

from jobflow.managers.fireworks import flow_to_workflow
from pymongo.errors import PyMongoError

from hts_battery.connections.database.clients import may_pass, translated_errors
from hts_battery.connections.database.retries import RetryPolicy, allocation_end
from hts_battery.connections.database.uris import redact
from hts_battery.connections.launchpad.checkout import CAMPAIGN, DISPATCH_ID, ROOT
from hts_battery.connections.launchpad.one_run import OneRunLaunchPad
from hts_battery.connections.launchpad.retrying_collections import (
    COUNTERS,
    ExactCounters,
    LockingWorkflows,
    RetryingCollection,
)
from hts_battery.connections.records.launch_files import leave_action, remove_action
from hts_battery.errors import DatabaseOutageError, SubmissionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from fireworks import FWAction, LaunchPad, Workflow
    from jobflow import Flow, Job

    from hts_battery.connections.database.database import Database
    from hts_battery.connections.database.stores import Stores

logger = logging.getLogger(__name__)

_ONCE = "hts_dispatch_once"
_INDEXES = {
    "fireworks": ((f"spec.{DISPATCH_ID}",), (f"spec.{CAMPAIGN}", "state")),
    "workflows": ((f"metadata.{CAMPAIGN}",), (f"metadata.{DISPATCH_ID}",)),
}
OUTAGE_SECONDS = 300.0
"""How long one outage is waited for where nobody says otherwise."""
_COUNTERS_ID = -1  # the one FireWorks' own reset uses


class ExactLaunchPad(OneRunLaunchPad):
    """
    A launchpad that waits out an outage, and keeps on disk what a longer one left.

    Its ids are unique on the embedded server too: whatever launches rockets from
    several processes there must use it, because FireWorks' own would let two rockets
    share a launch. One outage is waited for ``outage_seconds``; the end of the queue
    job ends it earlier.
    """

    workflows: Any
    offline_runs: Any

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - those of LaunchPad
        outage_seconds: float = OUTAGE_SECONDS,
        **kwargs: Any,  # noqa: ANN401 - likewise
    ) -> None:
        super().__init__(*args, **kwargs)
        self._retries = RetryPolicy(outage_seconds, end=allocation_end())
        self._untold: dict[int, tuple[FWAction | None, str]] = {}
        for name in ("fireworks", "launches", "offline_runs", "fw_id_assigner"):
            collection = RetryingCollection(getattr(self, name), self._retries)
            setattr(self, name, collection)
        self.workflows = LockingWorkflows(self.workflows, self._retries)
        self.fw_id_assigner = ExactCounters(self.fw_id_assigner)

    def ping_launch(
        self,
        launch_id: int,
        ptime: datetime | None = None,
        checkpoint: dict[str, object] | None = None,
    ) -> None:
        """Say that a launch is alive; one ping that does not get through is no harm."""
        with self._retries.suspended():
            try:
                if not self.is_held(launch_id):
                    return
                super().ping_launch(launch_id, ptime=ptime, checkpoint=checkpoint)
            except PyMongoError as err:
                if not may_pass(err):
                    raise

    def complete_launch(
        self, launch_id: int, action: FWAction | None = None, state: str = "COMPLETED"
    ) -> dict[str, object]:
        """
        Say how a launch ended; leave it on disk where the launchpad cannot be told.

        A DatabaseOutageError then says where it is kept.
        """
        # FireWorks takes an error here for the job's own and would call it failed.
        action, state = self._untold.get(launch_id, (action, state))
        folder = Path.cwd()
        try:
            if launch_id not in self._untold and not self.is_held(launch_id):
                # Put back while it ran, or of another epoch: its output is stored.
                logger.warning(
                    "launch %d is not this rocket's any more: its output is kept by "
                    "its content, and how it ended is told to nobody",
                    launch_id,
                )
                return {}
            self.tells(launch_id, state)
            told: dict[str, object] = super().complete_launch(  # type: ignore[no-untyped-call]
                launch_id, action, state
            )
        except (PyMongoError, RuntimeError) as err:
            if not may_pass(err):
                raise
            self._untold[launch_id] = (action, state)
            path = leave_action(folder, launch_id, action, state)
            raise DatabaseOutageError(
                f"launchpad {redact(str(self.host))} is away: launch {launch_id} is "
                f"{state}, which is kept as {path} and told by `hts launchpad recover`"
            ) from None
        if self._untold.pop(launch_id, None) is not None:
            remove_action(folder)
        return told

    def restore_backup_data(self, launch_id: int, fw_id: int) -> None:
        """Put a launch back to its start, unless it has ended or is not ours now."""
        if launch_id not in self._untold and self.is_held(launch_id):
            super().restore_backup_data(launch_id, fw_id)

    def bulk_add_wfs(self, wfs: Sequence[Workflow]) -> None:
        """Insert workflows at once; as FireWorks does, without its progress bar."""
        self.insert_numbered(wfs, self.reserve(sum(len(one) for one in wfs)))

    def reserve(self, count: int) -> range:
        """Take numbers for some Fireworks; nobody else gets them."""
        first: int = self.get_new_fw_id(quantity=count)  # type: ignore[no-untyped-call]
        return range(first, first + count)

    def insert_numbered(self, wfs: Sequence[Workflow], numbers: Iterable[int]) -> None:
        """Insert workflows at once, with numbers that were reserved for them."""
        left = iter(numbers)
        for workflow in wfs:
            new = {old: next(left) for old in workflow.id_fw}
            for firework in workflow:
                firework.fw_id = new[firework.fw_id]
            workflow._reassign_ids(new)  # noqa: SLF001 - FireWorks' own way to do it
            for root in workflow.root_fw_ids:
                workflow.id_fw[root].state = "READY"
                workflow.fw_states[root] = "READY"
        # Workflows first: a Firework that is there may be checked out at once. There is
        # no transaction, see connections.launchpad.changes.remove_orphans.
        self.workflows.insert_many([workflow.to_db_dict() for workflow in wfs])
        self.fireworks.insert_many(
            [firework.to_db_dict() for workflow in wfs for firework in workflow]
        )

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> Self:  # type: ignore[override] # untyped there
        """Read what a my_launchpad.yaml holds."""
        return cls(**d)


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


class Batch(NamedTuple):
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


def send(batches: Sequence[Batch], launchpad: ExactLaunchPad, campaign: str) -> None:
    """
    Insert batches as workflows, all at once.

    Not repeated after an outage, because nobody knows what was inserted: what is there,
    and it may be a part, is found by
    :func:`hts_battery.connections.launchpad.workflows.read_workflows`.

    Parameters
    ----------
    batches
        What is sent.
    launchpad
        An open launchpad.
    campaign
        Name of the campaign.

    Raises
    ------
    SubmissionError
        If the insertion fails. Some workflows may then stand in the launchpad.
    """
    if not batches:
        return
    workflows = []
    for batch in batches:
        tags: dict[str, object] = {
            DISPATCH_ID: batch.dispatch_id,
            CAMPAIGN: campaign,
            ROOT: batch.fw_id,
        }
        # Not dynamic: jobflow hands it on to the jobs made on the node by itself.
        batch.flow.update_config(
            {"manager_config": {**batch.config, **tags}}, dynamic=False
        )
        workflows.append(
            flow_to_workflow(
                batch.flow,
                allow_external_references=True,
                name=batch.name,
                metadata=tags,
            )
        )
    try:
        launchpad.insert_numbered(workflows, [batch.fw_id for batch in batches])
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
    # A workflow that two feeders insert is inserted once.
    field = f"metadata.{DISPATCH_ID}"
    if _ONCE not in launchpad.workflows.index_information():
        launchpad.workflows.create_index(
            [(field, 1)],
            name=_ONCE,
            unique=True,
            partialFilterExpression={field: {"$exists": True}},
        )
