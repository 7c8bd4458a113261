"""Tables of formulas and energies as frames that rules can be mined from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, get_args

import pandas as pd

from hts_battery.compositions.candidate_descriptors import candidate_descriptors
from hts_battery.compositions.descriptors import (
    DescriptorName,
    is_metal,
    neutral_species,
)
from hts_battery.compositions.radii import octahedral_radius
from hts_battery.errors import CompositionError, ConfigurationError
from hts_battery.learning.tables import CONVENTIONS
from hts_battery.schemas.formula import parse_formula
from hts_battery.schemas.species import parse_species

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from fractions import Fraction

    from hts_battery.schemas.rules import RuleTable

ROLES = {
    "redox_centre_distance": "redox centre",
    "charge_compensator_distance": "charge compensator",
}
"""Descriptor → role of the metals that the filter ``reported-radius`` is about."""
DESCRIPTORS: tuple[str, ...] = (*get_args(DescriptorName), *ROLES)
"""Columns that rules are mined of."""
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
    rows: list[dict[str, float | None]] = []
    species: list[Mapping[str, Fraction]] = []
    unreadable: dict[str, str] = {}
    for formula in formulas:
        try:
            here = neutral_species(parse_formula(formula))
            rows.append(_numbers(here))
            species.append(here)
        except CompositionError as err:
            unreadable[formula] = str(err)
            rows.append({})
            species.append({})
    frame = pd.DataFrame(rows, columns=list(DESCRIPTORS), dtype=float)
    return _labelled(frame, energies, species)._replace(unreadable=unreadable)


def _numbers(species: Mapping[str, Fraction]) -> dict[str, float | None]:
    found = candidate_descriptors(species)
    return {
        name: None if isinstance(value, str) else value
        for name, value in found.items()
        if name in DESCRIPTORS
    }


def _labelled(
    frame: pd.DataFrame,
    energies: Sequence[float],
    species: Sequence[Iterable[str]],
) -> DescribedTable:
    """Add labels, the set of metals, and a column for each metal."""
    without: dict[str, int] = {}
    held = []
    for here in species:
        metals = [one for one in here if is_metal(one)]
        held.append({parse_species(one).element for one in metals})
        for one in metals:
            if octahedral_radius(one) is None:
                without[one] = without.get(one, 0) + 1
    values = pd.Series(energies, dtype=float)
    elements = sorted(set().union(*held))
    added: dict[str, object] = {
        STABLE: (values <= 0).astype(object).where(values.notna()),
        METALS: ["-".join(sorted(one)) or None for one in held],
        **{element: [element in one for one in held] for element in elements},
    }
    labelled = pd.concat([frame, pd.DataFrame(added, index=frame.index)], axis=1)
    return DescribedTable(labelled, elements, {}, without)


def described_campaign(
    rows: pd.DataFrame, *, energy: str, species: str = "species"
) -> DescribedTable:
    """
    Label the candidates of one campaign, whose descriptors a build has made.

    Parameters
    ----------
    rows
        Descriptors as columns, ``species``: a list of the species of each candidate,
        and columns that say what energies mean.
    energy
        Column of energies above the hull at one temperature, eV/atom.

    Raises
    ------
    ConfigurationError
        If the build has no descriptors.
    """
    names = [name for name in DESCRIPTORS if name in rows.columns]
    frame = rows[names].astype(float).reset_index(drop=True)
    if frame.empty or frame.isna().all().all():
        raise ConfigurationError(
            "no candidate has descriptors: run `hts build descriptors`, then "
            "`hts build summary-table`"
            if len(rows)
            else "the campaign has no candidate that was assessed: run `hts build all`"
        )
    held = [list(one) for one in rows[species]]
    found = _labelled(frame, rows[energy].astype(float).tolist(), held)
    return found._replace(frame=_with_conventions(found.frame, rows))


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
    return found._replace(frame=_with_conventions(found.frame, table))


def _with_conventions(frame: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    kept = [name for name in CONVENTIONS if name in table.columns]
    return frame.assign(**{name: table[name].to_numpy() for name in kept})


def filter_blocks(report: RuleTable) -> list[dict[str, object]]:
    """
    Return filters of a campaign file with the bounds of the supported rules.

    Of a rule that says where stability is lowest there is no window to keep to.
    """
    blocks: list[dict[str, object]] = []
    for rule in report.rules:
        name = rule.columns[0]
        valley = rule.form == "window" and (rule.odds_ratio or 1) < 1
        bounds = {"minimum": rule.lower, "maximum": rule.upper}
        known = {key: round(end, 4) for key, end in bounds.items() if end is not None}
        if rule.verdict not in ("supported", "separates") or valley or not known:
            continue
        if name in ROLES and "maximum" in known and "minimum" not in known:
            distance: dict[str, object] = {"rule": "reported-radius"}
            tolerance = {"role": ROLES[name], "tolerance": known["maximum"]}
            blocks.append(distance | tolerance)
        elif name in get_args(DescriptorName):
            window: dict[str, object] = {"rule": "descriptor-window"}
            blocks.append(window | {"descriptor": name} | known)
    return blocks


def lost_by(
    blocks: Sequence[Mapping[str, object]], known: Sequence[str]
) -> dict[str, str]:
    """
    Return which known compounds filters would lose, and by which descriptor.

    One that has no such descriptor is lost as well, as it would be in a campaign.

    Examples
    --------
    >>> block = {"descriptor": "carrier_amount", "maximum": 2.0}
    >>> lost_by([block], ["NaZr2(PO4)3", "Na3Zr2Si2PO12"])
    {'Na3Zr2Si2PO12': 'carrier_amount 3 is above 2'}
    """
    lost: dict[str, str] = {}
    for formula in known:
        try:
            found = candidate_descriptors(neutral_species(parse_formula(formula)))
        except CompositionError as err:
            lost[formula] = str(err)
            continue
        reasons = (_lost_by(block, found) for block in blocks)
        why = next(filter(None, reasons), None)
        if why:
            lost[formula] = why
    return lost


def _lost_by(
    block: Mapping[str, object], found: Mapping[str, float | str]
) -> str | None:
    """Say by which bound of one filter a composition is lost."""
    by_role = {role: name for name, role in ROLES.items()}
    name = str(block.get("descriptor") or by_role[str(block["role"])])
    value = found[name]
    low, high = block.get("minimum"), block.get("maximum", block.get("tolerance"))
    if isinstance(value, str):
        return f"{name}: {value}"
    if isinstance(low, float) and value < low:
        return f"{name} {value:.4g} is below {low:g}"
    if isinstance(high, float) and value > high:
        return f"{name} {value:.4g} is above {high:g}"
    return None
