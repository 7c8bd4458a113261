from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hts_battery.vasp_standin.faults import (
    FAULTS_VARIABLE,
    SEED_VARIABLE,
    STATE_VARIABLE,
    Fault,
    FaultError,
    fault_of_launch,
)

if TYPE_CHECKING:
    from pathlib import Path


def faults(environment: dict[str, str], n: int, key: str = "Li1 relax") -> list[str]:
    return [str(fault_of_launch(environment, key)[0] or "-") for _ in range(n)]


def test_without_a_wish_nothing_fails() -> None:
    assert fault_of_launch({}, "anything") == (None, 0)


def test_a_name_alone_fails_every_time() -> None:
    assert faults({FAULTS_VARIABLE: "ionic"}, 3) == ["ionic"] * 3


def test_a_count_fails_the_first_launches_of_every_calculation(tmp_path: Path) -> None:
    environment = {FAULTS_VARIABLE: "node:2", STATE_VARIABLE: str(tmp_path / "new")}
    assert faults(environment, 4) == ["node", "node", "-", "-"]
    assert faults(environment, 3, "Na1 relax") == ["node", "node", "-"]


def test_a_count_needs_somewhere_to_count() -> None:
    with pytest.raises(FaultError, match=STATE_VARIABLE):
        fault_of_launch({FAULTS_VARIABLE: "node:2"}, "Li1 relax")


def test_a_rate_is_kept_and_repeats_with_the_seed(tmp_path: Path) -> None:
    def found(folder: str, seed: str) -> list[str]:
        environment = {
            FAULTS_VARIABLE: "walltime=0.3, node=0.2",
            STATE_VARIABLE: str(tmp_path / folder),
            SEED_VARIABLE: seed,
        }
        return [faults(environment, 1, f"X{i} relax")[0] for i in range(300)]

    first, same, other = found("a", "1"), found("b", "1"), found("c", "2")
    assert first == same
    assert first != other
    assert 60 < first.count("walltime") < 120
    assert 20 < first.count("node") < 70


def test_an_unknown_failure_is_refused_with_those_there_are() -> None:
    with pytest.raises(FaultError, match="walltime, out-of-memory"):
        fault_of_launch({FAULTS_VARIABLE: "fire"}, "Li1 relax")
    assert {str(fault) for fault in Fault} >= {"electronic", "magnetic", "executable"}
