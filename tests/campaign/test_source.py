"""Campaigns whose members an earlier build gives, and recipes of relaxed cells."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import made_up_recipe
import pytest
from dispatched import Dispatch
from fakes import FakeSpringMaker

from hts_battery.campaign.build import build, build_all
from hts_battery.campaign.plan import Assumptions, plan_campaign
from hts_battery.campaign.registration import register
from hts_battery.campaign.run import recipe_properties, run_campaign
from hts_battery.campaign.source import resolved
from hts_battery.campaign.spec_file import load_campaign
from hts_battery.campaign.status import campaign_status, candidate_statuses
from hts_battery.campaign.unsubmitted import unsubmitted
from hts_battery.campaign.usage import campaign_usage
from hts_battery.connections.launchpad.launchpad import open_launchpad
from hts_battery.connections.records.executions import ledger, read_executions
from hts_battery.dispatch.jobs import JobFilter, list_jobs
from hts_battery.errors import SpecError
from hts_battery.flows.engines.registry import ENGINES
from hts_battery.flows.recipes.equation_of_state import EquationOfStateMaker
from hts_battery.query import ScreeningDatabase
from hts_battery.schemas.campaign import RECIPES
from hts_battery.schemas.charged_cells import ChargedCells
from hts_battery.schemas.dispatch import DispatchMode
from hts_battery.schemas.equation_of_state import EquationOfState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo

EOS = """\
name: eos
recipe: equation_of_state
recipe_options: {points: 5}
source: {campaign: small}
engine: ionic
"""
MODULUS, VOLUME = 72.9, 9.1  # of the fake, near that of the cells


@pytest.fixture
def eos_file(tmp_path: Path) -> Callable[..., Path]:
    def write(*changes: tuple[str, str], name: str = "eos.yaml") -> Path:
        text = EOS
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def spring(tmp_path: Path) -> FakeSpringMaker:
    """Return an engine whose cells have a known bulk modulus and volume."""
    return FakeSpringMaker(counter=str(tmp_path / "calls"), volume=VOLUME)


@pytest.fixture
def run(
    stores: Stores, tmp_path: Path, execution_folder: Path, spring: FakeSpringMaker
) -> Callable[..., int]:
    def call(campaign: Campaign, **options: object) -> int:
        return run_campaign(
            campaign,
            stores,
            data_dir=tmp_path,
            execution_folder=execution_folder,
            temperatures=(0.0,),
            **{"relax_maker": spring, **options},  # type: ignore[arg-type]
        )[0]

    return call


def calls(spring: FakeSpringMaker) -> int:
    path = Path(spring.counter)
    return len(path.read_text().splitlines()) if path.exists() else 0


def results(stores: Stores) -> list[EquationOfState]:
    return [
        EquationOfState.model_validate(doc["output"])
        for doc in stores.tasks.query({"metadata.step": "result"})
    ]


@pytest.mark.usefixtures("ranked")
def test_equations_of_state_of_an_earlier_campaign(
    stores: Stores,
    eos_file: Callable[..., Path],
    run: Callable[..., int],
    spring: FakeSpringMaker,
    execution_folder: Path,
) -> None:
    path = eos_file()
    before = plan_campaign(
        path, stores, Assumptions(), execution_folder=execution_folder
    )
    assert (before.candidates, before.jobs, before.atoms) == (2, 14, (40, 40))
    assert run(load_campaign(path)) == 2
    # A first relaxation with this engine, and five volumes.
    assert calls(spring) == 2 * 6
    for one in results(stores):
        assert one.bulk_modulus == pytest.approx(MODULUS, rel=0.02)
        assert one.volume == pytest.approx(VOLUME, rel=1e-3)
        assert (one.n_points, one.calculator) == (5, "ionic fake")
        assert one.bulk_modulus_error < one.spread_of_models
    status = campaign_status(path, stores, execution_folder=execution_folder)
    assert status.states == {"ranked": 2}
    assert run(load_campaign(path)) == 0
    after = plan_campaign(
        path, stores, Assumptions(), execution_folder=execution_folder
    )
    assert (after.computed, after.jobs_left) == (2, 0)
    usage = campaign_usage(stores, "eos", execution_folder=execution_folder)
    assert {"start", "relax", "strain", "volume", "result"} <= {
        one.step for one in usage.steps
    }
    # They are properties of the campaign that has the cells: columns under the name of
    # an engine that is not its own, and found again without being made again.
    made = recipe_properties(load_campaign(path), stores)
    assert [one.name for one in made] == ["bulk_modulus", "equilibrium_volume"] * 2
    assert {one.campaign for one in made} == {"small"}
    assert made[0].conditions == {"engine": "ionic"}
    assert made[0].provenance.recipe == "equation_of_state"
    # What is ranked is untouched, and no energy at a kept volume enters a hull.
    reports = build_all(stores, temperatures=(0.0,))
    assert reports["equation_of_state"].written == 0
    assert reports["equation_of_state"].unchanged == 2
    assert stores.entries.count({"kind": "candidate"}) == 2
    assert set(stores.summary.distinct("campaign")) == {"small"}
    keys = [
        set(stores.members.distinct("content_key", {"campaign": one}))
        for one in ("small", "eos")
    ]
    assert keys[0].isdisjoint(keys[1])


def test_a_choice_is_made_once(
    ranked: Campaign, stores: Stores, eos_file: Callable[..., Path]
) -> None:
    path = eos_file(("campaign: small", "campaign: small, limit: 1"))
    first = resolved(load_campaign(path), stores)
    ((_, chosen),) = first.members()
    assert first.build == stores.builds.query_one({})["run_id"]
    assert register(first, stores) == 0
    # Another build ranks them the other way round, and leaves the chosen one out.
    key = stores.members.query_one(
        {"campaign": "small", "candidate_id": chosen.candidate_id}
    )["content_key"]
    for doc in list(stores.tasks.query({"metadata.content_key": key})):
        stores.tasks.remove_docs({"uuid": doc["uuid"]})
    build(ranked.spec, stores, temperatures=(0.0,))
    again = resolved(load_campaign(path), stores)
    assert (again.build, list(again.members())) == (first.build, [(0, chosen)])
    register(again, stores)
    assert resolved(load_campaign(path), stores) == again
    # Other words choose anew; the same ones under another name do, too.
    for other in (
        eos_file(("campaign: small", "campaign: small, limit: 2")),
        eos_file(("campaign: small", "campaign: small, limit: 1"), ("eos", "eos2")),
    ):
        found = resolved(load_campaign(other), stores)
        assert found.build != first.build
        assert [one.candidate_id for _, one in found.members()] != [chosen.candidate_id]


def test_a_screen_takes_members_from_an_earlier_build(
    ranked: Campaign, stores: Stores, eos_file: Callable[..., Path]
) -> None:
    path = eos_file(
        ("recipe: equation_of_state\nrecipe_options: {points: 5}\n", ""),
        ("campaign: small", "campaign: small, order: [-formula]"),
        (
            "ionic",
            "chgnet\nstructure: {iterations: 500, seed: 3, n_orderings: {sqs: 1}}",
        ),
    )
    campaign = resolved(load_campaign(path), stores)
    formulas = [one.formula for _, one in campaign.members()]
    assert formulas == sorted(formulas, reverse=True)
    # The same candidates computed in the same way are the same calculations.
    keys = {campaign.key(one) for _, one in campaign.members()}
    assert keys == {ranked.key(one) for _, one in ranked.members()}


@pytest.mark.usefixtures("ranked")
def test_the_members_of_a_filter(stores: Stores, eos_file: Callable[..., Path]) -> None:
    path = eos_file(("campaign: small", 'campaign: small, filter: elements HAS "F"'))
    ((_, one),) = resolved(load_campaign(path), stores).members()
    assert "F" in one.elements
    assert one.start is not None
    assert one.start.n_atoms == 40
    assert one.start.to_structure().composition.element_composition.reduced_formula
    assert (
        stores.candidates.query_one(
            {"candidate_id": one.candidate_id, "start": {"$exists": True}}
        )
        is None
    )


SOURCE = "source: {campaign: small}"
REFUSED = {
    "an unknown recipe": (
        ("recipe: equation_of_state", "recipe: equation_of_stat"),
        (2, "recipe", "did you mean equation_of_state?"),
    ),
    "a recipe that computes no members": (
        ("recipe: equation_of_state", "recipe: references"),
        (2, "recipe", "hts references compute --like FILE"),
    ),
    "an unknown option": (
        ("points: 5", "point: 5"),
        (3, "recipe_options.point", "no such field here"),
    ),
    "too few points": (
        ("points: 5", "points: 4"),
        (3, "recipe_options.points", "greater than 4"),
    ),
    "a space for what needs relaxed cells": (
        (SOURCE, "space: {}\nselection: {method: all}"),
        (2, "recipe", "starts from relaxed cells: name the campaign"),
    ),
    "a gate": (
        ("engine: ionic", "engine: ionic\nprerelax: {}\ngate: {energy_above_hull: 0}"),
        (6, "prerelax", "leave it out"),
    ),
    "an engine that does not exist": (
        ("engine: ionic", "engine: ion"),
        (5, "engine", "there is no engine 'ion'"),
    ),
    "members from two places": (
        (SOURCE, f"{SOURCE}\nselection: {{method: all}}"),
        (4, "source", "leave the others out"),
    ),
    "members from nowhere": ((SOURCE, "description: x"), (1, "", "or by `source`")),
}


@pytest.mark.parametrize(("change", "complaint"), REFUSED.values(), ids=list(REFUSED))
def test_a_wrong_recipe_is_refused_with_file_line_and_field(
    eos_file: Callable[..., Path],
    change: tuple[str, str],
    complaint: tuple[int, str, str],
) -> None:
    with pytest.raises(SpecError) as caught:
        load_campaign(eos_file(change))
    line, field, says = complaint
    assert (caught.value.line, caught.value.field) == (line, field)
    assert says in caught.value.message
    assert "\n" not in str(caught.value)


def test_an_engine_that_cannot_is_refused(
    eos_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    weak = replace(ENGINES["ionic"], makers={})
    monkeypatch.setitem(ENGINES, "ionic", weak)  # type: ignore[misc]
    with pytest.raises(SpecError, match=r":5: engine: .* choose one of chgnet, gpaw"):
        load_campaign(eos_file())


@pytest.mark.usefixtures("ranked")
@pytest.mark.parametrize(
    ("source", "field", "says"),
    [
        ("campaign: smalls", "source.campaign", "the nearest is small"),
        ("campaign: q7", "source.campaign", "choose of small"),
        ("campaign: small, filter: e_hul < 1", "source.filter", "e_hul"),
        ("campaign: small, order: [beauty]", "source.order", "beauty"),
        ("campaign: small, filter: n_metals > 9", "source.filter", "loosen the filter"),
    ],
)
def test_a_choice_that_cannot_be_made_is_refused(
    stores: Stores, eos_file: Callable[..., Path], source: str, field: str, says: str
) -> None:
    campaign = load_campaign(eos_file(("campaign: small", source)))
    with pytest.raises(SpecError) as caught:
        resolved(campaign, stores)
    assert (caught.value.line, caught.value.field) == (4, field)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_build_that_has_gone_is_said(
    ranked: Campaign, stores: Stores, eos_file: Callable[..., Path]
) -> None:
    stores.summary.remove_docs({})
    build(ranked.spec.model_copy(update={"name": "other"}), stores, temperatures=(0.0,))
    for collection in (stores.summary_table, stores.summary):
        collection.remove_docs({})
    with pytest.raises(SpecError, match=r"no build of small .* `hts build all`"):
        resolved(load_campaign(eos_file()), stores)
    with pytest.raises(SpecError, match="no database yet"):
        resolved(load_campaign(eos_file()), None)


@pytest.mark.usefixtures("ranked")
def test_a_calculation_that_has_gone_is_said(
    stores: Stores, eos_file: Callable[..., Path]
) -> None:
    stores.tasks.remove_docs({"metadata.step": "order"})
    with pytest.raises(SpecError, match="ordered its cell is no longer"):
        resolved(load_campaign(eos_file()), stores)
    stores.tasks.remove_docs({"metadata.step": "relax"})
    with pytest.raises(SpecError, match="run the campaign again"):
        resolved(load_campaign(eos_file()), stores)


@pytest.mark.usefixtures("ranked")
def test_a_volume_that_failed_is_tried_again_alone(
    stores: Stores,
    eos_file: Callable[..., Path],
    run: Callable[..., int],
    spring: FakeSpringMaker,
    execution_folder: Path,
) -> None:
    campaign = load_campaign(eos_file(("campaign: small", "campaign: small, limit: 1")))
    assert run(campaign, relax_maker=replace(spring, failing=(4,))) == 1
    (one,) = candidate_statuses(campaign, stores, execution_folder=execution_folder)
    assert (str(one.state), one.reason) == (
        "failed",
        "builtins.RuntimeError: call 4 fails",
    )
    assert calls(spring) == 6
    assert run(campaign) == 0
    assert run(campaign, retry_failed=True) == 1
    assert calls(spring) == 7
    assert len(results(stores)) == 1
    (one,) = candidate_statuses(campaign, stores, execution_folder=execution_folder)
    assert (str(one.state), one.reason) == ("ranked", None)


@pytest.mark.usefixtures("ranked")
def test_what_an_outage_stopped_goes_on_at_the_next_volume(
    stores: Stores,
    eos_file: Callable[..., Path],
    run: Callable[..., int],
    spring: FakeSpringMaker,
    execution_folder: Path,
) -> None:
    campaign = load_campaign(eos_file())
    with pytest.raises(Exception, match="connection closed"):
        run(campaign, relax_maker=replace(spring, outages=(4,)))
    assert run(campaign) == 2
    # Call 4 is repeated, and nothing else.
    assert calls(spring) == 13
    assert ledger(execution_folder).computed_twice == ()
    assert len(results(stores)) == 2


@pytest.fixture
def queued(
    ranked: Campaign,
    stores: Stores,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    eos_file: Callable[..., Path],
    spring: FakeSpringMaker,
) -> Iterator[Dispatch]:
    """Return the campaign as it is sent to rockets."""
    import jobflow  # noqa: PLC0415 - its settings alone

    assert ranked
    monkeypatch.setattr(jobflow.SETTINGS, "JOB_STORE", stores.job_store)
    folder = tmp_path / "rockets"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with open_launchpad(stores.database) as launchpad:
        campaign = load_campaign(eos_file())
        yield Dispatch(
            campaign, stores, launchpad, folder, spring, recipe=EquationOfStateMaker
        )


@pytest.mark.parametrize("mode", DispatchMode)
def test_rockets_compute_it_too(
    queued: Dispatch,
    spring: FakeSpringMaker,
    execution_folder: Path,
    mode: DispatchMode,
) -> None:
    submitted = queued.submit(mode=mode)
    assert (submitted.candidates, submitted.new) == (2, 2)
    assert queued.submit(mode=mode).new == 0
    assert queued.feed().sent == 2
    steps = {one.step for one in list_jobs(queued.stores, JobFilter(campaign="eos"))}
    assert steps == {"chunk" if mode is DispatchMode.CHUNKS else "start"}
    assert queued.finish().is_done
    assert calls(spring) == 12
    assert ledger(execution_folder).computed_twice == ()
    assert len(results(queued.stores)) == 2
    path = queued.campaign.path
    for exact in (False, True):
        status = campaign_status(
            path, queued.stores, execution_folder=execution_folder, exact=exact
        )
        assert status.states == {"computed": 2}
    assert unsubmitted(queued.stores, "eos") is None


def test_a_volume_that_failed_in_a_rocket_is_sent_alone(
    queued: Dispatch, spring: FakeSpringMaker, execution_folder: Path
) -> None:
    queued.relax_maker = replace(spring, failing=(3,))
    queued.submit(mode=DispatchMode.STEPS)
    queued.finish()
    status = campaign_status(
        queued.campaign.path, queued.stores, execution_folder=execution_folder
    )
    assert status.states == {"computed": 1, "failed": 1}
    queued.relax_maker = spring
    assert queued.submit(mode=DispatchMode.STEPS, retry_failed=True).new == 1
    queued.finish()
    assert calls(spring) == 13
    assert len(results(queued.stores)) == 2


@pytest.mark.usefixtures("ranked")
def test_a_recipe_takes_two_files(
    stores: Stores,
    eos_file: Callable[..., Path],
    run: Callable[..., int],
    execution_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first is :mod:`made_up_recipe`, the second holds this line."""
    monkeypatch.setitem(RECIPES, "shortest_distance", made_up_recipe.__name__)
    path = eos_file(
        ("recipe: equation_of_state", "recipe: shortest_distance"),
        ("recipe_options: {points: 5}\n", ""),
    )
    campaign = load_campaign(path)
    assert run(campaign) == 2
    found = [doc["output"] for doc in stores.tasks.query({"metadata.step": "result"})]
    assert all(1.5 < one["shortest_distance"] < 2.5 for one in found)
    status = campaign_status(path, stores, execution_folder=execution_folder)
    assert status.states == {"computed": 2}
    plan = plan_campaign(path, stores, Assumptions(), execution_folder=execution_folder)
    assert [one.step for one in plan.steps] == ["start", "result"]


