"""
One campaign through `hts campaign run`, this code beside another checkout's.

Each run is the command as an operator types it, in a process and on a database of its
own, with the same campaign file; the two take turns. No variable sets the threads that
each takes. Every round is printed with the load before it.

    python benchmarks/screen.py --before CHECKOUT --folder FOLDER --rounds 3
    python benchmarks/screen.py --before CHECKOUT --folder FOLDER --count 4 --fmax 0.5

Prints one JSON object a line: seconds by the clock and of the processors (the command
and the processes that it waits for), and the medians. A ratio is theirs over ours.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from figures import Printer

PROJECT = Path(__file__).resolve().parents[1]
CAMPAIGN = PROJECT / "workflows/campaigns/quickstart.yaml"
show = Printer()


def main() -> None:
    """Read the options, let the two take turns, print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="accepted; always JSON")
    parser.add_argument("--before", type=Path, required=True, help="other checkout")
    parser.add_argument("--folder", type=Path, required=True, help="emptied each run")
    parser.add_argument("--campaign", type=Path, default=CAMPAIGN)
    parser.add_argument("--count", type=int, help="a sample of so many candidates")
    parser.add_argument("--fmax", help="in eV/Å: shorter relaxations")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    text = asked.campaign.read_text(encoding="utf-8")
    if asked.count is not None:
        text = re.sub(r"count: \d+", f"count: {asked.count}", text)
    if asked.fmax is not None:
        text = re.sub(r"fmax: [0-9.]+", f"fmax: {asked.fmax}", text)
    took: dict[str, list[float]] = {"before": [], "ours": []}
    for turn in range(asked.rounds):
        for name, checkout in (("before", asked.before), ("ours", PROJECT)):
            load = int(os.getloadavg()[0])
            clock, processor = measured(checkout.resolve(), asked.folder, text)
            took[name].append(clock)
            also = {"round": turn + 1, "load": load}
            show(f"{name}: clock", clock, "s", **also)
            show(f"{name}: processor", processor, "s", **also)
    ours, before = median(took["ours"]), median(took["before"])
    show("median clock", ours, "s", "the other checkout", before / ours)


def measured(checkout: Path, folder: Path, text: str) -> tuple[float, float]:
    """Run the campaign with the code of a checkout; seconds by clock, of processors."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "campaign.yaml").write_text(text, encoding="utf-8")
    variables = os.environ | {
        "PYTHONPATH": str(checkout),
        "HTS_BATTERY_DATA_DIR": str(folder.resolve() / "data"),
    }
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        variables.pop(name, None)
    start, before = time.perf_counter(), spent()
    with (folder / "log.txt").open("w", encoding="utf-8") as log:
        subprocess.run(  # noqa: S603 - our own command
            [Path(sys.executable).with_name("hts"), "campaign", "run", "campaign.yaml"],
            cwd=folder,
            env=variables,
            stdout=log,
            stderr=log,
            check=True,
        )
    return time.perf_counter() - start, spent() - before


def spent() -> float:
    """Return the processor seconds of everything this process has started."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
