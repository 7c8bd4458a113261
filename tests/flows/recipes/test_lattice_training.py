"""Training cells as jobs, and what is read of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fakes import FakeRelaxMaker
from jobflow import OnMissing

from hts_battery.compositions import load_space
from hts_battery.flows.recipes.lattice_training import (
    LatticeTrainingMaker,
    planned_cells,
    result_job,
)
from hts_battery.schemas.candidate import CandidateDoc
from hts_battery.schemas.lattice import LatticeTrainingOptions

if TYPE_CHECKING:
    from pymatgen.core import Structure

OPTIONS = LatticeTrainingOptions(cells=3, seed=1)


@pytest.fixture(scope="module")
def candidate() -> CandidateDoc:
    space = load_space(
        {
            "family": "hedrx",
            "basis": "formula-unit",
            "step": 0.2,
            "sublattices": {
                "cation": {"sites": 2, "species": ["Li+", "Mn3+", "Ti4+"]},
                "anion": {"sites": 2, "species": ["O2-"]},
            },
        }
    )
    return CandidateDoc.from_candidate(
        next(one for one in space if one.formula == "Li1.2Mn0.4Ti0.4O2")
    )


def output(cell: Structure, energy: float, **changes: object) -> dict[str, Any]:
    plain = cell.copy().remove_oxidation_states()
    return {
        "state": "successful",
        "is_force_converged": True,
        "forcefield_version": "1",
        "structure": plain.as_dict(),
        "output": {"energy": energy, "n_steps": 3},
    } | changes


def test_a_flow_has_a_job_a_cell_and_the_result(candidate: CandidateDoc) -> None:
    maker = LatticeTrainingMaker(options=OPTIONS, relax_maker=FakeRelaxMaker())
    flow = maker.calculations(candidate, {})
    steps = [one.metadata["step"] for one in flow.jobs]
    assert steps == ["cell", "cell", "cell", "result"]
    assert [one.metadata.get("part") for one in flow.jobs[:3]] == [
        "cell 1",
        "cell 2",
        "cell 3",
    ]
    assert flow.jobs[-1].config.on_missing_references is OnMissing.NONE
    cell = flow.jobs[0].function_args[0]
    assert all(not hasattr(site.specie, "oxi_state") for site in cell)
    known = maker.calculations(candidate, {"cell 2": {}})
    assert [one.metadata.get("part") for one in known.jobs] == [
        "cell 1",
        "cell 3",
        None,
    ]


def test_engines_get_charges_and_moments_of_the_states(candidate: CandidateDoc) -> None:
    maker = LatticeTrainingMaker(
        options=OPTIONS, relax_maker=FakeRelaxMaker(), magmom=True, charge=True
    )
    cell = maker.calculations(candidate, {}).jobs[0].function_args[0]
    manganese = [s for s in cell if s.specie.symbol == "Mn"]
    assert {s.properties["magmom"] for s in manganese} == {4.0}
    assert {s.properties["charge"] for s in manganese} == {3.0}


def test_results_keep_states_and_say_what_failed(candidate: CandidateDoc) -> None:
    cells = planned_cells(candidate, OPTIONS)
    one, two, _ = (plan.structure for plan in cells.values())
    found = result_job.original(
        candidate,
        {
            "cell 1": output(one, -100.0),
            "cell 2": output(two, -90.0, is_force_converged=False),
        },
        "planted",
        OPTIONS,
    )
    first, second, third = found.cells
    assert (first.energy, first.calculator, first.refused) == (
        -100.0,
        "planted 1",
        None,
    )
    assert first.structure is not None
    assert str(second.refused).startswith("relaxation not converged")
    assert third.refused == "not relaxed: it failed"
    assert [c.name for c in found.kept] == ["cell 1"]
    assert found.calculator == "planted 1"


def test_other_final_moments_are_an_exchange_of_charge(candidate: CandidateDoc) -> None:
    plan = planned_cells(candidate, OPTIONS)["cell 1"].structure
    relaxed = plan.copy().remove_oxidation_states()
    moments = [5.0 if s.specie.symbol == "Mn" else 0.0 for s in relaxed]
    moments[[s.specie.symbol for s in relaxed].index("Ti")] = 1.0
    relaxed.add_site_property("final_magmom", moments)
    found = result_job.original(
        candidate,
        {"cell 1": output(plan, -1.0, structure=relaxed.as_dict())},
        "planted",
        OPTIONS,
    )
    assert "exchanged charge: Mn3+, Ti4+" in str(found.cells[0].refused)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"smallest_atoms": 50}, "above largest_atoms"),
        ({"temperature": 1000}, "belong together"),
        ({"cells": 0}, "greater than 0"),
    ],
)
def test_options_that_cannot_be(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        LatticeTrainingOptions.model_validate(wrong)
