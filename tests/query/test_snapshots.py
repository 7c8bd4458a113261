"""Exports are read again into the same numbers, whatever the format."""

from __future__ import annotations

import json
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from pymatgen.core import Structure

from hts_battery.campaign.build import build
from hts_battery.campaign.registration import register
from hts_battery.campaign.spec_file import load_campaign
from hts_battery.errors import QueryError
from hts_battery.query import ScreeningDatabase
from hts_battery.query.exports import ExportFormat, manifest_path
from hts_battery.query.snapshots import Asked, cell_text, exported, read_snapshot
from hts_battery.query.tables import summary_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo

NAMES = {
    "csv": "a.csv",
    "json": "a.jsonl",
    "parquet": "a.parquet",
    "optimade": "o.jsonl",
    "cif": "c.tar.gz",
    "poscar": "p.zip",
}


@pytest.fixture
def small(ranked: Campaign, stores: Stores) -> Stores:
    assert ranked.spec.name == "small"
    return stores


@pytest.mark.parametrize("file_format", sorted(NAMES))
def test_every_format_is_read_again_to_the_same_numbers(
    small: Stores, tmp_path: Path, file_format: str
) -> None:
    path = tmp_path / NAMES[file_format]
    words = "e_hull_1473 <= 0.5"
    _, save = exported(
        small, words, file_format=ExportFormat(file_format), asked=Asked(words)
    )
    manifest = save(path)
    found = read_snapshot(path)
    assert found.verified
    assert found.manifest == manifest
    rows = summary_rows(ScreeningDatabase(small).find())
    assert [{name: cell_text(row[name]) for name in row} for row in rows] == [
        {name: cell_text(row[name]) for name in rows[0]} for row in found.rows
    ]
    assert manifest.n_rows == len(rows) == 2
    assert manifest.filter == words
    assert manifest.calculators == {"chgnet fake": 2}
    assert manifest.campaigns["small"]["temperatures"] == [0.0, 1473.0]
    assert manifest.digest in manifest.citation
    # A digest names the numbers, not the file.
    _, other = exported(small, words)
    assert other(tmp_path / "other.csv").digest == manifest.digest
    beside = manifest_path(path).exists()
    assert beside == (file_format in {"csv", "json", "optimade"})
    assert not list(tmp_path.glob("*.part"))


