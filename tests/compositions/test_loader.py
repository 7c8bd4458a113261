from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest

from hts_battery.compositions import load_space
from hts_battery.errors import EmptySpaceError, SpecError

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """\
name: small
space:
  family: hedrx
  basis: formula-unit
  step: 0.1
  sublattices:
    cation:
      sites: 2
      species: [Li+, Mn2+, Mn3+, Ti4+]
      metals: {minimum: 1, maximum: 2}
    anion:
      sites: 2
      species: [O2-, F-]
  contents:
    Li: [1.2]
    F: [0.2]
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "campaign.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(tmp_path: Path, old: str, new: str) -> SpecError:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(SpecError) as caught:
        load_space(path)
    error = caught.value
    assert error.file == str(path)
    assert "\n" not in str(error)
    return error


def test_a_campaign_file_a_bare_file_and_a_mapping_give_the_same_space(
    tmp_path: Path,
) -> None:
    campaign = load_space(write(tmp_path, GOOD))
    bare = tmp_path / "bare.yaml"
    block = GOOD.partition("space:\n")[2]
    bare.write_text("\n".join(line[2:] for line in block.splitlines()))
    other = tmp_path / "other.yaml"
    other.write_text("name: x\nspace: bare.yaml\n")
    assert [*campaign] == [*load_space(bare)] == [*load_space(other)]


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "says"),
    [
        ("Mn2+,", "Mn2+, Xx3+,", 9, "species", "Xx3+"),
        ("Mn2+,", "Mn2+, Mn2+,", 9, "species", "twice"),
        ("step: 0.1", "step: 0.3", 5, "space.step", "do not divide"),
        ("step: 0.1", "step: 0", 5, "space.step", "greater than 0"),
        ("step: 0.1", "step: -0.1", 5, "space.step", "greater than 0"),
        ("step: 0.1", "stepp: 0.1", 5, "space.stepp", "no such field"),
        ("  family: hedrx\n", "", 2, "space.family", "required"),
        (
            "sites: 2\n      species: [Li",
            "sites: -2\n      species: [Li",
            8,
            "sites",
            "",
        ),
        ("Li: [1.2]", "Li: [2.2]", 8, "sublattices.cation.sites", "more than"),
        ("Li: [1.2]", "Li: [1.2, 1.2]", 14, "contents", "twice"),
        ("Li: [1.2]", "Li: [-1.2]", 15, "contents.Li", "at least 0"),
        ("Li: [1.2]", "Xx: [1.2]", 15, "contents.Xx", "not an element"),
        ("Li: [1.2]", "Na: [1.2]", 14, "space.contents", "Na has no species"),
        ("minimum: 1, maximum: 2", "minimum: 3, maximum: 2", 10, "metals", "below"),
        ("formula-unit", "per-atom", 4, "space.basis", "formula-unit"),
        ("  step: 0.1\n", "  step: 0.1\n  step: 0.2\n", 6, "space.step", "second time"),
        ("name: small", "name: [small", None, None, "not YAML"),
    ],
)
def test_bad_input_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, line: int | None, field: str | None, says: str
) -> None:
    error = refused(tmp_path, old, new)
    if line is not None:
        assert error.line == line
    if field is not None:
        assert field in error.field
    assert says in error.message


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"metals": {"minimum": 4}}, "sublattices.cation.metals.minimum"),
        ({"species": ["Li+", "Mn2+"]}, "contents"),
        (
            {"species": {"Li+": {}, "Mn3+": {}, "Ti4+": {"minimum": 0.7}}},
            "sublattices.cation.species.Ti4+",
        ),
    ],
)
def test_an_empty_space_says_what_empties_it(
    change: dict[str, object], field: str | None
) -> None:
    data = copy.deepcopy(SMALL)
    data["sublattices"]["cation"].update(change)
    with pytest.raises(EmptySpaceError, match="no composition") as caught:
        load_space(data)
    assert field in str(caught.value)


SMALL = {
    "family": "hedrx",
    "basis": "formula-unit",
    "step": 0.1,
    "sublattices": {
        "cation": {"sites": 2, "species": ["Li+", "Mn3+", "Ti4+", "Cr3+"]},
        "anion": {"sites": 2, "species": ["O2-", "F-"]},
    },
    "contents": {"Li": [1.2], "F": [0]},
}


def test_element_bounds_and_exclusions_that_empty_a_space_are_named() -> None:
    for field, extra in (
        ("elements.Ti", {"elements": {"Ti": {"maximum": 0.1}}}),
        ("exclusions.0", {"exclusions": [["Li", "O"]]}),
    ):
        with pytest.raises(EmptySpaceError, match=field):
            load_space({**SMALL, **extra})


def test_too_many_states_are_refused_with_the_reason() -> None:
    with pytest.raises(SpecError, match=r"^state_limit: .*state_limit of 10: "):
        load_space({**SMALL, "state_limit": 10})


def test_a_space_that_writes_a_composition_twice_is_refused() -> None:
    data = copy.deepcopy(SMALL)
    data["sublattices"]["anion"]["species"] = ["O2-", "F-", "Vac"]
    data["sublattices"]["cation"]["species"].append("Vac")
    with pytest.raises(SpecError, match="written twice"):
        load_space(data)


HEAD = "species,role,spin,unpaired_electrons,preference,source"
V_BELOW = "V4+,redox centre,,1,1,300,mine\nV3+,redox centre,,2,0,,mine\n"
V_LEVEL = V_BELOW.replace(",300,", ",1500,")
V_ABOVE = V_BELOW.replace(",300,", ",1600,")
PREFERRED = (
    "Mn2+,redox centre,high,5,0,mine\nMn3+,redox centre,high,4,5,mine\n"
    "V4+,redox centre,,1,0,mine\nV3+,redox centre,,2,5,mine\n"
)
WITH_POTENTIAL = HEAD.replace("source", "potential,source")


@pytest.mark.parametrize(
    ("head", "rows", "expected"),
    [
        (None, "", {"Mn2+", "V4+"}),
        (WITH_POTENTIAL, V_BELOW, {"Mn2+", "V4+"}),
        (WITH_POTENTIAL, V_ABOVE, {"Mn3+", "V3+"}),
        (WITH_POTENTIAL, V_LEVEL, {"Mn3+", "V3+"}),
        # Where potentials are level, preferences decide.
        (WITH_POTENTIAL, V_LEVEL.replace(",2,0,", ",2,9,"), {"Mn2+", "V4+"}),
        # A potential left out is the package's, one left empty is unknown.
        (HEAD, PREFERRED, {"Mn2+", "V4+"}),
        (WITH_POTENTIAL, V_BELOW.replace(",300,", ",,"), {"Mn3+", "V3+"}),
    ],
)  # fmt: skip
def test_a_user_table_says_which_oxidation_states_are_chosen(
    tmp_path: Path, head: str | None, rows: str, expected: set[str]
) -> None:
    import yaml  # noqa: PLC0415 - one test needs to write YAML

    data = copy.deepcopy(SMALL)
    data["sublattices"]["cation"]["species"] = ["Li+", "Mn2+", "Mn3+", "V3+", "V4+"]
    data["contents"] = {"Li": [1.0], "F": [0]}
    if head is not None:
        (tmp_path / "mine.csv").write_text(f"{head}\n{rows}")
        data["species_table"] = "mine.csv"
    path = tmp_path / "space.yaml"
    path.write_text(yaml.safe_dump(data))
    space = load_space(path)
    chosen = space[space.index("LiMn0.5V0.5O2")].assignment["cation"]
    assert set(chosen) == {"Li+"} | expected


def test_a_missing_file_is_one_line() -> None:
    with pytest.raises(SpecError, match="cannot read this file"):
        load_space("nowhere.yaml")


def test_a_space_without_a_choice_has_one_member_or_none() -> None:
    cation = {"sites": 1, "species": ["Mg2+"]}
    rest = {"family": "made-up", "basis": "formula-unit", "step": 0.5}
    both = {"cation": cation, "anion": {"sites": 1, "species": ["O2-"]}}
    space = load_space({**rest, "sublattices": both})
    assert (space.count, space[0].formula) == (1, "MgO")
    with pytest.raises(EmptySpaceError, match="check the charges"):
        load_space({**rest, "sublattices": {"cation": cation}})
