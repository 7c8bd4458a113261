from __future__ import annotations

import json
import os
import subprocess
import sys
from fractions import Fraction
from typing import TYPE_CHECKING

import bson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from monty.json import MontyDecoder, MontyEncoder
from pymatgen.core import Structure

import hts_battery.structures
from hts_battery.errors import OrderingError
from hts_battery.schemas.candidate import CandidateDoc
from hts_battery.schemas.species import parse_species
from hts_battery.schemas.structure import OrderedCell
from hts_battery.structures import order_candidate
from hts_battery.structures.decoration import composition_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from hts_battery.schemas.candidate import Candidate

METHODS = ("sqs", "electrostatic", "random")
_IN_A_NEW_PROCESS = """
import sys
from hts_battery.schemas.candidate import CandidateDoc
from hts_battery.structures import order_candidate
candidate = CandidateDoc.model_validate_json(sys.stdin.read()).to_candidate()
for method in sys.argv[1:]:
    print(order_candidate(candidate, seed=5, method=method).model_dump_json())
"""


def in_a_new_process(text: str, hash_seed: str) -> list[str]:
    done = subprocess.run(  # noqa: S603 - our own interpreter, our own words
        [sys.executable, "-c", _IN_A_NEW_PROCESS, *METHODS],
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
    assert first == in_a_new_process(text, "2")
    # Nor does it depend on what this process computed before.
    order_candidate(six_metals, seed=4)
    assert first == [
        order_candidate(six_metals, seed=5, method=method).model_dump_json()
        for method in METHODS
    ]


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
        assert composition_of(structure) == {
            element: amount * 10 for element, amount in candidate.amounts.items()
        }
        assert ordered.minimum_distance > 1.2
        assert all(0 <= e <= 1 for v in ordered.correlation_errors.values() for e in v)


def test_the_room_exports_what_it_says() -> None:
    for name in hts_battery.structures.__all__:
        assert getattr(hts_battery.structures, name)
    with pytest.raises(AttributeError, match=r"no attribute 'nothing'"):
        _ = hts_battery.structures.nothing
