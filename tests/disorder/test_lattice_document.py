"""Documents of lattice models: planted truths, domains, closings, poisoned cells."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest
from lattice_trainings import TRUE, training, trainings
from pymatgen.core import Structure

from hts_battery.disorder import LatticeModel
from hts_battery.disorder.lattice_document import (
    energy_error,
    fit_training,
    model_of,
    occupation_in_model,
    occupation_inside,
    outside_domain,
    parameters_of,
    species_in_model,
)
from hts_battery.errors import OrderingError
from hts_battery.schemas.formula import parse_formula
from hts_battery.schemas.lattice import LatticeModelDoc

if TYPE_CHECKING:
    from hts_battery.schemas.lattice import LatticeTraining


@pytest.fixture(scope="module")
def document() -> LatticeModelDoc:
    return fit_training(trainings(noise=0.001))


@pytest.mark.physics
def test_differences_of_energies_are_those_that_were_planted() -> None:
    found = fit_training(trainings())
    model = model_of(found.parameters)
    cells = [
        Structure.from_dict(one.structure)  # type: ignore[arg-type] # there is one
        for one in training(12, 6).cells
    ]
    true = np.array([TRUE.energy(one) for one in cells])
    said = np.array([model.energy(one) for one in cells])
    sizes = np.array([len(one) for one in cells])
    gaps = (said - true) / sizes
    assert np.ptp(gaps) < 1e-6
    assert found.error < 1e-6
    assert len(found.used) == 32
    assert found.rank <= found.features


def test_a_document_says_how_far_it_is_to_be_trusted(document: LatticeModelDoc) -> None:
    assert document.calculator == "planted 1"
    assert document.campaigns == ("first",)
    assert 0.0005 < document.absolute_error <= document.error < 0.01
    assert document.swap_error > 0
    counts = [one.cells for one in document.learning_curve]
    assert counts == sorted(counts)
    assert len(document.domain) == 4
    assert document.closing == ()
    assert not document.closed
    assert np.array(document.covariance).shape == (document.features,) * 2
    assert energy_error(document, np.ones(document.features)) > 0
    again = LatticeModelDoc.model_validate_json(document.model_dump_json())
    assert again == document
    assert again.parameters.digest == document.digest


def test_what_a_model_may_speak_of(document: LatticeModelDoc) -> None:
    inside = occupation_inside(document, parse_formula("Li1.2Mn0.4Ti0.4O2"))
    assert inside["cation"] == pytest.approx({"Li+": 0.6, "Mn3+": 0.2, "Ti4+": 0.2})
    between = parse_formula("Li1.15Mn0.55Ti0.3O2")
    assert occupation_inside(document, between)["cation"]["Li+"] == 0.575
    with pytest.raises(OrderingError, match="knows nothing of Nb"):
        occupation_inside(document, parse_formula("Li1.5Nb0.5O2"))
    with pytest.raises(OrderingError, match="no neutral"):
        occupation_inside(document, parse_formula("Li1.4Mn0.6O2"))
    with pytest.raises(OrderingError, match=r"outside the model .* of the sites away"):
        occupation_inside(document, parse_formula("Li2TiO3"))
    assert outside_domain({"cation": {"Nb5+": 1.0}}, document.domain) == (
        "Nb5+ in no cell that was fitted to"
    )


def test_an_element_with_two_states_is_divided_so_that_it_is_neutral() -> None:
    amounts = parse_formula("Li1.1Mn0.9O2")
    found = species_in_model(amounts, ["Li+", "Mn3+", "Mn4+", "O2-"])
    assert found["Mn4+"] == Fraction(1, 5)
    shares = occupation_in_model(amounts, ["Li+", "Mn3+", "Mn4+", "O2-"])
    assert shares["cation"]["Mn3+"] == pytest.approx(0.35)
    with pytest.raises(OrderingError, match="2 neutral choices"):
        species_in_model(
            parse_formula("LiMn0.5Fe0.5O2"),
            ["Li+", "Mn2+", "Mn3+", "Mn4+", "Fe2+", "Fe3+", "O2-"],
        )


def test_a_model_that_knows_its_own_states_is_closed() -> None:
    first = trainings(noise=0.001)
    model = model_of(fit_training(first).parameters)
    own = training(12, 4, model=model, predicted_by="d", noise=0.0005)
    found = fit_training({**first, "second": [own]})
    assert found.closing[0].campaign == "second"
    assert found.closing[0].cells == 4
    assert found.closing[0].lower_state is None
    assert found.closed


def test_a_model_whose_ground_state_is_wrong_is_found_out() -> None:
    """One of its states comes out far below what it called the lowest."""
    first = trainings(noise=0.001)
    model = model_of(fit_training(first).parameters)
    own = training(12, 4, model=model, predicted_by="d")
    cells = [
        one.model_copy(update={"energy": one.energy - 0.02 * 30})
        if number == 1 and one.energy is not None
        else one
        for number, one in enumerate(own.cells)
    ]
    poor = own.model_copy(update={"cells": tuple(cells)})
    found = fit_training({**first, "second": [poor]})
    assert not found.closed
    assert "cell 2" in str(found.closing[0].lower_state)
    assert "meV/atom lower" in str(found.closing[0].lower_state)


def _with(one: LatticeTraining, number: int, **changes: object) -> LatticeTraining:
    cells = list(one.cells)
    cells[number] = cells[number].model_copy(update=changes)
    return one.model_copy(update={"cells": tuple(cells)})


def test_poisoned_cells_are_named_by_reason() -> None:
    """Collapsed, exchanged charge by moments and by states, another energy."""
    made = dict(trainings(noise=0.0005))
    results = list(made["first"])
    small = Structure.from_dict(results[0].cells[0].structure)  # type: ignore[arg-type]
    small.scale_lattice(1.9 * len(small))
    results[0] = _with(results[0], 0, structure=small.as_dict())
    spins = Structure.from_dict(results[1].cells[2].structure)  # type: ignore[arg-type]
    wrong = [4.8 if s.specie.symbol == "Mn" else 0.0 for s in spins]
    wrong[[s.specie.symbol for s in spins].index("Ti")] = 1.0
    spins.add_site_property("final_magmom", wrong)
    results[1] = _with(results[1], 2, structure=spins.as_dict())
    states = Structure.from_dict(results[2].cells[1].structure)  # type: ignore[arg-type]
    symbols = [s.specie.symbol for s in states]
    states.replace(symbols.index("Li"), "Li3+")
    states.replace(symbols.index("Mn"), "Mn+")
    results[2] = _with(results[2], 1, structure=states.as_dict())
    results[3] = _with(results[3], 4, energy=float(results[3].cells[4].energy or 0) + 9)
    results[3] = _with(results[3], 5, refused="relaxation not converged after 7 steps")
    found = fit_training({"first": results})
    reasons = {one.reason.split(":")[0]: one.cells for one in found.refused}
    assert reasons["collapsed"] == ("first Li1 cell 1",)
    assert reasons["another state"] == ("first Li1.3 cell 5",)
    assert reasons["relaxation not converged after 7 steps"] == ("first Li1.3 cell 6",)
    exchanged = [one for one in found.refused if one.reason.startswith("exchanged")]
    assert sorted(name for one in exchanged for name in one.cells) == [
        "first Li1.1 cell 3",
        "first Li1.2 cell 2",
    ]
    assert found.error < 0.005


def test_two_calculators_are_refused() -> None:
    made = dict(trainings())
    other = _with(made["first"][0], 0, calculator="other 2")
    with pytest.raises(OrderingError, match="other 2 and planted 1"):
        fit_training({"first": [other, *made["first"][1:]]})


def test_parameters_and_models_are_the_same() -> None:
    model = LatticeModel(
        "rocksalt", {("Li+", "Mn3+"): [0.1]}, dielectric=20.0, edge=4.1
    )
    again = model_of(parameters_of(model))
    assert again.pairs == {("Li+", "Mn3+"): (0.1,)}
    assert (again.dielectric, again.edge) == (20.0, 4.1)
    assert parameters_of(again).digest == parameters_of(model).digest
