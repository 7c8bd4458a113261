from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from hts_battery.campaign.spec_file import load_campaign
from hts_battery.connections.database.stores import screening_stores
from hts_battery.errors import ConfigurationError
from hts_battery.operations.rehearsal import (
    REHEARSALS,
    Injection,
    bytes_in,
    failure_counts,
    lacking,
    rehearsal_phases,
    rehearse,
    rehearsed,
)
from hts_battery.schemas.candidate import Candidate, CandidateDoc, StartingCell
from hts_battery.settings import get_settings
from hts_battery.structures import order_candidate
from hts_battery.vasp_standin.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.database import Database

TWO_FORMULAS = (
    "method: formulas, formulas: [Li1.3Mn0.4Ti0.3O1.7F0.3, Li1.2Mn0.4Ti0.4O2]"
)
GATED = """engine: vasp-mp-gga
prerelax: {engine: chgnet}
gate: {energy_above_hull: 0.1}"""

WARNINGS = [
    # The elements that the hull needs are metals; the settings are MP's all the same.
    pytest.mark.filterwarnings("ignore:Relaxation of likely metal with ISMEAR"),
    pytest.mark.filterwarnings("ignore:No POTCAR file with matching TITEL"),
    pytest.mark.filterwarnings(
        "ignore::pymatgen.io.vasp.outputs.UnconvergedVASPWarning"
    ),
    pytest.mark.filterwarnings("ignore:subprocess returned a non-zero return code"),
]


@pytest.fixture
def vasp_campaign(campaign_file: Callable[..., Path]) -> Campaign:
    return load_campaign(
        campaign_file(
            ("engine: chgnet", "engine: vasp-mp-gga"),
            (
                TWO_FORMULAS,
                "method: sample, count: 3, seed: 1",
            ),
        )
    )


