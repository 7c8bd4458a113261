"""Handing flows to FireWorks."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from jobflow.managers.fireworks import flow_to_workflow
from pymongo import ReturnDocument
from pymongo.errors import PyMongoError

from hts_battery.connections.database.clients import translated_errors
from hts_battery.connections.launchpad.patient_launchpad import PatientLaunchPad
from hts_battery.errors import SubmissionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from fireworks import LaunchPad, Workflow
    from jobflow import Flow, Job
    from pymongo.collection import Collection

    from hts_battery.connections.database.database import Database

DISPATCH_ID, CAMPAIGN = "hts_dispatch_id", "hts_campaign"
"""Fields in the spec of every Firework that we send, and in its workflow's metadata."""

_INDEXES = {
    "fireworks": ((f"spec.{DISPATCH_ID}",), (f"spec.{CAMPAIGN}", "state")),
    "workflows": ((f"metadata.{CAMPAIGN}",), (f"metadata.{DISPATCH_ID}",)),
}
_COUNTERS_ID = -1  # the one FireWorks' own reset uses
_COUNTERS = {"next_fw_id": 1, "next_launch_id": 1}


class _ExactCounters:
    """
    FireWorks' counters, where no number is given out twice.

    FireWorks increments a counter and takes the number from the document as it was
    *before*. The embedded server reads that document ahead of the atomic update, so
    two processes at once can see the same number (4 of 40 tries with four processes);
    the document *after* the update is right. A MongoDB server gives the same answer
    either way.

    Parameters
    ----------
    collection
        The collection ``fw_id_assigner``.
    """

    def __init__(self, collection: Collection[dict[str, Any]]) -> None:
        self._collection = collection

    def find_one_and_update(
        self, criteria: dict[str, Any], update: dict[str, dict[str, int]]
    ) -> dict[str, int] | None:
        """Increment, and return the counters as they were before."""
        after = self._collection.find_one_and_update(
            criteria, update, return_document=ReturnDocument.AFTER
        )
        if after is None:
            return None
        return {name: after[name] - update["$inc"].get(name, 0) for name in _COUNTERS}

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else a collection has
        return getattr(self._collection, name)


class ExactLaunchPad(PatientLaunchPad):
    """
    A launchpad whose ids are unique on the embedded server too, and that waits.

    Whatever launches rockets from several processes on the embedded server must use
    it: FireWorks' own would let two rockets share a launch.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - those of LaunchPad
        super().__init__(*args, **kwargs)
        self.fw_id_assigner = _ExactCounters(self.fw_id_assigner)

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
    def from_dict(cls, d: dict[str, Any]) -> Self:  # type: ignore[override] # untyped there
        """Read what a my_launchpad.yaml holds."""
        return cls(**d)


@contextmanager
def open_launchpad(
    database: Database, *, log_level: str = "WARNING"
) -> Iterator[ExactLaunchPad]:
    """
    Open the launchpad of a database, and set it up if it is new.

    FireWorks keeps its collections (``fireworks``, ``workflows``, ``launches``, …)
    beside ours.

    Parameters
    ----------
    database
        An open database.
    log_level
        What FireWorks prints.

    Yields
    ------
    ExactLaunchPad
        Its client is closed at the end.

    Raises
    ------
    StoreError
        If the server cannot be used.
    """
    launchpad = ExactLaunchPad(
        host=database.uri, name=database.name, uri_mode=True, strm_lvl=log_level
    )
    try:
        with translated_errors(database.uri, "setting up its launchpad"):
            _set_up(launchpad)
        yield launchpad
    finally:
        launchpad.connection.close()


def submit(
    flows: Sequence[Flow | Job],
    launchpad: LaunchPad,
    worker: str,
    *,
    priority: int | None = None,
) -> list[dict[str, int]]:
    """
    Insert flows as workflows, all at once, for one worker.

    The flows are not checked for having been submitted before; the caller does that
    by content key. No store goes into a Firework, and so no password: the node takes
    its own from the ``jobflow.yaml`` of its worker.

    Parameters
    ----------
    flows
        Flows or single jobs. Their jobs, and those they make on the node, are tied to
        the worker in place.
    launchpad
        An open launchpad.
    worker
        Name of the worker, which is the name of its folder in launchpad_configs.
    priority
        The larger, the earlier.

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
    config: Mapping[str, Any]
    """``_fworker``, ``_priority``, ``_queueadapter``."""
    fw_id: int
    """Number of its Firework, reserved."""


def send(batches: Sequence[Batch], launchpad: ExactLaunchPad, campaign: str) -> None:
    """
    Insert batches as workflows, all at once.

    Not repeated after an outage, because nobody knows what was inserted: what is there
    is found by :func:`hts_battery.connections.launchpad.workflows.read_workflows`.

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
        tags = {DISPATCH_ID: batch.dispatch_id, CAMPAIGN: campaign}
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
            {"_id": _COUNTERS_ID}, {"$setOnInsert": _COUNTERS}, upsert=True
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
