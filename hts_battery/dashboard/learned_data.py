"""What pages learn from the candidates of one campaign: rules, effects, formulas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hts_battery.compositions.candidate_descriptors import (
    DESCRIPTORS as ALL_DESCRIPTORS,
)
from hts_battery.dashboard.campaign_numbers import read_numbers
from hts_battery.errors import ConfigurationError
from hts_battery.schemas.field_spec import PROPERTY
from hts_battery.schemas.summary_table import AMOUNTS, listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hts_battery.compositions.reported import ReportedCompound
    from hts_battery.dashboard.latest_build import LatestBuild
    from hts_battery.learning.labelled_frames import DescribedTable
    from hts_battery.learning.rules import RuleReport
    from hts_battery.schemas.rules import ElementEffect

    Array = NDArray[np.float64]

MOST_ROWS = 4000
"""Candidates that a page learns from; of more, as many at random."""
_LABELS = ("calculator", "hull_version")
_HELD = ("Li", "Na", "F")
_STRUCTURE_TYPES = {"hedrx": "disordered rocksalt", "nasicon": "NASICON"}


@dataclass(frozen=True)
class Learned:
    """Candidates of a campaign, described and labelled at a temperature."""

    table: DescribedTable
    formulas: list[str]
    energies: Array
    """E_hull at the temperature, eV/atom."""
    held: dict[str, Array]
    """Amounts of carriers and fluorine per formula unit, where they differ."""
    of: int
    """Candidates that there are."""
    family: str | None
    """Family of the candidates, where they are of one."""

    @property
    def words(self) -> str:
        """Say of how many candidates it is."""
        here = len(self.formulas)
        return f"{here:,} candidates" + (
            f", drawn at random of {self.of:,}" if here < self.of else ""
        )


def learned_rows(
    latest: LatestBuild, campaign: str | None, temperature: float
) -> Learned:
    """
    Read the candidates of a campaign with their descriptors.

    Raises
    ------
    ConfigurationError
        If the build holds no descriptors, or labels of several kinds.
    """
    from hts_battery.learning.labelled_frames import described_campaign  # noqa: PLC0415 - an extra

    stored = latest.table.stored_columns
    names = [one for one in ALL_DESCRIPTORS if f"{PROPERTY}.{one}" in stored]
    amounts = [one for one in _HELD if f"{AMOUNTS}{one}" in stored]
    columns = [f"{PROPERTY}.{one}" for one in names]
    columns += [f"{AMOUNTS}{one}" for one in amounts]
    columns += ["formula", "species", "family", *_LABELS]
    numbers = read_numbers(latest.table, campaign, columns)
    chosen = np.arange(len(numbers))
    if len(chosen) > MOST_ROWS:
        random = np.random.default_rng(0)
        chosen = np.sort(random.choice(len(chosen), MOST_ROWS, replace=False))
    rows = numbers.rows
    frame = pd.DataFrame(
        {name: numbers.array(f"{PROPERTY}.{name}") for name in names}
        | {name: rows[name].to_pylist() for name in ("formula", *_LABELS)}
        | {"species": [listed("species", one) for one in rows["species"].to_pylist()]}
        | {"energy": numbers.at(temperature)}
    ).iloc[chosen]
    if not names:
        raise ConfigurationError(
            "no candidate has descriptors: run `hts build descriptors`, then "
            "`hts build summary-table`"
        )
    held = {name: numbers.amounts(name)[chosen] for name in amounts}
    families = set(rows["family"].to_pylist())
    return Learned(
        described_campaign(frame, energy="energy"),
        frame["formula"].tolist(),
        frame["energy"].to_numpy(dtype=float),
        {name: values for name, values in held.items() if np.ptp(values) > 0},
        len(numbers),
        families.pop() if len(families) == 1 else None,
    )


def reported_like(
    compounds: Sequence[ReportedCompound], family: str | None
) -> tuple[ReportedCompound, ...]:
    """Return the compounds with the structure of a family; all if none has it."""
    wanted = _STRUCTURE_TYPES.get(family or "", "").lower()
    same = [one for one in compounds if one.structure_type.lower() == wanted]
    return tuple(same or compounds)


def mined(rows: Learned) -> RuleReport:
    """Mine the rules of a campaign, pairs of elements beyond single ones among them."""
    from hts_battery.learning.labelled_frames import METALS, STABLE  # noqa: PLC0415 - an extra
    from hts_battery.learning.rules import mine_rules  # noqa: PLC0415 - an extra

    table = rows.table
    return mine_rules(table.frame, STABLE, groups=METALS, elements=table.elements)


def effects(rows: Learned) -> tuple[ElementEffect, ...]:
    """Fit E_hull by the metals of the candidates, carriers and fluorine held."""
    from hts_battery.learning.element_effects import element_effects  # noqa: PLC0415 - an extra

    frame = rows.table.frame
    present = {
        one: frame[one].to_numpy(dtype=bool)
        for one in rows.table.elements
        if 0 < frame[one].sum() < len(frame)
    }
    return element_effects(rows.energies, present, rows.held) if present else ()
