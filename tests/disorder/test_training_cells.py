"""Training cells: several shapes and kinds of order, each composition exactly."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from hts_battery.disorder import LatticeModel
from hts_battery.disorder.lattice_features import lattice_features
from hts_battery.disorder.training_cells import (
    annealed,
    cell_shapes,
    feature_count,
    training_cells,
)
from hts_battery.errors import OrderingError

TENTH = Fraction(1, 10)
LMTO = {
    "cation": {"Li+": 12 * TENTH, "Mn3+": 4 * TENTH, "Ti4+": 4 * TENTH},
    "anion": {"O2-": Fraction(2)},
}
UNIT = LatticeModel("rocksalt", {}, dielectric=1.0)


def test_cells_hold_the_composition_and_differ_in_shape_and_kind() -> None:
    cells = training_cells(LMTO, 9, seed=3)
    assert [one.kind for one in cells[:3]] == ["random", "annealed", "electrostatic"]
    for one in cells:
        amounts = one.structure.composition.get_el_amt_dict()
        assert amounts["Li"] == 3 * amounts["Mn"] == 3 * amounts["Ti"]
        assert 20 <= len(one.structure) <= 40
        assert abs(one.structure.charge) < 1e-9
    assert len({one.supercell for one in cells}) == 9
    for kind in ("random", "annealed", "electrostatic"):
        assert len({len(c.structure) for c in cells if c.kind == kind}) > 1
    again = training_cells(LMTO, 9, seed=3)
    assert [one.structure for one in again] == [one.structure for one in cells]


def test_low_electrostatic_cells_are_low() -> None:
    cells = training_cells(LMTO, 12, seed=1)
    mean = {
        kind: np.mean(
            [
                UNIT.energy(one.structure) / len(one.structure)
                for one in cells
                if one.kind == kind
            ]
        )
        for kind in ("random", "annealed", "electrostatic")
    }
    assert mean["electrostatic"] < mean["annealed"] < mean["random"]


def test_several_shapes_tell_more_pairs_apart_than_one() -> None:
    """One shape aliases shells: the issue's rank of 90 in 152."""
    cells = training_cells(LMTO, 24, atoms=(20, 20), seed=0)
    one_shape = [c for c in cells if c.supercell == cells[0].supercell]
    alone = training_cells(LMTO, 60, atoms=(20, 20), seed=5)
    alone = [c for c in alone if c.supercell == alone[0].supercell]
    ranks = []
    for chosen in (cells, [*one_shape, *alone]):
        features = lattice_features([UNIT.state(c.structure) for c in chosen])
        ranks.append(np.linalg.matrix_rank(features.matrix))
    assert ranks[0] >= ranks[1]


def test_the_states_of_a_model_are_lower_than_random_ones() -> None:
    model = LatticeModel.from_pairs("rocksalt", {("Li+", "Ti4+"): [-0.05]})
    own = training_cells(LMTO, 6, model=model, temperature=800.0)
    random = [c for c in training_cells(LMTO, 6) if c.kind == "random"]
    assert [one.kind for one in own] == ["lowest", "sampled"] * 3
    low, high = (
        np.mean([model.energy(c.structure) / len(c.structure) for c in several])
        for several in (own, random)
    )
    assert low < high


def test_annealing_finds_the_ground_state_of_a_small_cell() -> None:
    model = LatticeModel.from_pairs("rocksalt", {("Li+", "Mn3+"): [0.0, -0.1]})
    half = {
        "cation": {"Li+": Fraction(1), "Mn3+": Fraction(1)},
        "anion": LMTO["anion"],
    }
    cell = training_cells(half, 1, atoms=(32, 32), seed=2)[0]
    state = model.state(cell.structure)
    species, energy = annealed(state, np.random.default_rng(0))
    assert energy == pytest.approx(state.energy(species))
    assert energy <= state.energy(state.species)


def test_shapes_are_supercells_of_the_size() -> None:
    for matrix in cell_shapes(10, 5):
        assert round(abs(np.linalg.det(np.array(matrix)))) == 10


def test_the_number_of_parameters() -> None:
    assert feature_count(2, 1) == 1 + 3 + 2
    assert feature_count(7, 2) == 1 + 9 + 42 + 1 + 6


def test_what_no_cell_holds_is_refused() -> None:
    with pytest.raises(OrderingError, match="the smallest has 10"):
        training_cells(LMTO, 4, atoms=(12, 18))
    with pytest.raises(OrderingError, match="of rock salts"):
        training_cells({"alkali": {"Li+": Fraction(1)}}, 4)
    short = {**LMTO, "anion": {"O2-": Fraction(1)}}
    with pytest.raises(OrderingError, match="as many anions"):
        training_cells(short, 4)
