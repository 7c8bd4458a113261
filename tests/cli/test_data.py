"""Commands on what is in the database: references, build, query, db."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from fakes import fake_reference_energies

from hts_battery.campaign.build import BUILDERS
from hts_battery.connections.database import embedded
from hts_battery.connections.database.stores import open_stores
from hts_battery.flows.recipes.references import shipped_energies
from hts_battery.schemas.summary import SummaryDoc

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Answer

    from hts_battery.connections.database.database import Database

COUNTS = {"read", "written", "failed", "unchanged", "seconds"}


def test_references_are_listed_by_system_and_calculator(
    hts: Callable[..., Answer], folder: Path
) -> None:
    rows = hts("references", "list", "--elements", "Li,O,F", "--json").lines
    assert {row["chemical_system"] for row in rows} >= {"Li", "O", "F", "Li-O", "F-Li"}
    for row in rows:
        assert set(row) >= {
            "chemical_system",
            "phase_id",
            "formula",
            "calculator",
            "energy_per_atom",
        }
        assert row["calculator"].startswith("chgnet 0.")
    assert "Li-O" in hts("references", "list", "--elements", "Li,O,F").out
    assert list(folder.iterdir()) == []


def test_wrong_names_of_references_are_refused(hts: Callable[..., Answer]) -> None:
    for words in (
        ("list", "--engine", "none"),
        ("import", "--engine", "none"),
        ("compute", "--engine", "none", "--dry-run"),
        ("compute", "--phase", "none", "--dry-run"),
        ("list", "--elements", "Li,Xx"),
        ("import", "none.json"),
    ):
        answer = hts("references", *words)
        assert (answer.status, answer.out) == (2, ""), words
        assert answer.err.count("\n") == 1


def test_dry_runs_of_references_write_nothing(
    hts: Callable[..., Answer], folder: Path
) -> None:
    assert "would write up to" in hts("references", "import", "--dry-run").out
    words = ("references", "compute", "--phase", "LiF-rocksalt", "--dry-run")
    assert "would relax up to 1 phases" in hts(*words).out
    assert hts(*words, "--json").lines == [{"phases": 1}]
    assert list(folder.iterdir()) == []


@pytest.mark.mongo
@pytest.mark.usefixtures("on_server")
def test_references_are_imported_once(
    hts: Callable[..., Answer], fake_references: Path
) -> None:
    count = len(fake_reference_energies())
    words = ("references", "import", "--engine", "fake", fake_references)
    assert hts(*words).out == f"{count} references written, {count} read\n"
    assert hts(*words).out == f"0 references written, {count} read\n"


@pytest.mark.mongo
@pytest.mark.usefixtures("on_server", "fake_engine")
def test_references_are_computed_and_written_to_a_file(
    hts: Callable[..., Answer], database: Database, tmp_path: Path
) -> None:
    words = ("references", "compute", "--engine", "fake", "--phase", "LiF-rocksalt")
    target = tmp_path / "own.json"
    (row,) = hts(*words, "--write", target, "--json").lines
    assert (row["phase_id"], row["engine"]) == ("LiF-rocksalt", "fake")
    assert "structure" not in row
    assert json.loads(target.read_text())["energies"][0]["energy_per_atom"] == -2.4
    with open_stores(database) as stores:
        assert stores.references.count() == stores.tasks.count() == 1
    assert hts(*words).out == "1 phases, 0 rejected\n"


def test_shards_of_missing_phases_are_each_phase_once(
    hts: Callable[..., Answer],
) -> None:
    def count(*words: str) -> int:
        (row,) = hts("references", "compute", "--dry-run", "--json", *words).lines
        return int(row["phases"])

    everything = count()
    assert sum(count("--shard", f"{number}/4") for number in range(1, 5)) == everything
    shipped = len(shipped_energies("gpaw-fixed-cell").energies)
    lacking = count("--missing", "--engine", "gpaw-fixed-cell")
    assert lacking == everything - shipped
    assert hts("references", "compute", "--shard", "5/4", "--dry-run").status == 2


@pytest.mark.mongo
@pytest.mark.usefixtures("on_server", "fake_engine")
def test_references_are_computed_as_a_campaign_computes_its_candidates(
    hts: Callable[..., Answer], campaign_file: Callable[..., Path], tmp_path: Path
) -> None:
    settings = "relaxation: {steps: 1, fmax: 10, relax_cell: false}"
    both = f"engine: fake\nprerelax: {{engine: chgnet}}\n{settings}"
    file = campaign_file(("engine: chgnet", both))
    target = tmp_path / "own.json"
    words = ("references", "compute", "--like", file, "--phase", "LiF-rocksalt")
    (row,) = hts(*words, "--write", target, "--json").lines
    assert (row["phase_id"], row["engine"]) == ("LiF-rocksalt", "fake")
    written = json.loads(target.read_text())
    assert written["settings"]["steps"] == 1
    assert written["settings"]["prerelax"]["engine"] == "chgnet"
    # The fake moves nothing: it began where the shipped relaxation with CHGNet ended.
    shipped = shipped_energies("chgnet", elements=["Li", "F"]).energies
    (began,) = (one for one in shipped if one.phase_id == "LiF-rocksalt")
    assert row["volume_per_atom"] == pytest.approx(began.volume_per_atom, abs=1e-5)


@pytest.mark.mongo
@pytest.mark.usefixtures("screened")
def test_build_counts_what_it_did(hts: Callable[..., Answer]) -> None:
    (total,) = hts("build", "all", "--json").lines
    assert list(total) == list(BUILDERS)
    for counts in total.values():
        assert set(counts) >= COUNTS
        assert counts["read"] == counts["unchanged"]
        assert counts["written"] == counts["failed"] == 0
    assert all(total[name]["read"] for name in ("entries", "thermo", "percolation"))
    for name in BUILDERS:
        (one,) = hts("build", name.replace("_", "-"), "--json").lines
        assert list(one) == [name]
    assert "unchanged" in hts("build", "all").out


@pytest.mark.mongo
@pytest.mark.usefixtures("screened")
def test_entries_are_read_once_however_many_campaigns_there_are(
    hts: Callable[..., Answer], fake_file: Path
) -> None:
    (before,) = hts("build", "all", "--json").lines
    fake_file.write_text(fake_file.read_text().replace("name: small", "name: other"))
    assert hts("campaign", "run", fake_file).status == 0
    (after,) = hts("build", "all", "--json").lines
    assert after["entries"]["read"] == before["entries"]["read"]
    assert after["thermo"]["read"] == 2 * before["thermo"]["read"]
    assert after["thermo"]["written"] == 0


def test_a_dry_build_makes_no_database(
    hts: Callable[..., Answer], folder: Path
) -> None:
    assert "campaigns: none" in hts("build", "all", "--dry-run").out
    assert hts("build", "thermo", "--dry-run", "--json").lines == [{"campaigns": []}]
    assert list(folder.iterdir()) == []


@pytest.mark.mongo
def test_a_dry_build_writes_nothing(
    hts: Callable[..., Answer], on_server: Path, database: Database
) -> None:
    assert hts("build", "all", "--dry-run").status == 0
    with open_stores(database) as stores:
        assert stores.entries.count() == 0
    assert list(on_server.iterdir()) == []


@pytest.mark.mongo
@pytest.mark.usefixtures("screened")
def test_query_stable_prints_summaries(hts: Callable[..., Answer]) -> None:
    rows = hts("query", "stable", "--threshold", 1000, "--json").lines
    docs = [SummaryDoc.model_validate(row) for row in rows]
    assert len(docs) == 2
    values = [doc.energy_above_hull_at["1473K"] for doc in docs]
    assert values == sorted(values)
    words = ("query", "stable", "--threshold", 1000, "--limit", 1)
    assert len(hts(*words, "--json").lines) == 1
    between = 1000 * sum(values) / 2
    words = ("query", "stable", "--threshold", between, "--temperature", 1473)
    assert len(hts(*words, "--json").lines) == 1
    assert docs[0].formula in hts(*words).out
    assert hts("query", "stable", "--campaign", "none", "--json").lines == []


@pytest.mark.mongo
@pytest.mark.usefixtures("screened")
def test_a_temperature_that_no_builder_used_is_not_an_empty_list(
    hts: Callable[..., Answer],
) -> None:
    answer = hts("query", "stable", "--temperature", 1000, "--json")
    assert (answer.status, answer.out) == (2, "")
    assert "at 1000 K" in answer.err


@pytest.mark.mongo
@pytest.mark.usefixtures("on_server")
def test_an_empty_database_has_nothing_stable(hts: Callable[..., Answer]) -> None:
    answer = hts("query", "stable", "--json")
    assert (answer.status, answer.out) == (0, "")


@pytest.mark.mongo
@pytest.mark.usefixtures("screened")
def test_query_show_prints_every_term(hts: Callable[..., Answer]) -> None:
    row, _ = hts("query", "stable", "--threshold", 1000, "--json").lines
    (shown,) = hts("query", "show", row["candidate_id"], "--json").lines
    assert {name: shown[name] for name in row} == row
    text = hts("query", "show", row["candidate_id"]).out
    for name in row:
        assert name in text
    answer = hts("query", "show", "nobody")
    assert (answer.status, answer.out) == (1, "")


@pytest.mark.mongo
@pytest.mark.usefixtures("screened")
def test_query_find_filters_sorts_and_counts(hts: Callable[..., Answer]) -> None:
    words = ("query", "find", "--filter", 'elements HAS "F" AND e_hull_1473 < 1')
    (row,) = hts(*words, "--json", "--fields", "formula,e_hull_1473").lines
    assert list(row) == ["formula", "e_hull_1473"]
    text = " ".join(hts(*words).out.split())
    # Nothing is cut away where a row is wider than the terminal.
    for shown in (row["formula"], "label_1473 LS", "open_1473", "n_orderings 1"):
        assert shown in text
    (other,) = hts(
        *words[:2], "--filter", 'elements HAS "F" AND n_metals = 2', "--json"
    ).lines
    assert row.items() <= other.items()
    assert {"candidate_id", "campaign", "label_1473", "t_mix"} <= other.keys()
    rising, falling = (
        [
            line["formula"]
            for line in hts("query", "find", "--sort", sort, "--json").lines
        ]
        for sort in ("e_hull", "-e_hull")
    )
    assert rising == falling[::-1]
    values = hts("query", "find", "--distinct", "elements", "--json").lines
    assert {"value": "F", "n": 1} in values
    (group,) = hts("query", "find", "--group-by", "n-metals", "--json").lines
    assert (group["name"], group["n_candidates"]) == ("2", 2)
    assert "candidates" in hts("query", "find", "--group-by", "element").out
    for wrong in (
        ("--filter", "ehull < 1"),
        ("--filter", "e_hull <"),
        ("--filter", '{"$where": "1"}'),
        ("--sort", "elements"),
        ("--fields", "nothing"),
        ("--distinct", "nothing"),
    ):
        answer = hts("query", "find", *wrong)
        assert (answer.status, answer.out) == (2, ""), wrong
        assert answer.err.count("\n") == 1, wrong


@pytest.mark.mongo
@pytest.mark.usefixtures("screened")
def test_query_says_why_and_compares(hts: Callable[..., Answer]) -> None:
    row, _ = hts("query", "stable", "--threshold", 1000, "--json").lines
    (why,) = hts("query", "show", row["candidate_id"], "--why", "--json").lines
    assert [terms["temperature"] for terms in why["terms"]] == [0, 1473]
    text = hts("query", "show", row["candidate_id"], "--why").out
    for word in ("E_hull(T)", "label", "cation", "references", why["calculator"]):
        assert word in text
    words = ("query", "compare", row["campaign"], row["engine"])
    (found,) = hts(*words, "--json").lines
    assert (found["n_common"], found["n_disagree"]) == (2, 0)
    text = hts(*words).out
    assert "stable for one only: 0, of them 0 certain" in text
    assert f"stable for small: {found['first_stable'][0]}, of them" in text
    assert hts("query", "compare", "small", "nobody").status == 2


@pytest.mark.mongo
@pytest.mark.usefixtures("screened")
def test_an_export_is_cited_and_read_again(
    hts: Callable[..., Answer], tmp_path: Path
) -> None:
    path = tmp_path / "stable.parquet"
    words = ("query", "export", "--format", "parquet", "-o", path)
    said = hts(*words, "--filter", "e_hull_1473 <= 1").out
    assert "hts_battery snapshot sha256:" in said
    (manifest,) = hts("query", "snapshot", path, "--json").lines
    assert manifest["filter"] == "(e_hull_1473 <= 1)"
    assert manifest["digest"] in said
    assert manifest["digest"] in hts("query", "snapshot", path).out
    table = tmp_path / "stable.csv"
    assert hts("query", "export", "-o", table).status == 0
    table.write_text(table.read_text().replace("hedrx", "other"))
    answer = hts("query", "snapshot", table)
    assert (answer.status, answer.out) == (2, "")
    assert "was changed" in answer.err


@pytest.mark.mongo
@pytest.mark.usefixtures("screened")
def test_query_export_in_every_format(
    hts: Callable[..., Answer], tmp_path: Path
) -> None:
    rows = list(csv.DictReader(io.StringIO(hts("query", "export").out)))
    assert len(rows) == 2
    docs = hts("query", "export", "--format", "json").lines
    shares = [doc.pop("property")["accessible_li"] for doc in docs]
    assert shares == [float(row["accessible_li"]) for row in rows]
    assert [SummaryDoc.model_validate(doc).formula for doc in docs] == [
        row["formula"] for row in rows
    ]
    path = tmp_path / "all.parquet"
    answer = hts("query", "export", "--format", "parquet", "-o", path, "--dry-run")
    assert "2 summaries would be written" in answer.out
    assert not path.exists()
    assert hts("query", "export", "--format", "parquet", "-o", path).status == 0
    assert pd.read_parquet(path)["formula"].tolist() == [row["formula"] for row in rows]
    assert hts("query", "export", "--format", "parquet").status == 2
    assert hts("query", "export", "--campaign", "none").out.strip() == ""


@pytest.mark.mongo
def test_db_up_status_down(hts: Callable[..., Answer], folder: Path) -> None:
    (dry,) = hts("db", "up", "--dry-run", "--json").lines
    assert dry["running"] is False
    assert list(folder.iterdir()) == []
    try:
        (up,) = hts("db", "up", "--json").lines
        assert up["running"]
        assert up["keep"]
        (now,) = hts("db", "status", "--json").lines
        assert now["pid"] == up["pid"]
        (dry,) = hts("db", "down", "--dry-run", "--json").lines
        assert dry["running"]
        assert "running" in hts("db", "status").out
        (down,) = hts("db", "down", "--json").lines
        assert not down["running"]
    finally:
        embedded.down(folder / "hts-data")


@pytest.mark.mongo
@pytest.mark.usefixtures("on_server")
def test_a_server_of_somebody_else_is_left_alone(hts: Callable[..., Answer]) -> None:
    for verb in ("up", "down"):
        answer = hts("db", verb)
        assert answer.status == 2
        assert "not ours" in answer.err


def test_gaps_of_a_campaign_are_listed_without_a_database(
    hts: Callable[..., Answer], folder: Path, campaign_file: Callable[..., Path]
) -> None:
    spec = campaign_file()
    words = ("references", "gaps", spec, "--engine", "forcefield:MACE-MP-0")
    rows = hts(*words, "--json").lines
    assert {row["chemical_system"] for row in rows} >= {"Li", "Li-O", "Mn-O"}
    assert "Li-Mn" not in {row["chemical_system"] for row in rows}
    kinds = [row["kind"] for row in rows]
    assert kinds.count("campaign") == 1
    assert {"system", "composition"} < set(kinds)
    assert rows[-1]["depth"]["median"] > rows[-1]["depth_reported"]["median"] >= 0
    alloys = hts(*words, "--alloys", "--json").lines
    assert "Li-Mn" in {row["chemical_system"] for row in alloys}
    assert "Li-O" in hts(*words).out
    assert not (folder / "hts-data").exists()
    wrong = hts("references", "gaps", spec, "--engine", "none")
    assert (wrong.status, wrong.err.count("\n")) == (2, 1)


def test_entries_of_pymatgen_are_imported_and_rejections_are_said(
    hts: Callable[..., Answer], on_server: Path
) -> None:
    entries = [
        {"composition": {"Li": 2}, "energy": -3.8, "entry_id": "a"},
        {"composition": {"Li": 2, "O": 1}, "energy": None, "entry_id": "b"},
    ]
    path = on_server / "entries.json"
    path.write_text(json.dumps(entries))
    words = ("references", "import", path, "--engine", "chgnet")
    nameless = hts(*words)
    assert (nameless.status, nameless.err.count("\n")) == (2, 1)
    assert "--calculator is missing" in nameless.err
    words = (*words, "--calculator", "chgnet 0.4.2")
    assert hts(*words, "--dry-run").out == (
        "b: rejected: no energy\nwould write up to 1 references\n"
    )
    assert hts(*words, "--json").lines == [
        {"rejected": "b", "reason": "no energy"},
        {"read": 1, "rejected": 1, "written": 1},
    ]
    assert hts(*words, "--json").lines[-1]["written"] == 0


def test_energies_of_another_engine_are_refused(
    hts: Callable[..., Answer], fake_references: Path
) -> None:
    answer = hts("references", "import", fake_references, "--dry-run")
    assert answer.status == 2
    assert "energies of the engine fake, not of chgnet" in answer.err


def test_the_materials_project_is_asked_only_with_a_key_for_its_own_engine(
    hts: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MP_API_KEY", raising=False)
    monkeypatch.delenv("PMG_MAPI_KEY", raising=False)
    words = ("references", "import", "--from-mp")
    wrong = {
        (): "belong to vasp-mp-gga or vasp-mp24, not to chgnet",
        ("--engine", "vasp-mp-gga"): "needs a campaign file or --elements",
        ("--engine", "vasp-mp-gga", "--elements", "Li,Og"): "cannot compute Og",
        ("--engine", "vasp-mp-gga", "--elements", "Li,O"): "no key of the Materials",
    }
    for options, says in wrong.items():
        answer = hts(*words, *options)
        assert (answer.status, answer.err.count("\n")) == (2, 1), options
        assert says in answer.err