@pytest.mark.usefixtures("ranked")
def test_its_own_engine_gives_columns(
    stores: Stores, eos_file: Callable[..., Path], run: Callable[..., int]
) -> None:
    screening = ScreeningDatabase(stores)
    before = screening.to_frame(fields=["formula", "e_hull"], campaign="small")
    assert run(load_campaign(eos_file(("engine: ionic", "engine: chgnet")))) == 2
    fields = ["formula", "bulk_modulus", "bulk_modulus_uncertainty", "e_hull"]
    found = ScreeningDatabase(stores).to_frame("bulk_modulus > 50", fields=fields)
    assert len(found) == 2
    assert (found["bulk_modulus_uncertainty"] > 0).all()
    assert list(found["e_hull"]) == list(before["e_hull"])


@pytest.mark.slow
def test_a_real_engine_by_both_ways(
    queued: Dispatch,
    eos_file: Callable[..., Path],
    run: Callable[..., int],
    execution_folder: Path,
) -> None:
    """The ionic potential: what a process here and what a rocket computes agree."""
    little = ("campaign: small", "campaign: small, limit: 1")
    near = ("points: 5", "points: 5, largest_strain: 0.01")
    assert run(load_campaign(eos_file(little, near)), relax_maker=None) == 1
    more = ("points: 5", "points: 6, largest_strain: 0.01")
    queued.campaign = load_campaign(eos_file(little, more, name="more.yaml"))
    queued.relax_maker = None
    queued.submit()
    assert queued.finish().is_done
    here, there = sorted(results(queued.stores), key=lambda one: one.n_points)
    assert (here.n_points, there.n_points) == (5, 6)
    assert here.calculator == there.calculator == "ionic 1"
    assert here.volume == pytest.approx(there.volume, rel=0.005)
    assert here.bulk_modulus == pytest.approx(there.bulk_modulus, rel=0.3)
    assert 5 < here.bulk_modulus < 60
    # Each volume once, and the cell was relaxed by each calculation of its own.
    steps = Counter(
        one.start.step for one in read_executions(execution_folder).executions
    )
    assert (steps["relax"], steps["volume"]) == (2 + 2, 5 + 6)
    assert ledger(execution_folder).computed_twice == ()


