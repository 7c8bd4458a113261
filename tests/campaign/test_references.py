from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fakes import FakeRelaxMaker, fake_reference_energies

from hts_battery.campaign.local_run import Progress
from hts_battery.campaign.references import (
    compute_references,
    prerelaxed_starts,
    store_references,
)
from hts_battery.campaign.run import ensure_references
from hts_battery.connections.records.executions import ledger
from hts_battery.errors import ConfigurationError, SubmissionError
from hts_battery.flows.engines.registry import ENGINES
from hts_battery.flows.recipes.references import shipped_energies
from hts_battery.schemas.campaign import RelaxationSpec
from hts_battery.structures.references.library import (
    reference_phase,
    reference_structure,
)

if TYPE_CHECKING:
    from pathlib import Path

    from pymatgen.core import Structure

    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.reference import ReferenceEnergy

pytestmark = pytest.mark.mongo

PHASES = [reference_phase("LiF-rocksalt"), reference_phase("CaO-rocksalt")]


def test_only_what_is_new_or_differs_is_written(stores: Stores) -> None:
    energies = fake_reference_energies()
    assert store_references(energies, stores) == len(energies)
    assert store_references(energies, stores) == 0
    changed = energies[0].model_copy(update={"energy_per_atom": -1.0})
    assert store_references([changed, *energies[1:]], stores) == 1
    assert stores.references.count() == len(energies)


def test_two_engines_keep_their_own_energies(stores: Stores) -> None:
    store_references(fake_reference_energies(), stores)
    others = fake_reference_energies("other")
    assert store_references(others, stores) == len(others)
    assert stores.references.count() == 2 * len(others)


def test_shipped_energies_are_imported_once(stores: Stores) -> None:
    ensure_references("chgnet", stores)
    count = len(shipped_energies("chgnet").energies)
    assert stores.references.count() == count
    # Energies that a user computed from today's structures stay.
    doc = stores.references.query_one({"phase_id": "LiF-rocksalt"})
    own = doc | {"energy_per_atom": -9.0}
    stores.references.update(own, key=["engine", "phase_id"])
    ensure_references("chgnet", stores)
    assert stores.references.count() == count
    kept = stores.references.query_one({"phase_id": "LiF-rocksalt"})
    assert kept["energy_per_atom"] == -9.0


def test_an_energy_of_an_older_structure_is_replaced(stores: Stores) -> None:
    ensure_references("chgnet", stores)
    doc = stores.references.query_one({"phase_id": "LiF-rocksalt"})
    old = doc | {"energy_per_atom": -9.0, "start_digest": "of another structure"}
    stores.references.update(old, key=["engine", "phase_id"])
    ensure_references("chgnet", stores)
    now = stores.references.query_one({"phase_id": "LiF-rocksalt"})
    assert now["energy_per_atom"] == doc["energy_per_atom"]


def test_references_are_computed_once(
    stores: Stores, execution_folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("chgnet")
    told: list[str] = []

    def compute(maker: FakeRelaxMaker) -> list[ReferenceEnergy]:
        return compute_references(
            PHASES,
            stores,
            engine_name="chgnet",
            relaxation=RelaxationSpec(),
            launch_folder=tmp_path / "launches",
            relax_maker=maker,
            progress=Progress(advance=lambda _stage, what: told.append(what)),
        )

    first = compute(FakeRelaxMaker())
    assert [energy.phase_id for energy in first] == ["LiF-rocksalt", "CaO-rocksalt"]
    assert {energy.energy_per_atom for energy in first} == {-2.4}
    assert {energy.rejected for energy in first} == {None}
    assert told == ["LiF-rocksalt", "CaO-rocksalt"]
    second = compute(FakeRelaxMaker(error="must not be called"))
    assert second == first
    counted = ledger(execution_folder)
    assert (counted.total.completed, counted.total.failed) == (2, 0)


def test_a_failed_reference_says_so_and_is_tried_again(
    stores: Stores, execution_folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("chgnet")

    def compute(maker: FakeRelaxMaker) -> ReferenceEnergy:
        (energy,) = compute_references(
            PHASES[:1],
            stores,
            engine_name="chgnet",
            relaxation=RelaxationSpec(),
            launch_folder=tmp_path / "launches",
            relax_maker=maker,
        )
        return energy

    assert compute(FakeRelaxMaker(error="no licence")).rejected == "the job failed"
    assert compute(FakeRelaxMaker()).rejected is None
    assert ledger(execution_folder).total.failed == 1


def compute(
    stores: Stores,
    folder: Path,
    maker: FakeRelaxMaker | None = None,
    *,
    starts: dict[str, Structure] | None = None,
    quota: int | None = None,
) -> list[ReferenceEnergy]:
    return compute_references(
        PHASES,
        stores,
        engine_name="chgnet",
        relaxation=RelaxationSpec(),
        launch_folder=folder,
        launch_quota=quota,
        starts=starts,
        relax_maker=maker,
    )


@pytest.mark.usefixtures("execution_folder")
def test_no_phase_is_started_where_launches_hold_too_much(
    stores: Stores, tmp_path: Path
) -> None:
    pytest.importorskip("chgnet")
    folder = tmp_path / "launches"
    folder.mkdir()
    (folder / "left").write_bytes(b"x" * 200)
    with pytest.raises(SubmissionError, match="nothing new is started"):
        compute(stores, folder, FakeRelaxMaker(), quota=100)
    assert stores.tasks.count() == 0
    (folder / "left").unlink()
    found = compute(stores, folder, FakeRelaxMaker(), quota=100)
    # What is computed is known whatever the launches hold.
    (folder / "left").write_bytes(b"x" * 200)
    again = FakeRelaxMaker(error="not called")
    assert compute(stores, folder, again, quota=100) == found


def test_an_engine_that_cannot_run_here_is_refused_before_anything_runs(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = replace(ENGINES["chgnet"], checks=(lambda _: ("no program here",),))
    monkeypatch.setitem(ENGINES, "chgnet", lacking)  # type: ignore[misc]
    with pytest.raises(ConfigurationError, match="no program here"):
        compute(stores, tmp_path / "launches")
    assert stores.tasks.count() == 0


@pytest.mark.usefixtures("execution_folder")
def test_phases_begin_where_a_cheaper_engine_left_them(
    stores: Stores, tmp_path: Path
) -> None:
    pytest.importorskip("chgnet")
    folder = tmp_path / "launches"
    with pytest.raises(ConfigurationError, match="2 phases have no structure relaxed"):
        prerelaxed_starts(PHASES, stores, "chgnet")
    store_references(compute(stores, folder, FakeRelaxMaker()), stores)
    starts = prerelaxed_starts(PHASES, stores, "chgnet")
    for start in starts.values():
        start.scale_lattice(1.1 * start.volume)
    again = compute(stores, folder, FakeRelaxMaker(), starts=starts)
    # Another start is another calculation, and the library's structure stays known.
    assert stores.tasks.count() == 2 * len(PHASES)
    for phase, energy in zip(PHASES, again, strict=True):
        library = reference_structure(phase)
        assert energy.volume_per_atom == pytest.approx(
            1.1 * library.volume / len(library)
        )
    assert {one.start_digest for one in again} == {
        one.start_digest for one in compute(stores, folder, FakeRelaxMaker())
    }
