from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.errors import ConfigurationError, VersionSkewError
from hts_battery.flows.execution.evidence import (
    Evidence,
    corrections_from_log,
    last_lines,
)
from hts_battery.flows.execution.failures import (
    classify,
    known_policy,
    known_signatures,
    next_action,
    read_policy,
)
from hts_battery.schemas.failure import (
    Correction,
    FailureClass,
    FailureDoc,
    Source,
    StartFrom,
    Verb,
)

if TYPE_CHECKING:
    from pathlib import Path


def failed(
    *classes: FailureClass, seconds: float = 60.0, step: str = "relax 1"
) -> list[FailureDoc]:
    return [
        FailureDoc(
            failure_class=one,
            step=step,
            attempt=number,
            reason="because",
            seconds=seconds,
            time=datetime.now(UTC),
        )
        for number, one in enumerate(classes, start=1)
    ]


def unrecovered(handler: str, *errors: str) -> Evidence:
    return Evidence(
        corrections=(Correction(handler=handler, errors=errors, actions=None),)
    )


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (unrecovered("WalltimeHandler", "Walltime reached"), FailureClass.WALLTIME),
        (
            Evidence(last_lines=("slurmstepd: *** JOB 7 CANCELLED DUE TO TIME LIMIT",)),
            FailureClass.WALLTIME,
        ),
        (
            Evidence(last_lines=("forrtl: severe (41): insufficient virtual memory",)),
            FailureClass.OUT_OF_MEMORY,
        ),
        (unrecovered("StdErrHandler", "out_of_memory"), FailureClass.OUT_OF_MEMORY),
        (Evidence(error=MemoryError()), FailureClass.OUT_OF_MEMORY),
        (
            Evidence(error=OSError(116, "Stale file handle")),
            FailureClass.NODE,
        ),
        (
            Evidence(last_lines=("ORTE has lost communication with a remote daemon.",)),
            FailureClass.NODE,
        ),
        (Evidence(last_lines=("Killed",)), FailureClass.NODE),
        (unrecovered("VaspErrorHandler", "zpotrf"), FailureClass.ELECTRONIC),
        (unrecovered("VaspErrorHandler", "brions"), FailureClass.IONIC),
        (
            Evidence(problems=("electronic loop not converged after 100 steps",)),
            FailureClass.ELECTRONIC,
        ),
        (
            Evidence(problems=("ionic loop not converged after 99 steps",)),
            FailureClass.IONIC,
        ),
        (
            Evidence(problems=("moment of site 3 (Mn) 4.00 became 0.10",)),
            FailureClass.WRONG_STATE,
        ),
        (
            Evidence(error=FileNotFoundError(2, "No such file", "/opt/vasp_std")),
            FailureClass.EXECUTABLE,
        ),
        (
            Evidence(last_lines=("sh: vasp_std: command not found",)),
            FailureClass.EXECUTABLE,
        ),
        (
            Evidence(last_lines=("Error reading item 'NSW' from file INCAR.",)),
            FailureClass.BAD_INPUT,
        ),
        (
            Evidence(error=VersionSkewError({"pymatgen": ("1", "2")})),
            FailureClass.VERSION_SKEW,
        ),
        (Evidence(error=KeyError("energy")), FailureClass.UNKNOWN),
        (Evidence(), FailureClass.UNKNOWN),
        # A file that is missing is not a program, though its name begins like one.
        (
            Evidence(error=FileNotFoundError(2, "No such file", "/run/vasprun.xml")),
            FailureClass.UNKNOWN,
        ),
    ],
)
def test_each_sign_has_its_class(evidence: Evidence, expected: FailureClass) -> None:
    assert classify(evidence).failure_class is expected


def test_what_was_corrected_before_is_not_to_blame() -> None:
    zbrent = Correction(
        handler="VaspErrorHandler", errors=("zbrent",), actions=({"dict": "INCAR"},)
    )
    stuck = Correction(handler="VaspErrorHandler", errors=("brmix",), actions=None)
    found = classify(Evidence(corrections=(zbrent, stuck)))
    assert (found.failure_class, found.handler) == (
        FailureClass.ELECTRONIC,
        "VaspErrorHandler",
    )


def test_the_cause_of_an_exception_is_looked_at() -> None:
    error = RuntimeError("could not write")
    error.__cause__ = OSError(28, "No space left on device")
    found = classify(Evidence(error=error))
    assert found.failure_class is FailureClass.NODE
    assert "No space left" in found.reason


def test_every_class_has_a_rule_and_every_class_but_unknown_a_sign() -> None:
    assert {rule.failure_class for rule in known_policy().rules} == set(FailureClass)
    signs = {one.failure_class for one in known_signatures()}
    assert signs == set(FailureClass) - {FailureClass.UNKNOWN}
    assert {one.source for one in known_signatures()} == set(Source)


