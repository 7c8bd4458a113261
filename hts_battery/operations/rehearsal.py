"""
A campaign with a stand-in for its code, in a database and a folder of its own.

Flows, custodian, failure policy, local runner, builders and ranking are those of the
production run. Nothing of it is read or written: the rehearsal has another data folder
and another database, and its documents carry another engine and campaign name.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections import Counter, defaultdict
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

from pydantic import Field

from hts_battery.campaign.run import run_campaign
from hts_battery.campaign.status import candidate_statuses
from hts_battery.connections.database.stores import screening_stores
from hts_battery.connections.processes import (
    end_processes_below,
    signals_as_exceptions,
    undisturbed,
)
from hts_battery.connections.records.executions import ledger
from hts_battery.errors import ConfigurationError
from hts_battery.operations.queued_rehearsal import run_through_queue
from hts_battery.schemas.base import Document
from hts_battery.schemas.state import CandidateState
from hts_battery.settings import ENV_PREFIX, get_settings
from hts_battery.vasp_standin import VASP_MARK
from hts_battery.vasp_standin.faults import (
    FAULTS_VARIABLE,
    SEED_VARIABLE,
    STATE_VARIABLE,
    WALL_TIME_VARIABLE,
    Fault,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from hts_battery.campaign.local_run import Progress
    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.campaign.status import CandidateStatus
    from hts_battery.connections.database.stores import Stores
    from hts_battery.operations.queued_rehearsal import Route
    from hts_battery.schemas.reference import ReferencePhase
    from hts_battery.schemas.rows import TaskRow

REHEARSALS = "rehearsals"
"""Folder in the data folder that holds the data folders of rehearsals."""
_PREFIX = f"{VASP_MARK}:"
_NO_GATE_EV = 1000.0
_ALLOCATION_S = 30
_LONGEST_DATABASE_NAME = 63
_REMOVALS = 20
_BETWEEN_REMOVALS_S = 0.5


class FailureCount(Document):
    """How often one class of failure was seen, and what the policy did."""

    failure_class: str = Field(description="Class, as the policy names it.")
    attempts: int = Field(ge=0, description="Failed attempts.")
    repeated: int = Field(ge=0, description="Of these, repeated with a remedy.")
    kept: int = Field(ge=0, description="Of these, kept with the flag.")
    given_up: int = Field(ge=0, description="Of these, given up.")


class RehearsalReport(Document):
    """One rehearsal, from the campaign's file to its ranking."""

    campaign: str = Field(description="Name that the documents of the rehearsal carry.")
    engine: str = Field(description="Stand-in that computed.")
    database: str = Field(description="Where the documents were, no credentials.")
    folder: str = Field(description="Data folder of the rehearsal.")
    kept: bool = Field(description="Whether database and folder are still there.")
    candidates: int = Field(ge=0, description="Candidates that were rehearsed.")
    states: dict[str, int] = Field(description="State → number of candidates.")
    ranked: int = Field(ge=0, description="Candidates in the ranking.")
    references: int = Field(ge=0, description="Competing phases computed.")
    jobs: int = Field(ge=0, description="Executions of jobs, repetitions included.")
    seconds: float = Field(ge=0, description="Wall time in s, references included.")
    failures: tuple[FailureCount, ...] = Field(description="By class.")
    unexpected: tuple[str, ...] = Field(
        description="Failures that were not asked for, and candidates not ranked."
    )
    launch_bytes: int = Field(ge=0, description="Disk used by launch folders.")
    database_bytes: int = Field(
        ge=0, description="Disk used by the rehearsal's database; 0 on a server."
    )
    lacking: tuple[str, ...] = Field(
        description="What the production run lacks on this machine."
    )


@dataclass(frozen=True)
class Injection:
    """
    Which failures are shown on purpose.

    ``rates``: failure → share of all launches of candidates that show it, 0 to 1.
    ``seed``: decides which launches.
    """

    rates: Mapping[Fault, float] = field(default_factory=dict)
    seed: int = 0

    @classmethod
    def from_words(cls, words: Iterable[str], *, seed: int = 0) -> Injection:
        """
        Read what the command line says, such as ``walltime=0.05``.

        Raises ConfigurationError if a failure is unknown or a rate is not between 0 and
        1.

        Examples
        --------
        >>> Injection.from_words(["node=0.1"]).rates
        {<Fault.NODE: 'node'>: 0.1}
        """
        rates = {}
        for word in words:
            name, _, number = word.partition("=")
            try:
                rate = float(number)
                fault = Fault(name.strip().replace(" ", "-"))
            except ValueError:
                rate, fault = -1.0, None
            if fault is None or not 0 <= rate <= 1:
                raise ConfigurationError(
                    f"--failure-rate {word}: write CLASS=RATE with a rate between 0 "
                    f"and 1 and one of the classes {', '.join(Fault)}"
                )
            rates[fault] = rate
        return cls(rates, seed)

    def environment(self, folder: Path) -> dict[str, str]:
        """Return the variables that the stand-in reads."""
        variables = {
            FAULTS_VARIABLE: ",".join(f"{k}={v}" for k, v in self.rates.items()),
            STATE_VARIABLE: str(folder / "launches-counted"),
            SEED_VARIABLE: str(self.seed),
        }
        if Fault.WALLTIME in self.rates:
            variables[WALL_TIME_VARIABLE] = str(_ALLOCATION_S)
        return variables


