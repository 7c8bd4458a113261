"""The lines that benchmarks print, and the pictures drawn of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Printer = Callable[..., Callable[..., None]]

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
FIGURE = {"figure": "stable set", "value": 0.0123456789, "unit": "s"}
PEER = {"peer": "a scan", "ratio": 41.234}


@pytest.fixture
def printer(monkeypatch: pytest.MonkeyPatch) -> Printer:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import figures  # noqa: PLC0415 - found through the path above

    return figures.Printer


def test_a_line_has_every_key_and_significant_digits(
    printer: Printer, capsys: pytest.CaptureFixture[str]
) -> None:
    printer()(**FIGURE)
    printer()(**FIGURE, **PEER, candidates=7)
    alone, beside = map(json.loads, capsys.readouterr().out.splitlines())
    rounded = FIGURE | {"value": 0.0123457}
    assert alone == rounded | {"peer": None, "ratio": None}
    assert beside == rounded | {"peer": "a scan", "ratio": 41.2, "candidates": 7}


def test_a_count_stays_whole(
    printer: Printer, capsys: pytest.CaptureFixture[str]
) -> None:
    printer()("members", 21_043_820_271, "compositions")
    assert json.loads(capsys.readouterr().out)["value"] == 21_043_820_271


def test_a_line_for_people_leaves_nothing_out(
    printer: Printer, capsys: pytest.CaptureFixture[str]
) -> None:
    printer(as_json=False)(**FIGURE, **PEER, candidates=7)
    text = " ".join(capsys.readouterr().out.split())
    assert text == "stable set 0.0123457 s, 7 candidates (a scan ÷ ours: 41.2)"


def test_pictures_are_drawn_of_old_and_new_lines(tmp_path: Path) -> None:
    rooms = [
        {"figure": f"{room}: {word}", "value": 9, "unit": "ms"}
        for room in ("calculator", "launch")
        for word in ("processor", "stored")
    ]
    overheads = {
        "old": {"peer": "6600 candidates"},
        "new": {"peer": "the calculator alone", "candidates": 1000},
    }
    for name, keys in overheads.items():
        lines = [*rooms, {"figure": "overhead", "value": 1, "unit": "s", **keys}]
        text = "\n".join(map(json.dumps, lines))
        (tmp_path / f"campaign-{name}.jsonl").write_text(text, encoding="utf-8")
    line = json.dumps({**FIGURE, **PEER})
    (tmp_path / "query.jsonl").write_text(line, encoding="utf-8")
    words = [str(BENCHMARKS / "plot.py"), "--results", ".", "--images", "."]
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    drawn = sorted(path.name for path in tmp_path.glob("*.png"))
    assert drawn == ["campaign-overhead.png", "ratios-engine.png"]
