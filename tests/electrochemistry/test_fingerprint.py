"""All 3,881 compositions of a published screening on the kept energies, as one digest."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hts_battery.compositions import load_space
from hts_battery.electrochemistry import interface_reaction, stability_window

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.thermo import Hull

COUNT = 3881


@pytest.fixture(scope="module")
def formulas(project_root: Path) -> list[str]:
    space = load_space(project_root / "workflows" / "campaigns" / "nasicon_2021.yaml")
    return sorted(space[number].formula for number in range(COUNT))


def digest(*columns: np.ndarray) -> str:
    """Digest of numbers to a thousandth; what is missing is a number of its own."""
    whole = [np.nan_to_num(np.round(1000 * one), nan=-1).astype(int) for one in columns]
    return sha256(np.stack(whole).astype("<i8").tobytes()).hexdigest()[:16]


@pytest.mark.physics
def test_windows_of_products(library: Hull, formulas: list[str]) -> None:
    """Energies left out: each is moved onto the hull."""
    found = stability_window(library, formulas, carrier="Na")
    empty = np.array(["Na" not in formula for formula in formulas])
    assert not np.isnan(found.reduction).any()
    assert np.isnan(found.oxidation).tolist() == empty.tolist()
    assert empty.sum() == 296
    shares = [0, 0.1, 0.5, 0.9, 1]
    reduction = np.quantile(found.reduction, shares).round(4).tolist()
    oxidation = np.quantile(found.oxidation[~empty], shares).round(4).tolist()
    assert reduction == [0.6734, 1.4214, 2.1167, 3.5533, 4.0623]
    assert oxidation == [2.927, 3.2563, 3.7924, 4.6101, 5.1191]
    assert digest(found.reduction, found.oxidation) == "fc76a2e6c1be7479"


@pytest.mark.physics
def test_reactions_with_sodium(library: Hull, formulas: list[str]) -> None:
    found = interface_reaction(library, formulas, "Na", carrier="Na")
    range_of = np.quantile(found.mutual, [0, 0.5, 1]).round(4).tolist()
    assert range_of == [-0.8175, -0.3451, -0.0609]
    assert digest(found.mutual, found.fraction) == "83ef00c68145cc57"
