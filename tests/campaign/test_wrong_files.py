"""Campaign files as people write them: each mistake is one sentence, word for word."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest
import yaml

from hts_battery.campaign.spec_file import load_campaign
from hts_battery.compositions.filters import Filter
from hts_battery.errors import BadFormulasError, SpecError
from hts_battery.schemas.campaign import CampaignSpec

if TYPE_CHECKING:
    from collections.abc import Callable

CASES = yaml.safe_load(
    (Path(__file__).parents[1] / "data" / "wrong_campaigns.yaml").read_text("utf-8")
)
SOUND = """\
name: demo
space:
  family: hedrx
  basis: formula-unit
  step: 0.1
  sublattices:
    cation:
      sites: 2
      species:
        Li+: {minimum: 1.1, maximum: 1.3}
        Mn3+: {}
        Cr3+: {}
        Ti4+: {}
        Nb5+: {}
      metals: {minimum: 2, maximum: 4}
    anion:
      sites: 2
      species:
        O2-: {}
        F-: {maximum: 0.4}
selection: {method: sample, count: 3, seed: 1}
structure: {n_orderings: {sqs: 1}, atoms: 40}
engine: ionic
relaxation: {fmax: 0.05, steps: 500, relax_cell: true}
temperatures: [0, 1473]
"""
RULES = [
    get_args(one.model_fields["rule"].annotation)[0]
    for one in get_args(get_args(Filter)[0])
]
NAMES = {"FIELDS": ", ".join(CampaignSpec.model_fields), "RULES": ", ".join(RULES)}
"""What stands for names that other rooms add to."""
SAMPLE = "{method: sample, count: 3, seed: 1}"
LIST = "{method: formulas, file: mine.csv}"


@pytest.fixture
def refused(tmp_path: Path) -> Callable[[bytes], str]:
    """Return what answers a file, without its folder."""

    def answer(content: bytes) -> str:
        path = tmp_path / "c.yaml"
        path.write_bytes(content)
        with pytest.raises(SpecError) as caught:
            load_campaign(path)
        assert caught.value.file == str(path)
        return (
            str(caught.value).replace(f"{tmp_path}/", "").replace(str(tmp_path), "DIR")
        )

    return answer


@pytest.mark.parametrize("case", CASES, ids=[one["case"] for one in CASES])
def test_a_mistake_is_answered_in_one_sentence(
    case: dict[str, Any], refused: Callable[[bytes], str]
) -> None:
    assert SOUND.count(case["old"]) == 1
    said = refused(SOUND.replace(case["old"], case["new"]).encode())
    says = case["says"]
    for word, names in NAMES.items():
        says = says.replace(word, names)
    assert said == says
    assert "\n" not in said


def test_the_sound_file_is_sound(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    for content in (SOUND, f"\ufeff{SOUND}", SOUND.replace("\n", "\r\n")):
        path.write_bytes(content.encode())
        assert len(list(load_campaign(path).members())) == 3


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            b"",
            (
                "c.yaml:1: nothing stands in this file: a campaign is written as a "
                "mapping, one 'field: value' a line"
            ),
        ),
        (
            b"- name: demo\n",
            (
                "c.yaml:1: this file holds a list: a campaign is written as a mapping, "
                "one 'field: value' a line"
            ),
        ),
        (
            b"name: demo\nspace: none.yaml\nselection: {method: all}\n",
            (
                "c.yaml:2: space: there is no file 'none.yaml' in DIR: the name of the "
                "file of a space is relative to this file"
            ),
        ),
        (
            SOUND.encode("utf-16"),
            (
                "c.yaml: this file is in UTF-16: save it as UTF-8, or run iconv -f "
                "UTF-16 -t UTF-8 c.yaml"
            ),
        ),
        (
            SOUND.encode("utf-16-le"),
            (
                "c.yaml: this file is in UTF-16LE: save it as UTF-8, or run iconv -f "
                "UTF-16LE -t UTF-8 c.yaml"
            ),
        ),
        (
            SOUND.encode("utf-16-be"),
            (
                "c.yaml: this file is in UTF-16BE: save it as UTF-8, or run iconv -f "
                "UTF-16BE -t UTF-8 c.yaml"
            ),
        ),
        (
            f"{SOUND}description: Größe\n".encode("latin-1"),
            (
                "c.yaml:26: this file is not in UTF-8 (in Latin-1 this line would be "
                "'description: Größe'): save it as UTF-8, or run iconv -f LATIN1 -t "
                "UTF-8 c.yaml"
            ),
        ),
        (
            SOUND.encode() + b"\0\0",
            (
                "c.yaml:26: this file holds bytes that are no text: it is binary, or "
                "was cut off"
            ),
        ),
        (bytes(range(256)), "c.yaml:2: this file is binary, not text"),
        (
            b"PK\x03\x04",
            "c.yaml: this file is a spreadsheet or an archive: export it as CSV",
        ),
        (b"\x1f\x8b\x08", "c.yaml: this file is compressed: unpack it first"),
    ],
)
def test_what_is_no_campaign_file_says_what_it_is(
    refused: Callable[[bytes], str], content: bytes, says: str
) -> None:
    assert refused(content) == says


LISTED = """\
formula,source
# as it was printed
Li1.2Mn0.4Ti0.4O2,one
Li₁.₂Cr₀.₄Ti₀.₄O₂,two
"Li1,3Mn0,4Ti0,3O1,7F0,3",three
Li1.2Mn0.4Ti0.3O2,four
Li1.2Mn0.45Ti0.35O2,five
Li1.2Mn0.8O2,six
Li1.2Mn0.1Ti0.7O2,seven
Li2.4Mn0.8Ti0.8O4,eight
Li1.0Mn0.5Ti0.5O2,nine
Li1.3Mn0.2Ti0.5O1.5F0.5,ten
Li1.2Xx0.8O2,eleven
LiCoO2,twelve
,thirteen
"""
REASONS = """\
mine.csv:6: Li1.2Mn0.4Ti0.3O2: the cations add up to 1.9 per formula unit, not 2
mine.csv:7: Li1.2Mn0.45Ti0.35O2: Mn 0.45 is no whole number of steps of 0.1 per \
formula unit (step 0.1, formula-unit)
mine.csv:8: Li1.2Mn0.8O2: its number of different metals on cation is 1, and \
sublattices.cation.metals asks for 2 to 4
mine.csv:9: Li1.2Mn0.1Ti0.7O2: a charge of +0.3 per formula unit is left
mine.csv:10: Li2.4Mn0.8Ti0.8O4: it stands here twice: on line 3 as Li1.2Mn0.4Ti0.4O2
mine.csv:11: Li1.0Mn0.5Ti0.5O2: Li 1 is below the minimum 1.1 of \
sublattices.cation.species.Li+
mine.csv:12: Li1.3Mn0.2Ti0.5O1.5F0.5: F 0.5 is above the maximum 0.4 of \
sublattices.anion.species.F-
mine.csv:13: Li1.2Xx0.8O2: 'Xx' in 'Li1.2Xx0.8O2' is not an element
mine.csv:14: LiCoO2: it holds Co, and the space has Cr, F, Li, Mn, Nb, O, Ti
mine.csv:15: (empty): no formula stands here""".splitlines()


def test_every_bad_formula_of_a_list_is_named_with_line_and_reason(
    tmp_path: Path,
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(SOUND.replace(SAMPLE, LIST))
    (tmp_path / "mine.csv").write_text(LISTED)
    with pytest.raises(BadFormulasError) as caught:
        load_campaign(path)
    first, *rest = str(caught.value).splitlines()
    assert first == (
        f"{path}:21: selection.file: 10 of 13 formulas cannot be screened: correct "
        "them, or leave them out with --skip-bad"
    )
    assert [line.strip() for line in rest] == REASONS
    campaign = load_campaign(path, skip_bad=True)
    assert [str(one) for one in campaign.listed.bad] == REASONS
    assert [candidate.formula for _, candidate in campaign.members()] == [
        "Li1.2Mn0.4Ti0.4O2",
        "Li1.2Cr0.4Ti0.4O2",
        "Li1.3Mn0.4Ti0.3O1.7F0.3",
    ]


def test_a_list_of_which_nothing_is_left_is_refused_all_the_same(
    tmp_path: Path,
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(SOUND.replace(SAMPLE, "{method: formulas, formulas: [LiCoO2]}"))
    with pytest.raises(SpecError, match="one of 1 formulas cannot be screened"):
        load_campaign(path, skip_bad=True)
