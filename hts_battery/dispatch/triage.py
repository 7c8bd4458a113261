"""Failures of campaigns sorted by class, and whole classes sent again."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hts_battery.connections.records.backlog import (
    Backlog,
    dispatching,
    reopened,
)
from hts_battery.errors import SubmissionError, UnreadableDocumentError
from hts_battery.flows.execution.failures import known_policy
from hts_battery.schemas.dispatch import EndingKind
from hts_battery.schemas.failure import FailureClass
from hts_battery.schemas.recovery import FailureGroup

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.dispatch import BacklogItem
    from hts_battery.schemas.failure import FailurePolicy

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failed:
    """A candidate whose last dispatch ended with a failure."""

    campaign: str
    item: BacklogItem

    @property
    def failure_class(self) -> FailureClass:
        """Return its class; unknown where nobody said."""
        ending = self.item.ending
        found = None if ending is None else ending.failure_class
        return found or FailureClass.UNKNOWN


def group_failures(
    failed: Iterable[Failed],
    policy: FailurePolicy,
    folders: Mapping[int, str] | None = None,
) -> tuple[FailureGroup, ...]:
    """
    Sort failed candidates by class, the largest group first.

    The example of a group is its first candidate; folders are launch folders of its
    workflow, by the first Firework.
    """
    groups: defaultdict[FailureClass, list[Failed]] = defaultdict(list)
    for one in failed:
        groups[one.failure_class].append(one)
    found = [
        _group(kind, members, policy, folders or {}) for kind, members in groups.items()
    ]
    return tuple(sorted(found, key=lambda one: (-one.candidates, one.failure_class)))


def _group(
    kind: FailureClass,
    members: Sequence[Failed],
    policy: FailurePolicy,
    folders: Mapping[int, str],
) -> FailureGroup:
    first = members[0].item
    endings = [one.item.ending for one in members if one.item.ending is not None]
    return FailureGroup(
        failure_class=kind,
        candidates=len(members),
        campaigns=tuple(sorted({one.campaign for one in members})),
        node_hours=sum(ending.node_hours for ending in endings),
        formula=first.formula,
        reason=None if first.ending is None else first.ending.reason,
        fw_id=first.fw_id,
        folder=None if first.fw_id is None else folders.get(first.fw_id),
        has_remedies=bool(policy.rule(kind).remedies),
        policy=policy_words(kind, policy),
    )


def policy_words(kind: FailureClass, policy: FailurePolicy) -> str:
    """
    Say in words what a policy does about a class.

    Examples
    --------
    >>> policy_words(FailureClass.BAD_INPUT, known_policy())
    'gives up at once'
    >>> policy_words(FailureClass.OUT_OF_MEMORY, known_policy())
    'tries 2 more times, with up to 4 times the memory, then gives up'
    """
    rule = policy.rule(kind)
    if not rule.remedies:
        return "gives up at once"
    largest: dict[str, float] = {}
    for remedy in rule.remedies:
        for name, factor in remedy.resources.items():
            largest[name] = max(factor, largest.get(name, 0.0))
    more = "".join(
        f", with up to {factor:g} times the {name.replace('_', ' ')}"
        for name, factor in largest.items()
    )
    changed = ", with other settings" if any(r.settings for r in rule.remedies) else ""
    afterwards = "keeps the result" if rule.afterwards == "keep" else "gives up"
    if more:
        changed = ""
    return f"tries {len(rule.remedies)} more times{changed}{more}, then {afterwards}"


def failed_candidates(stores: Stores, campaign: str | None = None) -> list[Failed]:
    """
    Read the candidates whose last dispatch failed, of one campaign or of all.

    Raises
    ------
    SubmissionError
        If the campaign was never submitted.
    """
    names = sorted(map(str, stores.submissions.distinct("campaign")))
    if campaign is not None and campaign not in names:
        known = ", ".join(names) or "none"
        raise SubmissionError(
            f"the campaign {campaign} was never submitted; submitted are: {known}"
        )
    found = []
    for name in names if campaign is None else [campaign]:
        try:
            items = list(Backlog.read(stores, name).items)
        except UnreadableDocumentError as err:
            if campaign is not None:
                raise
            logger.warning("failures of %s are left out: %s", name, err)
            continue
        found += [
            Failed(name, item)
            for item in items
            if item.ending is not None and item.ending.kind is EndingKind.FAILED
        ]
    return found


def triage(stores: Stores, campaign: str | None = None) -> tuple[FailureGroup, ...]:
    """Sort what failed by class, each with an example and what the policy does."""
    failed = failed_candidates(stores, campaign)
    groups = group_failures(failed, known_policy())
    roots = [one.fw_id for one in groups if one.fw_id is not None]
    folders = {}
    if roots:
        for doc in stores.archived_workflows.query({"fw_id": {"$in": roots}}):
            places = [one["folder"] for one in doc["launches"] if one.get("folder")]
            if places:
                folders[doc["fw_id"]] = places[-1]
    return group_failures(failed, known_policy(), folders)


def rerun(
    stores: Stores,
    failure_class: FailureClass,
    *,
    campaign: str | None = None,
    force: bool = False,
    dry_run: bool = False,
) -> dict[str, int]:
    """
    Send the candidates of a class again; the feeder asks for what the policy says.

    Counts the candidates by campaign.

    Raises
    ------
    SubmissionError
        If the policy gives the class up at once, and it is not forced.
    """
    if not known_policy().rule(failure_class).remedies and not force:
        raise SubmissionError(
            f"the policy gives up {failure_class!s} at once, because trying again "
            "changes nothing: mend the cause, then add --force"
        )
    if dry_run:
        return _counts(_of_class(stores, failure_class, campaign))
    with dispatching(stores, "hts launchpad rerun") as lease:
        failed = _of_class(stores, failure_class, campaign)
        for name in _counts(failed):
            backlog = Backlog.read(stores, name)
            for one in failed:
                if one.campaign == name:
                    backlog.put(reopened(one.item, retry=True))
            backlog.save(lease)
    return _counts(failed)


def _of_class(
    stores: Stores, failure_class: FailureClass, campaign: str | None
) -> list[Failed]:
    return [
        one
        for one in failed_candidates(stores, campaign)
        if one.failure_class is failure_class
    ]


def _counts(failed: Sequence[Failed]) -> dict[str, int]:
    return dict(Counter(one.campaign for one in failed))
