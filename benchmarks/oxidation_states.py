"""
How many members hold oxidation states that would react, and for how many they need not.

Before: the fewest elements in several oxidation states first, as it was until redox
potentials chose. After: the assignment that structures are made from.
"""

from __future__ import annotations

import argparse
import csv
import re
import time
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from figures import Printer

from hts_battery.campaign.spec_file import read_campaign
from hts_battery.compositions import selected
from hts_battery.compositions.redox import package_scale
from hts_battery.schemas.species import parse_species
from hts_battery.schemas.species_table import species_properties

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hts_battery.schemas.candidate import Assignment, Candidate

ROOT = Path(__file__).resolve().parents[1]
CAMPAIGNS = ROOT / "workflows" / "campaigns"
RELAXED = ROOT / "docs" / "data" / "chgnet_campaign.csv"
FULL = 2_000


def reacts(species: Iterable[str]) -> bool:
    """Whether any two of some species would exchange an electron."""
    return package_scale().reacting(set(species)) is not None


def species_of(assignment: Assignment) -> set[str]:
    """Species of an assignment."""
    return {text for here in assignment.values() for text in here}


def as_before(member: Candidate) -> Assignment:
    """Choose by the rule before redox potentials, on one sublattice of cations."""
    states = {
        text: parse_species(text).element
        for one in member.assignments
        for text in one["cation"]
    }
    order = sorted(states, key=lambda text: (states[text], text))

    def key(assignment: Assignment) -> tuple[object, ...]:
        here = assignment["cation"]
        several = Counter(states[text] for text in here)
        rank = sum(n * species_properties(text).preference for text, n in here.items())
        amounts = [here.get(text, 0) for text in order]
        return sum(number > 1 for number in several.values()), rank, amounts

    return min(member.assignments, key=key)


def shares(show: Printer, name: str, members: list[Candidate]) -> None:
    """Print how many members hold a pair that reacts under either rule."""
    before = after = avoidable_before = avoidable_after = 0
    for member in members:
        every = [reacts(species_of(one)) for one in member.assignments]
        old = reacts(species_of(as_before(member)))
        before, after = before + old, after + every[0]
        if not all(every):
            avoidable_before += old
            avoidable_after += every[0]
    show(f"{name}: members judged", len(members), "compositions")
    for when, found, avoidable in (
        ("before", before, avoidable_before),
        ("after", after, avoidable_after),
    ):
        show(f"{name}: with a pair that reacts, {when}", found, "compositions")
        show(f"{name}: share of them, {when}", 100 * found / len(members), "%")
        show(f"{name}: with another choice, {when}", avoidable, "compositions")


def relaxed(show: Printer) -> None:
    """Print how often relaxed cells of either kind were flagged."""
    with RELAXED.open(encoding="utf-8") as handle:
        rows = [
            row
            for row in csv.DictReader(handle)
            if row["campaign"] == "hedrx_18810_chgnet" and row["state"] == "used"
        ]
    for pair in (True, False):
        kind = "with" if pair else "without"
        of_kind = [
            row
            for row in rows
            if reacts(re.findall(r"(\S+[+-]) ", row["assignment"])) is pair
        ]
        flagged = sum("charge transfer" in row["flags"] for row in of_kind)
        show(f"relaxed cells {kind} a pair that reacts", len(of_kind), "cells")
        show("flagged charge transfer of these", 100 * flagged / len(of_kind), "%")


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, help="of hedrx_18810; all if left out")
    options = parser.parse_args()
    show = Printer(as_json=False)
    for name, count in (("hedrx_18810", options.count), ("hedrx_full", FULL)):
        campaign = read_campaign(CAMPAIGNS / f"{name}.yaml")
        chosen = selected(campaign.space, campaign.spec.selection)
        members = [one for _, one in islice(chosen, count)]
        start = time.process_time()
        for member in members:
            _ = member.assignments
        took = time.process_time() - start
        show(f"{name}: rank assignments", 1000 * took / len(members), "ms a member")
        shares(show, name, members)
    relaxed(show)


if __name__ == "__main__":
    main()
