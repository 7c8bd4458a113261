"""The example spaces: they load, count, are sampled, ordered and relaxed."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from hts_battery.compositions import load_space
from hts_battery.flows.engines.ionic import ionic_maker
from hts_battery.schemas.campaign import RelaxationSpec
from hts_battery.schemas.files import load_yaml
from hts_battery.structures import calculator_structure, order_candidate
from hts_battery.structures.prototypes import prototype_of_family
from hts_battery.structures.relaxation.verdict import compare_relaxed
from hts_battery.structures.representation import cell_sizes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def spaces(project_root: Path) -> Path:
    return project_root / "workflows" / "spaces"


@pytest.mark.parametrize(
    ("name", "count", "formula", "least", "parent"),
    [
        ("spinel", 3227, "LiMn2O4", 1, "COD 9002044"),
        ("layered", 42573, "LiCo0.5Mn0.5O2", 1, "COD 9008671"),
        ("latp", 7, "Li1.5Al0.5Ti1.5P3O12", 2, "COD 1008846"),
    ],
)
def test_an_example_is_counted_sampled_ordered_and_relaxed(
    spaces: Path, name: str, count: int, formula: str, least: int, parent: str
) -> None:
    path = spaces / f"{name}.yaml"
    assert len(path.read_text().splitlines()) <= 24
    assert parent in path.read_text()
    assert load_yaml(path)[0]["name"] == name
    space = load_space(path)
    assert space.count == count
    assert len({one.candidate_id for one in space.sample(5, seed=1)}) == 5
    candidate = space[space.index(formula)]
    prototype = prototype_of_family(space.family)
    sizes = cell_sizes(candidate.assignment, prototype)
    cell = order_candidate(candidate, atoms=sizes[0], method="electrostatic", seed=0)
    assert cell.is_exact
    assert cell.formula_units >= least
    start = calculator_structure(cell, magmom=False, charge=True)
    maker = ionic_maker(RelaxationSpec(fmax=1.0, steps=15))
    relaxed = maker.make.original(maker, start)
    assert relaxed.structure.volume == pytest.approx(start.volume, rel=0.25)
    verdict = compare_relaxed(cell, relaxed.structure).verdict
    assert verdict in {"kept", "distorted"}


def test_latp_is_lithium_for_aluminium(spaces: Path) -> None:
    members = list(load_space(spaces / "latp.yaml"))
    for place, one in enumerate(members):
        x = Fraction(place, 10)
        assert one.amounts.get("Al", 0) == x
        assert one.amounts["Li"] == 1 + x
        assert one.amounts["Ti"] == 2 - x
