from __future__ import annotations

import pytest

from hts_battery.structures.references.library import (
    load_reference_phases,
    reference_phase,
    reference_structure,
)
from hts_battery.structures.references.site_properties import reference_moments


def by_element(phase_id: str) -> dict[str, set[float]]:
    phase = reference_phase(phase_id)
    moments = reference_moments(phase)
    assert moments is not None
    found: dict[str, set[float]] = {}
    for site, moment in zip(reference_structure(phase), moments, strict=True):
        found.setdefault(site.specie.symbol, set()).add(moment)
    return found


@pytest.mark.parametrize(
    ("phase_id", "expected"),
    [
        ("MnO-rocksalt", {"Mn": {5.0}, "O": {0.0}}),
        ("MnO2-rutile", {"Mn": {3.0}, "O": {0.0}}),
        ("Mn3O4-hausmannite", {"Mn": {5.0, 4.0}, "O": {0.0}}),
        ("LiMn2O4-spinel", {"Li": {0.0}, "Mn": {3.5}, "O": {0.0}}),
        ("Ti2O3-corundum", {"Ti": {1.0}, "O": {0.0}}),
        ("TiO-rocksalt", {"Ti": {2.0}, "O": {0.0}}),
        ("Li3MnO4-lithium-phosphate-beta", {"Li": {0.0}, "Mn": {2.0}, "O": {0.0}}),
        ("SnF2-rutile", {"Sn": {0.0}, "F": {0.0}}),
        ("TiO2-rutile", {"Ti": {0.0}, "O": {0.0}}),
        ("O-alpha", {"O": {1.0}}),
        ("Li2O2-lithium-peroxide", {"Li": {0.0}, "O": {0.0}}),
        ("LiO2-marcasite", {"Li": {0.0}, "O": {0.5}}),
    ],
)
def test_moments_follow_the_species(
    phase_id: str, expected: dict[str, set[float]]
) -> None:
    assert by_element(phase_id) == expected


def test_two_sites_of_one_element_keep_their_own_moments() -> None:
    # Two tetrahedral Mn2+ and four octahedral Mn3+ in the primitive cell.
    moments = reference_moments(reference_phase("Mn3O4-hausmannite"))
    assert moments is not None
    assert sorted(moments, reverse=True)[:6] == [5, 5, 4, 4, 4, 4]


def test_every_phase_has_one_moment_an_atom_and_metals_have_none() -> None:
    phases = load_reference_phases()
    for phase in phases[:: max(1, len(phases) // 60)]:
        moments = reference_moments(phase)
        if moments is not None:
            assert len(moments) == len(reference_structure(phase))
            assert min(moments) >= 0
    assert reference_moments(reference_phase("Li-bcc")) is None
