"""Whether pseudopotentials are those of one release."""

from __future__ import annotations

import bz2
import json
from importlib.resources import files
from typing import Any

import pytest

from hts_battery.thermo.vasp_schemes import (
    contents_known,
    pseudopotential_problem,
)

LITHIUM, OXYGEN = "PAW_PBE Li_sv 10Sep2004", "PAW_PBE O 08Apr2002"


@pytest.fixture(scope="module")
def known() -> dict[str, Any]:
    """Statistics of all releases, as pymatgen ships them."""
    packed = files("pymatgen.io.vasp") / "potcar-summary-stats.json.bz2"
    found: dict[str, Any] = json.loads(bz2.decompress(packed.read_bytes()))
    return found


def spec(title: str, **more: object) -> dict[str, Any]:
    return {"titel": title, "hash": None, **more}


def problem(*specs: dict[str, Any]) -> str | None:
    return pseudopotential_problem(specs, {"Li", "O"}, release="PBE_64")


def test_titles_of_the_release_and_of_the_input_sets_are_taken() -> None:
    assert problem(spec(LITHIUM), spec(OXYGEN)) is None
    assert not contents_known([spec(LITHIUM), spec(OXYGEN)])


@pytest.mark.parametrize(
    ("titles", "says"),
    [
        ((), "no pseudopotentials are stated"),
        ((LITHIUM,), "no pseudopotential is stated for O"),
        (("PAW_PBE Li 17Jan2003", OXYGEN), "Li in the place of Li_sv"),
        # The first release has another Li_sv than PBE_64.
        (
            ("PAW_PBE Li_sv 23Jan2001", OXYGEN),
            "none of PBE_64: PAW_PBE Li_sv 23Jan2001",
        ),
        (("placeholder", OXYGEN), "is stated for Li"),
    ],
)
def test_others_are_refused_with_the_reason(titles: tuple[str, ...], says: str) -> None:
    found = problem(*(spec(title) for title in titles))
    assert found is not None
    assert says in found


def test_contents_are_compared_where_they_are_known(known: dict[str, Any]) -> None:
    def with_contents(release: str, title: str) -> dict[str, Any]:
        statistics = known[release][title.replace(" ", "")][0]
        return spec(title, summary_stats=statistics)

    new = [with_contents("PBE_64", title) for title in (LITHIUM, OXYGEN)]
    assert contents_known(new)
    assert problem(*new) is None
    # The same title, other contents.
    old = with_contents("PBE", OXYGEN)
    found = problem(new[0], old)
    assert found is not None
    assert f"none of PBE_64: {OXYGEN}" in found


def test_releases_54_and_64_share_their_contents_where_they_share_titles(
    known: dict[str, Any],
) -> None:
    old, new = known["PBE_54"], known["PBE_64"]
    shared = [title for title in new if title in old]
    differ = [
        title
        for title in shared
        if old[title][0]["stats"] != new[title][0]["stats"]
        and old[title][0]["keywords"]["data"] != new[title][0]["keywords"]["data"]
    ]
    assert len(shared) > 280
    assert len(differ) <= 1


def test_a_stand_in_has_names_only() -> None:
    specs = [spec("PAW_PBE Li_sv placeholder"), spec("PAW_PBE O placeholder")]
    wanted = {"Li", "O"}
    assert (
        pseudopotential_problem(specs, wanted, release="PBE_64", names_only=True)
        is None
    )
    found = pseudopotential_problem(specs, wanted, release="PBE_64")
    assert found is not None
    assert "placeholder" in found
