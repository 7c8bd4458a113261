from __future__ import annotations

import gzip
import json
import struct
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from emmet.core.tasks import TaskDoc
from pymatgen.core import Lattice, Structure
from vasp_runs import memory_store, quick_options, run_flow, small_cell

from hts_battery.flows.engines.vasp.documents import (
    LARGEST_DOCUMENT_BYTES,
    changed_moments,
    document_bytes,
    in_given_order,
    is_cut_off,
    site_order,
    slim,
)
from hts_battery.flows.engines.vasp.jobs import mp_gga_maker
from hts_battery.schemas.failure import RunRecord

pytestmark = pytest.mark.filterwarnings("ignore:No POTCAR file with matching TITEL")

MONGODB_BYTES = 16_000_000


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> TaskDoc:
    folder = tmp_path_factory.mktemp("static")
    static = mp_gga_maker(quick_options()).static_maker
    ran = run_flow(static.make(small_cell()), folder)
    return TaskDoc.from_directory(ran.folder(0), store_additional_json=False)


def test_atoms_come_back_in_the_order_they_were_given() -> None:
    given = small_cell()
    order = site_order(given)
    assert sorted(order) == list(range(8))
    written = Structure.from_sites([given[n] for n in order])
    written.remove_site_property("site_label")
    written.add_site_property("magmom", [float(n) for n in range(8)])
    back = in_given_order(written, given, order)
    assert back.species == given.species
    assert back.site_properties["site_label"] == given.site_properties["site_label"]
    assert [back.site_properties["magmom"][n] for n in order] == list(range(8))


def test_other_atoms_than_were_given_are_refused() -> None:
    given = small_cell()
    other = given.copy()
    other.replace(0, "S")
    with pytest.raises(ValueError, match="other atoms"):
        in_given_order(other, given, range(8))
    with pytest.raises(ValueError, match="no structure"):
        in_given_order(None, given, range(8))


def moments(*values: float) -> Structure:
    places = [[n / len(values), 0, 0] for n in range(len(values))]
    lattice, names = Lattice.cubic(9), ["Mn"] * len(values)
    return Structure(lattice, names, places, site_properties={"magmom": list(values)})


def test_moments_count_as_changed_beyond_the_tolerance() -> None:
    found = changed_moments(moments(5, 4), moments(4.6, 0.1), 1.0)
    assert found == ("moment of site 1 (Mn) 4.00 became 0.10",)


def test_all_moments_reversed_are_the_same_state() -> None:
    assert changed_moments(moments(5, -4), moments(-4.8, 3.9), 1.0) == ()
    assert len(changed_moments(moments(5, -4), moments(4.8, 3.9), 1.0)) == 1


def test_without_moments_there_is_nothing_to_compare() -> None:
    bare = moments(5, 4)
    bare.remove_site_property("magmom")
    assert changed_moments(bare, moments(5, 4), 1.0) == ()


def large(document: TaskDoc, *, atoms: int, steps: int) -> TaskDoc:
    """Return what a long +U relaxation of a large cell gives where nobody drops it."""
    calculation = deepcopy(document.calcs_reversed[0])
    matrices = [
        {spin: np.full((7, 7), 0.1234).tolist() for spin in ("1", "-1")}
        for _ in range(atoms * steps)
    ]
    outcar = {**calculation.output.outcar, "onsite_density_matrices": matrices}
    step = calculation.output.ionic_steps[0]
    output = calculation.output.model_copy(
        update={"outcar": outcar, "ionic_steps": [step] * steps}
    )
    large = calculation.model_copy(update={"output": output})
    return document.model_copy(update={"calcs_reversed": [large]})


def test_a_large_output_with_hubbard_u_becomes_a_small_document(
    document: TaskDoc,
) -> None:
    # fireworks#313, atomate2#461, atomate2#671: documents above 16 MB.
    whole = large(document, atoms=64, steps=400)
    read = whole.calcs_reversed[0].output.outcar
    assert len(json.dumps(read)) > MONGODB_BYTES
    slimmer, dropped = slim(whole)
    assert dropped == ("ionic_steps", "outcar.onsite_density_matrices")
    assert document_bytes(slimmer) < 100_000
    assert slimmer.output.energy == document.output.energy
    assert slimmer.calcs_reversed[0].output.outcar["magnetization"]


def test_a_document_that_is_still_too_large_loses_its_details(
    document: TaskDoc,
) -> None:
    calculation = deepcopy(document.calcs_reversed[0])
    numbers = np.random.default_rng(0).random((400_000, 3)).tolist()
    output = calculation.output.model_copy(
        update={"outcar": {**calculation.output.outcar, "drift": numbers}}
    )
    huge = calculation.model_copy(update={"output": output})
    slimmer, dropped = slim(document.model_copy(update={"calcs_reversed": [huge]}))
    assert "calcs_reversed" in dropped
    assert document_bytes(slimmer) < LARGEST_DOCUMENT_BYTES
    assert slimmer.output.energy == document.output.energy


def test_the_steps_of_a_relaxation_go_to_the_store_of_large_objects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = memory_store()
    job = mp_gga_maker(quick_options()).relax_maker.relax_maker1.make(small_cell())
    job.run(store)
    (stored,) = store.query()
    steps = RunRecord.model_validate(stored["output"]["run"]).n_steps
    assert steps is not None
    assert steps > 1
    assert stored["output"]["calcs_reversed"][0]["output"]["ionic_steps"] is None
    blobs = list(store.additional_stores["data"].query())
    assert {blob["job_uuid"] for blob in blobs} == {job.uuid}
    (whole,) = store.query(load=True)
    trajectory = whole["output"]["vasp_objects"]["trajectory"]
    assert len(trajectory["frame_properties"]) == steps
    # The stand-in writes the density matrices of atoms with a U, as VASP does.
    assert b"onsite density matrix" in gzip.decompress(Path("OUTCAR.gz").read_bytes())
    assert "onsite" not in json.dumps(stored, default=str)
    assert document_bytes(stored) < 60_000


def test_wave_functions_that_a_kill_cut_off(tmp_path: Path) -> None:
    # Records of 64 bytes: two of header, then one and two bands for each k-point.
    header = struct.pack("2d", 64.0, 2.0).ljust(64, b"\0")
    counts = struct.pack("2d", 3.0, 2.0).ljust(64, b"\0")
    whole = header + counts + bytes(64 * 2 * 3 * (1 + 2))
    path = tmp_path / "WAVECAR"
    for content, cut in (
        (whole, False),
        (whole[:-1], True),
        (header, True),
        (b"short", True),
        (b"a stand-in's text, long enough to be one", False),
    ):
        path.write_bytes(content)
        assert is_cut_off(path) is cut
