from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from typing import TYPE_CHECKING

import bson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from monty.json import MontyDecoder, MontyEncoder
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.core import Structure

import hts_battery.structures
from hts_battery.compositions import load_space
from hts_battery.errors import OrderingError
from hts_battery.schemas.candidate import CandidateDoc
from hts_battery.schemas.species import parse_species
from hts_battery.schemas.structure import MagneticOrder, OrderedCell, OrderingMethod
from hts_battery.structures import generate_orderings, order_candidate

if TYPE_CHECKING:
    from collections.abc import Callable

    from hts_battery.schemas.candidate import Candidate

METHODS = ("sqs", "electrostatic", "random")
_IN_A_NEW_PROCESS = """
import sys
from pymatgen.core import Species, get_el_sp
if sys.argv.pop(1) == "float":  # what pymatgen keeps for all who write -2 later
    kept = get_el_sp(Species("O", -2.0)), get_el_sp(Species("Mn", 3.0))
from hts_battery.schemas.candidate import CandidateDoc
from hts_battery.structures import generate_orderings, order_candidate
candidate = CandidateDoc.model_validate_json(sys.stdin.read()).to_candidate()
for method in sys.argv[1:]:
    print(order_candidate(candidate, seed=5, method=method).model_dump_json())
several = generate_orderings(candidate, seed=5, iterations=2000, max_deviation=1)
for cell in several:
    print(cell.model_dump_json())
"""


def in_a_new_process(text: str, hash_seed: str, charges: str = "int") -> list[str]:
    done = subprocess.run(  # noqa: S603 - our own interpreter, our own words
        [sys.executable, "-c", _IN_A_NEW_PROCESS, charges, *METHODS],
        input=text,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )
    return done.stdout.splitlines()


def test_two_processes_write_the_same_documents(six_metals: Candidate) -> None:
    text = CandidateDoc.from_candidate(six_metals).model_dump_json()
    first = in_a_new_process(text, "1")
    assert first == in_a_new_process(text, "2", "float")
    # Nor does it depend on what this process computed before.
    order_candidate(six_metals, seed=4)
    assert first == [
        order_candidate(six_metals, seed=5, method=method).model_dump_json()
        for method in METHODS
    ] + [
        cell.model_dump_json()
        for cell in generate_orderings(
            six_metals, seed=5, iterations=2000, max_deviation=Fraction(1)
        )
    ]
    assert len(first) == len(METHODS) + 6


def test_seeds_give_different_orderings(six_metals: Candidate) -> None:
    ids = {
        order_candidate(six_metals, seed=seed, iterations=5000).ordering_id
        for seed in range(4)
    }
    assert len(ids) == 4


def test_the_cell_is_the_candidate(six_metals: Candidate) -> None:
    ordered = order_candidate(six_metals, iterations=5000)
    structure = ordered.to_structure()
    assert ordered.n_atoms == len(structure) == 40
    assert ordered.is_exact
    assert ordered.amounts == dict(sorted(six_metals.amounts.items()))
    assert structure.charge == 0
    found: dict[str, Fraction] = {}
    for site in structure:
        text = str(
            parse_species(f"{site.specie.symbol}{_charge(site.specie.oxi_state)}")
        )
        found[text] = found.get(text, Fraction(0)) + Fraction(1, 10)
    assert found == six_metals.species
    # A rocksalt of these radii: cation-anion distance between MgO and LiF-like.
    assert 1.95 < ordered.minimum_distance < 2.3
    assert {"sublattice", "site_label", "magmom"} <= set(structure.site_properties)
    anions = {
        s.specie.symbol for s in structure if s.properties["sublattice"] == "anion"
    }
    assert anions == {"O", "F"}


def _charge(oxidation_state: float) -> str:
    size = abs(int(oxidation_state))
    return ("" if size == 1 else str(size)) + ("+" if oxidation_state > 0 else "-")


def test_the_magnetic_start_belongs_to_the_species(six_metals: Candidate) -> None:
    expected = {("Mn", 2): 5.0, ("Mn", 3): 4.0, ("Cr", 3): 3.0, ("Li", 1): 0.0}
    totals = set()
    for seed in (0, 1):
        structure = order_candidate(
            six_metals, seed=seed, iterations=2000
        ).to_structure()
        for site in structure:
            key = (site.specie.symbol, int(site.specie.oxi_state))
            if key in expected:
                assert site.properties["magmom"] == expected[key]
        totals.add(sum(structure.site_properties["magmom"]))
    assert len(totals) == 1