def test_a_file_that_was_changed_is_noticed(small: Stores, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    _, save = exported(small)
    save(path)
    path.write_text(path.read_text().replace("hedrx", "hedry"))
    assert not read_snapshot(path).verified


def test_an_archive_holds_the_structures(small: Stores, tmp_path: Path) -> None:
    cells = tmp_path / "c.tar.gz"
    _, save = exported(small, file_format=ExportFormat.CIF)
    save(cells)
    with tarfile.open(cells) as tar:
        names = tar.getnames()
    assert names[:2] == ["manifest.json", "summaries.csv"]
    screening = ScreeningDatabase(small)
    docs = list(screening.find())
    assert sorted(names[2:]) == sorted(
        f"structures/small/{doc['candidate_id']}.cif" for doc in docs
    )
    packed = tmp_path / "p.zip"
    _, save = exported(small, file_format=ExportFormat.POSCAR)
    save(packed)
    with zipfile.ZipFile(packed) as archive:
        doc = docs[0]
        member = f"structures/small/{doc['candidate_id']}.poscar"
        text = archive.read(member).decode()
    found = Structure.from_str(text, fmt="poscar")
    expected = screening.structure(doc["candidate_id"])
    assert found.composition == expected.composition.element_composition
    assert found.volume == pytest.approx(expected.volume)


def test_an_optimade_file_is_what_a_server_of_theirs_reads(
    small: Stores, tmp_path: Path
) -> None:
    from optimade.adapters.structures import Structure as Adapter  # noqa: PLC0415 - slow

    path = tmp_path / "o.jsonl"
    _, save = exported(small, file_format=ExportFormat.OPTIMADE)
    save(path)
    header, info, *entries = map(json.loads, path.read_text().splitlines())
    assert header["x-optimade"]["meta"]["api_version"]
    assert info["type"] == "info"
    assert {entry["type"] for entry in entries} == {"structures"}
    for entry in entries:
        attributes = {
            name: value
            for name, value in entry["attributes"].items()
            if not name.startswith("_hts_")
        }
        assert "_hts_energy_above_hull_1473k" in entry["attributes"]
        assert attributes["immutable_id"].startswith("small:")
        read = Adapter(
            {
                "id": entry["id"],
                "type": "structures",
                "attributes": {"last_modified": None, **attributes},
            }
        )
        assert len(read.as_pymatgen) == attributes["nsites"]


def test_a_manifest_holds_what_a_paper_cites_of_every_campaign(
    small: Stores, ranked: Campaign, campaign_file: Callable[..., Path], tmp_path: Path
) -> None:
    # The last build is of another campaign alone.
    other = load_campaign(
        campaign_file(("name: small", "name: other"), name="other.yaml")
    )
    register(other, small)
    build(other.spec, small, temperatures=(0.0,))
    _, save = exported(small, file_format=ExportFormat.CSV)
    manifest = save(tmp_path / "all.csv")
    assert sorted(manifest.campaigns) == ["other", "small"]
    for campaign in (ranked, other):
        cited: dict[str, Any] = manifest.campaigns[campaign.spec.name]
        said = campaign.spec.model_dump(mode="json")
        for name in ("selection", "structure", "engine", "entropy", "stability"):
            assert cited[name] == said[name]
        assert cited["relaxation"] == {"fmax": 0.05, "steps": 500, "relax_cell": True}
        assert cited["space"]["sublattices"]["anion"]["sites"] == 2
        assert cited["prototype"] == {"name": "rocksalt", "digest": None}
        assert cited["listed"]["formulas"] == 2
        assert len(cited["listed"]["sha256"]) == 64
        built = cited["build"]
        assert {one["hull_version"] for one in built["hulls"]} <= set(
            manifest.hull_versions
        )
        assert all(one["n_references"] > 0 for one in built["hulls"])
        assert built["versions"]["pymatgen"]
        assert built["code_version"]
    first, last = (manifest.campaigns[name]["build"] for name in ("small", "other"))
    assert first["run_id"] < last["run_id"] == manifest.run_id
    assert read_snapshot(tmp_path / "all.csv").manifest == manifest


def test_parquet_carries_types_and_its_manifest(small: Stores, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    _, save = exported(small, file_format=ExportFormat.PARQUET)
    save(path)
    table = pq.read_table(path)
    assert str(table.schema.field("energy_above_hull_1473K").type) == "double"
    assert str(table.schema.field("n_metals").type) == "int64"
    assert b"hts_battery.manifest" in table.schema.metadata


@pytest.mark.parametrize("file_format", sorted(NAMES))
def test_nothing_can_be_exported_too(
    small: Stores, tmp_path: Path, file_format: str
) -> None:
    path = tmp_path / NAMES[file_format]
    _, save = exported(small, 'family = "none"', file_format=ExportFormat(file_format))
    save(path)
    found = read_snapshot(path)
    assert found.verified
    assert found.rows == []


def test_chosen_fields_are_the_columns(small: Stores, tmp_path: Path) -> None:
    for file_format in ("csv", "json", "parquet"):
        path = tmp_path / NAMES[file_format]
        _, save = exported(
            small,
            file_format=ExportFormat(file_format),
            asked=Asked(sort=("-e_hull",), limit=1),
            fields=["formula", "elements", "e_hull"],
        )
        assert save(path).columns == ("formula", "elements", "e_hull")
        (row,) = read_snapshot(path).rows
        assert row["elements"] == "F; Li; Mn; O; Ti"


def test_what_is_no_export_is_refused(tmp_path: Path) -> None:
    bare = tmp_path / "a.csv"
    bare.write_text("a,b\n1,2\n")
    with pytest.raises(QueryError, match="no export with a manifest"):
        read_snapshot(bare)
    broken = tmp_path / "b.tar.gz"
    broken.write_bytes(b"\x1f\x8bnothing")
    with pytest.raises(QueryError, match="no export with a manifest"):
        read_snapshot(broken)
    manifest_path(bare).write_text("{}")
    with pytest.raises(QueryError, match="no export with a manifest"):
        read_snapshot(bare)


def test_a_folder_that_cannot_be_written_is_said(small: Stores, tmp_path: Path) -> None:
    _, save = exported(small)
    with pytest.raises(QueryError, match="cannot be written"):
        save(tmp_path / "none" / "a.csv")
