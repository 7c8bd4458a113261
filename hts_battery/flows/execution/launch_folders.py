"""
The life of launch folders: what is kept, packed and deleted, and when.

:func:`decide` is pure: rule, files and what the job store says give the actions.
:func:`tidy` takes them, and can be killed anywhere: deciding again gives what is left.
Nothing is deleted before the output of the job, or of the same calculation done again,
is in the store.
"""

from __future__ import annotations

import gzip
import shutil
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

import yaml

from hts_battery.connections.durable_files import whole_file
from hts_battery.connections.records.launch_files import MARK, mark_of
from hts_battery.schemas.launch import (
    LaunchAction,
    LaunchFile,
    LaunchMark,
    LaunchRule,
    LaunchState,
    LaunchVerb,
)
from hts_battery.vasp_standin import VASP_MARK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from maggma.core import Store

_PACKED = ".gz"
_SUCCEEDED = "successful"
_FIELDS = (
    "uuid",
    "index",
    "metadata.step",
    "metadata.ordering_id",
    "metadata.final",
    "output.state",
    "output.run.step",
    "output.run.converged",
)


@lru_cache(maxsize=1)
def launch_rules() -> tuple[LaunchRule, ...]:
    """Return the rules of the engines, in the order in which they are tried."""
    resource = files("hts_battery.flows") / "data" / "launch_rules.yaml"
    rows = yaml.safe_load(resource.read_text("utf-8"))
    return tuple(LaunchRule.model_validate(row) for row in rows)


def rule_of(engine: str | None) -> LaunchRule:
    """
    Return the rule of an engine.

    Examples
    --------
    >>> rule_of("rehearsal:vasp-mp-gga").engine, rule_of("chgnet").keep
    ('vasp-*', ())
    """
    name = (engine or "").removeprefix(f"{VASP_MARK}:")
    return next(one for one in launch_rules() if fnmatchcase(name, one.engine))


def decide(
    found: Sequence[LaunchFile], state: LaunchState, rule: LaunchRule
) -> tuple[LaunchAction, ...]:
    """
    Say what is done with the files of a launch folder, by the rule of its engine.

    Examples
    --------
    >>> wavecar = LaunchFile(name="WAVECAR", size=10)
    >>> decide([wavecar], LaunchState.STORED, rule_of("vasp-mp-gga"))[0].verb
    <LaunchVerb.DELETE: 'delete'>
    >>> decide([wavecar], LaunchState.ABSENT, rule_of("vasp-mp-gga"))
    ()
    """
    if state is LaunchState.ABSENT:
        return ()
    keep = {
        LaunchState.STORED: rule.keep,
        LaunchState.FAILED: rule.restart,
        LaunchState.SUPERSEDED: (),
    }[state]
    compress = rule.compress if state is LaunchState.STORED else ()
    kept = {one.name for one in found if _matches(one.name, keep)}
    if kept:
        kept.add(MARK)
    actions = []
    for one in found:
        if one.name not in kept:
            verb = LaunchVerb.DELETE
        elif _matches(one.name, compress) and not one.name.endswith(_PACKED):
            verb = LaunchVerb.COMPRESS
        else:
            continue
        actions.append(LaunchAction(verb=verb, name=one.name, size=one.size))
    # The mark goes last: what is left after a kill still says whose it is.
    return tuple(sorted(actions, key=lambda action: action.name == MARK))


def _matches(name: str, patterns: Iterable[str]) -> bool:
    # What was being packed when a process died is neither file nor archive.
    plain = name.removesuffix(_PACKED)
    return any(fnmatchcase(plain, pattern) for pattern in patterns)


class _StoredTask(NamedTuple):
    """What decides of the output of a job."""

    step: str | None
    ordering_id: str | None
    is_final: bool
    run_step: str | None
    """Which calculation of an engine that makes several."""
    succeeded: bool


