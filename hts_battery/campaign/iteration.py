"""Rounds of proposing, computing and fitting again; their ledger outlives a kill."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from hts_battery.campaign.plan import Assumptions, plan_campaign
from hts_battery.campaign.proposals import (
    batch_files,
    computed_candidates,
    next_batch_name,
    proposed_batch,
    write_batch,
)
from hts_battery.connections.durable_files import append_durably, write_whole
from hts_battery.errors import ConfigurationError
from hts_battery.schemas.proposal import IterationTerms, Proposal, ProposalRound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hts_battery.connections.database.stores import Stores


class Ledger:
    """
    The terms and the finished rounds of a campaign, beside the files of its batches.

    Parameters
    ----------
    folder
        Where the batches stand.
    terms
        What is agreed; the first start writes it.

    Raises
    ------
    ConfigurationError
        If an earlier start agreed to something else, or the file cannot be read.
    """

    def __init__(self, folder: Path, terms: IterationTerms) -> None:
        self.folder = folder
        self.terms = terms
        self._file = folder / f"{terms.campaign}-rounds.jsonl"
        lines = self._lines()
        if not lines:
            append_durably(self._file, f"{terms.model_dump_json()}\n".encode())
            self.rounds: list[ProposalRound] = []
            return
        try:
            agreed = IterationTerms.model_validate_json(lines[0])
            self.rounds = [ProposalRound.model_validate_json(one) for one in lines[1:]]
        except ValidationError as err:
            raise ConfigurationError(f"{self._file} is no ledger of rounds") from err
        if agreed != terms:
            changed = [
                f"{name} {value}"
                for name, value in agreed.model_dump().items()
                if value != getattr(terms, name)
            ]
            raise ConfigurationError(
                f"the first round was agreed with {', '.join(changed)} ({self._file}): "
                "go on with these, or give another folder"
            )

    def _lines(self) -> list[str]:
        if not self._file.is_file():
            return []
        return self._file.read_text(encoding="utf-8").splitlines()

    def proposal_file(self, batch: str) -> Path:
        """File of what was predicted of a batch."""
        return self.folder / f"{batch}.proposal.json"

    def close(self, one: ProposalRound) -> None:
        """Add a finished round."""
        append_durably(self._file, f"{one.model_dump_json()}\n".encode())
        self.rounds.append(one)

    @property
    def open_batch(self) -> Path | None:
        """Campaign file of the batch that was proposed and is not closed."""
        closed = {one.batch for one in self.rounds}
        found = [
            path
            for path in batch_files(self.folder, self.terms.campaign)
            if path.stem not in closed and self.proposal_file(path.stem).is_file()
        ]
        return found[0] if found else None


def iterate(
    stores: Stores,
    ledger: Ledger,
    *,
    rounds: int,
    space: Path | None,
    execution_folder: Path,
    compute: Callable[[Path], None],
) -> Iterator[ProposalRound | str]:
    """
    Propose, compute, build and fit again, round by round.

    A batch is proposed when its two files stand: first what is predicted, then the
    campaign file. Killed before that, nothing was proposed; killed after it, the same
    batch is computed, and what it had computed is not computed again.

    Parameters
    ----------
    ledger
        Terms and rounds so far.
    rounds
        Rounds of this call at most.
    space
        File of the space; that of the campaign if none.
    compute
        Computes a campaign file to its end and builds.

    Yields
    ------
    ProposalRound or str
        Each round as it is closed; why it ends, if not for the number of rounds.
    """
    for _ in range(rounds):
        path = ledger.open_batch or _propose(stores, ledger, space)
        if isinstance(path, str):
            yield path
            return
        found = _read(ledger.proposal_file(path.stem))
        hours = plan_campaign(
            path, stores, Assumptions(), execution_folder=execution_folder
        ).node_hours
        spent = sum(one.node_hours for one in ledger.rounds)
        most = ledger.terms.node_hours
        if most is not None and spent + hours > most:
            yield (
                f"{path.stem} would take {hours:.3g} node-hours and {spent:.3g} of "
                f"{most:.3g} are spent"
            )
            return
        compute(path)
        closed = _closed(stores, ledger.terms, path.stem, found, hours)
        ledger.close(closed)
        yield closed


def _propose(stores: Stores, ledger: Ledger, space: Path | None) -> Path | str:
    """Write the next batch, or say why there is none."""
    terms = ledger.terms
    found = proposed_batch(
        stores,
        terms.campaign,
        space=space,
        temperature=terms.temperature,
        batch=terms.batch,
    )
    if not found.members:
        return "nothing is left to propose"
    best = max(one.probability for one in found.members)
    if best < terms.least_probability:
        return (
            f"the likeliest of {found.visited:,} has P {best:.3f}, below the "
            f"{terms.least_probability:g} agreed before the first round"
        )
    name = next_batch_name(stores, terms.campaign, ledger.folder)
    write_whole(ledger.proposal_file(name), found.model_dump_json(indent=1))
    path = ledger.folder / f"{name}.yaml"
    write_batch(stores, terms.campaign, found, path, space)
    return path


def _read(path: Path) -> Proposal:
    try:
        return Proposal.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as err:
        raise ConfigurationError(
            f"{path} does not say what was predicted of this batch: remove it and the "
            "batch's campaign file, and propose again"
        ) from err


def _closed(
    stores: Stores, terms: IterationTerms, name: str, found: Proposal, hours: float
) -> ProposalRound:
    """Compare what was predicted of a batch with what became of it."""
    ended = {
        one.candidate_id: one.e_hull
        for one in computed_candidates(stores, [name], terms.temperature)
    }
    errors = [
        abs(one.e_hull - ended[one.candidate_id])
        for one in found.members
        if one.candidate_id in ended
    ]
    return ProposalRound(
        batch=name,
        members=len(found.members),
        best_probability=max(one.probability for one in found.members),
        node_hours=hours,
        evaluated=len(found.members),
        failed=len(found.members) - len(errors),
        stable=sum(value <= 0 for value in ended.values()),
        expected_stable=sum(one.probability for one in found.members),
        error=sum(errors) / len(errors) if errors else None,
    )
