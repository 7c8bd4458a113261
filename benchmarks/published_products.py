"""
Published products of decomposition beside those that the hull of CHGNet finds.

300 NASICON compositions and the phases they decompose into are published with
10.1038/s41467-021-26006-3 (Materials Project, PBE and PBE+U). A row whose products are
all in the library can come out; it does where the lowest mixture of the library's
energies is of the same compositions. Counted for each rule of what a candidate is not
compared with (``stability.left_out_references`` of a campaign).

``--references FILE`` takes the energies from a table (``phase_id``, ``formula``,
``energy_per_atom``, ``candidate_family``, ``rejected``), such as the library at another
time; without it those that ship. ``--rows`` prints what came out row by row.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from figures import Printer

from hts_battery.flows.recipes.references import shipped_energies
from hts_battery.schemas.formula import canonical_formula, parse_formula
from hts_battery.schemas.reference import family_of
from hts_battery.schemas.thermo import LeftOutReferences
from hts_battery.structures.references.library import load_reference_phases
from hts_battery.thermo import Hull, left_out_references

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PUBLISHED = (
    Path(__file__).resolve().parents[2]
    / "shared/data/nasicon_2021/published_entropy.csv"
)
FAMILY = "nasicon"


@dataclass(frozen=True)
class Library:
    """Competing phases with energies of one calculator."""

    hull: Hull
    family: frozenset[str]
    """Ids of those that are NASICONs themselves."""


@dataclass(frozen=True)
class Row:
    """One published composition and what became of it."""

    formula: str
    published: frozenset[str]
    """Canonical formulas of the published products."""
    missing: frozenset[str]
    """Those that the library lacks."""
    found: frozenset[str]
    """Canonical formulas of the products on the hull; none where some are missing."""

    @property
    def comes_out(self) -> bool:
        """Whether the products are the published ones."""
        return self.found == self.published


def canonical(formula: str) -> str:
    """Write the one spelling of a composition."""
    return canonical_formula(parse_formula(formula))


def library_of(path: Path | None = None) -> Library:
    """Read the used phases of a table, or those that ship."""
    return _shipped() if path is None else _recorded(path)


def _recorded(path: Path) -> Library:
    with path.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if not row["rejected"]]
    return Library(
        Hull(
            [row["formula"] for row in rows],
            [float(row["energy_per_atom"]) for row in rows],
            ids=[row["phase_id"] for row in rows],
        ),
        frozenset(row["phase_id"] for row in rows if row["candidate_family"] == FAMILY),
    )


def _shipped() -> Library:
    phases = {phase.phase_id: phase for phase in load_reference_phases()}
    used = [one for one in shipped_energies("chgnet").energies if one.rejected is None]
    return Library(
        Hull(
            [one.formula for one in used],
            [float(one.energy_per_atom or 0) for one in used],
            ids=[one.phase_id for one in used],
        ),
        frozenset(
            one.phase_id
            for one in used
            if family_of(one, phases.get(one.phase_id)) == FAMILY
        ),
    )


def compared(
    published: Iterable[Mapping[str, str]], library: Library, rule: LeftOutReferences
) -> list[Row]:
    """
    Decompose each published composition.

    Parameters
    ----------
    published
        Rows with ``formula`` and ``competing_phases`` (joined by +).
    library
        Competing phases.
    rule
        What a composition is not compared with.
    """
    hull = library.hull
    spelled = {formula: canonical(formula) for formula in set(hull.formulas)}
    known = frozenset(spelled.values())
    rows = []
    for line in published:
        wanted = frozenset(map(canonical, line["competing_phases"].split("+")))
        found: frozenset[str] = frozenset()
        if wanted <= known:
            gone = left_out_references(
                hull, line["formula"], rule=rule, family=library.family
            )
            mixture = hull.decomposition(line["formula"], exclude=gone)
            found = frozenset(spelled[text] for text in mixture.formulas.values())
        rows.append(Row(line["formula"], wanted, wanted - known, found))
    return rows


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--references", type=Path)
    parser.add_argument("--published", type=Path, default=PUBLISHED)
    parser.add_argument("--rows", action="store_true")
    options = parser.parse_args()
    show = Printer(as_json=options.json)
    with options.published.open(encoding="utf-8") as file:
        published = list(csv.DictReader(file))
    library = library_of(options.references)
    show("published_decompositions", len(published), "rows")
    for rule in LeftOutReferences:
        rows = compared(published, library, rule)
        held = [row for row in rows if not row.missing]
        if rule is LeftOutReferences.OWN_COMPOSITION:
            show("competing_phases", len(library.hull), "phases")
            show("all_products_in_the_library", len(held), "rows")
        count = sum(row.comes_out for row in held)
        show(f"published_products_come_out_{rule.value}", count, "rows")
        for row in rows if options.rows else ():
            print(
                rule.value,
                row.formula,
                "+".join(sorted(row.published)),
                "yes" if row.comes_out else "+".join(sorted(row.found or row.missing)),
            )


if __name__ == "__main__":
    main()