@pytest.mark.parametrize(
    ("failure_class", "repetitions", "afterwards"),
    [
        (FailureClass.WALLTIME, 4, Verb.GIVE_UP),
        (FailureClass.OUT_OF_MEMORY, 2, Verb.GIVE_UP),
        (FailureClass.ELECTRONIC, 2, Verb.GIVE_UP),
        (FailureClass.IONIC, 2, Verb.GIVE_UP),
        (FailureClass.WRONG_STATE, 1, Verb.KEEP),
        (FailureClass.NODE, 3, Verb.GIVE_UP),
        (FailureClass.EXECUTABLE, 0, Verb.GIVE_UP),
        (FailureClass.BAD_INPUT, 0, Verb.GIVE_UP),
        (FailureClass.VERSION_SKEW, 0, Verb.GIVE_UP),
        (FailureClass.UNKNOWN, 0, Verb.GIVE_UP),
    ],
)
def test_each_class_is_repeated_as_often_as_the_policy_says(
    failure_class: FailureClass, repetitions: int, afterwards: Verb
) -> None:
    for times in range(1, repetitions + 1):
        action = next_action(failed(*[failure_class] * times))
        assert action.verb is Verb.REPEAT
    action = next_action(failed(*[failure_class] * (repetitions + 1)))
    assert action.verb is afterwards
    assert str(failure_class) in action.reason


def test_what_one_remedy_changed_stays_when_another_failure_follows() -> None:
    action = next_action(failed(FailureClass.ELECTRONIC, FailureClass.WALLTIME))
    assert action.settings["vasp"]["ALGO"] == "Normal"
    assert action.start is StartFrom.LAST_GEOMETRY


def test_a_second_remedy_goes_further_than_the_first() -> None:
    once = next_action(failed(FailureClass.ELECTRONIC))
    twice = next_action(failed(*[FailureClass.ELECTRONIC] * 2))
    assert once.settings["vasp"]["AMIX"] > twice.settings["vasp"]["AMIX"]
    assert twice.start is StartFrom.BEGINNING


def test_no_remedy_changes_what_an_energy_means() -> None:
    allowed = {"ALGO", "NELM", "AMIX", "BMIX", "AMIX_MAG", "BMIX_MAG", "KPAR", "IBRION"}
    for rule in known_policy().rules:
        for remedy in rule.remedies:
            assert set(remedy.settings.get("vasp", {})) <= allowed


def test_time_already_spent_is_counted() -> None:
    policy = known_policy().model_copy(update={"max_seconds": 150.0})
    assert next_action(failed(FailureClass.WALLTIME), policy).verb is Verb.REPEAT
    action = next_action(
        failed(FailureClass.WALLTIME, FailureClass.NODE, seconds=80), policy
    )
    assert action.verb is Verb.GIVE_UP
    assert "160 s are spent of 150 s" in action.reason


@given(st.lists(st.sampled_from(list(FailureClass)), min_size=1, max_size=20))
def test_every_history_ends(classes: list[FailureClass]) -> None:
    history = failed(*classes)
    action = next_action(history)
    assert action == next_action(history)
    if len(history) >= known_policy().max_attempts:
        assert action.verb is not Verb.REPEAT


def test_without_a_failure_there_is_nothing_to_decide() -> None:
    with pytest.raises(ValueError, match="nothing to decide"):
        next_action([])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rules: []", "one rule for every class; without a rule: bad input"),
        ("rules: []\nmax_attempts: 0", "max_attempts: "),
        ("rule: []", "rules: Field required"),
    ],
)
def test_a_wrong_policy_is_refused_with_its_field(text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^mine\.yaml: .*{words}"):
        read_policy(text, "mine.yaml")


def test_custodians_log_is_read_without_its_classes() -> None:
    log = [
        {"job": {}, "corrections": []},
        {
            "corrections": [
                {
                    "errors": ["Unconverged"],
                    "actions": [{"dict": "INCAR", "action": {"_set": {"ALGO": "All"}}}],
                    "handler": {"@class": "UnconvergedErrorHandler", "@module": "x"},
                },
                {"errors": ["odd"], "actions": None, "handler": None},
            ]
        },
    ]
    first, second = corrections_from_log(log)
    assert (first.handler, first.errors) == (
        "UnconvergedErrorHandler",
        ("Unconverged",),
    )
    assert first.actions is not None
    assert (second.handler, second.actions) == ("unknown handler", None)


def test_only_the_last_lines_are_read(tmp_path: Path) -> None:
    log = tmp_path / "vasp.out"
    log.write_text("\n\n".join(f"line {n}" for n in range(10_000)) + "\n")
    found = last_lines([tmp_path / "absent", log], limit=3)
    assert found == ("line 9997", "line 9998", "line 9999")
