"""The published NASICON table with exact descriptors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest
from learning.planted_tables import METALS

from hts_battery.learning.descriptors import composition_descriptors
from hts_battery.schemas.formula import parse_formula

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def published(shared_data: Path) -> pd.DataFrame:
    """3,104 rows of 10.1038/s41467-021-26006-3 as they are."""
    found: pd.DataFrame = pd.read_csv(shared_data / "nasicon_2021" / "compositions.csv")
    return found


@pytest.fixture(scope="session")
def nasicon(published: pd.DataFrame) -> pd.DataFrame:
    """Exact descriptors, whether accessible at 1000 K, the set of metals."""
    formulas = [parse_formula(text) for text in published.CompName]
    found = pd.DataFrame([composition_descriptors(text) for text in published.CompName])
    found["stable"] = published.NewEhullLst <= 0
    for metal in METALS:
        found[metal] = [metal in amounts for amounts in formulas]
    found["metals"] = [
        "-".join(metal for metal in METALS if metal in amounts) for amounts in formulas
    ]
    found["polyanions"] = [
        "+".join(one for one in ("P", "S", "Si") if one in amounts)
        for amounts in formulas
    ]
    found["mixed"] = found.polyanions.str.contains("+", regex=False)
    return found
