from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.errors import CompositionError
from hts_battery.schemas.candidate import Candidate, CandidateDoc, check_assignment
from hts_battery.schemas.formula import parse_formula

SITES = {"cation": Fraction(2), "anion": Fraction(2)}
ASSIGNMENT = {
    "cation": {"Li+": Fraction(6, 5), "Mn3+": Fraction(2, 5), "Ti4+": Fraction(2, 5)},
    "anion": {"O2-": Fraction(2)},
}


def candidate(formula: str = "Li1.2Mn0.4Ti0.4O2", family: str = "hedrx") -> Candidate:
    return Candidate(
        family, parse_formula(formula), sites=SITES, assignments=(ASSIGNMENT,)
    )


def test_the_id_never_changes() -> None:
    assert candidate().candidate_id == "5d1f4536cc4e96334537"


@given(st.permutations(["Li1.2", "Mn0.4", "Ti0.4", "O2"]), st.integers(1, 30))
def test_the_id_depends_on_content_alone(parts: list[str], times: int) -> None:
    one = candidate(f"({''.join(parts)}){times}")
    assert one.candidate_id == candidate().candidate_id
    assert one == candidate()
    assert hash(one) == hash(candidate())


def test_the_family_is_part_of_the_id() -> None:
    assert candidate(family="layered") != candidate()
    assert candidate() != "Li1.2Mn0.4Ti0.4O2"


def test_assignments_are_made_once_and_only_when_asked_for() -> None:
    calls = []

    def make() -> tuple[dict[str, dict[str, Fraction]], ...]:
        calls.append(1)
        return (ASSIGNMENT,)

    one = Candidate(
        "hedrx", parse_formula("Li1.2Mn0.4Ti0.4O2"), sites=SITES, assignments=make
    )
    assert one.candidate_id
    assert not calls
    assert one.assignment == one.assignments[0] == ASSIGNMENT
    assert one.species["Mn3+"] == Fraction(2, 5)
    assert one.atoms_per_formula_unit == 4
    assert len(calls) == 1


def test_a_stored_candidate_comes_back_and_is_checked() -> None:
    doc = CandidateDoc.from_candidate(candidate())
    assert CandidateDoc.model_validate_json(doc.model_dump_json()) == doc
    assert doc.to_candidate() == candidate()
    altered = doc.model_copy(update={"candidate_id": "0" * 20})
    with pytest.raises(CompositionError, match="does not match its content"):
        altered.to_candidate()


@pytest.mark.parametrize(
    ("sublattice", "species", "amount", "says"),
    [
        ("cation", "Ti4+", Fraction(1, 2), "holds"),
        ("anion", "F-", Fraction(1, 10), "holds"),
    ],
)
def test_wrong_assignments_are_refused(
    sublattice: str, species: str, amount: Fraction, says: str
) -> None:
    changed = {name: dict(here) for name, here in ASSIGNMENT.items()}
    changed[sublattice][species] = amount
    with pytest.raises(CompositionError, match=says):
        check_assignment(changed, amounts=candidate().amounts, sites=SITES)


def test_a_charged_assignment_is_refused() -> None:
    changed = {name: dict(here) for name, here in ASSIGNMENT.items()}
    changed["cation"]["Mn2+"] = changed["cation"].pop("Mn3+")
    with pytest.raises(CompositionError, match="charge"):
        check_assignment(changed, amounts=candidate().amounts, sites=SITES)