@pytest.fixture
def on_server(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    monkeypatch.setenv("HTS_BATTERY_MONGO_URI", database.uri)
    monkeypatch.setenv("HTS_BATTERY_DATABASE", database.name)
    monkeypatch.setenv("HTS_BATTERY_DATA_DIR", str(tmp_path / "data"))
    get_settings.cache_clear()
    yield tmp_path / "data"
    get_settings.cache_clear()


def test_rates_are_read_or_refused() -> None:
    found = Injection.from_words(["node=0.1", "out of memory=1"], seed=4)
    assert found.rates == {Fault.NODE: 0.1, Fault.OUT_OF_MEMORY: 1.0}
    for wrong in ("node", "node=2", "node=nan", "fire=0.1", "=0.1"):
        with pytest.raises(ConfigurationError, match="CLASS=RATE"):
            Injection.from_words([wrong])


def test_the_rehearsed_campaign_cannot_be_taken_for_the_real_one(
    vasp_campaign: Campaign,
) -> None:
    found = rehearsed(vasp_campaign, limit=2)
    assert found.spec.engine == "rehearsal:vasp-mp-gga"
    assert found.spec.name == "rehearsal-small"
    members = [index for index, _ in vasp_campaign.members()]
    assert [index for index, _ in found.members()] == members[:2]
    keys = {vasp_campaign.key(one) for _, one in vasp_campaign.members()}
    assert keys.isdisjoint(found.key(one) for _, one in found.members())


def test_an_engine_without_a_stand_in_is_refused(small_campaign: Campaign) -> None:
    with pytest.raises(ConfigurationError, match="no stand-in for the engine chgnet"):
        rehearsed(small_campaign)


def test_a_gate_lets_everything_by(campaign_file: Callable[..., Path]) -> None:
    campaign = load_campaign(
        campaign_file(
            (
                "engine: chgnet",
                GATED,
            )
        )
    )
    gate = rehearsed(campaign).spec.gate
    assert gate is not None
    assert gate.energy_above_hull == 1000


def test_what_production_lacks_is_listed(
    vasp_campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    found = "\n".join(lacking(vasp_campaign))
    assert "VASP_CMD" in found
    assert "POTCAR" in found


def test_each_element_has_its_smallest_phase() -> None:
    found = rehearsal_phases(["Li", "Mn", "O"])
    assert [one.phase_id for one in found] == ["Li-bcc", "Mn-bcc", "O-alpha"]


def test_failures_are_counted_once_for_a_calculation() -> None:
    node = {"failure_class": "node or filesystem failure"}
    state = {"failure_class": "wrong magnetic or charge state"}

    def task(
        uuid: str, index: int, *, converged: bool, failures: list[dict[str, object]]
    ) -> dict[str, object]:
        attempts = index
        run = {"converged": converged, "attempts": attempts, "failures": failures}
        return {"uuid": uuid, "index": index, "output": {"run": run}}

    first = {**node, "attempt": 1}
    counts = failure_counts(
        [
            task("a", 1, converged=False, failures=[first]),
            task("a", 2, converged=True, failures=[first]),
            task("b", 1, converged=False, failures=[first]),
            task("c", 1, converged=True, failures=[{**state, "attempt": 1}]),
            task("d", 1, converged=True, failures=[]),
        ]
    )
    assert [one.model_dump() for one in counts] == [
        {
            "failure_class": "node or filesystem failure",
            "attempts": 2,
            "repeated": 1,
            "kept": 0,
            "given_up": 1,
        },
        {
            "failure_class": "wrong magnetic or charge state",
            "attempts": 1,
            "repeated": 0,
            "kept": 1,
            "given_up": 0,
        },
    ]


def test_bytes_of_no_folder(tmp_path: Path) -> None:
    assert bytes_in(tmp_path / "absent") == 0


@pytest.mark.mongo
@pytest.mark.parametrize("keep", [False, True])
def test_it_cleans_up_after_an_error(
    vasp_campaign: Campaign,
    on_server: Path,
    monkeypatch: pytest.MonkeyPatch,
    keep: bool,
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hts_battery.operations.rehearsal._compute_references", broken)
    before = dict(os.environ)
    with pytest.raises(KeyboardInterrupt):
        rehearse(vasp_campaign, keep=keep)
    assert dict(os.environ) == before
    assert (on_server / REHEARSALS).exists() is keep


@pytest.mark.mongo
@pytest.mark.slow
@pytest.mark.usefixtures("on_server", "execution_folder")
class TestWithTheStandIn:
    pytestmark = WARNINGS

    def test_one_fails_on_purpose_and_both_are_ranked(
        self, vasp_campaign: Campaign, on_server: Path
    ) -> None:
        injection = Injection.from_words(["node=0.3"], seed=1)
        report = rehearse(vasp_campaign, injection=injection, limit=2)
        assert report.unexpected == ()
        assert report.states == {"ranked": 2}
        assert (report.candidates, report.ranked, report.references) == (2, 2, 5)
        (failure,) = report.failures
        assert failure.failure_class == "node or filesystem failure"
        assert failure.attempts == failure.repeated > 0
        # Three calculations of two orderings and five references, repetitions.
        assert report.jobs == 2 + 6 + 15 + failure.repeated
        assert report.seconds > 0
        assert report.lacking
        assert not (on_server / REHEARSALS).exists()
        with screening_stores(get_settings(), make_indexes=False) as stores:
            assert not any(store.count() for store in (stores.tasks, stores.campaigns))

    def test_an_equation_of_state_is_rehearsed(self, tmp_path: Path) -> None:
        """With VASP's jobs of a kept cell, from a cell that another engine relaxed."""
        path = tmp_path / "eos.yaml"
        path.write_text(
            "name: eos\nrecipe: equation_of_state\nrecipe_options: {points: 5}\n"
            "source: {campaign: small}\nengine: vasp-mp-gga\n"
        )
        two = Fraction(2)
        candidate = Candidate(
            "hedrx",
            {"Ni": two, "O": two},
            sites={"cation": two, "anion": two},
            assignments=({"cation": {"Ni2+": two}, "anion": {"O2-": two}},),
        )
        cell = order_candidate(candidate, atoms=4)
        start = StartingCell(
            campaign="small",
            entry_id="entry",
            ordering_id=cell.ordering_id,
            engine="chgnet",
            calculator="chgnet 0.4.2",
            energy_per_atom=-5.0,
            digest="digest",
            structure=cell.structure,
        )
        document = CandidateDoc.from_candidate(candidate).model_copy(
            update={"start": start}
        )
        campaign = replace(load_campaign(path), chosen=((0, document),))
        report = rehearse(campaign)
        assert (report.states, report.unexpected) == ({"computed": 1}, ())
        # A relaxation of three calculations, five at kept volumes, and what joins them.
        assert report.jobs == 3 + 5 * 3 + 3
        assert report.references == 0
