"""Computing here: candidate after candidate, and one flow after another."""

from __future__ import annotations

import os
import re
import tempfile
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from jobflow import run_locally

from hts_battery.connections.database.clients import translated_outages
from hts_battery.connections.processes import host_name, process_identity
from hts_battery.connections.records.backlog import keys_sent
from hts_battery.connections.records.executions import described_error
from hts_battery.errors import MissingReferenceError, StoreError, SubmissionError
from hts_battery.flows.execution.launch_folders import tidy
from hts_battery.flows.execution.node import node_settings
from hts_battery.flows.execution.recorded import Watch, store_uri, watched
from hts_battery.flows.recipes.calculated import (
    Calculated,
    read_calculated,
    read_one,
    store_failures,
)
from hts_battery.schemas.campaign import candidate_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from jobflow import Flow, JobStore, Maker
    from maggma.core import Store

    from hts_battery.connections.database.stores import Stores
    from hts_battery.flows.execution.recorded import Failure
    from hts_battery.flows.recipes.recipe import RecipeMaker
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import CandidateDoc
    from hts_battery.schemas.gate import HullSnapshot
    from hts_battery.schemas.launch import LaunchAction


JOB_LOG = "jobs.log"
_UNFINISHED = "Flow did not finish running successfully"  # jobflow has no class for it
_LAUNCH = re.compile(r"launch-(?P<host>[0-9a-f]{8})-(?P<pid>[0-9]+)-.*")


WITHOUT_ERROR: Failure = {
    "step": None,
    "ordering_id": None,
    "error_class": None,
    "error_message": "ended without an error",
    "traceback": None,
}
"""What is noted of a candidate that did not finish and raised nothing."""


@dataclass(frozen=True)
class CandidateRun:
    """How the candidates of a campaign are computed; it can be sent to a process."""

    spec: CampaignSpec
    launch_folder: Path
    released: frozenset[str] = frozenset()
    """Ids of the candidates that the operator lets pass the gate."""
    retry_failed: bool = False
    relax_maker: Maker | None = None
    prerelax_maker: Maker | None = None

    def unfinished(
        self, members: Iterable[tuple[int, CandidateDoc]], stores: Stores
    ) -> Iterator[CandidateDoc]:
        """Yield the candidates of which anything is still to be computed."""
        known = read_calculated(stores)
        # What waits or runs in a queue would be computed twice.
        sent = keys_sent(stores)
        calculation, wanted = self.spec.calculation, self.spec.orderings
        steps = self.spec.relaxation.steps
        nothing = Calculated()
        for _, candidate in members:
            key = candidate_key(candidate, calculation)
            own = known.get(key, nothing).asked_for(wanted, steps)
            if key not in sent and own.needs_work(
                self.spec.gate,
                released=candidate.candidate_id in self.released,
                retry_failed=self.retry_failed,
            ):
                yield candidate

    def make_ready(self, todo: Sequence[CandidateDoc], stores: Stores) -> None:
        """Refuse what the engines cannot compute here, and tidy what was killed."""
        from hts_battery.flows.engines.registry import engine  # noqa: PLC0415 - only where something is computed

        elements = {element for candidate in todo for element in candidate.elements}
        if self.relax_maker is None:
            engine(self.spec.engine).require(elements)
        if self.spec.prerelax is not None and self.prerelax_maker is None:
            engine(self.spec.prerelax.engine).require(elements)
        tidy_launches(self.launch_folder, stores.tasks)

    def started(self, stores: Stores) -> Callable[[CandidateDoc], bool]:
        """Load the engines and return what computes a candidate in this process."""
        return _Computation(self, stores).compute


