"""
The table of compositions that tells how deep a hull of competing phases is.

``python workflows/known_compositions.py`` reads ``../shared/data`` and writes
``hts_battery/thermo/data/known_compositions.csv``. It keeps what is made of the
elements of the campaigns here and lies within 50 meV/atom of the hull of all such
compositions, formation energies rounded to 0.1 meV/atom; the elements stand at zero.

A composition is *reported* if one of these says that it was made:

- a structure of ``structures/``: all are files of the Crystallography Open Database;
- a structure of ``structures_2/`` of its own composition, unless it was derived, or its
  condition says that it was calculated or is not tagged as of the ICSD. Of the derived
  ones those count whose row names the compound as found by others;
- ``nasicon_2021/experimental.json``: NASICONs known from experiment;
- the elements.

Published decompositions do not count: their products come from calculations, too.
What none of these names is taken as not reported, whether or not it exists.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.schemas.formula import (
    canonical_formula,
    display_formula,
    integer_amounts,
    parse_formula,
)
from hts_battery.thermo import Hull

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PROJECT = Path(__file__).resolve().parents[1]
DATA = PROJECT.parent / "shared" / "data"
TABLE = PROJECT / "hts_battery" / "thermo" / "data" / "known_compositions.csv"
ELEMENTS = frozenset(
    "Al Bi Ca Co Cr Cu F Fe Ga Ge Hf In La Li Mg Mn Mo Na Nb Ni O P Ru S Sb Sc Si Sn "  # noqa: SIM905 - reads better
    "Ta Ti V W Y Zn Zr".split()
)
"""Elements of the campaigns in ``workflows/``."""
WITHIN = 0.050
"""How far above the hull of all a composition may lie, eV/atom."""
DIGITS = 4
ENERGY = "Roost"
"""Short name of the source of the energies, spelled out in the head."""
NOT_MADE = ("not ICSD-tagged", "possibly calculated")
FOUND_BY_OTHERS = {
    "Li4MoO5": "Hoffmann and Hoppe, cell quoted in structures_2",
    "Li4WO5": "Hoffmann and Hoppe, cell quoted in structures_2",
    "Li7SbO6": "10.1021/ic030208w",
    "Li6WO6": "called reported in structures_2",
    "Na6S2O9": "called published in structures_2",
}
"""Derived structures of compounds that their rows name as found by others."""
EXPERIMENTAL = "10.1038/s41467-021-26006-3"
HEAD = """\
# Compositions within 50 meV/atom of the hull of the formation energies below, made of
# the elements of the campaigns here. Written by workflows/known_compositions.py, which
# says what counts as reported (1); what nothing names is taken as not reported (0).
# formation_energy: eV/atom, elements at zero, rounded to 0.1 meV/atom. Roost:
# machine-learned formation energies of 85,014 compositions of the Materials Project,
# Bartel et al., npj Computational Materials 6, 97 (2020), 10.1038/s41524-020-00362-y,
# MIT-style licence. source: of the energy; then who reports the composition.
"""


class Row(NamedTuple):
    """One composition."""

    formula: str
    formation_energy: float
    reported: bool
    source: str


def near_hull(
    energies: Mapping[str, float], elements: Iterable[str] = ELEMENTS
) -> dict[str, float]:
    """
    Keep what is made of some elements and lies near the hull of all that is.

    Parameters
    ----------
    energies
        Formula → formation energy, eV/atom; elements that are not among them are
        added at zero.
    elements
        Symbols.

    Returns
    -------
    dict
        Canonical formula → lowest formation energy there, eV/atom, the elements first.
    """
    wanted = frozenset(elements)
    lowest = {f"{symbol}1": 0.0 for symbol in sorted(wanted)}
    for formula, energy in energies.items():
        amounts = parse_formula(formula)
        if wanted.issuperset(amounts):
            name = canonical_formula(amounts)
            lowest[name] = min(energy, lowest.get(name, energy))
    above = Hull(list(lowest), list(lowest.values())).energies_above_hull(
        list(lowest), list(lowest.values())
    )
    return {
        name: energy
        for (name, energy), height in zip(lowest.items(), above, strict=True)
        if height <= WITHIN
    }


def reported(data: Path) -> dict[str, str]:
    """Name who reports a composition: canonical formula → source, the first found."""
    found: dict[str, str] = {}
    for formula, source in _reports(data):
        found.setdefault(canonical_formula(parse_formula(formula)), source)
    return found


def _reports(data: Path) -> Iterator[tuple[str, str]]:
    for symbol in sorted(ELEMENTS):
        yield symbol, "element"
    for row in _index(data / "structures"):
        yield row["formula"], f"COD {row['cod_id']}"
    for row in _index(data / "structures_2"):
        if row["class"] != "derived" and not any(
            word in row["condition"] for word in NOT_MADE
        ):
            yield row["formula"], row["source_id"] or row["source"]
    yield from FOUND_BY_OTHERS.items()
    known = json.loads((data / "nasicon_2021" / "experimental.json").read_text("utf-8"))
    for formulas in known.values():
        for formula in formulas:
            yield formula, EXPERIMENTAL


def _index(folder: Path) -> list[dict[str, str]]:
    with (folder / "index.csv").open(encoding="utf-8", newline="") as file:
        return sorted(csv.DictReader(file), key=lambda row: row["file"])


def rows(energies: Mapping[str, float], reports: Mapping[str, str]) -> list[Row]:
    """Make the rows of the table: elements, then by formula."""
    made = [
        Row(
            formula=display_formula(integer_amounts(parse_formula(name))),
            formation_energy=round(energy, DIGITS) + 0.0,
            reported=name in reports,
            source="; ".join(filter(None, [ENERGY, reports.get(name)])),
        )
        for name, energy in near_hull(energies).items()
    ]
    count = {row.formula: len(parse_formula(row.formula)) for row in made}
    return sorted(made, key=lambda row: (count[row.formula] > 1, row.formula))


def text(table: Iterable[Row]) -> str:
    """Write the table as it is shipped."""
    lines = [",".join(Row._fields)]
    lines += [
        f"{row.formula},{row.formation_energy:g},{int(row.reported)},"
        + (f'"{row.source}"' if "," in row.source else row.source)
        for row in table
    ]
    return HEAD + "\n".join(lines) + "\n"


def table(data: Path = DATA) -> str:
    """Make the whole table from the folder of data."""
    path = data / "hull" / "formation_energies_roost.json.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        energies = json.load(file)
    return text(rows(energies, reported(data)))


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=TABLE)
    asked = parser.parse_args()
    made = table(asked.data)
    asked.out.write_text(made, encoding="utf-8")
    print(f"{made.count(chr(10)) - HEAD.count(chr(10)) - 1:,} rows in {asked.out}")


if __name__ == "__main__":
    main()