def test_it_travels_as_json_bson_and_through_monty(drx: Candidate) -> None:
    ordered = order_candidate(drx, iterations=2000)
    plain = ordered.model_dump(mode="json")
    assert OrderedCell.model_validate_json(ordered.model_dump_json()) == ordered
    assert OrderedCell.model_validate(bson.decode(bson.encode(plain))) == ordered
    text = json.dumps(ordered, cls=MontyEncoder)
    assert json.loads(text, cls=MontyDecoder) == ordered
    again = OrderedCell.model_validate(plain | {"structure": ordered.to_structure()})
    assert isinstance(again.to_structure(), Structure)
    assert again.to_structure() == ordered.to_structure()


def test_one_species_on_each_sublattice_needs_no_search(
    make_candidate: Callable[..., Candidate],
) -> None:
    candidate = make_candidate("hedrx", cation={"Mg2+": 2}, anion={"O2-": 2})
    ordered = order_candidate(candidate, atoms=8)
    assert ordered.iterations == 0
    assert ordered.score == 0
    assert ordered.correlation_errors == {}
    assert ordered.to_structure().volume == pytest.approx(4.2112**3)


def test_an_impossible_size_and_an_unknown_method_are_refused(drx: Candidate) -> None:
    with pytest.raises(OrderingError, match=r"sizes that fit: 40, 80"):
        order_candidate(drx, atoms=42)
    with pytest.raises(ValueError, match=r"sqs, electrostatic, random"):
        order_candidate(drx, method="guess")
    with pytest.raises(OrderingError, match=r"at least 1"):
        order_candidate(drx, iterations=0)


def test_orderings_of_every_method_share_cell_composition_and_moments(
    six_metals: Candidate,
) -> None:
    cells = generate_orderings(six_metals, iterations=2000)
    assert [cell.method.value for cell in cells] == [
        *("sqs", "sqs", "electrostatic", "electrostatic", "random", "random")
    ]
    assert len({cell.ordering_id for cell in cells}) == 6
    assert len({cell.supercell for cell in cells}) == 1
    for first, second in zip(cells[::2], cells[1::2], strict=True):
        assert first.score <= second.score
    moments = [
        Counter(zip(s.species, s.site_properties["magmom"], strict=True))
        for s in (cell.to_structure() for cell in cells)
    ]
    assert all(one == moments[0] for one in moments)
    assert all(cell.assignment == six_metals.assignment for cell in cells)
    lowest = min(cells, key=lambda cell: cell.electrostatic_energy)
    assert lowest.method is OrderingMethod.ELECTROSTATIC


def test_the_first_method_keeps_what_several_find(
    make_candidate: Callable[..., Candidate],
) -> None:
    # Two cations on two sites: a single ordering, whoever looks for it.
    candidate = make_candidate("hedrx", cation={"Li+": 1, "Co3+": 1}, anion={"O2-": 2})
    asked = {"random": 3, "electrostatic": 3, "sqs": 3}
    (cell,) = generate_orderings(candidate, n_orderings=asked, atoms=4, iterations=50)
    assert cell.method is OrderingMethod.SQS


def test_the_order_in_which_methods_are_named_does_not_matter(drx: Candidate) -> None:
    first = generate_orderings(drx, n_orderings={"sqs": 1, "random": 1}, iterations=500)
    assert first == generate_orderings(
        drx, n_orderings={"random": 1, "sqs": 1}, iterations=500
    )


@pytest.mark.parametrize("asked", [{}, {"sqs": 0}, {"sqs": 2, "random": -1}])
def test_no_orderings_are_refused(drx: Candidate, asked: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"each a positive number"):
        generate_orderings(drx, n_orderings=asked)


def test_a_deviating_cell_says_so(make_candidate: Callable[..., Candidate]) -> None:
    candidate = make_candidate(
        "hedrx",
        cation={"Li+": "1.15", "Mn3+": "0.85"},
        anion={"O2-": "1.7", "F-": "0.3"},
    )
    with pytest.raises(OrderingError, match=r"nearest neutral one is Li1\.1Mn0\.9"):
        order_candidate(candidate)
    cell = order_candidate(candidate, max_deviation=Fraction("0.1"), iterations=500)
    assert not cell.is_exact
    assert cell.formula == candidate.formula
    assert cell.deviation == {
        "F": Fraction("-0.1"),
        "Li": Fraction("-0.05"),
        "Mn": Fraction("0.05"),
        "O": Fraction("0.1"),
    }
    assert cell.assignment == {
        "cation": {"Li+": Fraction("1.1"), "Mn3+": Fraction("0.9")},
        "anion": {"F-": Fraction("0.2"), "O2-": Fraction("1.8")},
    }
    assert cell.to_structure().composition.get_el_amt_dict() == {
        element: amount * 10 for element, amount in cell.amounts.items()
    }
    assert OrderedCell.model_validate_json(cell.model_dump_json()) == cell


