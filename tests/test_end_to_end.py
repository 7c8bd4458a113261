"""
One candidate through all the rooms, and the tutorial of what each of them does.

The first test injects a named fake for the relaxation and uses the real database
server; the second relaxes a small cell with the real CHGNet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fakes import FakeRelaxMaker, fake_reference_energies

from hts_battery.campaign.build import BUILDERS, build
from hts_battery.campaign.references import store_references
from hts_battery.campaign.run import run_campaign
from hts_battery.campaign.spec_file import load_campaign
from hts_battery.campaign.status import candidate_statuses
from hts_battery.connections.records.executions import ledger
from hts_battery.query import ScreeningDatabase
from hts_battery.thermo.entropy import mixing_entropy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.build import BuildReport

    WriteCampaign = Callable[[str, int], Campaign]

CAMPAIGN = """\
name: one-candidate
space:
  family: hedrx
  basis: formula-unit
  step: 0.1
  sublattices:
    cation: {{sites: 2, species: [Li+, Mn3+, Ti4+]}}
    anion: {{sites: 2, species: [O2-, F-]}}
selection: {{method: formulas, formulas: [{formula}]}}
structure: {{n_orderings: {{sqs: 1}}, atoms: {atoms}, iterations: 2000, seed: 3}}
engine: chgnet
temperatures: [0, 1473]
"""


@pytest.fixture
def write_campaign(tmp_path: Path) -> WriteCampaign:
    def write(formula: str, atoms: int) -> Campaign:
        path = tmp_path / "campaign.yaml"
        path.write_text(CAMPAIGN.format(formula=formula, atoms=atoms))
        return load_campaign(path)

    return write


@pytest.mark.mongo
def test_one_candidate_with_a_fake_maker(
    write_campaign: WriteCampaign,
    stores: Stores,
    tmp_path: Path,
    execution_folder: Path,
) -> None:
    # A campaign file becomes candidates, exact and neutral.
    campaign = write_campaign("Li1.3Mn0.4Ti0.3O1.7F0.3", 40)
    ((index, candidate),) = campaign.members()
    assert campaign.space[index].candidate_id == candidate.candidate_id

    # Competing phases come first: a hull needs every element.
    store_references(fake_reference_energies(), stores)

    def run() -> tuple[int, dict[str, BuildReport]]:
        return run_campaign(
            campaign,
            stores,
            data_dir=tmp_path,
            execution_folder=execution_folder,
            temperatures=(0.0, 1473.0),
            relax_maker=FakeRelaxMaker(),
        )

    computed, reports = run()
    assert computed == 1
    assert reports["thermo"].written == 2
    assert reports["entries"].read == reports["entries"].written

    # The ordered cell was made on the way and is stored with its score and seed.
    order = stores.tasks.query_one({"metadata.step": "order"})
    (cell,) = order["output"]
    assert (cell["n_atoms"], cell["seed"]) == (40, 3)
    assert order["metadata"]["candidate_id"] == candidate.candidate_id

    # The summary: E_hull(T) = E_hull - T·S, every term there.
    (summary,) = ScreeningDatabase(stores).get(candidate.candidate_id)
    entropy = mixing_entropy(
        [
            (2, {"Li": 0.65, "Mn": 0.2, "Ti": 0.15}),
            (2, {"O": 0.85, "F": 0.15}),
        ],
        4,
    )
    assert summary["entropy"] == pytest.approx(entropy, rel=1e-12)
    assert summary["energy_above_hull_at"]["1473K"] == pytest.approx(
        summary["energy_above_hull"] - 1473 * entropy, abs=1e-12
    )
    assert 1000 * 1473 * entropy == pytest.approx(83.089, abs=1e-3)
    assert sum(phase["amount"] for phase in summary["decomposition"]) == pytest.approx(
        1
    )

    # Where it stands is derived; what ran is counted on its own.
    (found,) = candidate_statuses(campaign, stores, execution_folder=execution_folder)
    assert found.state == "ranked"
    assert ledger(execution_folder).total.completed == 2  # order, relax

    # A second run computes nothing and writes nothing.
    computed, reports = run()
    assert computed == 0
    assert [report.written for report in reports.values()] == [0] * len(BUILDERS)
    assert ledger(execution_folder).total.completed == 2


@pytest.mark.mongo
@pytest.mark.parametrize(
    "case",
    [
        (FakeRelaxMaker(converged=False), "rejected", "not converged after 7 steps"),
        (FakeRelaxMaker(error="node on fire"), "failed", "RuntimeError: node on fire"),
    ],
)
def test_a_failed_candidate_keeps_its_document_and_its_reason(
    write_campaign: WriteCampaign,
    stores: Stores,
    tmp_path: Path,
    execution_folder: Path,
    case: tuple[FakeRelaxMaker, str, str],
) -> None:
    maker, state, reason = case
    campaign = write_campaign("Li1.3Mn0.4Ti0.3O1.7F0.3", 40)
    store_references(fake_reference_energies(), stores)
    options = {
        "data_dir": tmp_path,
        "execution_folder": execution_folder,
        "temperatures": (0.0,),
    }
    run_campaign(campaign, stores, relax_maker=maker, **options)

    (found,) = candidate_statuses(campaign, stores, execution_folder=execution_folder)
    assert found.state == state
    assert reason in found.reason
    assert stores.candidates.count() == 1
    assert stores.summary.count() == 0

    # Not computed again by itself; a failure is, when asked for.
    computed, _ = run_campaign(
        campaign, stores, relax_maker=FakeRelaxMaker(), **options
    )
    assert computed == 0
    computed, _ = run_campaign(
        campaign, stores, relax_maker=FakeRelaxMaker(), retry_failed=True, **options
    )
    assert computed == (state == "failed")


@pytest.mark.mongo
def test_entries_in_are_entries_used_and_entries_rejected(
    write_campaign: WriteCampaign,
    stores: Stores,
    tmp_path: Path,
    execution_folder: Path,
) -> None:
    campaign = write_campaign("Li1.3Mn0.4Ti0.3O1.7F0.3", 40)
    energies = fake_reference_energies()
    rejected = energies[0].model_copy(
        update={"phase_id": "bad", "energy_per_atom": None, "rejected": "exploded"}
    )
    store_references([*energies, rejected], stores)
    run_campaign(
        campaign,
        stores,
        data_dir=tmp_path,
        execution_folder=execution_folder,
        temperatures=(0.0,),
        relax_maker=FakeRelaxMaker(),
    )
    used = stores.entries.count({"state": "used"})
    reasons = [doc["reason"] for doc in stores.entries.query({"state": "rejected"})]
    # Those given here, the shipped ones, and the candidate's own.
    assert stores.references.count() > len(energies) + 1
    assert used + len(reasons) == stores.references.count() + 1
    assert reasons == ["exploded"]


@pytest.mark.mongo
def test_energies_of_two_calculators_never_meet_in_one_hull(
    write_campaign: WriteCampaign,
    stores: Stores,
    tmp_path: Path,
    execution_folder: Path,
) -> None:
    campaign = write_campaign("Li1.3Mn0.4Ti0.3O1.7F0.3", 40)
    others = [
        energy.model_copy(update={"versions": {"chgnet": "0.0.1"}})
        for energy in fake_reference_energies()
    ]
    store_references(others, stores)
    run_campaign(
        campaign,
        stores,
        data_dir=tmp_path,
        execution_folder=execution_folder,
        temperatures=(0.0,),
        relax_maker=FakeRelaxMaker(),
    )
    (found,) = candidate_statuses(campaign, stores, execution_folder=execution_folder)
    assert found.state == "unjudged"
    assert "chgnet fake" in found.reason
    assert "calculators or correction schemes in one hull" in found.reason

    # Once comparable references are there, the next build judges it.
    store_references(fake_reference_energies(), stores)
    build(campaign.spec, stores, temperatures=(0.0,))
    (found,) = candidate_statuses(campaign, stores, execution_folder=execution_folder)
    assert found.state == "ranked"


@pytest.mark.mongo
@pytest.mark.slow
def test_one_candidate_with_chgnet(
    write_campaign: WriteCampaign,
    stores: Stores,
    tmp_path: Path,
    execution_folder: Path,
) -> None:
    pytest.importorskip("chgnet")
    campaign = write_campaign("Li1.5Ti0.5O1.5F0.5", 8)
    computed, _ = run_campaign(
        campaign,
        stores,
        data_dir=tmp_path,
        execution_folder=execution_folder,
        temperatures=(0.0, 1473.0),
    )
    assert computed == 1
    (found,) = candidate_statuses(campaign, stores, execution_folder=execution_folder)
    assert found.state == "ranked", found.reason
    (summary,) = ScreeningDatabase(stores).get(found.candidate.candidate_id)
    assert summary["calculator"].startswith("chgnet 0.4")
    assert -0.05 < summary["energy_above_hull"] < 0.5
    # The large part of the output went to the additional store.
    assert stores.blobs.count() >= 1
