from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hts_battery.compositions import load_space
from hts_battery.errors import SpecError
from hts_battery.schemas.candidate import CandidateDoc
from hts_battery.schemas.species_table import SpinState

if TYPE_CHECKING:
    from pathlib import Path

HIGH = SpinState(spin="high", unpaired_electrons=4)


def space(**cation: dict[str, str]) -> dict[str, object]:
    return {
        "family": "hedrx",
        "basis": "formula-unit",
        "step": 0.5,
        "sublattices": {
            "cation": {"sites": 2, "species": {"Li+": {}, **cation}},
            "anion": {"sites": 2, "species": ["O2-"]},
        },
    }


def test_a_stated_spin_travels_with_every_candidate() -> None:
    said = load_space(space(**{"Co3+": {"spin": "high"}, "Ti4+": {}}))
    silent = load_space(space(**{"Co3+": {}, "Ti4+": {}}))
    for one, other in zip(said, silent, strict=True):
        assert one.spin_states == {"Co3+": HIGH}
        assert other.spin_states == {}
        assert one.candidate_id == other.candidate_id
        document = CandidateDoc.from_candidate(one)
        again = CandidateDoc.model_validate_json(document.model_dump_json())
        assert again.to_candidate().spin_states == {"Co3+": HIGH}
    assert said[0].spin_states == said.sample(1)[0].spin_states


def test_a_spin_that_the_table_has_anyway_is_not_carried() -> None:
    assert load_space(space(**{"Co3+": {"spin": "low"}}))[0].spin_states == {}


def test_a_table_of_the_space_counts_too(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text(
        "species,role,spin,unpaired_electrons,preference,source\n"
        "Co3+,redox centre,high,4,0,a test\n"
        "Mn3+,redox centre,low,2,0,a test\n",
        encoding="utf-8",
    )
    table = {"species_table": str(tmp_path / "own.csv")}
    assert load_space(space(**{"Co3+": {}}) | table)[0].spin_states == {"Co3+": HIGH}
    stated = space(**{"Co3+": {"spin": "low"}}) | table
    assert load_space(stated)[0].spin_states == {}


def test_a_spin_that_cannot_be_is_refused() -> None:
    with pytest.raises(SpecError, match=r"species\.Ti4\+\.spin: .*4 to 7 d electrons"):
        load_space(space(**{"Ti4+": {"spin": "high"}}))


def test_two_spins_of_one_species_are_refused() -> None:
    said = space(**{"Co3+": {"spin": "high"}})
    said["sublattices"]["anion"]["species"] = {"O2-": {}, "Co3+": {"spin": "low"}}
    with pytest.raises(SpecError, match=r"another spin state on another sublattice"):
        load_space(said)