def test_twelve_metals_in_forty_atoms_are_flagged(twelve_metals: Candidate) -> None:
    with pytest.raises(OrderingError, match=r"nearest neutral one is Li0\."):
        order_candidate(twelve_metals)
    cell = order_candidate(twelve_metals, iterations=500, max_deviation=Fraction(1, 5))
    assert cell.n_atoms == 40
    assert not cell.is_exact
    assert max(map(abs, cell.deviation.values())) <= Fraction(1, 5)
    assert set(cell.amounts) == set(twelve_metals.amounts)
    assert cell.formula == twelve_metals.formula
    assert cell.candidate_id == twelve_metals.candidate_id


def test_ferrimagnetic_starts_reverse_species_not_sites(
    six_metals: Candidate,
) -> None:
    cells = [
        order_candidate(
            six_metals, seed=seed, iterations=500, magnetic_order="ferrimagnetic"
        )
        for seed in (0, 1)
    ]
    signs = [
        {
            (site.species_string, site.properties["magmom"])
            for site in cell.to_structure()
        }
        for cell in cells
    ]
    assert signs[0] == signs[1]
    assert any(moment < 0 for _, moment in signs[0])
    assert all(cell.magnetic_order is MagneticOrder.FERRIMAGNETIC for cell in cells)
    with pytest.raises(
        ValueError, match=r"no magnetic order 'spiral'; there are ferro"
    ):
        order_candidate(six_metals, magnetic_order="spiral")


def test_the_spin_of_a_space_reaches_the_structure() -> None:
    def cobalt(said: dict[str, str]) -> Candidate:
        cation = {"sites": 2, "species": {"Li+": {}, "Co3+": said}}
        anion = {"sites": 2, "species": ["O2-"]}
        space = {
            "family": "hedrx",
            "basis": "formula-unit",
            "step": 1,
            "sublattices": {"cation": cation, "anion": anion},
        }
        return load_space(space)[0]

    low, high = (
        order_candidate(
            # As it travels to a node.
            CandidateDoc.model_validate_json(
                CandidateDoc.from_candidate(cobalt(said)).model_dump_json()
            ).to_candidate(),
            atoms=8,
            method="electrostatic",
        )
        for said in ({}, {"spin": "high"})
    )
    assert low.candidate_id == high.candidate_id
    assert low.ordering_id == high.ordering_id
    assert set(low.to_structure().site_properties["magmom"]) == {0.0}
    assert (
        sorted(high.to_structure().site_properties["magmom"]) == [0.0] * 6 + [4.0] * 2
    )
    # Shannon: octahedral Co3+ has 0.545 angstrom in low spin, 0.61 in high spin.
    growth = (high.to_structure().volume / low.to_structure().volume) ** (1 / 3)
    mean_low, mean_high = (0.76 + 0.545) / 2, (0.76 + 0.61) / 2
    assert growth == pytest.approx((mean_high + 1.4) / (mean_low + 1.4))
    assert high.electrostatic_energy == pytest.approx(
        EwaldSummation(high.to_structure()).total_energy / 8, rel=1e-7
    )
    assert high.score == high.electrostatic_energy


def test_a_family_without_prototype_is_refused(
    make_candidate: Callable[..., Candidate],
) -> None:
    candidate = make_candidate("garnet", cation={"Li+": 2}, anion={"F-": 2})
    with pytest.raises(OrderingError, match=r"no prototype for the family 'garnet'"):
        order_candidate(candidate)


_CATIONS = {"Li+": 1, "Mn2+": 2, "Mn3+": 3, "Cr3+": 3, "Ti4+": 4, "Nb5+": 5, "Mg2+": 2}


