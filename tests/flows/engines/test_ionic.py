"""The engine ``ionic``: a relaxation, what it says, and its shipped references."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from monty.json import jsanitize
from pymatgen.core import Lattice, Structure

from hts_battery.campaign.references import compute_references
from hts_battery.flows.engines.ionic import IonicRelaxMaker, ionic_maker
from hts_battery.flows.engines.registry import engine
from hts_battery.schemas.calculation import read_task
from hts_battery.schemas.campaign import RelaxationSpec
from hts_battery.schemas.candidate import Candidate
from hts_battery.structures import calculator_structure, order_candidate
from hts_battery.structures.references.library import reference_phase

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.connections.database.stores import Stores


def rocksalt() -> Structure:
    two = Fraction(2)
    candidate = Candidate(
        "hedrx",
        {"Li": Fraction(1), "Mn": Fraction(1, 2), "Ti": Fraction(1, 2), "O": two},
        sites={"cation": two, "anion": two},
        assignments=(
            {
                "cation": {
                    "Li+": Fraction(1),
                    "Mn2+": Fraction(1, 2),
                    "Ti4+": Fraction(1, 2),
                },
                "anion": {"O2-": two},
            },
        ),
    )
    return calculator_structure(
        order_candidate(candidate, atoms=16), magmom=False, charge=True
    )


def relaxed(maker: IonicRelaxMaker, structure: Structure) -> dict[str, Any]:
    """Run the body of the job, and what it returns through jobflow's JSON."""
    found = IonicRelaxMaker.make.original(maker, structure)
    return jsanitize(found, strict=True, enum_values=True)


def test_a_relaxation_ends_without_forces_and_says_its_calculator() -> None:
    document = relaxed(ionic_maker(RelaxationSpec()), rocksalt())
    found = read_task(document, "ionic")
    assert found.failure is None
    assert found.calculator == engine("ionic").calculator() == "ionic 1"
    assert found.max_force is not None
    assert found.max_force < 0.05


def test_one_step_only_rescales() -> None:
    start = rocksalt()
    maker = ionic_maker(RelaxationSpec(steps=1, fmax=10))
    document = relaxed(maker, start)
    found = read_task(document, "ionic")
    end = Structure.from_dict(dict(found.structure))
    assert found.failure is None
    # Zero comes back as zero, whatever the last digits of this machine are.
    assert end.frac_coords == pytest.approx(start.frac_coords, abs=1e-9)
    assert end.volume != pytest.approx(start.volume, rel=1e-3)
    assert np.trace(document["output"]["stress"]) == pytest.approx(0, abs=1e-2)


def test_a_fixed_cell_keeps_its_volume() -> None:
    start = rocksalt()
    maker = ionic_maker(RelaxationSpec(relax_cell=False, steps=1, fmax=10))
    end = Structure.from_dict(dict(read_task(relaxed(maker, start), "ionic").structure))
    assert end.volume == pytest.approx(start.volume)


def test_charges_are_required() -> None:
    start = rocksalt()
    start.remove_site_property("charge")
    with pytest.raises(Exception, match="formal charge of every site"):
        relaxed(ionic_maker(RelaxationSpec()), start)


@pytest.mark.mongo
def test_references_that_ions_describe_and_one_that_they_do_not(
    stores: Stores, tmp_path: Path
) -> None:
    names = ("Mg-hcp", "O-alpha", "MgO-rocksalt", "Li2O2-lithium-peroxide")
    found = {
        one.phase_id: one
        for one in compute_references(
            [reference_phase(name) for name in names],
            stores,
            engine_name="ionic",
            relaxation=RelaxationSpec(),
            launch_folder=tmp_path,
        )
    }
    assert found["Li2O2-lithium-peroxide"].rejected == "the job failed"
    assert {found[name].calculator for name in names[:3]} == {"ionic 1"}
    energy = {name: found[name].energy_per_atom or 0.0 for name in names}
    formation = energy["MgO-rocksalt"] - (energy["Mg-hcp"] + energy["O-alpha"]) / 2
    # Measured -601.6 kJ/mol: NIST-JANAF, 4th edition (1998); CHGNet is what was fitted.
    assert formation == pytest.approx(-601.6 / 96.485 / 2, abs=0.25)


def test_an_element_is_a_constant() -> None:
    lithium = Structure(
        Lattice.cubic(3.5),
        ["Li", "Li"],
        [[0, 0, 0], [0.5, 0.5, 0.5]],
        site_properties={"charge": [0.0, 0.0]},
    )
    found = read_task(relaxed(ionic_maker(RelaxationSpec()), lithium), "ionic")
    assert found.failure is None
    assert found.energy < 0
