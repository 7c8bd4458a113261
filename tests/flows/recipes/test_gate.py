"""The gate: what it compares, what it records, and what it lets through."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from fakes import (
    FAKE_REFERENCES,
    FakeCountedRelaxMaker,
    FakeRelaxMaker,
    fake_reference_energies,
)

from hts_battery.errors import (
    MissingReferenceError,
    MixedCalculatorError,
    SubmissionError,
)
from hts_battery.flows.recipes.gate import (
    GateHulls,
    Threshold,
    gate_verdict,
    hull_snapshot,
    prerelaxed,
)
from hts_battery.flows.recipes.local import run_flow_locally
from hts_battery.flows.recipes.screen import ScreenMaker, candidate_orderings
from hts_battery.schemas.campaign import GateSpec, PrerelaxSpec, StructureSpec
from hts_battery.schemas.entropy import EntropyOptions
from hts_battery.schemas.gate import GateVerdict
from hts_battery.schemas.structure import OrderingMethod
from hts_battery.schemas.thermo import LeftOutReferences, StabilityOptions
from hts_battery.thermo.competing_phases import left_out_references
from hts_battery.thermo.entropy import candidate_entropy
from hts_battery.thermo.hull import Hull

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.candidate import CandidateDoc
    from hts_battery.schemas.gate import HullSnapshot
    from hts_battery.schemas.structure import OrderedCell

ENERGY = -2.4  # eV/atom, of every fake relaxation
CALCULATOR = "chgnet fake"


@pytest.fixture
def hull() -> Hull:
    return Hull(list(FAKE_REFERENCES), list(FAKE_REFERENCES.values()))


@pytest.fixture
def candidate(small_campaign: Campaign) -> CandidateDoc:
    _, found = next(small_campaign.members())
    return found


@pytest.fixture
def snapshot(hull: Hull, candidate: CandidateDoc) -> HullSnapshot:
    return hull_snapshot(hull, candidate.elements, calculator=CALCULATOR)


@pytest.fixture
def cells(candidate: CandidateDoc) -> tuple[OrderedCell, ...]:
    return candidate_orderings(
        candidate, StructureSpec(n_orderings={OrderingMethod.RANDOM: 2})
    )


def outcomes(
    cells: tuple[OrderedCell, ...], *energies: float
) -> dict[str, dict[str, object]]:
    return {
        cell.ordering_id: {
            "structure": None,
            "energy_per_atom": energy,
            "converged": True,
            "version": "fake",
        }
        for cell, energy in zip(cells, energies, strict=False)
    }


def test_a_snapshot_gives_the_same_hull_with_fewer_phases(
    hull: Hull, candidate: CandidateDoc, snapshot: HullSnapshot
) -> None:
    small = Hull(
        snapshot.formulas, snapshot.energies_per_atom, ids=list(snapshot.phase_ids)
    )
    assert len(small) < len(hull)
    assert small.digest == snapshot.digest
    formula = candidate.canonical_formula
    assert small.decomposition(formula).energy == pytest.approx(
        hull.decomposition(formula).energy, abs=1e-12
    )


def test_a_phase_above_the_hull_does_not_travel() -> None:
    hull = Hull(["Li", "O2", "Li2O", "Li2O2"], [0, 0, -2, -0.1])
    found = hull_snapshot(hull, {"O", "Li"}, calculator=CALCULATOR)
    assert "Li2O2" not in found.formulas


def test_what_the_own_composition_hides_travels_too() -> None:
    hull = Hull(["Li", "O2", "Li2O2", "Li3O"], [0, 0, -2, -0.9])
    plain = hull_snapshot(hull, {"Li", "O"}, calculator=CALCULATOR)
    found = hull_snapshot(
        hull, {"Li", "O"}, calculator=CALCULATOR, exclude=("Li2O2",), family={"Li"}
    )
    assert "Li3O" not in plain.formulas
    assert {"Li3O", "Li2O2"} <= set(found.formulas)
    assert found.family == ("Li",)


@pytest.mark.parametrize("rule", LeftOutReferences)
def test_the_gate_compares_as_the_build_does(
    candidate: CandidateDoc,
    cells: tuple[OrderedCell, ...],
    hull: Hull,
    rule: LeftOutReferences,
) -> None:
    own = candidate.canonical_formula
    known = hull.joined_by(
        [own, own, "Li2TiO3"], [-7, -6, -8], ids=["phase", "polymorph", "member"]
    )
    family = frozenset({"phase", "member"})
    hulls = GateHulls(known, CALCULATOR, rule=rule, families={candidate.family: family})
    verdict = gate_verdict(
        candidate,
        cells,
        outcomes(cells, ENERGY),
        engine="chgnet",
        threshold=Threshold(
            GateSpec(energy_above_hull=1.0),
            hulls.snapshot(candidate),
            EntropyOptions(),
            released=False,
        ),
    )
    gone = left_out_references(known, own, rule=rule, family=family)
    assert gone
    (expected,) = known.energies_above_hull([own], [ENERGY], exclude=[gone])
    assert verdict.energy_above_hull_0k == pytest.approx(expected, abs=1e-12)
    assert hulls.snapshot(candidate) is hulls.snapshot(candidate)


def test_families_are_read_only_where_the_rule_asks(small_campaign: Campaign) -> None:
    energies = [
        one.model_copy(update={"candidate_family": family})
        for one, family in zip(
            fake_reference_energies(), ["hedrx", *[None] * 99], strict=False
        )
    ]
    stored = [one.model_dump(mode="json") for one in energies]
    stores = SimpleNamespace(references=SimpleNamespace(query=lambda _: stored))
    _, candidate = next(small_campaign.members())

    def members(rule: LeftOutReferences) -> tuple[str, ...]:
        spec = small_campaign.spec.model_copy(
            update={
                "prerelax": PrerelaxSpec(),
                "gate": GateSpec(energy_above_hull=1.0),
                "stability": StabilityOptions(left_out_references=rule),
            }
        )
        found = GateHulls.of_campaign(spec, stores)  # type: ignore[arg-type]
        assert found is not None
        return found.snapshot(candidate).family

    assert members(LeftOutReferences.OWN_COMPOSITION) == ()
    assert members(LeftOutReferences.OWN_PHASE) == (energies[0].phase_id,)
    assert GateHulls.of_campaign(small_campaign.spec, stores) is None  # type: ignore[arg-type]


def test_an_element_without_a_phase_is_refused(hull: Hull) -> None:
    with pytest.raises(MissingReferenceError, match="Zr"):
        hull_snapshot(hull, {"Li", "O", "Zr"}, calculator=CALCULATOR)


def test_the_lowest_ordering_decides_at_the_temperature(
    candidate: CandidateDoc,
    cells: tuple[OrderedCell, ...],
    hull: Hull,
    snapshot: HullSnapshot,
) -> None:
    above = ENERGY - hull.decomposition(candidate.canonical_formula).energy
    entropy = candidate_entropy(candidate.to_candidate()).entropy
    hot = above - 1473 * entropy

    def verdict(threshold: float, *, released: bool = False) -> GateVerdict:
        spec = GateSpec(energy_above_hull=threshold)
        return gate_verdict(
            candidate,
            cells,
            outcomes(cells, ENERGY + 0.1, ENERGY),
            engine="chgnet",
            threshold=Threshold(spec, snapshot, EntropyOptions(), released),
        )

    passed = verdict(hot + 1e-6)
    assert passed.verdict == "passed"
    assert passed.ordering_id == cells[1].ordering_id
    assert passed.energy_above_hull_0k == pytest.approx(above, abs=1e-12)
    assert passed.entropy == pytest.approx(entropy, rel=1e-12)
    assert passed.energy_above_hull == pytest.approx(hot, abs=1e-12)
    assert (passed.temperature, passed.hull_digest) == (1473, snapshot.digest)
    assert passed.n_references == len(snapshot.formulas)
    assert verdict(hot - 1e-6).verdict == "gated"
    assert verdict(hot - 1e-6, released=True).verdict == "released"
    assert verdict(hot + 1e-6, released=True).verdict == "passed"


def test_without_a_threshold_everything_passes(
    candidate: CandidateDoc, cells: tuple[OrderedCell, ...]
) -> None:
    found = gate_verdict(
        candidate, cells, outcomes(cells, 5.0), engine="chgnet", threshold=None
    )
    assert (found.verdict, found.energy_above_hull) == ("passed", None)
    assert found.energies_per_atom == {cells[0].ordering_id: 5.0}


def test_a_hull_of_another_calculator_is_refused(
    candidate: CandidateDoc, cells: tuple[OrderedCell, ...], snapshot: HullSnapshot
) -> None:
    other = snapshot.model_copy(update={"calculator": "chgnet 0.0.1"})
    spec = GateSpec(energy_above_hull=1.0)
    with pytest.raises(MixedCalculatorError, match=r"chgnet fake.*chgnet 0\.0\.1"):
        gate_verdict(
            candidate,
            cells,
            outcomes(cells, ENERGY),
            engine="chgnet",
            threshold=Threshold(spec, other, EntropyOptions(), False),  # noqa: FBT003 - a named tuple
        )


def test_nothing_prerelaxed_cannot_be_judged(
    candidate: CandidateDoc, cells: tuple[OrderedCell, ...]
) -> None:
    with pytest.raises(SubmissionError, match="no ordering"):
        gate_verdict(candidate, cells, {}, engine="chgnet", threshold=None)


def test_an_outcome_is_read_once_and_kept() -> None:
    assert prerelaxed(None) is None
    known = {
        "structure": 1,
        "energy_per_atom": -1.0,
        "converged": True,
        "version": "fake",
    }
    assert prerelaxed(known) == known


@pytest.fixture
def maker(small_campaign: Campaign, tmp_path: Path) -> ScreenMaker:
    structure = small_campaign.spec.structure.model_copy(
        update={"n_orderings": {OrderingMethod.RANDOM: 2}}
    )
    spec = small_campaign.spec.model_copy(
        update={
            "structure": structure,
            "prerelax": PrerelaxSpec(),
            "gate": GateSpec(energy_above_hull=10.0),
        }
    )
    return ScreenMaker.from_campaign(
        spec,
        relax_maker=FakeRelaxMaker(),
        prerelax_maker=FakeCountedRelaxMaker(counter=str(tmp_path / "prerelaxed")),
    )


@pytest.mark.mongo
@pytest.mark.usefixtures("execution_folder")
def test_a_candidate_that_passes_is_computed_from_what_was_prerelaxed(
    maker: ScreenMaker,
    candidate: CandidateDoc,
    snapshot: HullSnapshot,
    stores: Stores,
    tmp_path: Path,
) -> None:
    flow = maker.make(candidate, hull=snapshot)
    assert len(list(flow.iterflow())) == 1
    assert run_flow_locally(flow, stores.job_store, tmp_path / "l")
    steps = [doc["metadata"]["step"] for doc in stores.tasks.query({})]
    assert sorted(steps) == ["gate", "order", *["prerelax"] * 2, *["relax"] * 2]
    gate = stores.tasks.query_one({"metadata.step": "gate"})
    verdict = GateVerdict.model_validate(gate["output"])
    assert verdict.verdict == "passed"
    assert verdict.calculator == CALCULATOR
    order = stores.tasks.query_one({"metadata.step": "order"})
    for doc in stores.tasks.query({"metadata.step": {"$ne": "order"}}):
        assert doc["metadata"]["order_uuid"] == order["uuid"]
        assert doc["metadata"]["content_key"] == order["metadata"]["content_key"]
    assert stores.tasks.count({"metadata.final": True}) == 2


@pytest.mark.mongo
@pytest.mark.usefixtures("execution_folder")
def test_a_gated_candidate_costs_nothing_more_until_it_is_released(
    maker: ScreenMaker,
    candidate: CandidateDoc,
    snapshot: HullSnapshot,
    stores: Stores,
    tmp_path: Path,
) -> None:
    maker = replace(maker, gate=GateSpec(energy_above_hull=-10.0))
    assert run_flow_locally(
        maker.make(candidate, hull=snapshot), stores.job_store, tmp_path / "l"
    )
    assert stores.tasks.count({"metadata.step": "relax"}) == 0
    uuids = {
        doc["metadata"]["ordering_id"]: doc["uuid"]
        for doc in stores.tasks.query({"metadata.step": "prerelax"})
    }
    released = maker.make(candidate, hull=snapshot, parts=uuids, released=True)
    assert run_flow_locally(released, stores.job_store, tmp_path / "l")
    assert stores.tasks.count({"metadata.final": True}) == 2
    verdicts = stores.tasks.distinct("output.verdict", {"metadata.step": "gate"})
    assert sorted(verdicts) == ["gated", "released"]
    # The stored pre-relaxations were taken, not made again.
    assert len((tmp_path / "prerelaxed").read_text().splitlines()) == 2


@pytest.mark.mongo
@pytest.mark.usefixtures("execution_folder")
def test_an_ordering_whose_prerelaxation_failed_spares_the_others(
    maker: ScreenMaker,
    candidate: CandidateDoc,
    snapshot: HullSnapshot,
    stores: Stores,
    tmp_path: Path,
) -> None:
    failing = FakeCountedRelaxMaker(counter=str(tmp_path / "calls"), failing=(1,))
    maker = replace(maker, prerelax_maker=failing)
    failures: list[dict[str, str | None]] = []
    assert not run_flow_locally(
        maker.make(candidate, hull=snapshot),
        stores.job_store,
        tmp_path / "l",
        on_failure=failures.append,
    )
    order = stores.tasks.query_one({"metadata.step": "order"})
    first, second = (cell["ordering_id"] for cell in order["output"])
    assert [(one["step"], one["ordering_id"]) for one in failures] == [
        ("prerelax", first)
    ]
    (final,) = stores.tasks.query({"metadata.final": True})
    assert final["metadata"]["ordering_id"] == second
