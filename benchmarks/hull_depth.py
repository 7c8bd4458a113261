"""
How much deeper the hull of a campaign may be than the library's phases make it.

For members of two campaigns, the hull of all compositions in
``hts_battery/thermo/data/known_compositions.csv`` is subtracted from the hull of the
library's compositions among them, both with the same machine-learned formation energies
(10.1038/s41524-020-00362-y); the member's own composition takes part in neither. Given
are the median and the 90th percentile over the first 400 and over all 1,000 members of
a draw that a seed fixes, in two ways:

- *by composition*: a composition of the library counts;
- *by competitive phase*: it counts only where the lowest energy that the library's own
  engine found for it lies at most 10 meV/atom above the hull of all other compositions,
  and its relaxation was kept. A composition in a wrong structure is *present, not
  competitive*.

What stays open by competitive phase is named by weight: the atomic fraction of a
composition in the lowest mixtures of all known ones, mean over the 1,000 members.
``--energies`` adds files of reference energies, as ``hts references compute --write``
writes them, to the shipped ones: what a library would reach. There is no peer.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from figures import Printer

from hts_battery.campaign.spec_file import read_campaign
from hts_battery.flows.recipes.references import (
    checked_energy_file,
    known_energies,
)
from hts_battery.schemas.formula import canonical_formula, display_formula
from hts_battery.schemas.formula import parse_formula as parsed
from hts_battery.thermo.hull_depth import (
    COMPETITIVE_WITHIN,
    HullDepth,
    above_others,
    lowest_phases,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hts_battery.schemas.reference import ReferenceEnergy
    from hts_battery.thermo.hull_depth import Depth

CAMPAIGNS = ("hedrx_18810", "nasicon_2021")
FOLDER = Path(__file__).resolve().parents[1] / "workflows" / "campaigns"
SEED = 0
SIZES = (400, 1000)
MEV = 1000.0
UNIT = "meV/atom"


def draw(campaign: str, count: int = max(SIZES)) -> list[str]:
    """
    Draw members of a campaign; a smaller draw is the start of a larger one.

    Parameters
    ----------
    campaign
        Name of a file in ``workflows/campaigns``.
    count
        How many.
    """
    kept = read_campaign(FOLDER / f"{campaign}.yaml").kept()
    members = [display_formula(candidate.amounts) for _, candidate in kept]
    numbers = random.Random(SEED).sample(range(len(members)), max(SIZES))  # noqa: S311 - a drawing, not a secret
    return [members[number] for number in numbers[:count]]


def library(energies: Iterable[ReferenceEnergy]) -> dict[str, float]:
    """Keep the lowest energy of each composition, of the relaxations that were kept."""
    used = [one for one in energies if one.rejected is None]
    return lowest_phases(
        [one.formula for one in used], [one.energy_per_atom or 0.0 for one in used]
    )


def report(show: Printer, what: str, answers: Sequence[Depth]) -> None:
    """Print medians and 90th percentiles, by all known and by reported compositions."""
    for name, values in (
        ("", [MEV * (answer.risk or 0.0) for answer in answers]),
        (
            ", reported only",
            [MEV * (answer.risk_reported or 0.0) for answer in answers],
        ),
    ):
        for size in SIZES:
            for word, percent in (("median", 50), ("90 %", 90)):
                figure = f"{what}{name}, {word} of {size}"
                show(figure, float(np.percentile(values[:size], percent)), UNIT)


def weights(answers: Sequence[Depth]) -> dict[str, float]:
    """Mean atomic fraction of each missing composition, the heaviest first."""
    found: dict[str, float] = defaultdict(float)
    for answer in answers:
        for formula, amount in answer.missing.items():
            found[formula] += amount / len(answers)
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def main() -> None:
    """Print the depth of both campaigns and what stays open."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one object a line")
    parser.add_argument("--engine", default="chgnet")
    parser.add_argument("--energies", type=Path, nargs="*", default=[])
    parser.add_argument("--top", type=int, default=20, help="open compositions named")
    asked = parser.parse_args()
    show = Printer(as_json=asked.json)
    phases = known_energies(asked.engine)
    for path in asked.energies:
        more = checked_energy_file(json.loads(path.read_text("utf-8")), path)
        phases |= {one.phase_id: one for one in more.energies}
    lowest = library(phases.values())
    heights = above_others(lowest)
    good = [name for name, height in heights.items() if height <= COMPETITIVE_WITHIN]
    show("compositions of the library", len(lowest), "compositions")
    show("competitive among them", len(good), "compositions")
    standing = {canonical_formula(parsed(name)): MEV * n for name, n in heights.items()}
    ways = {
        "by composition": HullDepth(lowest),
        "by competitive phase": HullDepth(good),
    }
    for campaign in CAMPAIGNS:
        members = draw(campaign)
        for way, depth in ways.items():
            answers = depth.at(members)
            report(show, f"{campaign}: depth {way}", answers)
        for formula, weight in list(weights(answers).items())[: asked.top]:
            height = standing.get(canonical_formula(parsed(formula)))
            where = (
                "absent"
                if height is None
                else f"present, not competitive ({height:+.0f} meV/atom)"
            )
            show(
                f"{campaign}: open, {formula}", weight, f"mean atomic fraction; {where}"
            )


if __name__ == "__main__":
    main()