@st.composite
def neutral_rocksalts(draw: st.DrawFn) -> dict[str, dict[str, Fraction]]:
    """Twentieths of the cation sites at random; oxygen and fluorine balance them."""
    names = draw(st.lists(st.sampled_from(sorted(_CATIONS)), min_size=19, max_size=19))
    charge = sum(_CATIONS[n] for n in names)
    # 20 anions hold between 20 and 40 negative charges; lithium fills up.
    while charge > 39:
        names.remove(max(names, key=lambda n: _CATIONS[n]))
        names.append("Li+")
        charge = sum(_CATIONS[n] for n in names)
    names.append("Li+")
    fluorine = 40 - charge - 1
    cation = {n: Fraction(names.count(n), 10) for n in set(names)}
    anion = {"O2-": Fraction(20 - fluorine, 10), "F-": Fraction(fluorine, 10)}
    return {"cation": cation, "anion": {s: a for s, a in anion.items() if a}}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sublattices=neutral_rocksalts(), seed=st.integers(0, 2**40))
def test_any_neutral_candidate_becomes_an_exact_cell(
    make_candidate: Callable[..., Candidate],
    sublattices: dict[str, dict[str, Fraction]],
    seed: int,
) -> None:
    candidate = make_candidate("hedrx", **sublattices)
    for method in ("sqs", "random"):
        ordered = order_candidate(candidate, method=method, iterations=500, seed=seed)
        structure = ordered.to_structure()
        assert structure.charge == 0
        assert structure.composition.get_el_amt_dict() == {
            element: amount * 10 for element, amount in candidate.amounts.items()
        }
        assert ordered.minimum_distance > 1.2
        assert all(0 <= e <= 1 for v in ordered.correlation_errors.values() for e in v)


_METALS = {"Mg2+": 2, "Zn2+": 2, "Sc3+": 3, "Al3+": 3, "Zr4+": 4, "Ti4+": 4, "Nb5+": 5}
_CENTRES = {"Si4+": 4, "P5+": 5, "S6+": 6}


@st.composite
def neutral_nasicons(draw: st.DrawFn) -> dict[str, dict[str, Fraction]]:
    """Six formula units at random; sodium and vacancies balance them."""
    metals = draw(st.lists(st.sampled_from(sorted(_METALS)), min_size=12, max_size=12))
    centres = draw(
        st.lists(st.sampled_from(sorted(_CENTRES)), min_size=18, max_size=18)
    )

    def sodium() -> int:
        return (
            6 * 24 - sum(_METALS[m] for m in metals) - sum(_CENTRES[c] for c in centres)
        )

    while sodium() > 24:
        centres.remove(min(centres, key=_CENTRES.__getitem__))
        centres.append("S6+")
    while sodium() < 0:
        metals.remove(max(metals, key=_METALS.__getitem__))
        metals.append("Mg2+")
    alkali = {"Na+": Fraction(sodium(), 6), "Vac": Fraction(24 - sodium(), 6)}
    return {
        "alkali": {s: a for s, a in alkali.items() if a},
        "metal": {m: Fraction(metals.count(m), 6) for m in set(metals)},
        "polyanion": {c: Fraction(centres.count(c), 6) for c in set(centres)},
        "oxygen": {"O2-": Fraction(12)},
    }


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sublattices=neutral_nasicons(), seed=st.integers(0, 2**40))
def test_any_neutral_nasicon_becomes_an_exact_cell(
    make_candidate: Callable[..., Candidate],
    sublattices: dict[str, dict[str, Fraction]],
    seed: int,
) -> None:
    candidate = make_candidate("nasicon", **sublattices)
    # Two primitive cells where every sodium site is taken, and about as many elsewhere.
    for atoms, deviation in ((None, Fraction(0)), (84, Fraction(10))):
        ordered = order_candidate(
            candidate, method="random", seed=seed, atoms=atoms, max_deviation=deviation
        )
        structure = ordered.to_structure()
        assert structure.charge == 0
        units = ordered.formula_units
        assert structure.composition.get_el_amt_dict() == {
            element: amount * units for element, amount in ordered.amounts.items()
        }
        assert ordered.is_exact or atoms
        filled = {n: sum(s.values()) for n, s in ordered.assignment.items()}
        assert filled == {"alkali": 4, "metal": 2, "polyanion": 3, "oxygen": 12}
        assert set(ordered.amounts) == set(candidate.amounts)
        for element, amount in candidate.amounts.items():
            assert ordered.amounts[element] == amount + ordered.deviation.get(
                element, 0
            )


def test_the_room_exports_what_it_says() -> None:
    for name in hts_battery.structures.__all__:
        assert getattr(hts_battery.structures, name)
    with pytest.raises(AttributeError, match=r"no attribute 'nothing'"):
        _ = hts_battery.structures.nothing
