"""No sign of a failure is found in what runs print that ended well."""

from __future__ import annotations

import re

import pytest
from flows.execution.good_outputs import GOOD_OUTPUTS

from hts_battery.flows.execution.evidence import Evidence
from hts_battery.flows.execution.failures import classify, known_signatures
from hts_battery.schemas.failure import FailureClass, Source

OUTPUT = [one for one in known_signatures() if one.source is Source.OUTPUT]
LINES = [
    (name, line) for name, text in GOOD_OUTPUTS.items() for line in text.split("\n")
]


@pytest.mark.parametrize("number", range(len(OUTPUT)))
def test_no_signature_matches_what_ended_well(number: int) -> None:
    signature = OUTPUT[number]
    pattern = re.compile(signature.pattern, re.IGNORECASE | re.MULTILINE)
    found = [(name, line) for name, line in LINES if pattern.search(line)]
    # It counts only where a program printed nothing else, and these printed more.
    assert not found or signature.alone, (signature.failure_class, found)


@pytest.mark.parametrize("name", GOOD_OUTPUTS)
def test_a_good_output_alone_says_nothing(name: str) -> None:
    lines = tuple(GOOD_OUTPUTS[name].strip().splitlines())
    found = classify(Evidence(printed=lines, error=RuntimeError("odd")))
    assert found.failure_class is FailureClass.UNKNOWN, found.reason
