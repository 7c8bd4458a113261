from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from hts_battery.errors import OrderingError, SpecError
from hts_battery.schemas.candidate import Candidate
from hts_battery.structures import order_candidate, prototypes
from hts_battery.structures.prototypes import (
    Prototype,
    load_prototype,
    own_prototype_digest,
    prototype_names,
    prototype_of_family,
    use_prototypes,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.mark.parametrize("name", prototype_names())
def test_every_file_is_a_prototype_with_a_source(name: str) -> None:
    prototype = load_prototype(name)
    assert prototype.name == name
    assert prototype.source
    for first, second in prototype.bonds:
        assert {first, second} <= set(prototype.sublattices)


@pytest.mark.parametrize("name", prototype_names())
def test_every_source_can_be_found(name: str) -> None:
    assert re.search(
        r"10\.\d{4,}/|Crystallography Open Database \d{7}|\d+ \(\d{4}\) \d+",
        load_prototype(name).source,
    )


FLUORITE = """
name: fluorite
title: Fluorite, for this test
families: [fluorites]
source: made up for a test
space_group: 225
lattice: {a: 5.46, b: 5.46, c: 5.46, alpha: 90, beta: 90, gamma: 90}
primitive: [["0", "1/2", "1/2"], ["1/2", "0", "1/2"], ["1/2", "1/2", "0"]]
formula_units: 1
sublattices:
  cation:
    {sites: 1, coordination: 8, reference: Ca2+, positions: {4a: ["0", "0", "0"]}}
  anion:
    sites: 2
    coordination: 4
    reference: F-
    positions: {8c: ["1/4", "1/4", "1/4"]}
bonds: [[cation, anion]]
shells: 2
"""


def test_a_new_prototype_is_a_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fluorite.yaml").write_text(FLUORITE, encoding="utf-8")
    monkeypatch.setattr(prototypes, "_DATA", tmp_path)
    load_prototype.cache_clear()
    prototype_of_family.cache_clear()
    try:
        assert prototype_names() == ("fluorite",)
        half, two = Fraction(1, 2), Fraction(2)
        candidate = Candidate(
            "fluorites",
            {"Ca": half, "Cd": half, "F": two},
            sites={"cation": Fraction(1), "anion": two},
            assignments=(
                {"cation": {"Ca2+": half, "Cd2+": half}, "anion": {"F-": two}},
            ),
        )
        ordered = order_candidate(candidate, atoms=24, iterations=500)
    finally:
        load_prototype.cache_clear()
        prototype_of_family.cache_clear()
    assert ordered.prototype == "fluorite"
    assert ordered.is_exact
    assert ordered.minimum_distance == pytest.approx(5.46 * 3**0.5 / 4, rel=0.02)


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder of prototypes; what it holds is forgotten afterwards."""
    monkeypatch.setattr(prototypes, "_OWN", {})
    (tmp_path / "fluorite.yaml").write_text(FLUORITE, encoding="utf-8")
    yield tmp_path
    load_prototype.cache_clear()
    prototype_of_family.cache_clear()


def test_a_folder_of_ones_own_stands_beside_the_packages(own_folder: Path) -> None:
    shipped = prototype_names()
    use_prototypes(own_folder)
    assert prototype_names() == (*shipped, "fluorite")
    assert prototype_of_family("fluorites").name == "fluorite"
    assert prototype_of_family("hedrx").name == "rocksalt"
    digest = own_prototype_digest("fluorite")
    assert digest is not None
    assert own_prototype_digest("rocksalt") is None
    path = own_folder / "fluorite.yaml"
    path.write_text(FLUORITE.replace("5.46", "5.47"), encoding="utf-8")
    use_prototypes(own_folder)
    assert own_prototype_digest("fluorite") not in (None, digest)


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        (
            "fluorite",
            ("space_group: 225", "space_group: 325"),
            "space_group: 325 is too large: it must be at most 230",
        ),
        ("fluorite", ("shells:", "shell:"), "shell: no such field here"),
        ("rocksalt", ("name: fluorite", "name: rocksalt"), "and none as one of"),
        ("other", ("", ""), "the prototype of other.yaml is called fluorite"),
        ("fluorite", ("[fluorites]", "[hedrx]"), "is ordered on rocksalt already"),
    ],
)
def test_a_wrong_prototype_of_ones_own_is_refused_with_its_file(
    own_folder: Path, name: str, change: tuple[str, str], says: str
) -> None:
    (own_folder / "fluorite.yaml").unlink()
    assert change[0] in FLUORITE
    text = FLUORITE.replace(*change) if change[0] else FLUORITE
    (own_folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        use_prototypes(own_folder)
    assert str(caught.value).startswith(f"{own_folder / name}.yaml")
    assert says in str(caught.value)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="there is no such folder of prototypes"):
        use_prototypes(tmp_path / "none")


def test_a_sublattice_without_sites_is_refused() -> None:
    content = load_prototype("rocksalt").model_dump()
    for wrong in ({"sites": 0}, {"positions": {}}):
        broken = content["sublattices"]["anion"] | wrong
        with pytest.raises(ValidationError, match=next(iter(wrong))):
            Prototype.model_validate(
                content | {"sublattices": content["sublattices"] | {"anion": broken}}
            )


def test_no_family_has_two_prototypes() -> None:
    families = [f for n in prototype_names() for f in load_prototype(n).families]
    assert len(families) == len(set(families))


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(
        OrderingError, match=r"no prototype 'rock'; there are .*rocksal"
    ):
        load_prototype("rock")
    with pytest.raises(OrderingError, match=r"family 'x'; families with one: .*hedrx"):
        prototype_of_family("x")


def test_an_unknown_field_is_refused() -> None:
    content = load_prototype("rocksalt").model_dump() | {"colour": "grey"}
    with pytest.raises(ValidationError, match=r"colour"):
        Prototype.model_validate(content)