@pytest.mark.usefixtures("ranked")
def test_carriers_are_taken_out_of_cells_of_an_earlier_campaign(
    stores: Stores,
    eos_file: Callable[..., Path],
    run: Callable[..., int],
    spring: FakeSpringMaker,
    execution_folder: Path,
) -> None:
    path = eos_file(
        ("recipe: equation_of_state", "recipe: charged_cells"),
        ("{points: 5}", "{cells: 2}"),
        name="charged.yaml",
    )
    before = plan_campaign(
        path, stores, Assumptions(), execution_folder=execution_folder
    )
    assert (before.candidates, before.jobs) == (2, 2 * 7)
    assert run(load_campaign(path)) == 2
    found = [
        ChargedCells.model_validate(doc["output"])
        for doc in stores.tasks.query({"metadata.step": "result"})
    ]
    assert calls(spring) == sum(len(one.cells) for one in found)
    for one in found:
        full, charged, last = one.lowest
        assert (one.carrier, charged, last) == ("Li", one.charged, charged // 2)
        assert one.charged < full
        assert one.cells[0].n_atoms == 40
    assert run(load_campaign(path)) == 0
    made = {one.name: one for one in recipe_properties(load_campaign(path), stores)}
    assert next(iter(made)) == "charged_e_hull"
    assert made["voltage_average"].value is None
    assert made["voltage_average"].reason == (
        "no Li metal by ionic fake among the references"
    )
    assert made["charged_volume_change"].value is not None