def rehearsed(campaign: Campaign, *, limit: int | None = None) -> Campaign:
    """
    Return the campaign as it is rehearsed: its engine's stand-in, another name.

    A gate stays in the flow and lets everything by, so that VASP's part is reached.

    ``limit``: largest number of candidates. Raises ConfigurationError if there is no
    stand-in for its engine.
    """
    from hts_battery.flows.engines.registry import engine  # noqa: PLC0415 - jobflow takes a second

    spec = campaign.spec
    stand_in = engine(_PREFIX + spec.engine.removeprefix(_PREFIX))
    changes: dict[str, object] = {
        "name": f"{VASP_MARK}-{spec.name}",
        "engine": stand_in.name,
    }
    if spec.gate is not None:
        changes["gate"] = spec.gate.model_copy(
            update={"energy_above_hull": _NO_GATE_EV}
        )
    return replace(campaign, spec=spec.model_copy(update=changes), limit=limit)


def lacking(campaign: Campaign) -> tuple[str, ...]:
    """
    List what the production run of a campaign lacks on this machine.

    Commands, POTCARs and packages of its engines; competing phases are the business of
    :func:`hts_battery.campaign.reference_gaps.missing_references`.
    """
    from hts_battery.flows.engines.registry import engine  # noqa: PLC0415 - jobflow takes a second

    spec = campaign.spec
    names = [spec.engine.removeprefix(_PREFIX)]
    if spec.prerelax is not None:
        names.append(spec.prerelax.engine)
    elements = elements_of(campaign)
    return tuple(
        problem for name in names for problem in engine(name).missing(elements)
    )


def elements_of(campaign: Campaign) -> set[str]:
    """Elements of the candidates of a campaign."""
    return {
        element for _, candidate in campaign.members() for element in candidate.elements
    }


def rehearsal_phases(elements: Iterable[str]) -> list[ReferencePhase]:
    """
    Choose the competing phases of a rehearsal: of each element the smallest.

    They are the least that a hull needs; the stand-in's energies mean nothing, so more
    of them would prove nothing more.
    """
    from hts_battery.structures.references.library import (  # noqa: PLC0415 - slow
        phases_within,
        reference_structure,
    )

    smallest: dict[str, ReferencePhase] = {}
    for phase in phases_within(elements):
        if len(phase.elements) > 1:
            continue
        (symbol,) = phase.elements
        known = smallest.get(symbol)
        if known is None or len(reference_structure(phase)) < len(
            reference_structure(known)
        ):
            smallest[symbol] = phase
    return [smallest[symbol] for symbol in sorted(smallest)]


def rehearse(
    campaign: Campaign,
    *,
    injection: Injection | None = None,
    limit: int | None = None,
    keep: bool = False,
    route: Route | None = None,
    progress: Progress | None = None,
) -> RehearsalReport:
    """
    Run a campaign with the stand-in, here or through a queue, and clean up.

    ``injection``: failures shown on purpose. ``limit``: largest number of candidates.
    ``keep``: whether database and folder stay. ``route``: worker through whose queue it
    goes; without, everything runs in this process. ``progress``: told what happens.
    Ended by Ctrl-C, SIGTERM or SIGHUP it cleans up, too: queue jobs are cancelled.
    Returns: what happened, and what the production run lacks here. Raises
    ConfigurationError if there is no stand-in for the campaign's engine.
    """
    stand_in = rehearsed(campaign, limit=limit)
    injection = injection or Injection()
    began = time.monotonic()
    with (
        signals_as_exceptions(),
        _place(stand_in.spec.name, keep=keep) as (folder, stores),
    ):
        n_references = _compute_references(stand_in, stores, folder, progress)
        variables = injection.environment(folder)
        with _environment(variables):
            if route is None:
                run_campaign(
                    stand_in,
                    stores,
                    data_dir=folder,
                    execution_folder=get_settings().execution_folder,
                    temperatures=get_settings().temperatures,
                    progress=progress,
                )
            else:
                run_through_queue(
                    stand_in,
                    stores,
                    route,
                    folder=folder,
                    temperatures=get_settings().temperatures,
                    variables=variables,
                    progress=progress,
                )
        found = candidate_statuses(
            stand_in, stores, execution_folder=get_settings().execution_folder
        )
        attempts = stores.tasks.query({"output.run": {"$ne": None}})
        return RehearsalReport(
            campaign=stand_in.spec.name,
            engine=stand_in.spec.engine,
            database=stores.database.location,
            folder=str(folder),
            kept=keep,
            candidates=len(found),
            states=Counter(str(item.state) for item in found),
            ranked=stores.summary.count({"campaign": stand_in.spec.name}),
            references=n_references,
            jobs=ledger(get_settings().execution_folder).total.executions,
            seconds=time.monotonic() - began,
            failures=failure_counts(cast("Iterator[TaskRow]", attempts)),
            unexpected=_unexpected(found, injection, screens=stand_in.spec.screens),
            launch_bytes=bytes_in(folder / "launches"),
            database_bytes=bytes_in(folder / "database"),
            lacking=lacking(campaign),
        )


