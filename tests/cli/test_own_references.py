"""Structures of a user's own: as competing phases, and as a parent of candidates."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from pymatgen.core import Lattice, Structure

from hts_battery.compositions import load_space
from hts_battery.connections import materials_project
from hts_battery.settings import get_settings
from hts_battery.structures.prototypes import use_prototypes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Answer


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    metal = Structure(Lattice.cubic(5.33), ["K", "K"], [[0] * 3, [0.5] * 3])
    mixed = Structure.from_spacegroup(
        "Fm-3m",
        Lattice.cubic(4.1),
        [{"Li+": 0.5, "Co3+": 0.5}, "O2-"],
        [[0, 0, 0], [0.5] * 3],
    )
    found = {name: tmp_path / f"{name}.cif" for name in ("K", "mixed", "broken")}
    metal.to(filename=str(found["K"]))
    mixed.to(filename=str(found["mixed"]))
    found["broken"].write_text("no cif")
    return found


@pytest.mark.mongo
def test_an_own_phase_competes(
    hts: Callable[..., Answer],
    on_server: Path,
    files: dict[str, Path],
    campaign_file: Callable[..., Path],
    fake_engine: str,
    fake_references: Path,
) -> None:
    """An element without any phase is brought, and the campaign can run."""
    assert on_server.is_dir()
    hts("references", "import", "--engine", fake_engine, fake_references)
    path = campaign_file(
        ("engine: chgnet", f"engine: {fake_engine}"),
        ("[Li+, Mn3+, Ti4+]", "[Li+, K+, Mn3+, Ti4+]"),
        ("Li1.3Mn0.4Ti0.3O1.7F0.3, Li1.2Mn0.4Ti0.4O2", "Li1.1K0.1Mn0.4Ti0.4O2"),
    )
    lacking = hts("campaign", "check", path)
    assert "hts references add K.cif" in lacking.out
    assert "references compute" not in lacking.out
    added = hts("references", "add", files["K"], "--engine", fake_engine, "--json")
    assert added.status == 0, added.err
    (row,) = added.lines
    assert row["phase_id"] == "K-own"
    assert "phase" not in row
    assert "no competing phase" not in hts("campaign", "check", path).out
    listed = hts("references", "list", "--elements", "K", "--engine", fake_engine)
    assert "K" in listed.out
    (row,) = hts("references", "list", "--elements", "K", "--json").lines
    assert (row["space_group"], row["source"]) == ("Im-3m", "own file")
    again = hts("references", "compute", "--phase", "K-own", "--dry-run")
    assert "would relax up to 1 phases" in again.out  # by another engine
    ran = hts("campaign", "run", path)
    assert ran.status == 0, ran.err
    (found,) = hts("query", "find", "--json").lines
    assert found["e_hull"] is not None
    _ask_what_if(hts, found["candidate_id"])


def _ask_what_if(hts: Callable[..., Answer], name: str) -> None:
    """Ask what would have to go, and what it is at any temperature."""
    (table,) = hts("query", "show", name, "--left-out", "--json").lines
    assert {"phase_id", "stable_without"} <= table["phases"][0].keys()
    shown = hts("query", "show", name, "--left-out", "--at", "300")
    assert "E_hull(300 K)" in shown.out
    points = hts("query", "show", name, "--at", "0:1000:500", "--json").lines
    assert [one["temperature"] for one in points] == [0, 500, 1000]
    assert "T in K" in hts("query", "show", name, "--at", "300").out
    for words, says in (
        (("--at", "warm"), "write temperatures in K"),
        (("--at", "-3"), "below 0 K"),
        (("--left-out", "--at", "1,2"), "one temperature"),
        (("--left-out", "--why"), "question of its own"),
    ):
        refused = hts("query", "show", name, *words)
        assert refused.status == 2
        assert says in refused.err.replace("\n", " ")
    assert hts("query", "show", "nobody", "--at", "300").status == 1


def test_what_is_refused_is_one_line_each(
    hts: Callable[..., Answer], folder: Path, files: dict[str, Path]
) -> None:
    assert folder.is_dir()
    answer = hts("references", "add", *files.values(), "--dry-run")
    assert answer.status == 1
    lines = answer.out.splitlines()
    assert any("mixed.cif: rejected: disordered" in line for line in lines)
    assert any("broken.cif: rejected: it cannot be read" in line for line in lines)
    assert any("K-own: K, 1 atoms, Im-3m" in line for line in lines)
    rows = hts("references", "add", files["mixed"], "--dry-run", "--json").lines
    assert rows[0]["rejected"] == "mixed.cif"
    ordered = hts(
        "references", "add", files["mixed"], "--order", "1", "--dry-run", "--json"
    ).lines
    assert "ordered by us" in ordered[0]["note"]
    wrong = hts("references", "add", files["K"], "--state", "iron")
    assert wrong.status == 2
    assert "is not a species" in wrong.err
    other = hts("references", "add", files["K"], "--engine", "nobody")
    assert other.status == 2


def test_structures_are_fetched_through_the_client(
    hts: Callable[..., Answer], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert folder.is_dir()
    potassium = Structure(Lattice.cubic(5.33), ["K", "K"], [[0] * 3, [0.5] * 3])
    row = SimpleNamespace(material_id="mp-58", structure=potassium, theoretical=False)
    summary = SimpleNamespace(search=lambda **_: [row])
    client = SimpleNamespace(materials=SimpleNamespace(summary=summary))
    connection = materials_project.MaterialsProject(client)  # type: ignore[arg-type] # one endpoint of many
    monkeypatch.setattr(materials_project, "connect", lambda: connection)
    words = ("references", "import", "--from-mp", "--structures", "--elements", "K")
    answer = hts(*words, "--dry-run", "--json")
    assert answer.status == 0, answer.err
    assert answer.lines[0]["phase_id"] == "K-mp-58"
    assert answer.lines[0]["source"] == "computed structure"
    alone = hts("references", "import", "--structures")
    assert alone.status == 2
    assert "hts references add" in alone.err


def test_a_parent_of_ones_own_becomes_a_space(
    hts: Callable[..., Answer], folder: Path, files: dict[str, Path]
) -> None:
    target = folder / "space.yaml"
    words = ("space", "from-cif", files["mixed"], "-o", target)
    assert "would be written" in hts(*words, "--dry-run").out
    assert not target.exists()
    assert hts(*words).status == 0
    assert load_space(target).count == 1
    assert "--replace" in hts(*words).err
    wider = (*words, "--replace", "--state", "Co3+", "--state", "Co2+", "--json")
    (row,) = hts(*wider).lines
    assert row["count"] == load_space(target).count
    assert row["sublattices"]["o"]["species"] == ["O2-"]
    printed = hts("space", "from-cif", files["mixed"], "--family", "mine").out
    assert "family: mine" in printed
    for name, says in (("K", "nothing varies"), ("broken", "cannot be read")):
        refused = hts("space", "from-cif", files[name])
        assert refused.status == 2
        assert says in refused.err
        assert len(refused.err.strip().splitlines()) == 1
    assert json.dumps(row)


@pytest.fixture
def own_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Name an empty folder of prototypes in the settings; it is left again."""
    found = folder / "prototypes"
    found.mkdir()
    monkeypatch.setenv("HTS_BATTERY_PROTOTYPE_FOLDER", str(found))
    get_settings.cache_clear()
    yield
    for path in found.iterdir():
        path.unlink()
    use_prototypes(found)


