from __future__ import annotations

import pytest

from hts_battery.errors import OrderingError
from hts_battery.structures.prototypes import load_prototype
from hts_battery.structures.radii import ionic_radius, lattice_scale

ROCKSALT = load_prototype("rocksalt")


@pytest.mark.physics
@pytest.mark.parametrize(
    ("species", "coordination", "radius"),
    [
        ("Li+", 6, 0.76),
        ("Mn3+", 6, 0.645),
        ("Co3+", 6, 0.545),  # low spin
        ("Ni3+", 6, 0.56),  # low spin
        ("Nb5+", 6, 0.64),
        ("P5+", 4, 0.17),
        ("O2-", 6, 1.40),
        ("F-", 6, 1.33),
    ],
)
def test_radii_are_shannons(species: str, coordination: int, radius: float) -> None:
    assert ionic_radius(species, coordination) == radius


def test_a_missing_coordination_or_charge_takes_the_nearest() -> None:
    assert ionic_radius("Na+", 20) == ionic_radius("Na+", 12)
    assert ionic_radius("Fe5+", 6) == ionic_radius("Fe4+", 6)


def test_an_element_without_radius_is_refused() -> None:
    with pytest.raises(OrderingError, match="no ionic radius of He"):
        ionic_radius("He+", 6)


@pytest.mark.physics
@pytest.mark.parametrize(
    ("cation", "edge"),
    [("Ni2+", 4.178), ("Co2+", 4.263), ("Mn2+", 4.446), ("Ca2+", 4.811)],
)
def test_binary_oxides_start_within_two_percent(cation: str, edge: float) -> None:
    """Edges: bunsenite, CoO, manganosite, lime; R. W. G. Wyckoff as in COD."""
    counts = {"cation": {cation: 1}, "anion": {"O2-": 1}}
    assert 4.2112 * lattice_scale(ROCKSALT, counts) == pytest.approx(edge, rel=0.02)


def test_an_empty_sublattice_takes_the_reference() -> None:
    layered = load_prototype("layered")
    empty = {"alkali": {"Vac": 1}, "metal": {"Mg2+": 1}, "oxygen": {"O2-": 2}}
    assert lattice_scale(layered, empty) == 1