def _stored(tasks: Store, criteria: Mapping[str, object]) -> Iterator[_StoredTask]:
    for task in tasks.query(dict(criteria), properties=list(_FIELDS)):
        metadata, output = task.get("metadata") or {}, task.get("output")
        found = output if isinstance(output, dict) else {}
        run = found.get("run") or {}
        yield _StoredTask(
            step=metadata.get("step"),
            ordering_id=metadata.get("ordering_id"),
            is_final=metadata.get("final") is not False,
            run_step=run.get("step"),
            # Without a state it is no calculation: being stored is all it can be.
            succeeded="state" not in found
            or (found["state"] == _SUCCEEDED and run.get("converged") is not False),
        )


def state_of(mark: LaunchMark, tasks: Store) -> LaunchState:
    """Ask the store of outputs what became of the job of a folder."""
    own = next(_stored(tasks, {"uuid": mark.uuid, "index": mark.index}), None)
    if own is not None and own.succeeded:
        return LaunchState.STORED
    again = {"uuid": mark.uuid, "index": {"$gt": mark.index}}
    if any(one.succeeded for one in _stored(tasks, again)):
        return LaunchState.SUPERSEDED
    if mark.content_key is not None and any(
        one.succeeded and _same_calculation(one, mark, own)
        for one in _stored(tasks, {"metadata.content_key": mark.content_key})
    ):
        return LaunchState.SUPERSEDED
    return LaunchState.ABSENT if own is None else LaunchState.FAILED


def _same_calculation(
    other: _StoredTask, mark: LaunchMark, own: _StoredTask | None
) -> bool:
    if (other.step, other.ordering_id) != (mark.step, mark.ordering_id):
        return False
    # An engine of several calculations has several jobs of one step. One that left no
    # document could be any of them: then all of them must be done.
    return other.is_final if own is None else other.run_step == own.run_step


def marked_folders(folder: Path) -> Iterator[tuple[Path, LaunchMark]]:
    """Yield the launch folders below a folder that say whose they are."""
    for path in sorted(folder.rglob(MARK)):
        mark = mark_of(path.parent)
        if mark is not None:
            yield path.parent, mark


def tidy(
    folder: Path, tasks: Store, *, dry_run: bool = False
) -> list[tuple[Path, LaunchAction]]:
    """
    Do with the launch folders in and below a folder what their rules say.

    No process may still run in them. Returns launch folder and action in the order in
    which they are done, or would be.
    """
    done = []
    marked = list(marked_folders(folder))
    for launch, mark in marked:
        inner = {one for one, _ in marked if launch in one.parents}
        found = [
            LaunchFile(name=str(path.relative_to(launch)), size=path.lstat().st_size)
            for path in sorted(launch.rglob("*"))
            if (path.is_file() or path.is_symlink()) and inner.isdisjoint(path.parents)
        ]
        if [one.name for one in found] == [MARK]:
            state = LaunchState.SUPERSEDED  # nothing in it to lose, nothing to ask
        else:
            state = state_of(mark, tasks)
        for action in decide(found, state, rule_of(mark.engine)):
            if not dry_run:
                _do(launch, action)
            done.append((launch, action))
    if not dry_run:
        _remove_empty(folder)
    return done


def _do(launch: Path, action: LaunchAction) -> None:
    path = launch / action.name
    if action.verb is LaunchVerb.DELETE:
        path.unlink(missing_ok=True)
        return
    packed = path.with_name(path.name + _PACKED)
    # The archive is whole before it has its name, and the file goes after that.
    with (
        path.open("rb") as source,
        whole_file(packed) as file,
        gzip.open(file, "wb") as target,
    ):
        shutil.copyfileobj(source, target)
    path.unlink()


def _remove_empty(folder: Path) -> None:
    """Remove a folder and those below it, as far as they hold no file."""
    below = sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True)
    for path in (*below, folder):
        with suppress(OSError):  # it holds files
            path.rmdir()
