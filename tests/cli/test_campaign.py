from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fakes import FakeRelaxMaker

from hts_battery.connections.database.stores import open_stores
from hts_battery.flows.engines.registry import ENGINES
from hts_battery.schemas.summary import SummaryDoc

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Answer

    from hts_battery.connections.database.database import Database


def test_check_counts_and_writes_nothing(
    hts: Callable[..., Answer], campaign_file: Callable[..., Path], folder: Path
) -> None:
    path = campaign_file()
    answer = hts("campaign", "check", path, "--json")
    (found,) = answer.lines
    assert isinstance(found.pop("lacking"), list)
    assert [found] == [
        {
            "campaign": "small",
            "space": 44,
            "candidates": 2,
            "removed": {},
            "short": {},
            "missing": [],
            "deviating": [],
            "shared_cells": [],
            "too_small": 0,
        }
    ]
    assert "2 candidates out of 44" in hts("campaign", "check", path).out
    assert list(folder.iterdir()) == []


def test_bad_formulas_of_a_list_are_listed_and_left_out_on_request(
    hts: Callable[..., Answer], campaign_file: Callable[..., Path]
) -> None:
    text = campaign_file().read_text("utf-8")
    start, stop = text.index("selection:"), text.index("structure:")
    path = campaign_file(
        (text[start:stop], "selection: {method: formulas, file: mine.txt}\n")
    )
    mine = path.with_name("mine.txt")
    mine.write_text("Li₁.₂Mn₀.₄Ti₀.₄O₂\nLiCoO2\nLi1.2Mn0.4Ti0.3O2\n")
    for command in (("check",), ("plan",), ("run", "--dry-run")):
        answer = hts("campaign", command[0], path, *command[1:])
        assert answer.status == 2
        first, *rest = answer.err.splitlines()
        assert first == (
            f"error: {path}:9: selection.file: 2 of 3 formulas cannot be screened: "
            "correct them, or leave them out with --skip-bad"
        )
        assert rest == [
            "  mine.txt:2: LiCoO2: it holds Co, and the space has F, Li, Mn, O, Ti",
            (
                "  mine.txt:3: Li1.2Mn0.4Ti0.3O2: the cations add up to 1.9 per "
                "formula unit, not 2"
            ),
        ]
    (answer,) = hts("campaign", "check", path, "--skip-bad", "--json").lines
    assert answer["candidates"] == 1
    assert answer["left_out"] == [line.strip() for line in rest]
    said = hts("campaign", "run", path, "--skip-bad", "--dry-run")
    assert "up to 1 candidates" in said.out
    assert said.err.count("left out: mine.txt:") == 2
    said = hts(
        *("campaign", "submit", path, "--worker", "x"),
        "--any-worker",
        "--skip-bad",
        "--dry-run",
    )
    assert "would submit 1 of 1 candidates" in said.out


def test_check_says_what_filters_remove(
    hts: Callable[..., Answer], campaign_file: Callable[..., Path]
) -> None:
    rule = "filters: [{rule: redox-compatibility, pairs: [[F-, Mn3+]]}]"
    path = campaign_file(("engine: chgnet", rule))
    (answer,) = hts("campaign", "check", path, "--json").lines
    assert answer["candidates"] == 1
    assert answer["removed"] == {"redox-compatibility": 1}
    assert "redox-compatibility removes 1" in hts("campaign", "check", path).out


def test_check_says_where_filters_leave_less_than_a_sample_asks_for(
    hts: Callable[..., Answer], campaign_file: Callable[..., Path]
) -> None:
    text = campaign_file().read_text("utf-8")
    start, stop = text.index("selection:"), text.index("structure:")
    sample = "selection: {method: sample, count: 40, seed: 1, stratify: metals}\n"
    rule = "filters: [{rule: redox-centres, minimum: 0.5}]\n"
    path = campaign_file((text[start:stop], sample + rule))
    (answer,) = hts("campaign", "check", path, "--json").lines
    assert 0 < answer["candidates"] < 40
    assert sum(answer["short"].values()) == answer["candidates"]
    assert answer["candidates"] + answer["removed"]["redox-centres"] == answer["space"]
    said = hts("campaign", "check", path).out
    assert "the filters leave no more than" in said
    assert f"{answer['candidates']} are fewer than the 40 asked for" in said


