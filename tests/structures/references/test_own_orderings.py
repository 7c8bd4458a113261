from __future__ import annotations

from fractions import Fraction

import pytest
from pymatgen.core import Lattice, Structure

from hts_battery.errors import ConfigurationError
from hts_battery.structures.ewald import pair_energies
from hts_battery.structures.references.own_orderings import lowest_own_orderings


def rocksalt(cations: dict[str, float]) -> Structure:
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.1), [cations, "O2-"], [[0, 0, 0], [0.5] * 3]
    )


@pytest.mark.physics
def test_one_to_one_orders_as_gamma_lifeo2() -> None:
    """The lowest electrostatic ordering of LiMO2 on rock salt is I4_1/amd."""
    found = lowest_own_orderings(
        rocksalt({"Li+": 0.5, "Co3+": 0.5}), {}, results=3, largest=16
    )
    energies = [one.energy for one in found]
    assert energies == sorted(energies)
    assert found[0].structure.get_space_group_info()[1] == 141
    for one in found:
        assert one.structure.composition.reduced_formula == "LiCoO2"
        charges = [site.specie.oxi_state for site in one.structure]
        vectors = one.structure.frac_coords
        matrix = pair_energies(
            one.structure.lattice.matrix,
            (vectors[:, None] - vectors[None]).reshape(-1, 3),
        ).reshape(len(charges), -1)
        total = sum(
            a * matrix[i, j] * b
            for i, a in enumerate(charges)
            for j, b in enumerate(charges)
        )
        assert one.energy == pytest.approx(total / len(charges), abs=1e-6)


def test_vacancies_and_species_of_one_charge() -> None:
    structure = rocksalt({"Li+": 0.25, "Mn3+": 0.25, "Co3+": 0.25})
    with pytest.raises(ConfigurationError, match="add up to -1/4"):
        lowest_own_orderings(structure, {}, results=1, largest=16)
    (found,) = lowest_own_orderings(
        rocksalt({"Li+": 0.5, "Mn3+": 0.25, "Co3+": 0.25}), {}, results=1, largest=16
    )
    assert found.structure.composition.reduced_formula == "Li2MnCoO4"
    empty = rocksalt({"Mn4+": 0.5})
    (found,) = lowest_own_orderings(empty, {}, results=1, largest=12)
    assert found.structure.composition.reduced_formula == "MnO2"
    # Fractions of a charge, stated by the user.
    mean = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.1), [{"Li": 0.5, "Mn": 0.5}, "O"], [[0] * 3, [0.5] * 3]
    )
    states = {"Li": Fraction(1, 2), "Mn": Fraction(7, 2), "O": Fraction(-2)}
    (found,) = lowest_own_orderings(mean, states, results=1, largest=8)
    assert {site.specie.oxi_state for site in found.structure} == {0.5, 3.5, -2}


def test_sites_that_share_one_charge_are_only_shuffled() -> None:
    structure = rocksalt({"Mg2+": 0.5, "Ni2+": 0.5})
    found = lowest_own_orderings(structure, {}, results=3, largest=8)
    assert len(found) == 1
    assert found[0].structure.composition.reduced_formula == "MgNiO2"


@pytest.mark.parametrize(
    ("structure", "says"),
    [
        (rocksalt({"Li+": 0.49, "Co3+": 0.51}), "add up to"),
        (rocksalt({"Li": 0.5, "Co": 0.5}), "no oxidation state of Co, Li"),
        (
            rocksalt({"Li+": 0.51, "Co3+": 0.47, "Ti4+": 0.02}),
            "the smallest cell that holds it exactly has 200 atoms",
        ),
    ],
)
def test_what_cannot_be_ordered_says_why(structure: Structure, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        lowest_own_orderings(structure, {}, results=1)
