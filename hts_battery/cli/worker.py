"""hts worker: how each worker may be used now."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.completion import TEMPLATES
from hts_battery.cli.opening import opened_stores
from hts_battery.cli.options import AsJson, DryRun, Templates, WorkerName
from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.worker_control import WorkerControl

    Change = Callable[[Stores, str], WorkerControl]

Reason = Annotated[str, typer.Option(help="Why, for people; kept and shown.")]
_BY_HAND = "an operator asked for it"
_MINUTE = 60


def list_workers(templates: Templates = TEMPLATES, as_json: AsJson = False) -> None:
    """List the workers: whether they may be used, what their launchers last did."""
    from hts_battery.connections.launchpad.launchpad import launchpad_beside
    from hts_battery.connections.launchpad.workflows import count_by_worker
    from hts_battery.connections.records.worker_controls import read_worker_controls
    from hts_battery.schemas.worker_control import WorkerControl

    with opened_stores(make_indexes=False) as stores:
        controls = {one.worker: one for one in read_worker_controls(stores)}
        counts = count_by_worker(launchpad_beside(stores))
        names = _known(stores, templates) | controls.keys() | counts.keys()
    rows = [controls.get(name, WorkerControl(worker=name)) for name in sorted(names)]
    if as_json:
        for control in rows:
            fields = control.model_dump(mode="json")
            formatting.json_line(
                {**fields, "fireworks": counts.get(control.worker, {})}
            )
        return
    formatting.table(
        ("worker", "may be used", "cap", "not on nodes", "Fireworks", "launcher"),
        (
            (
                control.worker,
                _state(control),
                control.cap,
                ", ".join(control.exclude_nodes),
                _words(counts.get(control.worker, {})),
                _launcher(control),
            )
            for control in rows
        ),
        right=("cap",),
    )


def pause(
    worker: WorkerName,
    reason: Reason = _BY_HAND,
    templates: Templates = TEMPLATES,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Submit nothing more to the queue of a worker; what is there runs."""
    from hts_battery.connections.records.worker_controls import pause_worker

    def change(stores: Stores, name: str) -> WorkerControl:
        return pause_worker(stores, name, reason)

    _change(worker, change, templates, dry_run=dry_run, as_json=as_json)


def resume(
    worker: WorkerName,
    templates: Templates = TEMPLATES,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Go on with a worker that was paused or drained, whoever paused it."""
    from hts_battery.connections.records.worker_controls import resume_worker

    _change(worker, resume_worker, templates, dry_run=dry_run, as_json=as_json)


def drain(
    worker: WorkerName,
    reason: Reason = _BY_HAND,
    templates: Templates = TEMPLATES,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Send nothing more to a worker; what was sent is submitted and runs."""
    changes = {"drain": True, "reason": reason}
    _set(worker, changes, templates, dry_run=dry_run, as_json=as_json)


def cap(
    worker: WorkerName,
    jobs: Annotated[
        str, typer.Argument(metavar="N|none", help="Most jobs; none is its own file's.")
    ],
    templates: Templates = TEMPLATES,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Limit the jobs that a worker has in its queue."""
    if jobs != "none" and not jobs.isdecimal():
        raise ConfigurationError(
            f"a cap is a number of jobs, 0 or more, or none; not {jobs}"
        )
    changes = {"cap": None if jobs == "none" else int(jobs)}
    _set(worker, changes, templates, dry_run=dry_run, as_json=as_json)


def exclude(
    worker: WorkerName,
    nodes: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NODE]...", help="Nodes that are to be avoided, too."),
    ] = None,
    clear: Annotated[
        bool, typer.Option("--clear", help="Forget the nodes that were excluded.")
    ] = False,
    templates: Templates = TEMPLATES,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Keep the jobs of a worker off some nodes."""
    from hts_battery.connections.records.worker_controls import (
        change_worker_control,
        read_worker_control,
    )

    if not nodes and not clear:
        raise ConfigurationError("name nodes, or --clear")
    if wrong := [node for node in nodes or () if not _is_node(node)]:
        raise ConfigurationError(
            f"no name of a node: {', '.join(map(repr, wrong))}; write node017 or "
            "node[017-019]"
        )

    def change(stores: Stores, name: str) -> WorkerControl:
        known = () if clear else read_worker_control(stores, name).exclude_nodes
        together = tuple(dict.fromkeys((*known, *(nodes or ()))))
        return change_worker_control(stores, name, exclude_nodes=together)

    _change(worker, change, templates, dry_run=dry_run, as_json=as_json)


def _is_node(name: str) -> bool:
    """Say whether a text may stand in a list of nodes: it goes into a queue script."""
    return name != "" and set(name) <= _NODE_CHARACTERS


_NODE_CHARACTERS = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.[],"
)


def _set(
    worker: str,
    changes: Mapping[str, object],
    templates: Path,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    from hts_battery.connections.records.worker_controls import change_worker_control

    def change(stores: Stores, name: str) -> WorkerControl:
        return change_worker_control(stores, name, **changes)

    _change(worker, change, templates, dry_run=dry_run, as_json=as_json)


def _change(
    worker: str, change: Change, templates: Path, *, dry_run: bool, as_json: bool
) -> None:
    """Change a control document, unless nobody knows such a worker."""
    from hts_battery.connections.records.worker_controls import read_worker_control

    with opened_stores(make_indexes=not dry_run) as stores:
        known = _known(stores, templates)
        if worker not in known:
            raise ConfigurationError(
                f"there is no worker {worker} in {templates}, and nothing was ever "
                f"sent to it (there are: {', '.join(sorted(known)) or 'none'})"
            )
        if dry_run:
            control = read_worker_control(stores, worker)
        else:
            control = change(stores, worker)
    if as_json:
        fields = control.model_dump(mode="json")
        formatting.json_line({**fields, "written": not dry_run})
        return
    verb = "is now" if dry_run else "from now on"
    capped = "" if control.cap is None else f"; at most {control.cap} jobs"
    nodes = control.exclude_nodes
    off = f"; not on {', '.join(nodes)}" if nodes else ""
    formatting.line(f"{worker} {verb}: {_state(control)}{capped}{off}")


def _known(stores: Stores, templates: Path) -> set[str]:
    """Return the workers that have a folder, or to which something was sent."""
    folders = {path.parent.name for path in templates.glob("*/my_fworker.yaml")}
    submitted = set(stores.submissions.distinct("worker"))
    return folders | submitted | set(stores.workers.distinct("worker"))


def _state(control: WorkerControl) -> str:
    """Say whether a worker may be used, and why not."""
    words = []
    if control.paused:
        words.append(f"paused by {control.paused_by or 'somebody'}")
    if control.drain:
        words.append("drained: nothing more is sent to it")
    if not words:
        return "open"
    return "; ".join(words) + (f" ({control.reason})" if control.reason else "")


def _words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))


def _launcher(control: WorkerControl) -> str:
    """Say what the launcher of a worker last did."""
    last = control.launcher
    if last is None:
        return "never seen"
    minutes = (datetime.now(UTC) - last.looked_at).total_seconds() / _MINUTE
    words = f"; {last.refusals} refusals: {last.words}" if last.refusals else ""
    return f"looked {minutes:.0f} min ago on {last.host}, {last.queued} jobs{words}"
