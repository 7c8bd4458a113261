"""Sending one candidate again, with another request to its queue where one is given."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hts_battery.connections.records.backlog import (
    Backlog,
    dispatching,
    read_submission,
    reopened,
)
from hts_battery.connections.workers.configs import queue_keys
from hts_battery.errors import ConfigurationError, SubmissionError
from hts_battery.schemas.dispatch import EndingKind

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.dispatch import BacklogItem

_ALWAYS = frozenset({"walltime", "mem"})
"""What the feeder itself asks of every queue."""
_WALLTIME = re.compile(r"^(\d+-)?\d{1,3}:\d\d(:\d\d)?$")
_VALUE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.,:=@%/+-]*$")


def read_request(words: Iterable[str], worker: str, templates: Path) -> dict[str, str]:
    """
    Read what the queue is asked for instead: ``key=value``, keys of the worker's queue.

    Parameters
    ----------
    words
        As they are typed.
    worker
        The worker, whose my_qadapter.yaml and queue say which keys there are.
    templates
        Folder of the workers.

    Raises
    ------
    ConfigurationError
        If a key is none of its queue's, or a value cannot stand in a queue script.
    """
    found: dict[str, str] = {}
    known = queue_keys(templates, worker) or _ALWAYS
    for word in words:
        key, sign, value = word.partition("=")
        if not sign:
            raise ConfigurationError(f"--set {word}: write key=value")
        if key not in known:
            raise ConfigurationError(
                f"--set {key}: a queue job of {worker} takes {', '.join(sorted(known))}"
                "; what decides energies stands in the campaign file"
            )
        wrong = key == "walltime" and not _WALLTIME.match(value)
        if wrong or not _VALUE.match(value):
            raise ConfigurationError(
                f"--set {word}: "
                + ("write HH:MM:SS" if wrong else "that cannot stand in a queue script")
            )
        found[key] = value
    return found


def rerun_candidate(
    stores: Stores,
    campaign: str,
    candidate: str,
    *,
    request: dict[str, str],
    dry_run: bool = False,
) -> BacklogItem:
    """
    Let a candidate that failed or was cancelled wait again; the feeder sends it alone.

    What it has finished is not computed again. A request stands until another one.

    Parameters
    ----------
    stores, campaign
        Open stores, and the campaign.
    candidate
        Id or formula of the candidate.
    request
        What its queue jobs ask for instead of what they would; empty leaves it.
    dry_run
        Whether nothing is written.

    Raises
    ------
    SubmissionError
        If it cannot be sent again; says why.
    """
    if read_submission(stores, campaign) is None:
        raise SubmissionError(
            f"the campaign {campaign} was never submitted: `hts campaign run "
            "--retry-failed` tries again here what failed here"
        )
    if dry_run:
        return _changed(Backlog.read(stores, campaign), campaign, candidate, request)
    with dispatching(stores, f"hts campaign rerun {campaign}") as lease:
        backlog = Backlog.read(stores, campaign)
        item = _changed(backlog, campaign, candidate, request)
        backlog.put(item)
        backlog.save(lease)
    return item


def _changed(
    backlog: Backlog, campaign: str, candidate: str, request: dict[str, str]
) -> BacklogItem:
    """Return a candidate as it waits once more, or say why it does not."""
    found = [
        item for item in backlog.items if candidate in {item.candidate_id, item.formula}
    ]
    if not found:
        raise SubmissionError(
            f"there is no candidate {candidate} in the backlog of {campaign}: give its "
            "id or its formula, as `hts campaign status` and `hts query show` do"
        )
    item = found[-1]
    changed = {"request": {**item.request, **request}}
    ending = item.ending
    if ending is None and item.dispatch_id is None:
        return item.model_copy(update=changed)
    if ending is None:
        raise SubmissionError(
            f"{item.formula} is in Firework {item.fw_id}: `hts jobs show {item.fw_id}` "
            "says where it stands; it can be sent again when that has ended"
        )
    if ending.kind is EndingKind.COMPUTED and ending.failure_class is None:
        raise SubmissionError(
            f"{item.formula} has every energy that was asked for: what is known is not "
            "computed again"
        )
    if ending.kind is EndingKind.GATED:
        raise SubmissionError(
            f"{item.formula} did not pass the gate: `hts campaign release` lets it by"
        )
    return reopened(item, retry=True).model_copy(update=changed)
