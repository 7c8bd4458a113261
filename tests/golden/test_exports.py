"""What stands in an export of each format: columns, their types, their order."""

from __future__ import annotations

import csv
import json
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from golden.recording import kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from golden.recording import Recording
    from golden.world import World

pytestmark = [pytest.mark.mongo, pytest.mark.slow]

CHOSEN = ("--fields", "formula,e_hull_1473,label_1473,t_mix", "--sort", "-e_hull")


def exported(world: World, file: str, file_format: str, *more: str) -> Path:
    """Export the small campaign, as a user does."""
    words = ("query", "export", "-o", file, "--format", file_format)
    answer = world.hts(*words, "--campaign", "small", *more)
    assert answer.status == 0, answer.err
    return world.folder / file


def in_order(columns: dict[str, Any]) -> dict[str, Any]:
    """Number columns, so that their order is recorded while names may be renamed."""
    return {
        name: f"{number} {what}" for number, (name, what) in enumerate(columns.items())
    }


@pytest.mark.parametrize("chosen", [(), CHOSEN], ids=["all", "chosen"])
def test_csv(
    recording: Callable[[str], Recording], world: World, chosen: tuple[str, ...]
) -> None:
    path = exported(world, f"{len(chosen)}.csv", "csv", *chosen)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    first = in_order({name: value or "empty" for name, value in rows[0].items()})
    recording("exports").check(f"csv {len(chosen)}", world.plain(first))
    manifest = path.with_name(f"{path.name}.manifest.json")
    content = json.loads(manifest.read_text("utf-8"))
    recording("exports").check(f"manifest {len(chosen)}", world.plain(content))


@pytest.mark.parametrize("chosen", [(), CHOSEN], ids=["all", "chosen"])
def test_json(
    recording: Callable[[str], Recording], world: World, chosen: tuple[str, ...]
) -> None:
    path = exported(world, f"{len(chosen)}.json", "json", *chosen)
    lines = path.read_text("utf-8").splitlines()
    recording("exports").check(f"json {len(chosen)}", kind(json.loads(lines[0])))
    assert len(lines) == 3


@pytest.mark.parametrize("chosen", [(), CHOSEN], ids=["all", "chosen"])
def test_parquet(
    recording: Callable[[str], Recording], world: World, chosen: tuple[str, ...]
) -> None:
    table = pq.read_table(exported(world, f"{len(chosen)}.parquet", "parquet", *chosen))
    assert table.num_rows == 3
    types = {field.name: str(field.type) for field in table.schema}
    found = {
        "columns": in_order(types),
        "metadata": sorted(key.decode() for key in table.schema.metadata),
    }
    recording("exports").check(f"parquet {len(chosen)}", found)


def test_optimade(recording: Callable[[str], Recording], world: World) -> None:
    path = exported(world, "rows.jsonl", "optimade")
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    recording("exports").check("optimade", [kind(line) for line in lines[:4]])
    assert len(lines) >= 3


def test_archives_of_structures(
    recording: Callable[[str], Recording], world: World
) -> None:
    with tarfile.open(exported(world, "cells.tar.gz", "cif")) as archive:
        cif = archive.getnames()
    with zipfile.ZipFile(exported(world, "cells.zip", "poscar")) as archive:
        poscar = archive.namelist()
    recording("exports").check(
        "archives", {"cif": sorted(cif), "poscar": sorted(poscar)}
    )


@pytest.mark.parametrize("file_format", ["csv", "json"])
def test_what_is_printed_is_what_a_file_holds(world: World, file_format: str) -> None:
    path = exported(world, f"again.{file_format}", file_format)
    words = ("query", "export", "--format", file_format, "--campaign", "small")
    assert world.hts(*words).out == path.read_text("utf-8")
