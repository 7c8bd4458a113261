"""Bottlenecks from both sides, and ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from hts_battery.errors import HopError, OrderingError
from hts_battery.structures.descriptors import nasicon_geometry
from hts_battery.structures.site_labels import nasicon_sites
from hts_battery.transport.bottlenecks import bottlenecks, rank_correlation

if TYPE_CHECKING:
    from pymatgen.core import Structure


def test_both_sides_of_sodium_zirconium_phosphate(nzp36: Structure) -> None:
    found = bottlenecks(nzp36)
    assert len(found.area) == 12
    geometry = nasicon_geometry(nzp36, nasicon_sites(nzp36))
    assert found.area.mean() == pytest.approx(geometry.bottleneck_area_mean, abs=1e-5)
    assert found.height_6b.mean() == pytest.approx(
        geometry.tetrahedron_height, abs=1e-5
    )
    assert found.volume_6b.mean() == pytest.approx(
        geometry.tetrahedron_volume, abs=1e-5
    )
    assert (found.height_18e > found.height_6b).all()
    # One triangle is the base of both tetrahedra.
    for side in ("6b", "18e"):
        height = getattr(found, f"height_{side}")
        volume = getattr(found, f"volume_{side}")
        assert np.allclose(3 * volume, found.area * height)
    assert (found.free_radius < 1.0).all()
    assert (found.free_radius > 0.3).all()


def test_numbers_do_not_depend_on_orientation(nzsp40: Structure) -> None:
    cell = nzsp40
    turned = cell.copy()
    turned.make_supercell([[0, 1, 0], [0, 0, 1], [1, 0, 0]])
    for one, other in zip(bottlenecks(cell), bottlenecks(turned), strict=True):
        assert np.sort(one) == pytest.approx(np.sort(other), abs=1e-8)


def test_what_is_no_nasicon_is_refused(nzp36: Structure) -> None:
    nzp36.remove_species(["P"])
    with pytest.raises(OrderingError, match="not a NASICON"):
        bottlenecks(nzp36)


def test_ranks() -> None:
    random = np.random.default_rng(0)
    first = random.normal(size=60)
    found = rank_correlation(first, np.exp(-first))
    assert (found.value, found.n) == (pytest.approx(-1), 60)
    assert found.interval[1] < -0.99
    none = rank_correlation(first, random.normal(size=60))
    low, high = none.interval
    assert low < 0 < high
    assert none.p_value > 0.05
    holes = first.copy()
    holes[:3] = np.nan
    assert rank_correlation(holes, first).n == 57


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ([1, 2, 3], [1, 2, 3], "3 pairs: 4"),
        ([1, 2, 3, 4], [1, 2, 3], "pairs are needed"),
        ([1, 1, 1, 1], [1, 2, 3, 4], "never changes"),
        ([np.nan] * 5, [1, 2, 3, 4, 5], "0 pairs"),
    ],
)
def test_what_has_no_rank_is_refused(
    first: list[float], second: list[float], words: str
) -> None:
    with pytest.raises(HopError, match=words):
        rank_correlation(first, second)
