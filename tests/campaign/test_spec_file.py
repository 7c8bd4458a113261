from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hts_battery.campaign.spec_file import load_campaign
from hts_battery.errors import SpecError
from hts_battery.flows.engines.registry import ENGINES
from hts_battery.schemas.species_table import SpinState

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hts_battery.campaign.spec_file import Campaign

FORMULAS = (
    "selection: {method: formulas, "
    "formulas: [Li1.3Mn0.4Ti0.3O1.7F0.3, Li1.2Mn0.4Ti0.4O2]}"
)

REFUSED = {
    "a wrong field": (
        ("engine: chgnet", "engin: chgnet"),
        (11, "engin", "no such field"),
    ),
    "a wrong field inside": (
        ("iterations: 500", "iteration: 500"),
        (10, "structure.iteration", "no such field"),
    ),
    "a wrong field of the space": (
        ("step: 0.1", "steps: 0.1"),
        (5, "space.steps", "no such field"),
    ),
    "an unknown element": (
        ("Mn3+", "Xx3+"),
        (7, "space.sublattices.cation.species.1", "Xx is no element"),
    ),
    "amounts without charge balance": (
        ("[Li+, Mn3+, Ti4+]", "[Mn4+, Ti4+]"),
        (2, "space", "charge"),
    ),
    "an impossible cell size": (
        ("atoms: 40", "atoms: 44"),
        (10, "structure.atoms", "sizes that fit: 40, 80"),
    ),
    "an unknown engine": (
        ("engine: chgnet", "engine: chgnot"),
        (11, "engine", "there is no engine 'chgnot'; choose one of chgnet"),
    ),
    "a gate whose energies are not corrected yet": (
        ("engine: chgnet", "engine: vasp-mp24\nprerelax: {engine: vasp-mp-gga}"),
        (12, "prerelax.engine", "vasp-mp-gga cannot relax before the gate"),
    ),
    "a sample larger than the space": (
        (FORMULAS, "selection: {method: sample, count: 100000, seed: 1}"),
        (9, "selection", "100000"),
    ),
    "a range beyond the space": (
        (FORMULAS, "selection: {method: range, start: 0, stop: 100000}"),
        (9, "selection", "100000"),
    ),
    "a formula outside the space": (
        ("Li1.2Mn0.4Ti0.4O2", "LiCoO2"),
        (9, "selection.formulas", "LiCoO2"),
    ),
    "a formula that is none": (
        ("Li1.2Mn0.4Ti0.4O2", "Li1.2.3"),
        (9, "selection.formulas", "Li1.2.3"),
    ),
    "a duplicate key": (
        ("engine: chgnet", "name: twice"),
        (11, "name", "second time"),
    ),
    "a negative temperature": (
        ("[0, 1473]", "[0, -1]"),
        (12, "temperatures.1", "it must be at least 0 (in K)"),
    ),
    "a temperature twice": (
        ("[0, 1473]", "[0, 0.0]"),
        (12, "temperatures", "once"),
    ),
    "no temperature": (
        ("[0, 1473]", "[]"),
        (12, "temperatures", "at least 1 must stand here"),
    ),
    "a formula twice": (
        ("Li1.2Mn0.4Ti0.4O2", "Li13Mn4Ti3O17F3"),
        (9, "selection.formulas", "twice"),
    ),
    "a filter that does not exist": (
        ("engine: chgnet", "filters: [{rule: beauty}]"),
        (11, "filters.0", "beauty"),
    ),
}


