"""
What it costs to submit a candidate: our one small job beside its DFT flow built first.

Both ways end as JSON text, which is what a launchpad stores. The peer is atomate2's
``MPGGADoubleRelaxStaticMaker`` for an ordered cell of 64 atoms, which somebody has to
order first; ordering is not counted. Times are processor seconds of one core.

Prints one JSON object a line; ``ratio`` is the peer's value over ours.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from atomate2.vasp.flows.mp import MPGGADoubleRelaxStaticMaker
from monty.json import MontyEncoder

from hts_battery.campaign.campaign_file import load_campaign
from hts_battery.flows.screen import ScreenMaker
from hts_battery.structures.inputs import calculator_structure
from hts_battery.structures.ordering import order_candidate

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobflow import Flow

CAMPAIGN = """\
name: submission
space:
  family: hedrx
  basis: formula-unit
  step: 0.0625
  sublattices:
    cation: {sites: 2, species: [Li+, Mn3+, Ti4+]}
    anion: {sites: 2, species: [O2-, F-]}
selection: {method: sample, count: 8, seed: 1}
structure: {n_orderings: {sqs: 1}, atoms: 64, iterations: 500, seed: 3}
engine: vasp-mp-gga
"""


def cost(build: Callable[[], Flow], repetitions: int) -> tuple[float, int]:
    """Seconds and bytes of one flow, built and written as text."""
    size = len(json.dumps(build(), cls=MontyEncoder))
    start = time.process_time()
    for _ in range(repetitions):
        json.dumps(build(), cls=MontyEncoder)
    return (time.process_time() - start) / repetitions, size


def line(figure: str, value: float, unit: str, peer: tuple[str, float] | None) -> None:
    """Print one figure."""
    found = {
        "figure": figure,
        "value": value,
        "unit": unit,
        "peer": peer[0] if peer else None,
        "ratio": peer[1] / value if peer else None,
    }
    print(json.dumps(found))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="always so; kept for make")
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    options = parser.parse_args()
    file = options.folder / "hts_submission.yaml"
    file.write_text(CAMPAIGN, encoding="utf-8")
    campaign = load_campaign(file)
    file.unlink()
    _, candidate = next(campaign.members())
    maker = ScreenMaker.from_campaign(campaign.spec)
    cell = order_candidate(candidate.to_candidate(), atoms=64, iterations=500, seed=3)
    structure = calculator_structure(cell, magmom=True)
    peer = f"atomate2 {version('atomate2')} MPGGADoubleRelaxStaticMaker, 64 atoms"
    ours = cost(lambda: maker.make(candidate), options.repetitions)
    theirs = cost(
        lambda: MPGGADoubleRelaxStaticMaker().make(structure), options.repetitions
    )
    line("submission of a candidate", theirs[0], f"s, {peer}", None)
    line("submission of a candidate", ours[0], "s", (peer, theirs[0]))
    line("bytes of a submitted candidate", theirs[1], f"bytes, {peer}", None)
    line("bytes of a submitted candidate", ours[1], "bytes", (peer, theirs[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