def test_check_says_which_elements_have_no_competing_phase(
    hts: Callable[..., Answer], fake_file: Path
) -> None:
    answer = hts("campaign", "check", fake_file)
    assert answer.status == 0
    assert "engine fake has no competing phase with F, Li, Mn, O, Ti" in answer.out
    assert "--elements F,Li,Mn,O,Ti" in answer.out


@pytest.mark.mongo
@pytest.mark.usefixtures("on_server")
def test_check_counts_the_competing_phases_of_the_database(
    hts: Callable[..., Answer], fake_file: Path, fake_references: Path
) -> None:
    hts("references", "import", "--engine", "fake", fake_references)
    (answer,) = hts("campaign", "check", fake_file, "--json").lines
    assert answer["missing"] == []


GATE = "engine: fake\nprerelax: {engine: fake}\ngate: {energy_above_hull: %s}"


@pytest.mark.mongo
@pytest.mark.usefixtures("on_server")
def test_gated_candidates_are_released_and_then_computed(
    hts: Callable[..., Answer],
    campaign_file: Callable[..., Path],
    fake_engine: str,
    fake_references: Path,
) -> None:
    assert fake_engine == "fake"
    path = campaign_file(("engine: chgnet", GATE % "-5"))
    hts("references", "import", "--engine", "fake", fake_references)
    answer = hts("campaign", "run", path)
    # Nothing failed, but there is nothing to rank either.
    assert answer.status == 1
    assert "above the gate of -5000.0" in answer.err

    (status,) = hts("campaign", "status", path, "--json").lines
    assert status["states"] == {"gated": 2}
    planned = hts("campaign", "release", path, "--dry-run")
    assert "would release 2 of 2 gated candidates" in planned.out
    assert hts("campaign", "status", path, "--json").lines == [status]

    refused = hts("campaign", "release", path, "nobody")
    assert refused.status == 2
    assert "not gated in small: nobody" in refused.err
    (answer_json,) = hts("campaign", "release", path, "--dry-run", "--json").lines
    first, second = answer_json["released"]
    assert "released 1 of 2" in hts("campaign", "release", path, first).out
    # Asking again and registering again keep it released.
    again = hts("campaign", "run", path)
    assert again.status == 0, again.err
    assert "1 computed now" in again.out
    (status,) = hts("campaign", "status", path, "--json").lines
    assert status["states"] == {"gated": 1, "ranked": 1}

    # A higher threshold lets by what was judged before, without judging anew.
    wide = campaign_file(("engine: chgnet", GATE % "5"), name="wide.yaml")
    assert "differs: gate" in hts("campaign", "run", wide).err
    assert "1 computed now" in hts("campaign", "run", wide, "--replace").out
    (status,) = hts("campaign", "status", wide, "--json").lines
    assert status["states"] == {"ranked": 2}
    assert second


@pytest.mark.parametrize("verb", ["check", "run", "status", "release"])
@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("engine: chgnet", "engin: chgnet", ":11: engin: "),
        ("Mn3+", "Xx3+", ":7: space.sublattices.cation.species.1: "),
        ("[Li+, Mn3+, Ti4+]", "[Mn4+, Ti4+]", ":2: space: "),
        ("atoms: 40", "atoms: 44", ":10: structure.atoms: "),
        ("engine: chgnet", "engine: vasp7", ":11: engine: "),
        ("engine: chgnet", "name: twice", ":11: name: "),
    ],
)
def test_a_wrong_file_is_refused_before_anything_is_written(  # noqa: PLR0913, PLR0917 - fixtures and one case
    hts: Callable[..., Answer],
    campaign_file: Callable[..., Path],
    folder: Path,
    verb: str,
    old: str,
    new: str,
    place: str,
) -> None:
    path = campaign_file((old, new))
    answer = hts("campaign", verb, path)
    assert (answer.status, answer.out) == (2, "")
    assert answer.err.startswith(f"error: {path}{place}")
    assert answer.err.count("\n") == 1
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("as_json", [False, True])
def test_a_dry_run_writes_nothing(
    hts: Callable[..., Answer],
    campaign_file: Callable[..., Path],
    folder: Path,
    as_json: bool,
) -> None:
    options = ["--json"] if as_json else []
    answer = hts("campaign", "run", campaign_file(), "--dry-run", *options)
    assert answer.status == 0
    if as_json:
        assert answer.lines == [{"candidates": 2}]
    else:
        assert "up to 2 candidates" in answer.out
    assert list(folder.iterdir()) == []


