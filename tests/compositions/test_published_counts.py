"""Every number of the published composition grids."""

from __future__ import annotations

import csv
from hashlib import sha256
from math import comb
from typing import TYPE_CHECKING

import pytest

from hts_battery.compositions import load_space

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.compositions.nasicon import NasiconPairs
    from hts_battery.compositions.space import CompositionSpace

pytestmark = pytest.mark.physics

SIX = ["Mn2+", "Co2+", "Mn3+", "Cr3+", "Ti4+", "Nb5+"]
TWELVE = [*SIX, "Ni2+", "Fe3+", "V3+", "Zr4+", "Mg2+", "Al3+"]
STOICHIOMETRIES = [
    ("1.0", "0"), ("1.1", "0"), ("1.2", "0"), ("1.3", "0"),
    ("1.2", "0.2"), ("1.3", "0.3"), ("1.4", "0.4"),
]  # fmt: skip


def hedrx(
    species: list[str], lithium: str, fluorine: str, **metals: int
) -> CompositionSpace:
    return load_space(
        {
            "family": "hedrx",
            "basis": "formula-unit",
            "step": 0.1,
            "sublattices": {
                "cation": {"sites": 2, "species": ["Li+", *species], "metals": metals},
                "anion": {"sites": 2, "species": ["O2-", "F-"]},
            },
            "stoichiometries": [{"Li": lithium, "F": fluorine}],
        }
    )


@pytest.mark.parametrize(
    ("species", "counts"),
    [
        (SIX, (235, 160, 89, 35, 112, 65, 33)),
        (TWELVE, (37759, 14828, 3853, 589, 6988, 2252, 554)),
    ],
    ids=["six", "twelve"],
)
def test_neutral_compositions_at_a_tenth_per_formula_unit(
    species: list[str], counts: tuple[int, ...]
) -> None:
    spaces = [hedrx(species, *one) for one in STOICHIOMETRIES]
    assert tuple(space.species_count for space in spaces) == counts
    assert sum(1 for _ in spaces[-1]) == spaces[-1].count


def test_one_member_holds_all_six_species() -> None:
    space = hedrx(SIX, "1.3", "0.3")
    full = [
        one
        for one in space
        if any(set(SIX) <= set(each["cation"]) for each in one.assignments)
    ]
    assert [one.formula for one in full] == ["Li1.3Co0.1Cr0.1Mn0.2Nb0.2Ti0.1O1.7F0.3"]
    assert space.index("Li1.3Mn0.2Co0.1Cr0.1Ti0.1Nb0.2O1.7F0.3") == space.index(full[0])


def test_compositions_of_one_site_of_twenty_metals_by_number_of_metals() -> None:
    metals = [
        "Mg",
        "Ca",
        "Sc",
        "Ti",
        "V",
        "Cr",
        "Mn",
        "Fe",
        "Co",
        "Ni",
        "Cu",
        "Zn",
        "Ga",
        "Y",
        "Zr",
        "Nb",
        "Mo",
        "In",
        "Sn",
        "Hf",
    ]
    space = load_space(
        {
            "family": "count",
            "basis": "sublattice-fraction",
            "step": 0.1,
            "sublattices": {
                "site": {
                    "sites": 1,
                    "species": {
                        f"{symbol}2+": {"role": "charge compensator"}
                        for symbol in metals
                    },
                },
                "anion": {"sites": 1, "species": ["O2-"]},
            },
        }
    )
    assert space.count == comb(29, 10) == 20_030_010
    assert list(space.metal_counts.values()) == [
        20, 1710, 41040, 406980, 1953504, 4883760, 6511680, 4534920, 1511640, 184756,
    ]  # fmt: skip
    assert 20**8 == 25_600_000_000


@pytest.fixture(scope="module")
def nasicon(project_root: Path) -> NasiconPairs:
    return load_space(project_root / "workflows/campaigns/nasicon_2021.yaml")


def test_nasicon_campaign_is_the_published_set(nasicon: NasiconPairs) -> None:
    digest = sha256(
        "\n".join(one.canonical_formula for one in nasicon).encode()
    ).hexdigest()
    assert nasicon.count == len(nasicon) == 3881
    assert digest == "8f621c0259f1f6b93e9a05935ad5f7bc96a4226fd6288e25b7af118bc7407f8d"
    assert nasicon[nasicon.index("CaAlNa(SO4)3")].canonical_formula == "Al1Ca1Na1O12S3"


def test_nasicon_campaign_contains_the_public_rows(
    nasicon: NasiconPairs, shared_data: Path
) -> None:
    table = shared_data / "nasicon_2021" / "compositions.csv"
    with table.open(encoding="utf-8", newline="") as handle:
        names = [row["CompName"] for row in csv.DictReader(handle)]
    assert len({nasicon.index(name) for name in names}) == len(names) == 3104


def test_general_nasicon_grid_holds_every_pair_that_lies_on_it(
    nasicon: NasiconPairs, project_root: Path
) -> None:
    grid = load_space(project_root / "workflows/spaces/nasicon_grid.yaml")
    assert grid.count == grid.species_count == 1_346_872_642_680
    assert "Na3Zr2Si2PO12" in grid
    on_grid = [
        one
        for one in nasicon
        if all((10 * amount).denominator == 1 for amount in one.amounts.values())
    ]
    assert len(on_grid) == 2582
    assert all(grid[grid.index(one)] == one for one in on_grid)


def test_full_hedrx_space_exceeds_ten_thousand_million(project_root: Path) -> None:
    space = load_space(project_root / "workflows/campaigns/hedrx_full.yaml")
    assert space.species_count == 21_043_820_271
    assert space.count == 4_667_671_783
    assert space.metal_counts.keys() == {4, 5, 6, 7, 8, 9}
    assert sum(space.metal_counts.values()) == space.count


def test_formula_unit_grid_of_twenty_species_holds_millions() -> None:
    species = [
        "Mg2+",
        "Zn2+",
        "Mn2+",
        "Co2+",
        "Ni2+",
        "Al3+",
        "Sc3+",
        "V3+",
        "Cr3+",
        "Fe3+",
        "Ga3+",
        "In3+",
        "Ti4+",
        "Zr4+",
        "Sn4+",
        "Hf4+",
        "Nb5+",
        "Ta5+",
        "Sb5+",
        "Mo6+",
    ]
    space = hedrx(species, "1.2", "0.2", minimum=4, maximum=9)
    assert 10**5 < space.count < 10**7
