from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes import FakeTwoRelaxationsMaker
from pymatgen.core import Structure

from hts_battery.errors import ConfigurationError
from hts_battery.flows.engines.engine import Capability
from hts_battery.flows.engines.registry import ENGINES, engine
from hts_battery.flows.recipes.recipe import (
    CampaignRecipe,
    RecipeMaker,
    Subject,
    job_of_output,
)
from hts_battery.flows.recipes.registry import campaign_recipe, recipe
from hts_battery.schemas.campaign import RECIPES, RelaxationSpec


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_says_what_it_is(name: str) -> None:
    found = recipe(name)
    assert found.name == name
    assert found.steps
    assert found.starts_from_cell == (found.subject is Subject.RELAXED_CELL)
    if isinstance(found, CampaignRecipe):
        assert found.options.model_config.get("extra") == "forbid"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("equation_of_sate", "did you mean equation_of_state?"),
        ("md", "choose one of screen, references, equation_of_state"),
        ("references", "hts references compute --like FILE"),
    ],
)
def test_what_is_no_recipe_of_a_campaign_is_refused(name: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        campaign_recipe(name)
    assert says in str(caught.value)


def test_an_engine_that_cannot_is_refused_and_those_that_can_are_named() -> None:
    eos = recipe("equation_of_state")
    weak = replace(ENGINES["chgnet"], name="weak", makers={})
    assert eos.refusal(ENGINES["ionic"], ENGINES.values()) is None
    assert eos.refusal(weak, [weak, ENGINES["ionic"], ENGINES["gpaw"]]) == (
        "recipe equation_of_state cannot be computed with weak, which cannot relax the "
        "atoms of a cell that it keeps; choose one of gpaw, ionic or a force field"
    )
    with pytest.raises(ConfigurationError, match="weak cannot relax the atoms"):
        weak.maker(Capability.KEEP_CELL, RelaxationSpec())


@pytest.mark.parametrize("name", [*ENGINES, "rehearsal:vasp-mp24", "forcefield:GAP"])
def test_every_engine_keeps_a_cell_if_it_is_asked_to(name: str) -> None:
    maker = engine(name).maker(Capability.KEEP_CELL, RelaxationSpec())
    moves = getattr(maker, "relax_cell", None)
    assert moves is False or getattr(maker, "keep_cell", False)


def test_of_an_engines_two_jobs_the_last_is_a_part() -> None:
    maker, cell = RecipeMaker(), Structure(4 * np.eye(3), ["Li"], [[0, 0, 0]])
    flow = FakeTwoRelaxationsMaker().make(cell)
    maker.tag_part(flow, "volume", "volume 1", ordering_id="o")
    first, second = flow.jobs
    assert first.metadata == {"step": "volume", "ordering_id": "o"}
    assert second.metadata == {**first.metadata, "part": "volume 1"}
    flow.output = None
    with pytest.raises(TypeError, match="must have the output of one of its jobs"):
        job_of_output(flow)


def test_a_maker_of_a_recipe_travels_as_text() -> None:
    maker = RecipeMaker(calculation={"recipe": "any"})
    assert RecipeMaker.from_text(maker.to_text()) == maker
    assert maker.asked == {}
