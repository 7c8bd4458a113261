"""What fields of one document may not say together, and what documents add up."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hts_battery.schemas.archive import ArchivedLaunch, ArchivedWorkflow
from hts_battery.schemas.backup import BackupManifest, CollectionBackup
from hts_battery.schemas.build import BuildReport, total_report
from hts_battery.schemas.campaign import CampaignSpec, content_key
from hts_battery.schemas.dispatch import FeedReport, Hold, QueueRule
from hts_battery.schemas.energy import CorrectionAudit
from hts_battery.schemas.entropy import EntropyOptions
from hts_battery.schemas.entry import EntryDoc
from hts_battery.schemas.execution import ExecutionCounts, Ledger
from hts_battery.schemas.failure import FailureClass, FailurePolicy
from hts_battery.schemas.gate import HullSnapshot
from hts_battery.schemas.recovery import RecoveredRun, RecoveryAction, RecoveryReport
from hts_battery.schemas.reference import (
    ReferenceEnergy,
    ReferenceEnergyFile,
    ReferencePhase,
    ReferenceSource,
    family_of,
    mean_oxidation_states,
)
from hts_battery.schemas.space import AmountBounds, AmountRange, MetalsSpec, Selection
from hts_battery.schemas.structure import chosen, covers, joined, series_of
from hts_battery.schemas.uncertainty import ErrorTerm, UncertaintyTerms

if TYPE_CHECKING:
    from fractions import Fraction

    from hts_battery.schemas.base import Document

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FILE = {"kind": "crystallographic file", "cod_id": 1, "citation": "somebody"}
SITES = [
    {"element": "Li", "oxidation_state": 1, "position": (0, 0, 0)},
    {"element": "F", "oxidation_state": -1, "position": (0.5, 0.5, 0.5)},
]
PHASE = {
    "phase_id": "LiF-rocksalt",
    "formula": "LiF",
    "group": "fluorides",
    "space_group_symbol": "Fm-3m",
    "space_group_number": 225,
    "cell": (4.02, 4.02, 4.02, 90, 90, 90),
    "sites": SITES,
    "source": FILE,
}
ENERGY = {
    "phase_id": "LiF-rocksalt",
    "formula": "LiF",
    "engine": "chgnet",
    "energy_per_atom": -4.8,
    "n_atoms": 2,
    "converged": True,
    "start_digest": "d",
}
ENTRY = {
    "entry_id": "e",
    "kind": "reference",
    "formula": "LiF",
    "elements": ("F", "Li"),
    "engine": "chgnet",
    "calculation": {},
    "input_digest": "d",
}
CAMPAIGN = {
    "name": "one",
    "space": "space.yaml",
    "selection": {"method": "all"},
}


@pytest.mark.parametrize(
    ("model", "content", "says"),
    [
        (EntryDoc, {**ENTRY, "state": "used"}, "energy exactly if it is used"),
        (EntryDoc, {**ENTRY, "state": "rejected"}, "reason exactly if it is rejected"),
        (
            HullSnapshot,
            {
                "calculator": "x 1",
                "phase_ids": ("a", "b"),
                "formulas": ("Li",),
                "energies_per_atom": (0.0, 0.0),
                "digest": "d",
            },
            "each phase needs an id",
        ),
        (
            EntropyOptions,
            {"convention": "ouyang2021", "sodium_sites": "resolved"},
            "textbook convention only",
        ),
        (
            CorrectionAudit,
            {"n_energies": 2, "used": (), "rejected": ()},
            "2 energies went in, but 0 were used and 0 rejected",
        ),
        (FailurePolicy, {"rules": ()}, "without a rule: bad input"),
        (ReferenceSource, {**FILE, "citation": None}, "number and citation"),
        (ReferenceSource, {**FILE, "database": "AMCSD"}, "stand together"),
        (
            ReferenceSource,
            {**FILE, "database": "AMCSD", "number": "7"},
            "cod_id, or database and number",
        ),
        (
            ReferenceSource,
            {"kind": "computed structure", "citation": "c"},
            "names its database and number",
        ),
        (
            ReferenceSource,
            {"kind": "own decoration", "licence": "CC BY"},
            "a licence belongs",
        ),
        (ReferenceSource, {"kind": "AFLOW prototype decorated"}, "aflow_label"),
        (ReferenceSource, {"kind": "published type decorated"}, "type_source"),
        (ReferenceSource, {"kind": "own electrostatic ordering"}, "ordering belongs"),
        (ReferencePhase, {**PHASE, "formula": "NaF"}, "name different elements"),
        (ReferencePhase, {**PHASE, "formula": "Li("}, "unbalanced bracket"),
        (ReferenceEnergy, {**ENERGY, "converged": False}, "reason in 'rejected'"),
        (ReferenceEnergy, {**ENERGY, "energy_per_atom": None}, "needs a reason"),
        (AmountBounds, {"minimum": 2, "maximum": 1}, "below the minimum"),
        (MetalsSpec, {"minimum": 3, "maximum": 2}, "below the minimum"),
        (AmountRange, {"first": 0, "last": 1, "step": "0.3"}, "do not reach"),
        (Selection, {"method": "sample", "count": 2}, "needs seed"),
        (Selection, {"method": "all", "count": 2}, "takes no count"),
        (Selection, {"method": "range", "start": 3, "stop": 3}, "stop after"),
        (
            Selection,
            {
                "method": "sample",
                "count": 2,
                "seed": 1,
                "stratify": ["metals", "metals"],
            },
            "twice",
        ),
        (CampaignSpec, {**CAMPAIGN, "temperatures": (0, 0)}, "each temperature"),
        (
            CampaignSpec,
            {**CAMPAIGN, "gate": {"energy_above_hull": 0.1}},
            "needs the energies of a prerelax block",
        ),
        (CampaignSpec, {**CAMPAIGN, "name": "One"}, "should match pattern"),
        (
            CampaignSpec,
            {**CAMPAIGN, "structure": {"n_orderings": {}}},
            "at least 1 item",
        ),
    ],
)
def test_what_does_not_belong_together_is_refused(
    model: type[Document], content: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValidationError, match=says):
        model.model_validate(content)


def test_the_same_contents_are_taken_where_they_belong_together() -> None:
    assert ReferencePhase.model_validate(PHASE).chemical_system == "F-Li"
    assert ReferenceEnergy.model_validate(ENERGY).calculator == "chgnet unknown"
    labelled = ReferenceEnergy.model_validate({**ENERGY, "label": "vasp x"})
    assert labelled.calculator == "vasp x"
    rejected = EntryDoc.model_validate({**ENTRY, "state": "rejected", "reason": "no"})
    assert rejected.energy is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"engine": "other"}, r"holds energies of \['chgnet'\]"),
        ({"energies": (ENERGY, ENERGY)}, "more than one energy for LiF-rocksalt"),
        ({"created": datetime(2026, 1, 1)}, "time zone"),  # noqa: DTZ001 - refused
    ],
)
def test_a_file_of_energies_is_of_one_engine_and_of_each_phase_once(
    changes: dict[str, Any], says: str
) -> None:
    content = {
        "engine": "chgnet",
        "settings": {},
        "versions": {},
        "created": NOW,
        "energies": (ENERGY,),
    }
    assert len(ReferenceEnergyFile.model_validate(content).energies) == 1
    with pytest.raises(ValidationError, match=says):
        ReferenceEnergyFile.model_validate({**content, **changes})


def test_a_family_is_that_of_the_energy_or_of_the_library() -> None:
    phase = ReferencePhase.model_validate({**PHASE, "candidate_family": "hedrx"})
    energy = ReferenceEnergy.model_validate(ENERGY)
    own = energy.model_copy(update={"candidate_family": "nasicon"})
    assert family_of(energy, None) is None
    assert family_of(energy, phase) == "hedrx"
    assert family_of(own, phase) == "nasicon"


def test_charges_that_share_an_element_are_what_makes_the_formula_neutral() -> None:
    sites = [
        {"element": "Mn", "oxidation_state": charge, "position": (0, 0, place)}
        for charge, place in ((2, 0), (3, 0.5))
    ]
    sites.append({"element": "O", "oxidation_state": -2, "position": (0.5, 0, 0)})
    mixed = {**PHASE, "formula": "Mn3O4", "sites": sites}
    found = mean_oxidation_states(ReferencePhase.model_validate(mixed))
    assert found == {"Mn": pytest.approx(8 / 3), "O": -2.0}
    two = [*sites, {**sites[-1], "oxidation_state": -1, "position": (0, 0.5, 0)}]
    both = ReferencePhase.model_validate({**mixed, "sites": two})
    assert mean_oxidation_states(both) == {}


def test_what_a_key_digests() -> None:
    def key(**changes: Any) -> str:  # noqa: ANN401 - any field of a campaign
        spec = CampaignSpec.model_validate({**CAMPAIGN, **changes})
        return content_key("c", spec.calculation)

    prerelaxed = {"prerelax": {"engine": "chgnet"}}
    gate = {"gate": {"energy_above_hull": 0.1}}
    assert key() == key(temperatures=(0,), description="other")
    assert key() == key(structure={"n_orderings": {"sqs": 7}})
    assert key() != key(structure={"seed": 1})
    assert key() != key(**prerelaxed) == key(**prerelaxed, **gate)
    assert content_key("c", {"a": 1, "b": 2}) == content_key("c", {"b": 2, "a": 1})


AMOUNTS = st.dictionaries(
    st.sampled_from(["Li+", "Mn3+", "Ti4+"]),
    st.fractions(0, 2, max_denominator=30),
    min_size=1,
)


@given(AMOUNTS, AMOUNTS)
def test_a_key_tells_assignments_apart_exactly(
    first: dict[str, Fraction], second: dict[str, Fraction]
) -> None:
    def key(amounts: dict[str, Fraction]) -> str:
        return content_key("c", {}, assignment={"cation": amounts})

    backwards = dict(reversed(first.items()))
    assert key(first) == key(backwards)
    assert (key(first) == key(second)) is (first == second)


@pytest.mark.parametrize(
    ("changes", "done"),
    [
        ({}, True),
        ({"waiting": 1}, False),
        ({"in_hand": 1}, False),
        ({"waiting": 1, "hold": Hold.PAUSED}, True),
        ({"in_hand": 1, "hold": Hold.PAUSED}, False),
        ({"problem": "the server went away"}, False),
    ],
)
def test_when_a_feeder_has_nothing_more_to_do(
    changes: dict[str, Any], done: bool
) -> None:
    assert FeedReport(campaign="one", **changes).is_done is done


@pytest.mark.parametrize(
    ("atoms", "hours"),
    [(1, 1.0), (40, 1.0), (41, 2.0), (80, 2.0), (81, 5.0), (None, 5.0)],
)
def test_a_rule_knows_how_long_a_cell_takes(atoms: int | None, hours: float) -> None:
    rule = QueueRule.model_validate(
        {
            "engine": "*",
            "mode": "steps",
            "chunk": 1,
            "window": 1,
            "memory": 4,
            "times": [
                {"atoms": 40, "hours": 1},
                {"atoms": 80, "hours": 2},
                {"hours": 5},
            ],
        }
    )
    assert rule.hours(atoms) == hours


def test_the_longest_time_is_taken_beyond_the_largest_cell() -> None:
    times = [{"atoms": 40, "hours": 1}, {"atoms": 80, "hours": 2}]
    rule = {"engine": "*", "mode": "chunks", "chunk": 1, "window": 1, "times": times}
    rule |= {"memory": 4}
    assert QueueRule.model_validate(rule).hours(1000) == 2.0


def test_counts_add_up() -> None:
    report = BuildReport(
        read=5, written=2, failed=1, unchanged=3, removed=0, seconds=0.5
    )
    total = total_report([report, report])
    assert (total.read, total.failed, total.unmade, total.seconds) == (10, 2, 0, 1.0)
    counts = ExecutionCounts(completed=2, interrupted=1, unknown=1)
    assert counts.executions == 4
    by_job = {"a": counts, "b": ExecutionCounts(completed=1)}
    ledger = Ledger(
        total=counts, by_content_key={}, by_job=by_job, error_classes={}, torn_lines=0
    )
    assert ledger.computed_twice == ("a",)
    launches = tuple(
        ArchivedLaunch(launch_id=n, fw_id=1, state="COMPLETED", seconds=n)
        for n in (1, 2)
    )
    workflow = ArchivedWorkflow(
        fw_id=1,
        dispatch_id="d",
        campaign="one",
        name="n",
        state="COMPLETED",
        archived=NOW,
        fireworks=(),
        launches=launches,
    )
    assert workflow.seconds == 3.0
    collection = CollectionBackup(
        name="tasks", documents=3, bytes=9, digest="d", file_digest="f", indexes=()
    )
    manifest = BackupManifest(
        format=1,
        database="x",
        layout=1,
        created=NOW,
        host="h",
        versions={},
        locked=(),
        blob_store="mongo",
        collections=(collection, collection),
    )
    assert manifest.documents == 6


def test_what_a_search_for_losses_found() -> None:
    assert RecoveryReport().found_nothing
    assert not RecoveryReport(problems=("x",)).found_nothing
    run = RecoveredRun(fw_id=1, name="n", action=RecoveryAction.PUT_BACK, reason="r")
    report = RecoveryReport(runs=(run, run))
    assert report.count(RecoveryAction.PUT_BACK) == 2
    assert report.count(RecoveryAction.GIVEN_UP) == 0


def test_a_policy_answers_for_every_class() -> None:
    policy = FailurePolicy.model_validate(
        {"rules": [{"failure_class": one} for one in FailureClass]}
    )
    for one in FailureClass:
        assert policy.rule(one).failure_class is one


def test_an_uncertainty_says_where_it_comes_from() -> None:
    term = ErrorTerm(value=0.024, source="10.1/x", meaning="PBE+U")
    assert UncertaintyTerms(sources=(term, term)).words == (
        "PBE+U (10.1/x); PBE+U (10.1/x)"
    )
    assert UncertaintyTerms(reason="none").words == "not known: none"


METHODS = st.sampled_from(["sqs", "electrostatic", "random"])
SERIES = st.dictionaries(
    METHODS, st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=5)
)
WANTED = st.dictionaries(METHODS, st.integers(0, 4))


@given(SERIES, WANTED, WANTED)
def test_more_orderings_begin_with_the_same_ones(
    series: dict[str, list[str]], wanted: dict[str, int], more: dict[str, int]
) -> None:
    found = chosen(series, wanted)
    assert len(found) <= sum(wanted.values())
    assert all(name in series[method] for name, method in found.items())
    # One method more of is asked for: nothing that the first methods gave goes.
    only = {"sqs": wanted.get("sqs", 0)}
    larger = {"sqs": only["sqs"] + more.get("sqs", 0)}
    assert set(chosen(series, only)) <= set(chosen(series, larger))
    assert covers(larger, only)
    assert covers(wanted, {})


@given(SERIES, SERIES)
def test_the_latest_search_outweighs_and_nothing_is_lost(
    first: dict[str, list[str]], second: dict[str, list[str]]
) -> None:
    both = joined([first, second])
    assert both.keys() == first.keys() | second.keys()
    for method, names in both.items():
        latest = second.get(method, [])
        assert names[: len(latest)] == latest
        assert len(set(names)) == len(names)
    assert joined([second, second]) == {
        method: list(names) for method, names in second.items()
    }


@given(SERIES)
def test_a_series_is_read_from_the_cells_in_any_order(
    series: dict[str, list[str]],
) -> None:
    cells: dict[str, dict[str, Any]] = {}
    for method, names in series.items():
        for number, name in enumerate(names):
            cell = cells.setdefault(
                name, {"ordering_id": name, "method": method, "series": {}}
            )
            cell["series"][method] = number
    wanted = {method: names for method, names in series.items() if names}
    assert series_of(cells.values()) == dict(sorted(wanted.items()))
    assert series_of(reversed(cells.values())) == dict(sorted(wanted.items()))