def test_what_cannot_be_ordered_is_counted_and_says_why(
    hts: Callable[..., Answer], folder: Path, files: dict[str, Path]
) -> None:
    words = ("space", "from-cif", files["mixed"], "-o", folder / "space.yaml")
    assert "name a folder of prototypes with --prototypes" in hts(*words).out
    taken = hts(*words, "--replace", "--family", "hedrx", "--prototypes", folder)
    assert "ordered on the prototype rocksalt of the package" in taken.out
    assert taken.status == 0
    mine = (*words, "--replace", "--prototypes", folder / "new")
    assert str(folder / "new") in hts(*mine).out
    assert (folder / "new" / "mixed.yaml").is_file()
    (row,) = hts(*mine, "--json").lines
    assert row["prototype"] == str(folder / "new" / "mixed.yaml")
    assert row["not_ordered"] is None
    file, target = str(files["mixed"]), str(folder / "none.yaml")
    for more, says in (
        (("-o", target, "--prototypes", file), f"{file}: File exists"),
        (("-o", str(folder)), f"{folder} is a folder: name a file"),
        (("--state", "Co3"), "--state: 'Co3' is not a species"),
    ):
        refused = hts("space", "from-cif", file, *more)
        assert (refused.status, says in refused.err) == (2, True), refused.err
    assert not (folder / "none.yaml").exists()
    # Nothing is written where one of the two files exists.
    (folder / "space.yaml").unlink()
    assert "mixed.yaml exists" in hts(*words, "--prototypes", folder / "new").err
    assert not (folder / "space.yaml").exists()


@pytest.mark.slow
@pytest.mark.mongo
@pytest.mark.usefixtures("own_folder")
def test_a_parent_of_ones_own_is_screened(
    hts: Callable[..., Answer], on_server: Path
) -> None:
    """From a CIF with partial occupancies to E_hull by relaxed cells."""
    structure = Structure.from_spacegroup(
        "Fd-3m",
        Lattice.cubic(8.25),
        ["Li+", {"Mn3+": 0.5, "Mn4+": 0.25, "Ti4+": 0.25}, "O2-"],
        [[0, 0, 0], [5 / 8] * 3, [0.3867] * 3],
    )
    structure.to(filename=str(on_server / "screened.cif"))
    words = (
        "space",
        "from-cif",
        on_server / "screened.cif",
        "-o",
        on_server / "own.yaml",
    )
    done = hts(*words)
    assert "the parent lattice on which its members are ordered" in done.out
    assert load_space(on_server / "own.yaml").family == "screened"
    get_settings.cache_clear()  # another command is another process
    path = on_server / "campaign.yaml"
    path.write_text(
        "name: own\nspace: own.yaml\nengine: ionic\nrelaxation: {fmax: 5}\n"
        "selection: {method: formulas, formulas: [LiMnTiO4]}\n"
        "structure: {atoms: 28, iterations: 100}\n"
    )
    assert "sound; 1 candidate" in hts("campaign", "check", path).out
    ran = hts("campaign", "run", path, "--processes", 1)
    assert ran.status == 0, ran.err
    (row,) = hts("query", "find", "--json").lines
    assert row["formula"] == "LiMnTiO4"
    assert row["e_hull"] > -1
