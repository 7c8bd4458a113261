"""
Runs the benchmarks one after the other and keeps what they print, with what ran it.

    python benchmarks/bench.py                 # all of them, quick forms
    python benchmarks/bench.py query hull      # these
    python benchmarks/bench.py keep NAME --date DATE --note "load 8" < LINES

Each is a process of its own. Its lines go to the screen and into
``benchmarks/results/NAME.jsonl``, whose first line is the header: date, commit,
versions, processor, load before and after, command. One that fails is reported, keeps
its last good file, and the others go on; the exit status is then 1. ``keep`` makes such
a file of lines that a run has printed already; versions are then those of now. Left
out are ``ionic_species.py``, which fits a table and measures nothing, and
``screen.py``, which needs another checkout.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RUNS = {
    "builders": ["--candidates", "1000"],
    "campaign": ["--count", "200"],
    "compositions": ["--members", "1000000"],
    "dashboard": [],
    "dispatch": ["--sizes", "1000", "--full", "200", "--peer", "200"],
    "flows": [],
    "hull": [],
    "hull_depth": [],
    "query": [],
    "scale": ["--sizes", "200", "1000"],
    "status": ["--candidates", "2000"],
    "structures": ["--quick"],
}
"""The programs and the options of their quick forms."""

TOLD = ("date", "command", "commit", "note")
"""What the header of kept lines says of their run; versions are those of now."""

NEEDS_FOLDER = {"campaign"}
PACKAGES = (
    *("hts_battery", "pymatgen", "jobflow", "fireworks", "atomate2", "maggma", "numpy"),
    *("scipy", "chgnet", "torch", "gpaw", "pymongo", "SecantusDB"),
)


def main() -> int:
    """Run what is asked for, or keep lines from standard input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="benchmarks, or: keep NAME")
    parser.add_argument("--programs", type=Path, default=HERE)
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--date", help="of the lines that are kept")
    parser.add_argument("--note", help="what else must be known of them")
    parser.add_argument("--command", help="that printed the lines that are kept")
    parser.add_argument("--commit", help="of the code that printed them")
    asked = parser.parse_args()
    asked.results.mkdir(parents=True, exist_ok=True)
    names: list[str] = asked.names or list(RUNS)
    if names[0] == "keep":
        if len(names) != 2 or not asked.date:  # noqa: PLR2004 - keep and a name
            parser.error("keep takes one name and --date")
        told = {word: getattr(asked, word) for word in TOLD}
        keep(asked.results / f"{names[1]}.jsonl", told, sys.stdin.read().splitlines())
        return 0
    if absent := [one for one in names if not (asked.programs / f"{one}.py").exists()]:
        parser.error(f"no such benchmark: {', '.join(absent)}; there are {[*RUNS]}")
    failed = [one for one in names if not run(one, asked.programs, asked.results)]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


def run(name: str, programs: Path, results: Path) -> bool:
    """Run one benchmark, show its lines and keep them; tell whether it succeeded."""
    words = [str(programs / f"{name}.py"), "--json", *RUNS.get(name, [])]
    shown = ["python", f"benchmarks/{name}.py", *words[1:]]
    started = datetime.now(UTC)
    before = os.getloadavg()[0]
    print(f"# {' '.join(shown)}", flush=True)
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        if name in NEEDS_FOLDER:
            words += ["--folder", folder]
            shown += ["--folder", "FOLDER"]
        with subprocess.Popen(  # noqa: S603 - our own programs
            [sys.executable, *words], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            for line in process.stdout:
                print(line, end="", flush=True)
                lines.append(line)
    if process.returncode:
        print(f"{name}: exit status {process.returncode}", file=sys.stderr)
        return False
    told = {
        "date": started.isoformat(timespec="seconds"),
        "command": " ".join(shown),
        "load_before": round(before, 2),
        "load_after": round(os.getloadavg()[0], 2),
    }
    keep(results / f"{name}.jsonl", told, lines)
    return True


def keep(path: Path, told: dict[str, Any], lines: list[str]) -> None:
    """Write the header and the figures; what is no JSON object is not a figure."""
    figures = [line.strip() for line in lines if line.startswith("{")]
    text = "\n".join([json.dumps({"header": machine() | told}), *figures])
    path.write_text(text + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """Tell the commit, the versions and the processor."""
    return {
        "commit": commit(),
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := installed(name))},
        "processor": processor(),
        "cores": os.cpu_count(),
    }


def commit() -> str | None:
    """Name the commit of the working tree, None outside a repository."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty"],  # noqa: S607 - of the path
            cwd=HERE,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None


def installed(name: str) -> str | None:
    """Return the version of a package, None where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def processor() -> str:
    """Name the processor as the system does."""
    path = Path("/proc/cpuinfo")
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    sys.exit(main())
