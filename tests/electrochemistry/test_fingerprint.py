"""All 3,881 compositions of a published screening on the kept energies, digested."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hts_battery.compositions import load_space
from hts_battery.electrochemistry import interface_reaction, stability_window
from hts_battery.flows.recipes.references import shipped_energies
from hts_battery.thermo import Hull

if TYPE_CHECKING:
    from pathlib import Path

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


@pytest.mark.physics
def test_phases_of_reduction_decide_a_limit(library: Hull) -> None:
    """Li3P and LiAl beside the kept phases: 0.609 V and -11.5 meV/atom."""
    shipped = {
        one.phase_id: one
        for one in shipped_energies("chgnet", elements={"Li", "P", "Al"}).energies
    }
    phosphide, alloy = shipped["Li3P-P63mmc"], shipped["LiAl-Fd-3m"]
    assert phosphide.energy_per_atom == pytest.approx(-3.39524, abs=1e-5)
    ids, formulas, energies = [], [], []
    for name, (formula, energy) in library.references.items():
        ids.append(name)
        formulas.append(formula)
        energies.append(energy)
    for one in (phosphide, alloy):
        assert one.energy_per_atom is not None
        ids.append(one.phase_id)
        formulas.append(one.formula)
        energies.append(one.energy_per_atom)
    hull = Hull(formulas, energies, ids=ids)
    before = stability_window(library, "Li3PO4", carrier="Li")
    after = stability_window(hull, "Li3PO4", carrier="Li")
    assert before.reduction == pytest.approx(0.4628, abs=1e-4)
    assert after.reduction == pytest.approx(0.609, abs=5e-4)
    assert after.reduction_products == {"Li2O": 4.0, "Li3P": 1.0}
    assert after.oxidation == pytest.approx(before.oxidation, abs=1e-9)
    assert interface_reaction(library, "LiAlO2", "Li", carrier="Li").mutual == 0
    reaction = interface_reaction(hull, "LiAlO2", "Li", carrier="Li")
    assert reaction.mutual == pytest.approx(-0.0115, abs=5e-5)