@pytest.mark.parametrize(("change", "complaint"), REFUSED.values(), ids=list(REFUSED))
def test_a_wrong_campaign_is_refused_with_file_line_and_field(
    campaign_file: Callable[..., Path],
    change: tuple[str, str],
    complaint: tuple[int, str, str],
) -> None:
    path = campaign_file(change)
    line, field, says = complaint
    with pytest.raises(SpecError) as caught:
        load_campaign(path)
    error = caught.value
    assert error.file == str(path)
    assert (error.line, error.field) == (line, field)
    assert says in error.message
    assert "\n" not in str(error)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("text", ["", "just text", "- a\n- list\n", "a: [1, 2"])
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "campaign.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=r"campaign\.yaml"):
        load_campaign(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot read this file"):
        load_campaign(tmp_path / "none.yaml")


def test_the_space_may_stand_in_a_file_of_its_own(
    campaign_file: Callable[..., Path], small_campaign: Campaign, tmp_path: Path
) -> None:
    text = small_campaign.path.read_text()
    start, stop = text.index("  family"), text.index("selection:")
    lines = [line[2:] for line in text[start:stop].splitlines()]
    (tmp_path / "space.yaml").write_text("\n".join(lines) + "\n")
    path = campaign_file(
        ("space:\n" + text[start:stop], "space: space.yaml\n"), name="other.yaml"
    )
    campaign = load_campaign(path)
    assert campaign.space.count == small_campaign.space.count
    assert list(campaign.members()) == list(small_campaign.members())


def test_an_error_in_the_file_of_the_space_names_that_file(
    campaign_file: Callable[..., Path], small_campaign: Campaign, tmp_path: Path
) -> None:
    text = small_campaign.path.read_text()
    start, stop = text.index("  family"), text.index("selection:")
    (tmp_path / "space.yaml").write_text("family: hedrx\nstap: 0.1\n")
    path = campaign_file(("space:\n" + text[start:stop], "space: space.yaml\n"))
    with pytest.raises(SpecError, match=r"space\.yaml:2: stap"):
        load_campaign(path)


def test_members_are_neutral_and_know_their_place(small_campaign: Campaign) -> None:
    members = list(small_campaign.members())
    assert [candidate.formula for _, candidate in members] == [
        "Li1.3Mn0.4Ti0.3O1.7F0.3",
        "Li1.2Mn0.4Ti0.4O2",
    ]
    for index, candidate in members:
        assert small_campaign.space[index].candidate_id == candidate.candidate_id


def test_the_key_of_a_calculation_changes_with_its_settings_only(
    campaign_file: Callable[..., Path], small_campaign: Campaign
) -> None:
    (_, candidate), _ = small_campaign.members()
    key = small_campaign.key(candidate)
    same = load_campaign(campaign_file(("name: small", "name: other")))
    assert same.key(candidate) == key
    cooler = load_campaign(campaign_file(("[0, 1473]", "[0, 1000]")))
    assert cooler.key(candidate) == key
    for change in (("seed: 3", "seed: 4"), ("iterations: 500", "iterations: 501")):
        assert load_campaign(campaign_file(change)).key(candidate) != key


def test_the_key_follows_species_spins_and_start_but_not_the_gate(
    campaign_file: Callable[..., Path], small_campaign: Campaign
) -> None:
    (_, candidate), _ = small_campaign.members()
    key = small_campaign.key(candidate)
    first = candidate.assignments[0]
    cation = {
        ("Mn2+" if name == "Mn3+" else name): amount
        for name, amount in first["cation"].items()
    }
    other = candidate.model_copy(update={"assignments": ({**first, "cation": cation},)})
    assert small_campaign.key(other) != key
    spin = SpinState(spin="low", unpaired_electrons=2)
    low = candidate.model_copy(update={"spin_states": {"Mn3+": spin}})
    assert small_campaign.key(low) != key
    absent = candidate.model_copy(update={"spin_states": {"Co3+": spin}})
    assert small_campaign.key(absent) == key

    def changed(text: str) -> str:
        path = campaign_file(("engine: chgnet", f"engine: chgnet\n{text}"))
        return load_campaign(path).key(candidate)

    started = changed("prerelax: {}")
    assert started != key
    assert changed("prerelax: {}\ngate: {energy_above_hull: 0.1}") == started
    for text in ("{sqs: 2}", "{electrostatic: 1}"):
        path = campaign_file(("atoms: 40", f"atoms: 40, n_orderings: {text}"))
        # More orderings begin with the same ones.
        assert load_campaign(path).key(candidate) == key


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("engine: chgnet", "gate: {energy_above_hull: 0.1}", "prerelax block"),
        (
            "engine: chgnet",
            "prerelax: {engine: vasp7}",
            r"prerelax\.engine: there is no engine",
        ),
        ("atoms: 40", "n_orderings: {sqs: 0}", r"n_orderings\.sqs"),
        ("atoms: 40", "n_orderings: {best: 1}", r"n_orderings\.best"),
        ("atoms: 40", "n_orderings: {}", "n_orderings"),
        ("atoms: 40", "max_deviation: -1/10", "max_deviation"),
        ("atoms: 40", "magnetic_order: up", "magnetic_order"),
    ],
)
def test_orderings_and_gate_are_refused_where_they_make_no_sense(
    campaign_file: Callable[..., Path], old: str, new: str, place: str
) -> None:
    with pytest.raises(SpecError, match=place):
        load_campaign(campaign_file((old, new)))


def test_an_element_that_the_engine_does_not_know_is_refused(
    campaign_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    knows = replace(ENGINES["chgnet"], elements=lambda: frozenset(("Li", "O", "Ti")))
    monkeypatch.setitem(ENGINES, "chgnet", knows)  # type: ignore[misc]
    with pytest.raises(SpecError, match=r":11: engine: chgnet cannot compute F, Mn"):
        load_campaign(campaign_file())


def test_the_smallest_cell_may_be_left_to_the_candidate(
    campaign_file: Callable[..., Path],
) -> None:
    # One number of atoms cannot serve candidates whose formula units differ in size.
    campaign = load_campaign(campaign_file(("atoms: 40", "atoms: null")))
    assert campaign.spec.structure.atoms is None
    assert campaign.spec.calculation["structure"]["atoms"] is None


def test_filters_remove_members_before_they_cost_anything(
    campaign_file: Callable[..., Path],
) -> None:
    path = campaign_file(
        (
            "engine: chgnet",  # the default anyway
            "filters: [{rule: redox-compatibility, pairs: [[F-, Mn3+]]}]",
        )
    )
    (member,) = load_campaign(path).members()
    assert member[1].formula == "Li1.2Mn0.4Ti0.4O2"