class _Computation:
    """Computing one candidate after the other in this process."""

    def __init__(self, run: CandidateRun, stores: Stores) -> None:
        from hts_battery.flows.recipes.gate import GateHulls  # noqa: PLC0415 - pymatgen is slow
        from hts_battery.flows.recipes.registry import campaign_recipe  # noqa: PLC0415 - likewise

        self.run, self.stores = run, stores
        self.quota = node_settings().launch_quota
        self.maker = campaign_recipe(run.spec.recipe).make(
            run.spec, relax_maker=run.relax_maker, prerelax_maker=run.prerelax_maker
        )
        self.maker_text = self.maker.to_text()
        self.hulls = GateHulls.of_campaign(run.spec, stores)

    def compute(self, candidate: CandidateDoc) -> bool:
        """Compute what a candidate lacks; false where another process does it."""
        run, spec = self.run, self.run.spec
        key = candidate_key(candidate, self.maker.calculation)
        with candidate_lock(run.launch_folder, key) as ours:
            if not ours:
                return False
            # Another process may have finished it since the list was made.
            known = read_one(self.stores, key)
            own = known.asked_for(spec.orderings, spec.relaxation.steps)
            released = candidate.candidate_id in run.released
            if not own.needs_work(
                spec.gate, released=released, retry_failed=run.retry_failed
            ):
                return False
            self._compute(candidate, key, known, own)
            return True

    def _compute(
        self, candidate: CandidateDoc, key: str, known: Calculated, own: Calculated
    ) -> None:
        run = self.run
        refuse_full(run.launch_folder, self.quota)
        # What failed of orderings that others ask for is theirs to try again.
        failures = [
            dict(one)
            for one in known.failures
            if not run.retry_failed or one not in own.failures
        ]

        def write() -> None:
            store_failures(self.stores, key, candidate.candidate_id, failures)

        def note(failure: Failure) -> None:
            failures.append(dict(failure))
            write()

        if len(failures) < len(known.failures):
            write()
        try:
            hull = None if self.hulls is None else self.hulls.snapshot(candidate)
        except MissingReferenceError as err:
            note({"step": "gate", "ordering_id": None, **described_error(err)})
            return
        run_candidate(
            self.maker,
            candidate,
            own,
            self.stores.job_store,
            run.launch_folder,
            hull=hull,
            released=candidate.candidate_id in run.released,
            retry_failed=run.retry_failed,
            maker_text=self.maker_text,
            on_failure=note,
        )