def _compute_references(
    campaign: Campaign, stores: Stores, folder: Path, progress: Progress | None
) -> int:
    """Compute the competing phases with the stand-in, without failures."""
    if not campaign.spec.screens:
        return 0
    from hts_battery.campaign.references import (  # noqa: PLC0415 - slow
        compute_references,
        store_references,
    )

    energies = compute_references(
        rehearsal_phases(elements_of(campaign)),
        stores,
        engine_name=campaign.spec.engine,
        relaxation=campaign.spec.relaxation,
        launch_folder=folder / "launches",
        launch_quota=get_settings().launch_quota,
        progress=progress,
    )
    store_references(energies, stores)
    return len(energies)


def failure_counts(tasks: Iterable[TaskRow]) -> tuple[FailureCount, ...]:
    """
    Count failed attempts by class, and what the policy did with each.

    ``tasks``: task documents with a run record; every attempt of a calculation has one.

    Examples
    --------
    >>> run = {"converged": True, "attempts": 2, "failures": [
    ...     {"failure_class": "walltime", "attempt": 1}]}
    >>> failure_counts([{"uuid": "a", "index": 2, "output": {"run": run}}])[0].repeated
    1
    """
    newest: dict[str, TaskRow] = {}
    for task in tasks:
        known = newest.get(task["uuid"])
        if known is None or task["index"] > known["index"]:
            newest[task["uuid"]] = task
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for task in newest.values():
        run = task["output"]["run"]
        for failure in run["failures"]:
            last = failure["attempt"] == run["attempts"]
            ended = "kept" if run["converged"] else "given_up"
            counts[failure["failure_class"]][ended if last else "repeated"] += 1
    return tuple(
        FailureCount(
            failure_class=name,
            attempts=found.total(),
            repeated=found["repeated"],
            kept=found["kept"],
            given_up=found["given_up"],
        )
        for name, found in sorted(counts.items())
    )


def _unexpected(
    found: Sequence[CandidateStatus], injection: Injection, *, screens: bool
) -> tuple[str, ...]:
    """List the candidates that nobody asked to fail."""
    asked = any(injection.rates.values())
    # What else was found out becomes a property of a campaign that is not here.
    expected = {CandidateState.RANKED if screens else CandidateState.COMPUTED}
    if asked:
        expected.add(CandidateState.FAILED)
    return tuple(
        f"{item.candidate.formula} is {item.state}: {item.reason or 'no reason given'}"
        for item in found
        if item.state not in expected
    )


def bytes_in(folder: Path) -> int:
    """Count the bytes of the files under a folder; none where it does not exist."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


@contextmanager
def _place(name: str, *, keep: bool) -> Iterator[tuple[Path, Stores]]:
    """
    Open a database and a data folder that no other run uses; remove them after.

    On a MongoDB server the database has a name of its own; without one, an embedded
    server is started in the folder of the rehearsal.
    """
    settings = get_settings()
    mark = uuid.uuid4().hex[:8]
    folder = settings.data_dir / REHEARSALS / f"{name}-{mark}"
    longest = _LONGEST_DATABASE_NAME - len(VASP_MARK) - len(mark) - 2
    database = f"{settings.database[:longest]}_{VASP_MARK}_{mark}"
    variables = {
        f"{ENV_PREFIX}DATA_DIR": str(folder),
        f"{ENV_PREFIX}DATABASE": database,
        f"{ENV_PREFIX}EXECUTION_RECORD": str(folder / "executions"),
        # A bucket is not ours to fill with what means nothing.
        f"{ENV_PREFIX}BLOB_STORE": "mongo",
    }
    folder.mkdir(parents=True)
    try:
        with _environment(variables), screening_stores(get_settings()) as stores:
            try:
                yield folder, stores
            finally:
                with undisturbed():
                    end_processes_below(folder / "launches")
                    if not keep:
                        stores.database.drop()
    finally:
        if not keep:
            with undisturbed():
                _remove(folder)


def _remove(folder: Path) -> None:
    """Remove the folder of a rehearsal, while what ends may write its last lines."""
    for _ in range(_REMOVALS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            break
        time.sleep(_BETWEEN_REMOVALS_S)
    with suppress(OSError):  # another rehearsal is there
        folder.parent.rmdir()


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """
    Set variables for a block, as jobs and the stand-in find them there.

    Everything that the block itself leaves in them is undone.
    """
    before = dict(os.environ)
    os.environ.update(variables)
    get_settings.cache_clear()
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)
        get_settings.cache_clear()
