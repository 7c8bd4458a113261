"""
From what a failed calculation leaves behind to its class, and to what is done next.

Both are decided by data: ``data/failure_signatures.yaml`` says by what a class is
recognised, ``data/failure_policy.yaml`` what is tried and how often. What causes comes
before what it causes: memory that ran out before the time limit that the hanging rest
met, and both before the signal that ended it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from pydantic import ValidationError

from hts_battery.errors import ConfigurationError
from hts_battery.flows.execution.evidence import CustodianLog, Evidence, Printed
from hts_battery.schemas.failure import (
    FailureClass,
    FailureDoc,
    FailurePolicy,
    NextAction,
    Remedy,
    Signature,
    Source,
    Verb,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hts_battery.schemas.failure import Correction
    from hts_battery.schemas.recovery import LostRun

_PRINTED = (
    *("*.error", "*.err", "*.out", "*.e[0-9]*", "*.o[0-9]*", "*.log"),
    "std_err.txt",
)
_AROUND = 200  # characters of a long line, before and after its sign
_SUBMISSION = "FW_submit.script"


def loss(lost: LostRun, attempt: int, *, outage: bool = False) -> FailureDoc:
    """
    Classify how a launch was lost, by what its queue printed.

    It is the ``attempt``-th loss of its Firework, and a node failure where nothing says
    otherwise or the database is known to have been away (``outage``).
    """
    words = f"{lost.why}, {lost.seconds:.0f} s after its last sign of life"
    evidence = Evidence() if lost.folder is None else evidence_of(Path(lost.folder))
    found = classify(evidence)
    is_known = found.failure_class is not FailureClass.UNKNOWN and not outage
    if outage:
        words = "the database was away when it ended"
    seconds = 0.0
    if lost.started is not None and lost.last_ping is not None:
        seconds = max(0.0, (lost.last_ping - lost.started).total_seconds())
    return FailureDoc(
        failure_class=found.failure_class if is_known else FailureClass.NODE,
        step=lost.step or lost.name,
        attempt=attempt,
        reason=found.reason if is_known else words,
        handler=found.handler if is_known else None,
        corrections=evidence.corrections,
        last_lines=evidence.last_lines,
        notes=evidence.notes,
        folder=None if lost.folder is None else f"{lost.host}:{lost.folder}",
        seconds=seconds,
        time=datetime.now(UTC),
    )


def evidence_of(folder: Path) -> Evidence:
    """Collect what a launch left in its folder, whatever it ran."""
    printed = Printed(_printed(folder))
    log = CustodianLog.read(folder)
    return Evidence(
        # What custodian corrected on the way did not lose the launch.
        corrections=log.corrections if log.is_end else (),
        last_lines=printed.last,
        printed=printed.lines,
        notes=(*printed.notes, *log.notes),
        is_custodians_end=log.is_end,
    )


def _printed(folder: Path) -> Iterable[Path]:
    """Yield what the queue and the rocket printed; above it, where several share it."""
    for place in (folder, folder.parent):
        try:
            if place != folder and not (place / _SUBMISSION).is_file():
                continue
            found = {path for name in _PRINTED for path in place.glob(name)}
            found |= {path for name in _PRINTED for path in place.glob(f"{name}.gz")}
        except OSError:
            continue  # nobody may look there: what is elsewhere counts
        yield from sorted(found)


def is_here(lost: LostRun) -> bool:
    """Say whether the folder of a launch can be read from here."""
    return lost.folder is not None and Path(lost.folder).is_dir()


_POLICY, _SIGNATURES = "failure_policy.yaml", "failure_signatures.yaml"


@dataclass(frozen=True)
class Diagnosis:
    """A class with the sign by which it was recognised."""

    failure_class: FailureClass
    reason: str
    handler: str | None = None


def classify(
    evidence: Evidence, signatures: Sequence[Signature] | None = None
) -> Diagnosis:
    """
    Find the class of a failure: the first signature that matches decides.

    The signatures are the project's own by default; where none matches it is unknown.

    Examples
    --------
    >>> classify(Evidence(last_lines=("slurmstepd: Detected 1 oom_kill event",)))
    Diagnosis(failure_class=<FailureClass.OUT_OF_MEMORY: 'out of memory'>, \
reason='slurmstepd: Detected 1 oom_kill event', handler=None)
    """
    texts = {
        Source.CUSTODIAN: [_correction_text(one) for one in evidence.decisive],
        Source.EXCEPTION: [*evidence.errors, *evidence.messages],
        Source.RESULT: list(evidence.problems),
    }
    printed = list(evidence.output)
    texts[Source.OUTPUT] = [*printed, *texts[Source.EXCEPTION]]
    handler = evidence.decisive[0].handler if evidence.decisive else None
    known = known_signatures() if signatures is None else signatures
    if evidence.ended_by_custodian:
        known = sorted(known, key=lambda one: one.aftermath)
    for signature in known:
        pattern = re.compile(signature.pattern, re.IGNORECASE | re.MULTILINE)
        if signature.alone and not (
            texts[Source.EXCEPTION] and all(map(pattern.search, printed))
        ):
            continue
        for text in texts[signature.source]:
            if match := pattern.search(text):
                return Diagnosis(signature.failure_class, _around(match), handler)
    said = (Source.CUSTODIAN, Source.EXCEPTION, Source.RESULT)
    reasons = [text for source in said for text in texts[source]]
    reasons += printed[-1:]
    return Diagnosis(
        FailureClass.UNKNOWN, reasons[0] if reasons else "it left no trace", handler
    )


def _around(match: re.Match[str]) -> str:
    """Return the text that was matched, or what stands around it if it is long."""
    text = match.string
    begin, end = max(0, match.start() - _AROUND), match.end() + _AROUND
    return text if len(text) <= 2 * _AROUND else text[begin:end].strip()


def _correction_text(correction: Correction) -> str:
    return f"{correction.handler}: {list(correction.errors)}"


def next_action(
    history: Sequence[FailureDoc], policy: FailurePolicy | None = None
) -> NextAction:
    """
    Decide what is done after the last of some failures of one calculation.

    The policy is the project's own by default. The action holds all settings that
    differ from the first attempt.
    """
    if not history:
        raise ValueError("without a failure there is nothing to decide")
    rules = known_policy() if policy is None else policy
    last = history[-1].failure_class
    rule = rules.rule(last)
    remedies = remedies_of((one.failure_class for one in history), rules)
    times = sum(one.failure_class == last for one in history)
    spent = sum(one.seconds for one in history)
    if times > len(rule.remedies):
        verb = Verb.KEEP if rule.afterwards == "keep" else Verb.GIVE_UP
        return NextAction(verb=verb, reason=_used_up(last, times))
    if len(history) >= rules.max_attempts:
        reason = f"{len(history)} attempts failed, which is the limit"
        return NextAction(verb=Verb.GIVE_UP, reason=reason)
    if rules.max_seconds is not None and spent >= rules.max_seconds:
        reason = f"{spent:.0f} s are spent of {rules.max_seconds:.0f} s"
        return NextAction(verb=Verb.GIVE_UP, reason=reason)
    remedy = rule.remedies[times - 1]
    return NextAction(
        verb=Verb.REPEAT,
        reason=f"{last}: remedy {times} of {len(rule.remedies)}",
        start=remedy.start,
        settings=_merged(one.settings for one in remedies),
        resources=largest_factors(remedies),
    )


def _used_up(last: FailureClass, times: int) -> str:
    again = f"it happened {times} times" if times > 1 else "trying again is no use"
    return f"{last}: {again}"


def remedies_of(
    failed: Iterable[FailureClass], policy: FailurePolicy
) -> tuple[Remedy, ...]:
    """Return the remedies that are taken after each of some failures, in order."""
    taken, seen = [], dict.fromkeys(FailureClass, 0)
    for one in failed:
        remedies = policy.rule(one).remedies
        if seen[one] < len(remedies):
            taken.append(remedies[seen[one]])
        seen[one] += 1
    return tuple(taken)


def _merged(
    changes: Iterable[Mapping[str, Mapping[str, object]]],
) -> dict[str, dict[str, object]]:
    """Join settings of each code; what comes later wins."""
    joined: dict[str, dict[str, object]] = {}
    for change in changes:
        for code, settings in change.items():
            joined.setdefault(code, {}).update(settings)
    return joined


def largest_factors(remedies: Iterable[Remedy]) -> dict[str, float]:
    """Return by how much more ``wall_time`` and ``memory`` remedies ask for."""
    largest: dict[str, float] = {}
    for remedy in remedies:
        for name, factor in remedy.resources.items():
            largest[name] = max(factor, largest.get(name, 0.0))
    return largest


@lru_cache(maxsize=1)
def known_policy() -> FailurePolicy:
    """Return the policy that ships with the project."""
    return read_policy(_shipped(_POLICY), _POLICY)


@lru_cache(maxsize=1)
def known_signatures() -> tuple[Signature, ...]:
    """Return the signatures that ship with the project."""
    return tuple(
        Signature.model_validate(one) for one in yaml.safe_load(_shipped(_SIGNATURES))
    )


def read_policy(text: str, name: str) -> FailurePolicy:
    """Read a policy from YAML; a ConfigurationError names the first wrong field."""
    try:
        return FailurePolicy.model_validate(yaml.safe_load(text))
    except ValidationError as err:
        first = err.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(
            ": ".join(part for part in (name, field, first["msg"]) if part)
        ) from err


def _shipped(name: str) -> str:
    return (files("hts_battery.flows") / "data" / name).read_text("utf-8")
