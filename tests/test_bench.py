"""The runner of the benchmarks, on tiny programs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

BENCH = Path(__file__).resolve().parents[1] / "benchmarks/bench.py"
FIGURE = {"figure": "one", "value": 1.0, "unit": "s", "peer": "other", "ratio": 2.0}


def bench(
    folder: Path, *words: str, lines: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the runner on the programs of a folder."""
    where = ("--programs", str(folder), "--results", str(folder / "results"))
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, str(BENCH), *words, *where],
        input=lines,
        capture_output=True,
        text=True,
        check=False,
    )


def kept(folder: Path, name: str) -> list[dict[str, Any]]:
    """Read what was kept of a benchmark."""
    text = (folder / "results" / f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_lines_are_shown_and_kept_under_a_header(tmp_path: Path) -> None:
    program = f"import json\nprint('some words')\nprint(json.dumps({FIGURE}))\n"
    (tmp_path / "good.py").write_text(program, encoding="utf-8")
    done = bench(tmp_path, "good")
    assert done.returncode == 0, done.stderr
    assert json.dumps(FIGURE) in done.stdout
    head, *figures = kept(tmp_path, "good")
    assert figures == [FIGURE]
    header = head["header"]
    assert header["command"] == "python benchmarks/good.py --json"
    assert {"date", "commit", "python", "processor", "cores"} <= header.keys()
    assert header["load_before"] >= 0
    assert header["load_after"] >= 0
    assert {"hts_battery", "pymatgen", "numpy"} <= header["versions"].keys()


def test_one_that_fails_is_reported_and_the_others_go_on(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("print('{}')\nraise SystemExit(3)\n", "utf-8")
    (tmp_path / "good.py").write_text(f"print({json.dumps(FIGURE)!r})\n", "utf-8")
    done = bench(tmp_path, "bad", "good")
    assert done.returncode == 1
    assert "bad: exit status 3" in done.stderr
    assert "failed: bad" in done.stderr
    assert kept(tmp_path, "good")[1:] == [FIGURE]
    assert not (tmp_path / "results/bad.jsonl").exists()


def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    done = bench(tmp_path, "nothing")
    assert done.returncode == 2
    assert "no such benchmark: nothing" in done.stderr


def test_lines_of_an_earlier_run_are_kept_with_their_date(tmp_path: Path) -> None:
    words = ("keep", "old", "--date", "2026-11-26T01:04Z", "--note", "load 11")
    done = bench(tmp_path, *words, lines=json.dumps(FIGURE) + "\n")
    assert done.returncode == 0, done.stderr
    head, *figures = kept(tmp_path, "old")
    assert figures == [FIGURE]
    assert head["header"]["date"] == "2026-11-26T01:04Z"
    assert head["header"]["note"] == "load 11"
