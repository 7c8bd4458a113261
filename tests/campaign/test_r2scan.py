"""A campaign with r2SCAN and the stand-in for VASP: from its file to stabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hts_battery.builders.entries import candidate_entry
from hts_battery.campaign.references import compute_references, store_references
from hts_battery.campaign.run import run_campaign
from hts_battery.campaign.spec_file import load_campaign
from hts_battery.operations.rehearsal import elements_of, rehearsal_phases
from hts_battery.schemas.campaign import RelaxationSpec
from hts_battery.schemas.energy import ComparableEnergy
from hts_battery.schemas.reference import ReferenceEnergy
from hts_battery.thermo.vasp_corrections import VaspEnergy, correct_vasp_energies
from hts_battery.thermo.vasp_schemes import MP_GGA, vasp_scheme

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hts_battery.connections.database.stores import Stores

ENGINE = "rehearsal:vasp-mp24"
LABEL = "vasp mp24 r2SCAN PBE_64 rehearsal"

pytestmark = [
    pytest.mark.mongo,
    pytest.mark.slow,
    # The elements that the hull needs are metals; the settings are MP's all the same.
    pytest.mark.filterwarnings("ignore:Relaxation of likely metal with ISMEAR"),
    pytest.mark.filterwarnings("ignore:No POTCAR file with matching TITEL"),
]


def a_deep_phase_of_pbe() -> ReferenceEnergy:
    """Return an energy that would take every candidate down, were it in the hull."""
    (energy,) = correct_vasp_energies(
        [
            VaspEnergy(
                entry_id="deep",
                formula="Li2O",
                energy=-3000.0,
                run_type="GGA",
                oxidation_states={"Li": 1.0, "O": -2.0},
            )
        ],
        vasp_scheme("rehearsal:vasp-mp-gga"),
    ).used
    assert energy.calculator.startswith(MP_GGA.calculator)
    return ReferenceEnergy(
        phase_id="Li2O-deep",
        formula="Li2O",
        # Under the campaign's own engine: the calculator alone keeps it out.
        engine=ENGINE,
        energy_per_atom=-1000.0,
        n_atoms=3,
        converged=True,
        start_digest="none",
        label=energy.calculator,
        comparable=energy,
    )


def test_r2scan_goes_from_the_campaign_to_a_hull_of_its_own(
    campaign_file: Callable[..., Path],
    stores: Stores,
    execution_folder: Path,
    tmp_path: Path,
) -> None:
    formulas = "[Li1.3Mn0.4Ti0.3O1.7F0.3, Li1.2Mn0.4Ti0.4O2]"
    campaign = load_campaign(
        campaign_file(
            ("engine: chgnet", f"engine: {ENGINE}"),
            (formulas, "[Li1.2Mn0.4Ti0.4O2]"),
            ("atoms: 40", "atoms: 20"),
        )
    )
    references = compute_references(
        rehearsal_phases(elements_of(campaign)),
        stores,
        engine_name=ENGINE,
        relaxation=RelaxationSpec(),
        launch_folder=tmp_path / "launches",
    )
    for reference in references:
        assert reference.rejected is None, reference.rejected
        assert reference.comparable is not None
        assert reference.comparable.calculator == LABEL
    store_references([*references, a_deep_phase_of_pbe()], stores)
    run_campaign(
        campaign,
        stores,
        data_dir=tmp_path,
        execution_folder=execution_folder,
        temperatures=(0.0, 1473.0),
    )
    (entry,) = stores.entries.query({"kind": "candidate"})
    assert (entry["state"], entry["reason"]) == ("used", None)
    energy = ComparableEnergy.model_validate(entry["energy"])
    assert (energy.calculator, energy.adjustments) == (LABEL, ())
    assert energy.correction_scheme.startswith("none")
    assert energy.checks["run type"] == "r2SCAN"
    assert energy.checks["pseudopotentials"].startswith("PBE_64")
    assert energy.checks["settings"].startswith("valid by pymatgen-io-validation")
    records = list(stores.thermo.query({}))
    assert [record["state"] for record in records] == ["successful"] * 2
    for record in records:
        names = {phase["reference_id"] for phase in record["result"]["decomposition"]}
        assert names <= {f"{ENGINE}:{one.phase_id}" for one in references}
    # The same document under the name of the real engine enters no hull.
    (task,) = stores.tasks.query({"metadata.step": "relax", "metadata.final": True})
    task["metadata"]["calculation"]["engine"] = "vasp-mp24"
    real = candidate_entry(task, None, "digest", series={})
    assert real.reason is not None
    assert "stand-in for VASP" in real.reason
