"""Pair distributions, diffuse planes and the refinement of a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from hts_battery.disorder import (
    diffuse_scattering,
    lattice_cell,
    pair_distribution,
    warren_cowley,
)
from hts_battery.disorder.refinement import (
    MeasuredDistribution,
    read_gr,
    refine,
    write_gr,
)
from hts_battery.disorder.scattering import debye_intensity
from hts_battery.disorder.scattering_powers import scattering_power
from hts_battery.errors import OrderingError, SpecError

if TYPE_CHECKING:
    from pathlib import Path

LI12 = {"cation": {"Li": 0.6, "Mn": 0.2, "Ti": 0.2}, "anion": {"O": 1}}
R = np.arange(0.02, 12, 0.02)


@pytest.fixture(scope="module")
def cell() -> Structure:
    return lattice_cell("rocksalt", LI12, 3, seed=1)


@pytest.mark.physics
def test_negative_lengths_make_the_first_peak_negative(cell: Structure) -> None:
    """Mean length of the cations -2.57 fm; the peak of six oxygens has its weight."""
    found = pair_distribution(cell, R, displacement=0.004)
    density = len(cell) / cell.volume
    cations = 0.6 * -1.9 + 0.2 * -3.73 + 0.2 * -3.438
    assert cations == pytest.approx(-2.57, abs=0.01)
    shares = [(s.specie.symbol, 1) for s in cell]
    lengths = {e: float(scattering_power(e, "neutron")) for e, _ in shares}
    metals = np.mean([lengths[e] for e, _ in shares if e != "O"])
    near = (R > 1.4) & (R < 2.6)
    radial = R * found.values + 4 * np.pi * R**2 * density
    weight = np.sum(radial[near]) * 0.02
    right = 6 * metals * lengths["O"] / found.mean_power**2
    assert weight == pytest.approx(right, rel=1e-3)
    assert found.values[np.argmin(abs(R - 2.1))] < 0


def test_the_slope_at_small_distances_is_the_density(cell: Structure) -> None:
    found = pair_distribution(cell, R)
    slope = found.values[:40] / R[:40]
    assert slope == pytest.approx(-4 * np.pi * len(cell) / cell.volume, rel=1e-12)


@pytest.mark.parametrize("radiation", ["neutron", "xray", "electron"])
def test_partials_add_up(cell: Structure, radiation: str) -> None:
    found = pair_distribution(cell, R, radiation=radiation)
    assert sum(found.partials.values()) == pytest.approx(found.values, abs=1e-12)
    assert found.partials["O", "Li"] is found.partials["Li", "O"]


def test_a_supercell_scatters_as_its_cell(cell: Structure) -> None:
    double = cell.copy()
    double.make_supercell([[1, 1, 0], [0, 1, 0], [0, 0, 2]])
    first, second = (pair_distribution(one, R[::5]).values for one in (cell, double))
    assert second == pytest.approx(first, abs=1e-9)


@pytest.mark.physics
@pytest.mark.parametrize("radiation", ["neutron", "xray"])
def test_the_zone_sums_to_the_laue_unit(radiation: str) -> None:
    mix = {"cation": {"Li": 0.6, "Mn": 0.4}, "anion": {"O": 1}}
    structure = lattice_cell("rocksalt", mix, 6, seed=3)
    found = diffuse_scattering(structure, "hkl", radiation=radiation)
    if radiation == "neutron":
        assert np.nansum(found.intensity) / found.intensity.size == pytest.approx(1)
        share = np.mean([s.specie.symbol == "Li" for s in structure][:864])
        assert found.laue == pytest.approx(share * (1 - share) * 1.83**2, rel=1e-9)
    assert found.intensity.shape == (12, 12, 12)
    assert np.isnan(found.intensity[0, 0, 0])
    assert np.isnan(found.intensity[6, 6, 6])
    assert not np.isnan(found.intensity[6, 0, 0])  # no Bragg point of a random alloy
    plane = diffuse_scattering(structure, "hk0", radiation=radiation)
    assert plane.intensity == pytest.approx(found.intensity[:, :, 0], nan_ok=True)
    assert plane.h.tolist() == [n / 6 for n in range(12)]


@pytest.mark.physics
def test_the_inverse_transform_is_the_order_parameter() -> None:
    mix = {"cation": {"Li": 0.6, "Mn": 0.4}, "anion": {"O": 1}}
    structure = lattice_cell("rocksalt", mix, 6, seed=8)
    found = diffuse_scattering(structure, "hkl")
    alpha = np.fft.ifftn(np.nan_to_num(found.intensity)).real
    shells = [
        [(1, 1, 0), (1, 0, 1), (0, 1, 1), (1, -1, 0), (1, 0, -1), (0, 1, -1)],
        [(2, 0, 0), (0, 2, 0), (0, 0, 2)],
    ]
    right = warren_cowley(structure, shells=2)["Li", "Mn"]
    for steps, value in zip(shells, right, strict=True):
        mean = np.mean([alpha[step] for step in steps])
        assert mean == pytest.approx(value, abs=1e-10)


def test_only_whole_cubic_cells_have_a_plane() -> None:
    mix = {"cation": {"Li": 0.5, "Mn": 0.5}, "anion": {"O": 1}}
    with pytest.raises(OrderingError, match="whole conventional cubic cells"):
        diffuse_scattering(lattice_cell("layered", mix, 2))
    with pytest.raises(OrderingError, match="nothing is diffuse"):
        diffuse_scattering(
            lattice_cell("rocksalt", {"cation": {"Mn": 1}, "anion": {"O": 1}}, 2)
        )
    with pytest.raises(OrderingError, match="no plane 'hhl'"):
        diffuse_scattering(lattice_cell("rocksalt", mix, 2), "hhl")


def test_the_lattice_counts_not_where_its_sites_are_written() -> None:
    mix = {"cation": {"Li": 0.6, "Mn": 0.4}, "anion": {"O": 0.9, "F": 0.1}}
    structure = lattice_cell("rocksalt", mix, 4, seed=2)
    right = diffuse_scattering(structure, "hkl").intensity
    order = np.random.default_rng(0).permutation(len(structure))
    moved = Structure(
        structure.lattice,
        [structure[int(i)].specie for i in order],
        structure.frac_coords[order] + [0.21, 0.37, 0.05],
    )
    assert diffuse_scattering(moved, "hkl").intensity == pytest.approx(
        right, nan_ok=True, abs=1e-9
    )


def test_debye_sum_of_two_atoms() -> None:
    waves = np.array([0.5, 1.0, 3.0])
    found = debye_intensity(
        np.array([[0, 0, 0], [2.0, 0, 0]]), np.array([1.0, 3.0]), waves
    )
    assert found == pytest.approx(10 + 6 * np.sin(2 * waves) / (2 * waves))


@pytest.mark.physics
def test_debye_sum_of_a_sphere_is_twice_debyecalculators(tmp_path: Path) -> None:
    """515 atoms of rock salt, neutrons; it counts every pair once."""
    peer = pytest.importorskip("debyecalculator", reason="DebyeCalculator is missing")
    grid = np.array(list(np.ndindex(11, 11, 11))) - 5
    sphere = grid[(grid**2).sum(axis=1) <= 5**2]
    assert len(sphere) == 515
    names = np.where(sphere.sum(axis=1) % 2 == 0, "Mn", "O")
    file = tmp_path / "sphere.xyz"
    rows = [
        f"{name} {x} {y} {z}"
        for name, (x, y, z) in zip(names, 2.1 * sphere, strict=True)
    ]
    file.write_text("\n".join(["515", "", *rows]) + "\n", encoding="utf-8")
    calculator = peer.DebyeCalculator(
        qmin=1, qmax=20, qstep=0.1, biso=0.0, radiation_type="neutron", device="cpu"
    )
    q, right = map(np.asarray, calculator.iq(str(file)))
    lengths = {"Mn": -3.73, "O": 5.803}
    powers = np.array([lengths[name] for name in names])
    found = debye_intensity(2.1 * sphere, powers, q)
    assert found == pytest.approx(2 * right, rel=1e-5, abs=1e-5 * found.max())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: pair_distribution(c, [0.0, 1.0]), "must be positive"),
        (lambda c: pair_distribution(c, [float("nan")]), "must be positive"),
        (lambda c: pair_distribution(c, R, displacement=0), "must be positive"),
        (lambda c: pair_distribution(c, R, radiation="light"), "no radiation 'light'"),
        (lambda _: scattering_power("Xx", "xray"), "no xray scattering power of 'Xx'"),
    ],
)
def test_what_cannot_be_is_refused(cell: Structure, call, message: str) -> None:  # noqa: ANN001
    with pytest.raises(OrderingError, match=message):
        call(cell)


def test_a_refinement_returns_what_made_the_data(tmp_path: Path) -> None:
    """Cell 1 % larger, another scale and motion, damped, with noise; by its file."""
    structure = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.17), ["Mn", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    stretched = structure.copy()
    stretched.scale_lattice(structure.volume * 1.01**3)
    r = np.arange(1.5, 15, 0.02)
    made = pair_distribution(stretched, r, displacement=0.008).values
    random = np.random.default_rng(1)
    noisy = 0.8 * made * np.exp(-((r * 0.03) ** 2) / 2) + random.normal(0, 0.02, len(r))
    write_gr(tmp_path / "mno.gr", r, noisy, title="made up\nfor a test")
    measured = read_gr(tmp_path / "mno.gr")
    assert measured.distances == pytest.approx(r)
    found = refine(structure, measured)
    values = (found.scale, found.cell, found.displacement, found.damping)
    for value, error, right in zip(
        values, found.standard_errors, (0.8, 1.01, 0.008, 0.03), strict=True
    ):
        assert abs(value - right) < 5 * error
        assert error < 0.02 * right
    assert found.residual < 0.05


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#### start data\n#S 1\n1.0 2.0\nx y\n", r"a\.gr:4: 'x y' is not two numbers"),
        ("1.0 2.0\n0.5 1.0\n", r"a\.gr:2: r = 0.5 after 1: distances must grow"),
        ("# nothing\n", "no line with r and G"),
        ("1.0\n", r"a\.gr:1: '1.0' is not two numbers"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "a.gr"
    file.write_text(text)
    with pytest.raises(SpecError, match=message):
        read_gr(file)
    with pytest.raises(SpecError, match="too few"):
        refine(
            Structure(Lattice.cubic(4), ["Mn"], [[0, 0, 0]]),
            MeasuredDistribution(R[:3], R[:3]),
        )


def test_other_columns_and_words_before_the_data_are_passed_over(
    tmp_path: Path,
) -> None:
    file = tmp_path / "b.gr"
    file.write_text(
        "[DEFAULT]\nversion = pdfgetx3\n\n#### start data\n#L r G dr dG\n"
        "0.0 0.0 0 0\n0.1 -0.5 0 0.01\n0.2 -1.0 0 0.01\n"
    )
    assert read_gr(file).values.tolist() == [-0.5, -1.0]
