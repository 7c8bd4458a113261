from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hts_battery.operations.rehearsal import FailureCount, RehearsalReport

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Answer

REPORT = RehearsalReport(
    campaign="rehearsal-small",
    engine="rehearsal:vasp-mp-gga",
    database="there",
    folder="here",
    kept=False,
    candidates=2,
    states={"ranked": 2},
    ranked=2,
    references=5,
    jobs=14,
    seconds=30.2,
    failures=(
        FailureCount(
            failure_class="walltime", attempts=1, repeated=1, kept=0, given_up=0
        ),
    ),
    unexpected=(),
    launch_bytes=1_500_000,
    database_bytes=0,
    lacking=(),
)


@pytest.fixture
def spec(campaign_file: Callable[..., Path]) -> Path:
    return campaign_file(("engine: chgnet", "engine: vasp-mp-gga"))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, Any]]]:
    """Let a rehearsal come to a certain report; return what it was asked for."""

    def come_to(**changes: object) -> list[dict[str, Any]]:
        asked: list[dict[str, Any]] = []

        def fake(_campaign: object, **options: Any) -> RehearsalReport:  # noqa: ANN401 - as given
            asked.append(options)
            return REPORT.model_copy(update=changes)

        monkeypatch.setattr("hts_battery.operations.rehearsal.rehearse", fake)
        monkeypatch.setattr("hts_battery.cli.rehearse.phase_gaps", lambda *_: ([], []))
        return asked

    return come_to


def test_a_dry_run_says_what_production_lacks_and_writes_nothing(
    hts: Callable[..., Answer], spec: Path, folder: Path
) -> None:
    answer = hts("rehearse", spec, "--dry-run", "--limit", "1")
    assert answer.status == 0
    assert "1 candidates with rehearsal:vasp-mp-gga" in answer.out
    assert "no competing phase" in answer.out
    assert not any(folder.iterdir())
    (line,) = hts("rehearse", spec, "--dry-run", "--json").lines
    assert line["candidates"] == 2


def test_a_report_is_shown(
    hts: Callable[..., Answer],
    spec: Path,
    told: Callable[..., list[dict[str, Any]]],
) -> None:
    asked = told()
    answer = hts("rehearse", spec, "--failure-rate", "walltime=0.1", "--seed", "3")
    assert answer.status == 0, answer.err
    for text in ("2 ranked", "14", "30 s", "1.50 MB", "walltime", "lacks nothing"):
        assert text in answer.out
    assert asked[0]["injection"].seed == 3
    (line,) = hts("rehearse", spec, "--json").lines
    assert line["failures"][0]["repeated"] == 1


def test_what_production_lacks_or_nobody_asked_for_ends_with_one(
    hts: Callable[..., Answer],
    spec: Path,
    told: Callable[..., list[dict[str, Any]]],
) -> None:
    told(lacking=("VASP",))
    answer = hts("rehearse", spec)
    assert answer.status == 1
    assert "lacks 1 things" in answer.err
    told(unexpected=("LiF is failed: why",))
    assert "LiF is failed: why" in hts("rehearse", spec).err


def test_wrong_usage_ends_with_two(
    hts: Callable[..., Answer], spec: Path, campaign_file: Callable[..., Path]
) -> None:
    assert hts("rehearse", spec, "--failure-rate", "fire=1").status == 2
    chgnet = campaign_file(name="chgnet.yaml")
    assert hts("rehearse", chgnet).status == 2
    assert hts("rehearse", chgnet, "--dry-run").status == 2