@pytest.mark.mongo
def test_a_run_prints_a_table_and_leaves_files(
    screened: Answer, on_server: Path
) -> None:
    assert screened.status == 0, screened.err
    for text in (
        "Li1.3Mn0.4Ti0.3O1.7F0.3",
        "2 candidates: 2 ranked",
        "2 computed now, 0 known before",
        "what next",
    ):
        assert text in screened.out
    results = sorted(path.name for path in (on_server / "results").iterdir())
    assert results == ["small.csv", "small.png"]
    assert len((on_server / "results" / "small.csv").read_text().splitlines()) == 3
    # The database is elsewhere: nothing but executions and launches is kept here.
    kept = sorted(path.name for path in (on_server / "hts-data").iterdir())
    assert kept == ["completion.json", "executions", "launches"]


@pytest.mark.mongo
def test_a_second_run_computes_nothing_and_prints_the_same(
    hts: Callable[..., Answer], screened: Answer, fake_file: Path, on_server: Path
) -> None:
    table = (on_server / "results" / "small.csv").read_text()
    again = hts("campaign", "run", fake_file)
    assert "0 computed now, 2 known before" in again.out
    same = again.out.replace("0 computed now, 2 known", "2 computed now, 0 known")
    assert same == screened.out
    assert (on_server / "results" / "small.csv").read_text() == table


@pytest.mark.mongo
def test_a_run_with_a_failed_candidate_ranks_the_others_and_exits_with_1(
    hts: Callable[..., Answer],
    on_server: Path,
    fake_file: Path,
    fake_references: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = FakeRelaxMaker(error="no licence", error_with="F")
    engine = replace(ENGINES["fake"], relax_maker=lambda _relaxation: broken)
    monkeypatch.setitem(ENGINES, "fake", engine)  # type: ignore[misc]
    hts("references", "import", "--engine", "fake", fake_references)
    answer = hts("campaign", "run", fake_file)
    assert answer.status == 1
    assert "failed: builtins.RuntimeError: no licence" in answer.out
    assert "2 candidates: 1 failed, 1 ranked" in answer.out
    assert "1 of 2 candidates failed" in answer.err
    assert (on_server / "results" / "small.csv").exists()


@pytest.mark.mongo
@pytest.mark.usefixtures("screened")
def test_a_run_can_print_json_alone(
    hts: Callable[..., Answer], fake_file: Path, tmp_path: Path
) -> None:
    answer = hts("campaign", "run", fake_file, "--json", "--out", tmp_path / "other")
    docs = [SummaryDoc.model_validate(line) for line in answer.lines]
    assert len(docs) == 2
    values = [doc.energy_above_hull_at["1473K"] for doc in docs]
    assert values == sorted(values)
    assert (tmp_path / "other" / "small.csv").exists()


@pytest.mark.mongo
def test_status_counts_states(
    hts: Callable[..., Answer], screened: Answer, fake_file: Path
) -> None:
    assert screened.status == 0
    answer = hts("campaign", "status", fake_file, "--json")
    assert answer.lines == [{"candidates": 2, "states": {"ranked": 2}}]
    assert "ranked" in hts("campaign", "status", fake_file).out


@pytest.mark.mongo
@pytest.mark.usefixtures("on_server")
def test_an_engine_without_references_fails_before_anything_is_computed(
    hts: Callable[..., Answer], fake_file: Path, database: Database
) -> None:
    answer = hts("campaign", "run", fake_file)
    assert answer.status == 2
    assert "hts references compute --engine fake" in answer.err
    with open_stores(database) as stores:
        assert stores.candidates.count() == stores.tasks.count() == 0


@pytest.mark.mongo
@pytest.mark.usefixtures("on_server")
def test_a_campaign_without_any_stability_fails_with_the_reason(
    hts: Callable[..., Answer], fake_file: Path, fake_references: Path, folder: Path
) -> None:
    text = fake_references.read_text().replace('"Mn', '"Cr').replace('"fake-Mn', '"x')
    fake_references.write_text(text)
    hts("references", "import", "--engine", "fake", fake_references)
    answer = hts("campaign", "run", fake_file)
    assert answer.status == 1
    assert "no candidate of small has a stability" in answer.err
    assert "Mn" in answer.err
    assert not (folder / "results").exists()
