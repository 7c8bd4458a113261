"""What a candidate competes with: everything but itself."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import run_program

from hts_battery.schemas.formula import canonical_formula, parse_formula
from hts_battery.schemas.thermo import LeftOutReferences, StabilityOptions
from hts_battery.thermo import Hull, left_out_references

PROJECT = Path(__file__).resolve().parents[2]
LIBRARY = PROJECT / "tests/data/references_chgnet_837.csv"
OWN_COMPOSITION = LeftOutReferences.OWN_COMPOSITION
OWN_PHASE = LeftOutReferences.OWN_PHASE
OWN_FAMILY = LeftOutReferences.OWN_FAMILY

HULL = Hull(
    ["Na", "Zr", "P", "O2", "NaZr2P3O12", "Na2Zr4P6O24", "NaHf2P3O12", "Hf"],
    [0.0, 0.0, 0.0, 0.0, -3.0, -2.9, -3.1, 0.0],
    ids=["Na", "Zr", "P", "O2", "nasicon", "polymorph", "hafnium", "Hf"],
)
FAMILY = frozenset({"nasicon", "hafnium"})


def left_out(
    formula: str, rule: LeftOutReferences, hull: Hull = HULL
) -> tuple[str, ...]:
    return left_out_references(hull, formula, rule=rule, family=FAMILY)


def test_only_the_own_composition_is_left_out_by_default() -> None:
    assert StabilityOptions().left_out_references is OWN_COMPOSITION
    assert left_out_references(HULL, "NaZr2(PO4)3") == ("nasicon", "polymorph")
    assert left_out_references(HULL, "NaZrHf(PO4)3") == ()
    assert left_out_references(HULL, "NaZr2P3O11") == ()
    assert left_out_references(HULL, "LiFeO2") == ()


def test_polymorphs_or_the_family_by_option() -> None:
    assert left_out("NaZr2(PO4)3", OWN_PHASE) == ("nasicon",)
    assert left_out("NaZrHf(PO4)3", OWN_PHASE) == ()
    # Of the family those inside the elements, and the own composition all the same.
    assert left_out("NaZr2(PO4)3", OWN_FAMILY) == ("nasicon", "polymorph")
    assert left_out("NaZrHf(PO4)3", OWN_FAMILY) == ("nasicon", "hafnium")
    assert left_out("NaZrO2", OWN_FAMILY) == ()


amounts = st.dictionaries(
    st.sampled_from(["Na", "Zr", "Hf", "P", "O"]), st.integers(1, 12), min_size=1
)


@given(st.lists(amounts, min_size=1, max_size=8), st.integers(0, 7), st.integers(1, 5))
def test_what_is_left_out_has_exactly_the_composition(
    phases: list[dict[str, int]], which: int, factor: int
) -> None:
    asked = phases[which % len(phases)]
    formulas = ["".join(f"{el}{n}" for el, n in phase.items()) for phase in phases]
    names = [str(number) for number in range(len(phases))]
    hull = Hull(formulas, [0.0] * len(phases), ids=names)
    formula = "".join(f"{el}{factor * n}" for el, n in asked.items())
    same = [
        name
        for name, text in zip(names, formulas, strict=True)
        if canonical(text) == canonical(formula)
    ]
    assert list(left_out_references(hull, formula)) == same


def canonical(formula: str) -> str:
    return canonical_formula(parse_formula(formula))


# Published decompositions, 10.1038/s41467-021-26006-3


@pytest.fixture(scope="module")
def program() -> dict[str, Any]:
    return run_program("benchmarks/published_products.py")


@pytest.fixture(scope="module")
def library(program: dict[str, Any]) -> Any:  # noqa: ANN401 - of the program
    return program["library_of"](LIBRARY)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_recorded_library(library: Any) -> None:  # noqa: ANN401 - of the program
    rows = rows_of(LIBRARY)
    assert len(rows) == 837
    assert len(library.hull) == 832
    assert sum(row["rejected"] != "" for row in rows) == 5


@pytest.mark.physics
@pytest.mark.parametrize(("rule", "least", "most"), [(0, 49, 65), (2, 0, 12)])
def test_published_products_come_out(
    program: dict[str, Any],
    library: Any,  # noqa: ANN401 - of the program
    shared_data: Path,
    rule: int,
    least: int,
    most: int,
) -> None:
    published = rows_of(shared_data / "nasicon_2021" / "published_entropy.csv")
    rows = program["compared"](published, library, list(LeftOutReferences)[rule])
    held = [row for row in rows if not row.missing]
    assert (len(rows), len(held)) == (300, 65)
    assert least <= sum(row.comes_out for row in held) <= most


@pytest.mark.physics
@pytest.mark.parametrize(
    ("formula", "products", "lower"),
    [
        # CHGNet: -69.7 against no NASICON and +0.3 against two; published 3.0.
        ("NaZrHf(PO4)3", {"NaZr2P3O12": 0.5, "NaHf2P3O12": 0.5}, 0.0700),
        # CHGNet: -198.5 and +3.7; published 9.7, the same two products.
        ("AlGa(SO4)3", {"Al2S3O12": 0.5, "Ga2S3O12": 0.5}, 0.2022),
    ],
)
def test_solid_solutions_compete_with_their_end_members(
    library: Any,  # noqa: ANN401 - of the program
    formula: str,
    products: dict[str, float],
    lower: float,
) -> None:
    hull = library.hull
    found = hull.decomposition(formula, exclude=left_out_references(hull, formula))
    assert found.amounts == pytest.approx(products)
    family = left_out_references(hull, formula, rule=OWN_FAMILY, family=library.family)
    without = hull.decomposition(formula, exclude=family)
    assert without.energy - found.energy == pytest.approx(lower, abs=1e-4)


@pytest.mark.physics
def test_no_published_composition_leaves_out_another(
    library: Any,  # noqa: ANN401 - of the program
    shared_data: Path,
) -> None:
    rows = rows_of(shared_data / "nasicon_2021" / "compositions.csv")
    hull = library.hull
    spelled = dict(zip(hull.ids, map(canonical, hull.formulas), strict=True))
    found = {}
    for row in rows:
        gone = left_out_references(hull, row["CompName"])
        assert {spelled[name] for name in gone} <= {canonical(row["CompName"])}
        if gone:
            found[row["CompName"]] = gone
    assert len(rows) == 3104
    assert sorted(found) == [
        "Al2(SO4)3",
        "Ga2(SO4)3",
        "In2(SO4)3",
        "NaGe2(PO4)3",
        "NaSn2(PO4)3",
        "NaTi2(PO4)3",
        "Sc2(SO4)3",
        "Y2(SO4)3",
    ]
