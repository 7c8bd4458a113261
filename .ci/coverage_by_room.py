"""Print the branch coverage of each room, as docs/developer.md has it."""

from __future__ import annotations

import io
import json
import sys
from collections import defaultdict
from pathlib import Path

from coverage import Coverage

PACKAGE = "hts_battery"


def main() -> None:
    """Combine what the workers wrote, and add it up by room."""
    measured = Coverage()
    if any(Path().glob(".coverage.*")):
        measured.combine()
    measured.load()
    report = Path("build") / "coverage.json"
    report.parent.mkdir(exist_ok=True)
    measured.json_report(outfile=str(report))
    rooms: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for name, one in json.loads(report.read_text("utf-8"))["files"].items():
        summary = one["summary"]
        parts = Path(name).parts
        room = parts[1] if len(parts) > 2 else "(top)"  # noqa: PLR2004 - package, room, file
        covered = summary["covered_lines"] + summary["covered_branches"]
        total = summary["num_statements"] + summary["num_branches"]
        for key in (room, "all"):
            rooms[key][0] += covered
            rooms[key][1] += total
            rooms[key][2] += 1
    table = io.StringIO()
    table.write("| room | modules | covered (lines and branches) |\n|---|---|---|\n")
    for room, (covered, total, count) in sorted(rooms.items()):
        table.write(f"| {room} | {count} | {100 * covered / max(1, total):.1f} % |\n")
    sys.stdout.write(table.getvalue())


if __name__ == "__main__":
    main()
