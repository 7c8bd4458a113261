"""Computing in this process what has no result yet; interrupted, it goes on."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hts_battery.connections.database.clients import translated_outages
from hts_battery.connections.records.backlog import keys_sent
from hts_battery.connections.records.executions import described_error
from hts_battery.errors import MissingReferenceError, StoreError
from hts_battery.flows.execution.spool import store_spooled
from hts_battery.flows.recipes.calculated import Calculated, read_calculated, read_one
from hts_battery.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from jobflow import Maker

    from hts_battery.campaign.gate_hulls import GateHulls
    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.flows.recipes.screen import ScreenMaker
    from hts_battery.schemas.candidate import CandidateDoc

_DIGITS = 15  # hexadecimal: an offset below 2**60


class Claims:
    """
    Exclusive claims on content keys, held by a process and gone when it ends.

    Each key is one byte of one file, locked: nothing has to be cleaned up after a
    kill, and the file stays empty. Two keys share a byte once in 2**60.

    Parameters
    ----------
    path
        The file; made where it is not there.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # One descriptor for all claims: closing any other one of this process
            # would let go of every lock of the file.
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as err:
            raise StoreError(
                f"{path} cannot be opened: {err.strerror}; it keeps two processes from "
                "computing the same"
            ) from err

    def close(self) -> None:
        """Let go of every claim."""
        os.close(self._file)

    @contextmanager
    def claimed(self, key: str) -> Iterator[bool]:
        """
        Claim a key while a block runs.

        Parameters
        ----------
        key
            A content key.

        Yields
        ------
        bool
            False where another process holds the claim.
        """
        offset = int(key[:_DIGITS], 16)
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, offset)
        except (BlockingIOError, PermissionError):
            yield False
            return
        try:
            yield True
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, offset)


CLAIMS = "claims.lock"
"""File in the folder of launches by which processes keep out of each other's way."""


@dataclass(frozen=True)
class Progress:
    """Where a run reports what it does; each field may be left as it is."""

    total: Callable[[str, int], None] = lambda _stage, _total: None
    advance: Callable[[str, str], None] = lambda _stage, _what: None
    begin: Callable[[str, str], None] = lambda _stage, _what: None


def run_candidates(  # noqa: PLR0913 - each is named by its caller
    campaign: Campaign,
    stores: Stores,
    *,
    launch_folder: Path,
    execution_folder: Path,  # noqa: ARG001 - jobs find it in the settings
    relax_maker: Maker | None = None,
    prerelax_maker: Maker | None = None,
    retry_failed: bool = False,
    progress: Progress | None = None,
) -> int:
    """
    Compute, in this process, every ordering of every candidate that has no result yet.

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
    with translated_outages(stores.database.uri, "computing candidates"):
        # What finished while the database was away is there, and not to be done.
        store_spooled(launch_folder, stores.job_store)
        run = _Run(campaign, stores, launch_folder, retry_failed=retry_failed)
        todo = run.todo()
        progress.total("compute", len(todo))
        if not todo:
            return 0
        run.prepare(todo, relax_maker, prerelax_maker)
        computed = 0
        try:
            for candidate in todo:
                progress.begin("compute", candidate.formula)
                computed += run.compute(candidate)
                progress.advance("compute", candidate.formula)
        finally:
            run.close()
        return computed


class _Run:
    """One call of :func:`run_candidates`."""

    maker: ScreenMaker
    claims: Claims
    hulls: GateHulls | None = None

    def __init__(
        self,
        campaign: Campaign,
        stores: Stores,
        launch_folder: Path,
        *,
        retry_failed: bool,
    ) -> None:
        self.campaign = campaign
        self.stores = stores
        self.launch_folder = launch_folder
        self.retry_failed = retry_failed
        self.released = released_ids(campaign.spec.name, stores)

    def todo(self) -> list[CandidateDoc]:
        """List the candidates of which anything is still to be computed."""
        known = read_calculated(self.stores)
        # What waits or runs in a queue would be computed twice.
        sent = keys_sent(self.stores)
        found = []
        for _, candidate in self.campaign.members():
            key = self.campaign.key(candidate)
            if key not in sent and self._needs_work(
                candidate, self._own(known.get(key, Calculated()))
            ):
                found.append(candidate)
        return found

    def _own(self, known: Calculated) -> Calculated:
        """Leave the orderings that this campaign asks for."""
        return known.asked_for(self.campaign.spec.structure.n_orderings)

    def _needs_work(self, candidate: CandidateDoc, known: Calculated) -> bool:
        return known.needs_work(
            self.campaign.spec.gate,
            released=candidate.candidate_id in self.released,
            retry_failed=self.retry_failed,
        )

    def prepare(
        self,
        todo: Sequence[CandidateDoc],
        relax_maker: Maker | None,
        prerelax_maker: Maker | None,
    ) -> None:
        """Get ready to compute, or refuse; slow, so only where there is work."""
        from hts_battery.flows.engines.registry import engine  # noqa: PLC0415 - jobflow takes a second
        from hts_battery.flows.recipes.local import tidy_launches  # noqa: PLC0415 - jobflow takes a second
        from hts_battery.flows.recipes.screen import ScreenMaker  # noqa: PLC0415 - likewise

        spec = self.campaign.spec
        elements = {element for candidate in todo for element in candidate.elements}
        if relax_maker is None:
            engine(spec.engine).require(elements)
        if spec.prerelax is not None and prerelax_maker is None:
            engine(spec.prerelax.engine).require(elements)
        self.maker = ScreenMaker.from_campaign(
            spec, relax_maker=relax_maker, prerelax_maker=prerelax_maker
        )
        if spec.gate is not None:
            from hts_battery.campaign.gate_hulls import GateHulls  # noqa: PLC0415 - likewise

            self.hulls = GateHulls.of_campaign(spec, self.stores)
        tidy_launches(self.launch_folder, self.stores.tasks)
        self.claims = Claims(self.launch_folder / CLAIMS)

    def close(self) -> None:
        """Let go of every claim."""
        self.claims.close()

    def compute(self, candidate: CandidateDoc) -> bool:
        """Compute what a candidate lacks; false where another process does it."""
        key = self.campaign.key(candidate)
        with self.claims.claimed(key) as ours:
            if not ours:
                return False
            # Another process may have finished it since the list was made.
            known = read_one(self.stores, key)
            if not self._needs_work(candidate, self._own(known)):
                return False
            self._compute(candidate, key, known)
            return True

    def _compute(self, candidate: CandidateDoc, key: str, known: Calculated) -> None:
        from hts_battery.flows.recipes.local import (  # noqa: PLC0415 - jobflow takes a second
            refuse_full,
            run_candidate,
        )

        refuse_full(self.launch_folder, get_settings().launch_quota)
        own = self._own(known)
        # What failed of orderings that others ask for is theirs to try again.
        kept = [
            one
            for one in known.failures
            if not self.retry_failed or one not in own.failures
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
            self.launch_folder,
            hull=hull,
            released=candidate.candidate_id in self.released,
            retry_failed=self.retry_failed,
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
