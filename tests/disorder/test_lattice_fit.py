"""Fits of lattice models: planted truths, public DFT energies, poisoned sets."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from monty.json import MontyDecoder

from hts_battery.disorder import LatticeModel, fit_lattice_model, lattice_cell
from hts_battery.errors import OrderingError

if TYPE_CHECKING:
    from pymatgen.core import Structure

SHARED = Path(__file__).parents[3] / "shared" / "data" / "disorder"
TRUE = {
    ("Li+", "Mn3+"): [0.03, -0.01],
    ("Li+", "Ti4+"): [0.02, 0.015],
    ("Mn3+", "Ti4+"): [-0.01, 0.005],
    ("Mn3+", "F-"): [0.04],
    ("Ti4+", "F-"): [0.06],
}
"""Relative to lithium beside fluorine, and to oxygen beside anything."""


@pytest.fixture(scope="module")
def cells() -> list[Structure]:
    """Neutral cells of several shapes and compositions."""
    found = []
    for number in range(150):
        lithium, fluorine = (0.5, 0.625, 0.75)[number % 3], (0, 0.25)[number // 3 % 2]
        titanium = 2 - fluorine - lithium - 3 * (1 - lithium)
        manganese = 1 - lithium - titanium
        if min(titanium, manganese) < 0:
            continue
        cations = {"Li": lithium, "Mn3+": manganese, "Ti4+": titanium}
        mix = {
            "cation": {name: share for name, share in cations.items() if share},
            "anion": {"O": 1 - fluorine} | ({"F": fluorine} if fluorine else {}),
        }
        size = (2, (1, 2, 2), (2, 1, 3))[number % 4 % 3]
        cell = lattice_cell("rocksalt", mix, size, seed=number)
        if abs(cell.charge) < 1e-3:
            found.append(cell)
    return found


@pytest.mark.physics
def test_what_made_the_energies_is_found_again(cells: list[Structure]) -> None:
    model = LatticeModel.from_pairs("rocksalt", TRUE, dielectric=20.0)
    fit = fit_lattice_model(cells, [model.energy(cell) for cell in cells])
    assert fit.dielectric == pytest.approx(20, rel=1e-6)
    for (one, other), values in TRUE.items():
        found = fit.model.pairs[tuple(sorted((one, other)))]
        assert found == pytest.approx(values, abs=1e-6)
    other = lattice_cell(
        "rocksalt", {"cation": {"Li": 0.5, "Mn3+": 0.5}, "anion": {"O": 1}}, 3
    )
    swapped = lattice_cell(
        "rocksalt", {"cation": {"Li": 0.5, "Mn3+": 0.5}, "anion": {"O": 1}}, 3, seed=1
    )
    change = model.energy(swapped) - model.energy(other)
    found = fit.model.energy(swapped) - fit.model.energy(other)
    assert found == pytest.approx(change, abs=1e-5)
    assert not fit.refused
    assert fit.rank <= fit.features


@pytest.mark.physics
def test_noise_leaves_the_dielectric_constant(cells: list[Structure]) -> None:
    """Five meV/atom, 150 cells at most: within a tenth."""
    model = LatticeModel.from_pairs("rocksalt", TRUE, dielectric=20.0)
    random = np.random.default_rng(1)
    noisy = [model.energy(c) + 0.005 * len(c) * random.normal() for c in cells]
    fit = fit_lattice_model(cells, noisy)
    assert fit.dielectric == pytest.approx(20, rel=0.1)
    assert 0.003 < fit.absolute_error <= fit.error < 0.02
    assert 0 < fit.swap_error < 0.5


@pytest.mark.physics
def test_public_dft_energies_of_oxyfluorides() -> None:
    file = SHARED / "li_mn_o_f_dft_entries.json.gz"
    if not file.exists():
        pytest.skip("no shared data here")
    entries = MontyDecoder().process_decoded(
        json.loads(gzip.decompress(file.read_bytes()))
    )
    equal = [
        entry
        for entry in entries
        if 2 * sum(site.specie.oxi_state > 0 for site in entry.structure)
        == len(entry.structure)
    ]
    assert len(equal) == 337
    fit = fit_lattice_model([e.structure for e in equal], [e.energy for e in equal])
    assert len(fit.used) >= 134
    assert len(fit.used) + len(fit.refused) == len(equal)
    reasons = Counter(why.split(":")[0] for why in fit.refused.values())
    assert reasons == {"left the parent lattice": 66, "another state": 3}
    assert fit.absolute_error <= 0.025
    assert fit.error <= 0.035
    assert 5 < fit.dielectric < 60


def test_poisoned_cells_are_refused_with_their_reason(cells: list[Structure]) -> None:
    model = LatticeModel.from_pairs("rocksalt", TRUE, dielectric=20.0)
    poisoned = [cell.copy() for cell in cells[:30]]
    energies = [model.energy(cell) for cell in poisoned]
    poisoned[3].scale_lattice(1.9 * len(poisoned[3]))
    poisoned[5].scale_lattice(25 * len(poisoned[5]))
    poisoned[7].remove_oxidation_states()
    poisoned[8].replace(0, "Mn4+" if poisoned[8][0].specie.symbol != "Ti" else "Li+")
    energies[9] = float("nan")
    poisoned[11].perturb(1.5)
    fit = fit_lattice_model(poisoned, energies)
    assert {number: why.split(":")[0] for number, why in fit.refused.items()} == {
        3: "collapsed",
        5: "swelled",
        7: "without oxidation states",
        8: "not neutral by its oxidation states",
        9: "its energy is no number",
        11: "left the parent lattice",
    }
    assert len(fit.used) == 24


def test_electrostatics_never_attract_like_charges(cells: list[Structure]) -> None:
    """Energies of the other sign: 1/epsilon stays at zero."""
    model = LatticeModel.from_pairs("rocksalt", {}, dielectric=20.0)
    fit = fit_lattice_model(cells, [-model.energy(cell) for cell in cells])
    assert fit.dielectric is None


def test_too_few_cells_are_refused(cells: list[Structure]) -> None:
    with pytest.raises(OrderingError, match="one each"):
        fit_lattice_model(cells[:10], [0.0] * 9)
    with pytest.raises(
        OrderingError, match=r"3 cells of \d compositions are left of 3"
    ):
        fit_lattice_model(cells[:3], [0.0] * 3)
