"""Computing on this machine what has no result yet; interrupted, it goes on."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from hts_battery.campaign.local_processes import run_in_processes
from hts_battery.connections.database.clients import translated_outages
from hts_battery.connections.records.backlog import keys_sent
from hts_battery.connections.records.executions import described_error
from hts_battery.errors import MissingReferenceError, StoreError
from hts_battery.flows.execution.spool import store_spooled
from hts_battery.flows.recipes.calculated import Calculated, read_calculated, read_one
from hts_battery.schemas.campaign import candidate_key
from hts_battery.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from jobflow import Maker

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import CandidateDoc

logger = logging.getLogger(__name__)


@contextmanager
def candidate_lock(launch_folder: Path, key: str) -> Iterator[bool]:
    """
    Keep other processes from computing a candidate while a block runs.

    The lock is a file in ``locks/`` of the folder of launches, and gone with its
    process: what a killed one leaves is an empty file that hinders nobody.

    Parameters
    ----------
    launch_folder
        Folder of launches, shared by the processes.
    key
        Content key of the calculation.

    Yields
    ------
    bool
        False where another process computes it.

    Raises
    ------
    StoreError
        If the file cannot be made or locked.
    """
    path = launch_folder / "locks" / f"{key}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A file that has to be there by itself would outlive a killed process.
        lock = FileLock(path, timeout=0, fallback_to_soft=False)
        lock.acquire()
    except Timeout:
        yield False
        return
    except OSError as err:
        raise StoreError(
            f"{path} cannot be locked: {err.strerror}; it keeps two processes from "
            "computing the same"
        ) from err
    try:
        yield True
    finally:
        # Before it is let go: whoever opened it meanwhile sees that it has no name.
        path.unlink(missing_ok=True)
        lock.release()


@dataclass(frozen=True)
class Progress:
    """Where a run reports what it does; each field may be left as it is."""

    total: Callable[[str, int], None] = lambda _stage, _total: None
    advance: Callable[[str, str], None] = lambda _stage, _what: None
    begin: Callable[[str, str], None] = lambda _stage, _what: None
    problem: Callable[[str], None] = logger.error
    """Told of what went wrong with a process while others go on."""


def run_candidates(  # noqa: PLR0913 - each is named by its caller
    campaign: Campaign,
    stores: Stores,
    *,
    launch_folder: Path,
    execution_folder: Path,
    relax_maker: Maker | None = None,
    prerelax_maker: Maker | None = None,
    retry_failed: bool = False,
    processes: int = 1,
    progress: Progress | None = None,
) -> int:
    """
    Compute on this machine every candidate's orderings that have no result yet.

    Interrupted at any moment and called again, it goes on where it stopped: what
    counts as done is an output in the job store, or a recorded failure. Several
    processes may run at once on one folder of launches: a candidate that another one
    computes now is left to it.

    Parameters
    ----------
    campaign
        The campaign, registered.
    stores
        Open stores.
    launch_folder
        Where jobs run.
    execution_folder
        Folder of the execution record.
    relax_maker, prerelax_maker
        Injected instead of the engines' own makers.
    retry_failed
        Whether orderings whose last execution raised an error are tried again.
    processes
        How many compute at once, each with one thread; 1 is this process.
    progress
        Told before and after each candidate.

    Returns
    -------
    int
        Number of candidates that were computed here.

    Raises
    ------
    StoreError
        If the database or the execution record failed. The candidate that was being
        computed has not failed and stays to be done.
    """
    progress = progress or Progress()
    run = CandidateRun(
        campaign.spec, launch_folder, retry_failed, relax_maker, prerelax_maker
    )
    with translated_outages(stores.database.uri, "computing candidates"):
        # What finished while the database was away is there, and not to be done.
        store_spooled(launch_folder, stores.job_store)
        todo = list(run.unfinished(campaign, stores))
        progress.total("compute", len(todo))
        if not todo:
            return 0
        run.make_ready(todo, stores)
        processes = min(processes, len(todo))
        if processes > 1:
            from hts_battery.flows.recipes.local import JOB_LOG  # noqa: PLC0415 - jobflow takes a second

            return run_in_processes(
                todo,
                run,
                stores.database,
                processes=processes,
                execution_folder=execution_folder,
                log=launch_folder / JOB_LOG,
                progress=progress,
            )
        compute = run.started(stores)
        computed = 0
        for candidate in todo:
            progress.begin("compute", candidate.formula)
            computed += compute(candidate)
            progress.advance("compute", candidate.formula)
        return computed


@dataclass(frozen=True)
class CandidateRun:
    """How the candidates of a campaign are computed; it can be sent to a process."""

    spec: CampaignSpec
    launch_folder: Path
    retry_failed: bool = False
    relax_maker: Maker | None = None
    prerelax_maker: Maker | None = None

    def unfinished(self, campaign: Campaign, stores: Stores) -> Iterator[CandidateDoc]:
        """Yield the candidates of which anything is still to be computed."""
        known = read_calculated(stores)
        # What waits or runs in a queue would be computed twice.
        sent = keys_sent(stores)
        released = released_ids(self.spec.name, stores)
        for _, candidate in campaign.members():
            key = campaign.key(candidate)
            if key not in sent and self.needs_work(
                candidate, self.own(known.get(key, Calculated())), released
            ):
                yield candidate

    def own(self, known: Calculated) -> Calculated:
        """Leave the orderings that this campaign asks for."""
        return known.asked_for(self.spec.structure.n_orderings)

    def needs_work(
        self, candidate: CandidateDoc, known: Calculated, released: set[str]
    ) -> bool:
        """Say whether anything of a candidate is still to be computed."""
        return known.needs_work(
            self.spec.gate,
            released=candidate.candidate_id in released,
            retry_failed=self.retry_failed,
        )

    def make_ready(self, todo: Sequence[CandidateDoc], stores: Stores) -> None:
        """Refuse what the engines cannot compute here, and tidy what was killed."""
        from hts_battery.flows.engines.registry import engine  # noqa: PLC0415 - jobflow takes a second
        from hts_battery.flows.recipes.local import tidy_launches  # noqa: PLC0415 - likewise

        elements = {element for candidate in todo for element in candidate.elements}
        if self.relax_maker is None:
            engine(self.spec.engine).require(elements)
        if self.spec.prerelax is not None and self.prerelax_maker is None:
            engine(self.spec.prerelax.engine).require(elements)
        tidy_launches(self.launch_folder, stores.tasks)

    def started(self, stores: Stores) -> Callable[[CandidateDoc], bool]:
        """Load the engines and return what computes a candidate in this process."""
        return _CandidateComputation(self, stores).compute


class _CandidateComputation:
    """Computing one candidate after the other in this process."""

    def __init__(self, run: CandidateRun, stores: Stores) -> None:
        from hts_battery.campaign.gate_hulls import GateHulls  # noqa: PLC0415 - jobflow takes a second
        from hts_battery.flows.recipes.screen import ScreenMaker  # noqa: PLC0415 - likewise

        self.run = run
        self.stores = stores
        self.calculation = run.spec.calculation
        self.released = released_ids(run.spec.name, stores)
        self.maker = ScreenMaker.from_campaign(
            run.spec, relax_maker=run.relax_maker, prerelax_maker=run.prerelax_maker
        )
        self.hulls = GateHulls.of_campaign(run.spec, stores)

    def compute(self, candidate: CandidateDoc) -> bool:
        """Compute what a candidate lacks; false where another process does it."""
        key = candidate_key(candidate, self.calculation)
        with candidate_lock(self.run.launch_folder, key) as ours:
            if not ours:
                return False
            # Another process may have finished it since the list was made.
            known = read_one(self.stores, key)
            own = self.run.own(known)
            if not self.run.needs_work(candidate, own, self.released):
                return False
            self._compute(candidate, key, known, own)
            return True

    def _compute(
        self, candidate: CandidateDoc, key: str, known: Calculated, own: Calculated
    ) -> None:
        from hts_battery.flows.recipes.local import (  # noqa: PLC0415 - jobflow takes a second
            refuse_full,
            run_candidate,
        )

        run = self.run
        refuse_full(run.launch_folder, get_settings().launch_quota)
        # What failed of orderings that others ask for is theirs to try again.
        kept = [
            one
            for one in known.failures
            if not run.retry_failed or one not in own.failures
        ]
        failures = _Failures(candidate, key, self.stores, [dict(one) for one in kept])
        failures.write()
        try:
            hull = None if self.hulls is None else self.hulls.snapshot(candidate)
        except MissingReferenceError as err:
            failures.add({"step": "gate", "ordering_id": None, **described_error(err)})
            return
        run_candidate(
            self.maker,
            candidate,
            own,
            self.stores.job_store,
            run.launch_folder,
            hull=hull,
            released=candidate.candidate_id in self.released,
            retry_failed=run.retry_failed,
            on_failure=failures.add,
        )


@dataclass
class _Failures:
    """The failures of one candidate, in the database as soon as they happen."""

    candidate: CandidateDoc
    key: str
    stores: Stores
    found: list[dict[str, Any]]

    def add(self, failure: Mapping[str, str | None]) -> None:
        """Write down one more."""
        self.found.append(dict(failure))
        self.write()

    def write(self) -> None:
        """Replace what the database says."""
        store_failures(self.stores, self.key, self.candidate.candidate_id, self.found)


def store_failures(
    stores: Stores, key: str, candidate_id: str, failures: Sequence[Mapping[str, Any]]
) -> None:
    """
    Write down everything that failed of one calculation, in place of what stood there.

    Parameters
    ----------
    stores
        Open stores.
    key
        Content key of the calculation.
    candidate_id
        Its candidate.
    failures
        Step, ordering and error of each; without any, nothing is kept.
    """
    if not failures:
        stores.failures.remove_docs({"content_key": key})
        return
    first = {
        name: failures[0].get(name)
        for name in ("error_class", "error_message", "traceback")
    }
    stores.failures.update(
        {
            "content_key": key,
            "candidate_id": candidate_id,
            **first,
            "failures": [dict(one) for one in failures],
        },
        key="content_key",
    )


def released_ids(campaign_name: str, stores: Stores) -> set[str]:
    """Ids of the candidates that the operator lets pass the gate of a campaign."""
    wanted = {"released": True, "campaign": campaign_name}
    return {
        doc["candidate_id"]
        for doc in stores.members.query(wanted, properties=["candidate_id"])
    }
