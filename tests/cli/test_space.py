from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hts_battery.compositions import load_space

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Answer


@pytest.fixture
def spec(campaign_file: Callable[..., Path]) -> Path:
    return campaign_file()


def test_count(hts: Callable[..., Answer], spec: Path) -> None:
    space = load_space(spec)
    answer = hts("space", "count", spec, "--json")
    assert answer.lines == [{"count": space.count, "basis": "formula-unit"}]
    assert f"{space.count:,} compositions" in hts("space", "count", spec).out


@pytest.mark.parametrize(
    "words",
    [("list", "--offset", "3", "--limit", "4"), ("sample", "-n", "4", "--seed", "7")],
)
def test_list_and_sample_print_the_same_objects(
    hts: Callable[..., Answer], spec: Path, words: tuple[str, ...]
) -> None:
    space = load_space(spec)
    verb, *rest = words
    rows = hts("space", verb, spec, *rest, "--json").lines
    assert len(rows) == 4
    for row in rows:
        assert list(row) == ["index", "formula", "candidate_id", "species"]
        candidate = space[row["index"]]
        assert row["formula"] == candidate.formula
        assert row["candidate_id"] == candidate.candidate_id
        assert row["species"] == {
            name: str(amount) for name, amount in candidate.species.items()
        }
    if verb == "list":
        assert [row["index"] for row in rows] == [3, 4, 5, 6]
    for row in rows:
        assert row["candidate_id"] in hts("space", verb, spec, *rest).out


def test_a_sample_is_the_same_for_the_same_seed(
    hts: Callable[..., Answer], spec: Path
) -> None:
    samples = [
        hts("space", "sample", spec, "-n", 5, "--seed", seed, "--json").out
        for seed in (1, 1, 2)
    ]
    assert samples[0] == samples[1] != samples[2]


def test_a_list_ends_with_the_space(hts: Callable[..., Answer], spec: Path) -> None:
    count = load_space(spec).count
    rows = hts("space", "list", spec, "--offset", count - 2, "--json").lines
    assert [row["index"] for row in rows] == [count - 2, count - 1]
    assert hts("space", "list", spec, "--offset", count, "--json").lines == []
    assert hts("space", "list", spec, "--limit", 0, "--json").lines == []


def test_index_finds_any_spelling(hts: Callable[..., Answer], spec: Path) -> None:
    space = load_space(spec)
    for formula in ("Li1.2Mn0.4Ti0.4O2", "Li6Mn2Ti2O10", "O10Ti2Mn2Li6"):
        (row,) = hts("space", "index", spec, formula, "--json").lines
        assert list(row) == ["index"]
        assert space[row["index"]].formula == "Li1.2Mn0.4Ti0.4O2"
    plain = hts("space", "index", spec, "Li1.2Mn0.4Ti0.4O2").out
    assert plain == f"{row['index']}\n"


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("index", "LiCoO2"), 1, "it holds Co"),
        (("index", "Li1.2.3"), 1, "Li1.2.3"),
        (("sample", "-n", "1000000"), 2, "-n 1000000: the space holds"),
        (("list", "--offset", "1000000"), 2, "--offset 1000000: the space holds"),
    ],
)
def test_what_is_not_in_the_space_is_said_in_one_line(
    hts: Callable[..., Answer],
    spec: Path,
    words: tuple[str, ...],
    status: int,
    says: str,
) -> None:
    answer = hts("space", words[0], spec, *words[1:])
    assert (answer.status, answer.out) == (status, "")
    assert says in answer.err
    assert answer.err.count("\n") == 1


def test_a_space_without_members_is_a_refused_file(
    hts: Callable[..., Answer], campaign_file: Callable[..., Path]
) -> None:
    path = campaign_file(("[Li+, Mn3+, Ti4+]", "[Mn4+, Ti4+]"))
    answer = hts("space", "count", path)
    assert answer.status == 2
    assert answer.err.startswith(f"error: {path}: ")