@contextmanager
def candidate_lock(launch_folder: Path, key: str) -> Iterator[bool]:
    """
    Keep other processes from computing a candidate while a block runs.

    The lock is a file in ``locks/`` of the folder of launches, which the processes
    share, and gone with its process: what a killed one leaves is an empty file that
    hinders nobody. Yields False where another process computes it; StoreError if the
    file cannot be made or locked.
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


def run_candidate(  # noqa: PLR0913 - each is named by its caller
    maker: RecipeMaker,
    candidate: CandidateDoc,
    known: Calculated,
    job_store: JobStore,
    launch_folder: Path,
    *,
    hull: HullSnapshot | None,
    released: bool,
    retry_failed: bool,
    maker_text: str,
    on_failure: Callable[[Failure], None],
) -> None:
    """
    Compute in this process what a candidate lacks.

    Parameters
    ----------
    known
        What is known of its calculation: what finished is not repeated.
    hull
        Competing phases of its elements, where there is a gate.
    released
        Whether the operator lets it pass the gate.
    retry_failed
        Whether orderings that failed before are tried again.
    maker_text
        The maker as JSON text, written once for many candidates.
    on_failure
        Told of each failure, the moment it happens.

    Raises
    ------
    StoreError
        If the database or the execution record failed: the candidate did not.
    """
    flow = maker.make(
        candidate,
        hull=hull,
        finished=known.done(retry_failed=retry_failed),
        parts=known.reusable(maker.asked),
        unconverged=known.unconverged,
        released=released,
        maker_text=maker_text,
    )
    failures: list[Failure] = []

    def note(failure: Failure) -> None:
        failures.append(failure)
        on_failure(failure)

    finished = run_flow_locally(flow, job_store, launch_folder, on_failure=note)
    if not finished and not failures:
        on_failure(dict(WITHOUT_ERROR))


def run_flow_locally(
    flow: Flow,
    job_store: JobStore,
    launch_folder: Path,
    *,
    on_failure: Callable[[Failure], None] = lambda _failure: None,
) -> bool:
    """
    Run one flow to its end, each job in a folder of its own.

    Afterwards the folders are kept, packed or removed by the rules of
    :mod:`hts_battery.flows.execution.launch_folders`; after an outage they are left as
    they are.

    What jobs print, warnings included, goes to ``jobs.log`` in the folder of launches.

    A job that raises does not stop the caller, nor the other jobs: its outcome stands
    in the execution record, and its output is missing from the store.

    The jobs of the flow are recorded ones; it may refer to outputs that the store has.
    ``on_failure`` is told of each job that raised an error of its own, before the next
    one starts. Returns whether every job, those made on the way included, finished;
    StoreError if the database or the execution record failed: no job is run after that.
    """
    launch_folder.mkdir(parents=True, exist_ok=True)
    watch = Watch(on_failure, own_folders=True)
    folder = Path(tempfile.mkdtemp(dir=launch_folder, prefix=_prefix(os.getpid())))
    uri = store_uri(job_store)
    try:
        with translated_outages(uri, f"running {flow.name}"):
            return _run(flow, job_store, folder, watch)
    finally:
        if not watch.outages:
            with translated_outages(uri, "tidying launch folders"):
                tidy(folder, job_store.docs_store)


def _run(flow: Flow, job_store: JobStore, folder: Path, watch: Watch) -> bool:
    with (
        (folder.parent / JOB_LOG).open("a", encoding="utf-8") as log,
        redirect_stdout(log),
        redirect_stderr(log),
        watched(watch),
        warnings.catch_warnings(),
    ):
        # The orderings of a candidate do not depend on each other, and jobflow warns
        # that it may run them in any order.
        warnings.filterwarnings("ignore", "Some jobs are not connected", UserWarning)
        try:
            run_locally(
                flow,
                store=job_store,
                root_dir=folder,
                # Codes find the files of the calculation before them by its folder.
                create_folders=True,
                log=False,
                ensure_success=True,
                allow_external_references=True,
            )
        except RuntimeError as err:
            if str(err) != _UNFINISHED:
                raise
            if watch.outages:
                raise watch.outages[0] from None
            return False
    return True


def tidy_launches(
    launch_folder: Path, tasks: Store, *, dry_run: bool = False
) -> list[tuple[Path, LaunchAction]]:
    """
    Tidy the launch folders that ended processes of this host left behind.

    What a killed calculation wrote stays until the same calculation has succeeded.
    Returns launch folder and action of what is done, or would be.
    """
    done = []
    for folder in _ended(launch_folder):
        done += tidy(folder, tasks, dry_run=dry_run)
    return done


def refuse_full(launch_folder: Path, quota: int | None) -> None:
    """
    Refuse to start jobs, by SubmissionError, where launch folders exceed their quota.

    Nothing is deleted for the sake of room: what the rules keep, somebody wants.
    """
    if quota is None:
        return
    used = sum(
        path.lstat().st_size for path in launch_folder.rglob("*") if path.is_file()
    )
    if used > quota:
        raise SubmissionError(
            f"{launch_folder} holds {used / 1e9:.3f} GB of {quota / 1e9:.3f} allowed: "
            "nothing new is started; run `hts launches clean`, move finished folders "
            "away, or raise launch_quota (HTS_BATTERY_LAUNCH_QUOTA)"
        )


def _ended(launch_folder: Path) -> Iterator[Path]:
    """Yield the launch folders of processes of this host that are gone."""
    for folder in launch_folder.glob("launch-*"):
        found = _LAUNCH.fullmatch(folder.name)
        if found is None or folder.name.startswith(_prefix(int(found["pid"]))):
            continue  # not ours, or of a process that is alive
        if found["host"] != _short(host_name()):
            continue  # of a host whose processes cannot be seen from here
        yield folder


def _prefix(pid: int) -> str:
    """Begin the name of a launch folder so that its process can be told from others."""
    identity = process_identity(pid) or "gone"
    return f"launch-{_short(host_name())}-{pid}-{_short(identity)}-"


def _short(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:8]
