"""From the entries of a candidate to what is compared: chosen, added up, or refused."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from hts_battery.builders.reference_hulls import reference_hulls
from hts_battery.builders.stability import (
    CandidateStability,
    candidate_stabilities,
    energy_scheme,
    other_candidates,
)
from hts_battery.schemas.build import OrderingEnergy
from hts_battery.schemas.entropy import EntropyOptions
from hts_battery.schemas.entry import SMALL_CELL
from hts_battery.schemas.thermo import StabilityOptions
from hts_battery.schemas.uncertainty import CalculatorError

CANDIDATE = {
    "candidate_id": "",
    "family": "hedrx",
    "formula": "Li2TiO3",
    "canonical_formula": "Li2O3Ti1",
    "elements": ["Li", "O", "Ti"],
    "n_elements": 3,
    "amounts": {"Li": "4/3", "Ti": "2/3", "O": "2"},
    "sites": {"cation": "2", "anion": "2"},
    "assignments": [
        {"cation": {"Li+": "4/3", "Ti4+": "2/3"}, "anion": {"O2-": "2"}},
    ],
}
NO_ERROR = CalculatorError(reason="none known")


def energy(name: str, formula: str, per_atom: float, n_atoms: int = 12) -> Any:  # noqa: ANN401 - as stored
    return {
        "entry_id": name,
        "formula": formula,
        "calculator": "fake 1",
        "uncorrected_energy": per_atom * n_atoms,
        "n_atoms": n_atoms,
        "energy_per_atom": per_atom,
        "adjustments": [],
        "correction_scheme": "none",
        "package_versions": {},
    }


def entry(name: str, per_atom: float, **changes: Any) -> Any:  # noqa: ANN401 - any field
    return {
        "entry_id": name,
        "candidate_id": candidate()["candidate_id"],
        "formula": "Li4Ti2O6",
        "calculator": "fake 1",
        "energy": energy(name, "Li4Ti2O6", per_atom),
        "ordering_id": f"ordering {name}",
        "ordering_method": "sqs",
        "assignment": CANDIDATE["assignments"][0],
        "deviation": {},
        "flags": [],
    } | changes


def candidate() -> dict[str, Any]:
    from hts_battery.schemas.candidate import candidate_id  # noqa: PLC0415 - as stored

    return {**CANDIDATE, "candidate_id": candidate_id("hedrx", "Li2O3Ti1")}


def hulls(calculator: str = "fake 1") -> Any:  # noqa: ANN401 - scheme → hull
    phases = {"Li": -1.9, "Ti": -7.8, "O2": -4.9, "Li2O": -4.8, "TiO2": -8.8}
    return reference_hulls(
        {
            "entry_id": f"ref:{formula}",
            "formula": formula,
            "calculator": calculator,
            "energy": energy(f"ref:{formula}", formula, value, 3)
            | {"calculator": calculator},
            "volume_per_atom": 10.0 if formula == "Li" else None,
            "oxidation_states": {"Li": 1.0} if formula == "Li2O" else {},
            "candidate_family": "hedrx" if formula == "Li2O" else None,
        }
        for formula, value in phases.items()
    )


def assessed(*entries: Any, **options: Any) -> CandidateStability:  # noqa: ANN401 - as stored
    (found,) = candidate_stabilities(
        [{"candidate": candidate(), "entries": list(entries)}],
        options.pop("hulls", hulls()),
        temperatures=(0.0, 1473.0),
        entropy=EntropyOptions(),
        stability=StabilityOptions(**options),
        engine_error=NO_ERROR,
    )
    return found


def test_the_lowest_ordering_decides_and_all_are_kept() -> None:
    found = assessed(entry("b", -7.0), entry("a", -7.1), entry("c", -6.9))
    assert found.error is None
    assert found.entry_id == "a"
    assert [one.entry_id for one in found.orderings] == ["a", "b", "c"]
    cold, hot = found.results
    assert cold.energy_per_atom == -7.1
    assert hot.energy_above_hull < cold.energy_above_hull
    assert hot is found.at(1473.0)
    assert found.at(300.0) is None
    assert cold.orderings is not None
    assert (cold.orderings.n_orderings, cold.orderings.n_random) == (3, 3)


def test_equal_energies_are_told_apart_by_their_ordering() -> None:
    one = assessed(entry("x", -7.0, ordering_id="b"), entry("y", -7.0, ordering_id="a"))
    assert [each.entry_id for each in one.orderings] == ["y", "x"]
    assert one.entry_id == "x"  # of equal energies the first id


def test_cells_of_other_compositions_are_left_out_and_said() -> None:
    far = {"Li": "-1/5", "Ti": "1/5"}
    found = assessed(entry("near", -7.0), entry("far", -9.0, deviation=far))
    assert [one.entry_id for one in found.orderings] == ["near"]
    assert "orderings of other compositions left out" in found.flags
    assert found.deviation == {}


def test_a_cell_that_deviates_is_compared_at_its_own_composition() -> None:
    held = {"cation": {"Li+": "1", "Ti4+": "3/4", "Vac": "1/4"}, "anion": {"O2-": "2"}}
    deviation = {"Li": "-1/3", "Ti": "1/12"}
    found = assessed(entry("e", -7.0, deviation=deviation, assignment=held))
    assert found.error is None
    assert found.deviation == {"Li": Fraction(-1, 3), "Ti": Fraction(1, 12)}
    assert found.results[0].formula == "LiTi0.75O2"
    assert "cell of another composition" in found.flags


def test_a_small_cell_is_no_bound_from_above() -> None:
    found = assessed(entry("a", -7.0, flags=[SMALL_CELL]), entry("b", -6.9))
    result = found.results[0]
    assert result.orderings is not None
    assert result.orderings.n_random == 1
    assert SMALL_CELL in found.flags


@pytest.mark.parametrize(
    ("entries", "options", "says"),
    [
        ([entry("a", -7.0, calculator="other 2")], {}, "other 2"),
        ([entry("a", -7.0)], {"hulls": {}}, "no competing phase has an energy"),
    ],
)
def test_a_failure_is_an_outcome_with_its_reason(
    entries: list[Any], options: dict[str, Any], says: str
) -> None:
    entries[0]["energy"]["calculator"] = entries[0]["calculator"]
    found = assessed(*entries, **options)
    assert found.results == ()
    assert found.error is not None
    assert says in found.error
    assert found.entry_id is None
    # What it waits for: the one hull that there is.
    assert (found.hull_version is None) is ("hulls" in options)


def test_the_scheme_with_most_orderings_is_compared() -> None:
    corrected = {"correction_scheme": "MP2020", "package_versions": {"pymatgen": "1"}}
    other = entry("m", -9.0)
    other["energy"] |= corrected
    both = hulls()
    (plain,) = both.values()
    both[energy_scheme(other["energy"], "fake 1")] = plain
    found = assessed(entry("a", -7.0), entry("b", -7.0), other, hulls=both)
    assert {one.scheme for one in found.orderings} == {"fake 1 / none"}


def test_candidates_that_cannot_be_assessed_do_not_compete() -> None:
    items = [
        {"candidate": candidate(), "entries": [entry("a", -7.0)]},
        {"candidate": candidate(), "entries": [entry("b", -7.0, calculator="x 2")]},
    ]
    items[1]["entries"][0]["energy"]["calculator"] = "x 2"
    found = other_candidates(items, hulls(), entropy=EntropyOptions())  # type: ignore[arg-type] # as stored
    ((scheme, group),) = found.items()
    assert scheme == "fake 1 / none"
    assert [one.energy_per_atom for one in group] == [-7.0]
    assert group[0].entropy > 0


def test_a_hull_knows_what_it_was_made_of() -> None:
    (known,) = hulls().values()
    assert known.calculator == "fake 1"
    assert known.families == {"hedrx": ("ref:Li2O",)}
    assert known.facts.volumes == {"ref:Li": 10.0}
    assert known.facts.oxidation_states == {"ref:Li2O": {"Li": 1.0}}
    assert set(hulls("other 1")) == {"other 1 / none"}


def test_an_altered_candidate_is_refused() -> None:
    altered = {**candidate(), "amounts": {"Li": "1", "Ti": "3/4", "O": "2"}}
    (found,) = candidate_stabilities(
        [{"candidate": altered, "entries": [entry("a", -7.0)]}],  # type: ignore[typeddict-item] # as stored
        hulls(),
        temperatures=(0.0,),
        entropy=EntropyOptions(),
        stability=StabilityOptions(),
        engine_error=NO_ERROR,
    )
    assert found.error is not None
    assert "species add up to" in found.error


def test_an_outcome_without_orderings_has_no_entry() -> None:
    assert CandidateStability("c").entry_id is None
    two = [
        OrderingEnergy(
            entry_id=name,
            method="sqs",
            kind="random",
            energy_per_atom=value,
            correction_per_atom=0.0,
            scheme="s",
        )
        for name, value in (("b", -1.0), ("a", -1.0))
    ]
    assert CandidateStability("c", orderings=tuple(two)).entry_id == "a"
