"""Tables of formulas and energies as frames that rules can be mined from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, get_args

import pandas as pd

from hts_battery.compositions.descriptors import (
    DescriptorName,
    composition_descriptors,
    is_metal,
    neutral_species,
    species_without_radius,
)
from hts_battery.errors import CompositionError, ConfigurationError
from hts_battery.learning.tables import CONVENTIONS
from hts_battery.schemas.formula import parse_formula
from hts_battery.schemas.species import parse_species

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hts_battery.schemas.rules import RuleTable

DESCRIPTORS: tuple[str, ...] = get_args(DescriptorName)
STABLE, METALS = "stable", "metals"


class DescribedTable(NamedTuple):
    """Descriptors, labels, metals and sets of metals of formulas."""

    frame: pd.DataFrame
    elements: list[str]
    unreadable: dict[str, str]
    """Formula → why it has no descriptors; its row has none."""
    without_radius: dict[str, int]
    """Species without an octahedral radius → rows that hold it."""


def describe(formulas: Sequence[str], energies: Sequence[float]) -> DescribedTable:
    """
    Describe formulas and label them stable where the energy is not above zero.

    Parameters
    ----------
    formulas
        One a row; one that cannot be read keeps its row, without values.
    energies
        Energies above the hull, of one temperature, in any unit; NaN: no label.

    Examples
    --------
    >>> table = describe(["NaZr2(PO4)3", "Na3Zr2Si2PO12"], [-0.01, 0.02])
    >>> table.frame.stable.tolist(), table.frame.metals.tolist(), table.elements
    ([True, False], ['Zr', 'Zr'], ['Zr'])
    """
    rows: list[dict[str, float]] = []
    held: list[set[str]] = []
    unreadable: dict[str, str] = {}
    without: dict[str, int] = {}
    for formula in formulas:
        try:
            species = neutral_species(parse_formula(formula))
            rows.append(composition_descriptors(species))
        except CompositionError as err:
            unreadable[formula] = str(err)
            rows.append({})
            held.append(set())
            continue
        held.append({parse_species(one).element for one in species if is_metal(one)})
        for one in species_without_radius(species):
            without[one] = without.get(one, 0) + 1
    frame = pd.DataFrame(rows, columns=list(DESCRIPTORS))
    values = pd.Series(energies, dtype=float)
    frame[STABLE] = (values <= 0).astype(object).where(values.notna())
    frame[METALS] = ["-".join(sorted(one)) or None for one in held]
    elements = sorted(set().union(*held))
    present = {element: [element in one for one in held] for element in elements}
    return DescribedTable(
        pd.concat([frame, pd.DataFrame(present)], axis=1), elements, unreadable, without
    )


def described_file(table: pd.DataFrame, *, formula: str, energy: str) -> DescribedTable:
    """
    Describe a table with a column of formulas; its conventions of labels are kept.

    Raises
    ------
    ConfigurationError
        If a column is missing, or energies are no numbers.
    """
    for name in (formula, energy):
        if name not in table.columns:
            listed = ", ".join(map(str, table.columns))
            raise ConfigurationError(f"no column {name!r}; there are {listed}")
    energies = pd.to_numeric(table[energy], errors="coerce")
    lost = energies.isna() & table[energy].notna()
    if lost.any():
        raise ConfigurationError(
            f"{energy} is no number in {int(lost.sum())} rows, first "
            f"{table[energy][lost].iloc[0]!r}"
        )
    found = describe(table[formula].astype(str).tolist(), energies.tolist())
    kept = [name for name in CONVENTIONS if name in table.columns]
    frame = found.frame.assign(**{name: table[name].to_numpy() for name in kept})
    return found._replace(frame=frame)


def filter_blocks(report: RuleTable) -> list[dict[str, object]]:
    """
    Return filters of a campaign file with the bounds of the supported rules.

    Of a rule that says where stability is lowest there is no window to keep to.
    """
    blocks: list[dict[str, object]] = []
    for rule in report.rules:
        valley = rule.form == "window" and (rule.odds_ratio or 1) < 1
        bounds = {"minimum": rule.lower, "maximum": rule.upper}
        known = {name: round(end, 4) for name, end in bounds.items() if end is not None}
        if (
            rule.verdict in ("supported", "separates")
            and rule.columns[0] in DESCRIPTORS
            and known
            and not valley
        ):
            block: dict[str, object] = {
                "rule": "descriptor-window",
                "descriptor": rule.columns[0],
            }
            blocks.append(block | known)
    return blocks


def lost_by(
    blocks: Sequence[dict[str, object]], known: Sequence[str]
) -> dict[str, str]:
    """
    Return which known compounds filters would lose, and by which descriptor.

    Examples
    --------
    >>> block = {"descriptor": "carrier_amount", "maximum": 2.0}
    >>> lost_by([block], ["NaZr2(PO4)3", "Na3Zr2Si2PO12"])
    {'Na3Zr2Si2PO12': 'carrier_amount 3 is above 2'}
    """
    lost: dict[str, str] = {}
    for formula in known:
        found = composition_descriptors(formula)
        for block in blocks:
            name = str(block["descriptor"])
            low, high = block.get("minimum"), block.get("maximum")
            if isinstance(low, float) and found[name] < low:
                lost.setdefault(formula, f"{name} {found[name]:.4g} is below {low:g}")
            if isinstance(high, float) and found[name] > high:
                lost.setdefault(formula, f"{name} {found[name]:.4g} is above {high:g}")
    return lost
