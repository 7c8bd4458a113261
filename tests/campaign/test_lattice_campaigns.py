"""From a plan to a closed model with a planted engine, on a database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jobflow import Maker, job
from lattice_trainings import TRUE

from hts_battery.campaign.lattice_campaigns import (
    plan_closing,
    plan_formula,
    plan_space,
    read_training,
    registered_spec,
)
from hts_battery.campaign.run import recipe_properties, run_campaign
from hts_battery.campaign.spec_file import load_campaign
from hts_battery.disorder.lattice_document import fit_training
from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from pymatgen.core import Structure

    from hts_battery.campaign.lattice_campaigns import TrainingPlan
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.campaign import CampaignSpec

FORMULA = "Li1.2Mn0.4Ti0.4O2"
STATES = {"Li": 1, "Mn": 3, "Ti": 4, "O": -2}


@dataclass
class PlantedMaker(Maker):
    """Gives the energies of a lattice model to the cells that it gets."""

    name: str = "planted relax"

    @job
    def make(self, structure: Structure) -> dict[str, Any]:
        decorated = structure.copy().add_oxidation_state_by_element(STATES)
        energy = TRUE.energy(decorated) - 4.0 * len(structure)
        return {
            "state": "successful",
            "is_force_converged": True,
            "forcefield_version": "1",
            "structure": structure.as_dict(),
            "output": {"energy": energy, "n_steps": 3},
        }


def test_a_plan_takes_the_formula_and_its_neighbours() -> None:
    made = plan_formula(FORMULA, engine="ionic", name="t")
    assert made.formulas[0] == FORMULA
    assert set(made.formulas) == {
        "LiMnO2",
        "Li1.1Mn0.7Ti0.2O2",
        FORMULA,
        "Li1.3Mn0.1Ti0.6O2",
    }
    assert made.features == 11
    assert 33 <= made.cells <= 36
    text = made.text("why")
    assert text.startswith("# why\n")
    assert yaml.safe_load(text)["recipe"] == "lattice_training"
    six = plan_formula("Li1.2Mn0.2Ti0.2Nb0.2Cr0.2O2", engine="ionic", name="t")
    assert six.cells >= 3 * six.features


def test_a_plan_of_a_space_draws_from_it(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    made = plan_formula(FORMULA, engine="ionic", name="t")
    file.write_text(yaml.safe_dump(made.data["space"]))
    found = plan_space(file, engine="ionic", name="s", cells=8)
    assert found.cells == 8
    assert len(found.formulas) == 4
    (tmp_path / "plan.yaml").write_text(found.text("c"))
    assert load_campaign(tmp_path / "plan.yaml").spec.recipe == "lattice_training"


def test_what_is_no_rock_salt_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="as many of both"):
        plan_formula("LiMn2O4", engine="ionic", name="t")


def _run(
    made: TrainingPlan, stores: Stores, execution_folder: Path, folder: Path
) -> CampaignSpec:
    file = folder / f"{made.data['name']}.yaml"
    file.write_text(made.text("a test"))
    campaign = load_campaign(file)
    run_campaign(
        campaign,
        stores,
        data_dir=folder,
        execution_folder=execution_folder,
        temperatures=(0.0,),
        relax_maker=PlantedMaker(),
    )
    found = {one.name for one in recipe_properties(campaign, stores)}
    assert found == {"training_cells", "ordering_energy_range"}
    return campaign.spec


@pytest.mark.mongo
@pytest.mark.slow
def test_from_a_plan_to_a_closed_model(
    stores: Stores, execution_folder: Path, tmp_path: Path
) -> None:
    made = plan_formula(FORMULA, engine="ionic", name="training", cells=24)
    spec = _run(made, stores, execution_folder, tmp_path)
    training = read_training("training", stores)
    assert [len(one.kept) for one in training] == [6, 6, 6, 6]
    first = fit_training({"training": training})
    assert first.error < 1e-6
    closing = plan_closing(first, spec, [FORMULA], name="closing", cells=4)
    assert closing.data["engine"] == "ionic"
    _run(closing, stores, execution_folder, tmp_path)
    both = {"training": training, "closing": read_training("closing", stores)}
    assert both["closing"][0].predicted_by == first.digest
    second = fit_training(both)
    assert second.closing[0].error < 1e-6
    assert second.closing[0].lower_state is None
    assert registered_spec("closing", stores).recipe == "lattice_training"
    with pytest.raises(ConfigurationError, match="there is no campaign nothing"):
        read_training("nothing", stores)
