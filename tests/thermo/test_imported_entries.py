"""Entries of pymatgen: imported as they are meant, or rejected with the reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.entries.compatibility import MaterialsProject2020Compatibility
from pymatgen.entries.computed_entries import ComputedEntry, ComputedStructureEntry

from hts_battery.thermo.imported_entries import ImportRules, imported_energies
from hts_battery.thermo.vasp_schemes import MP24, MP_GGA

VASP = ImportRules(
    engine="vasp-mp-gga", label="vasp mp-gga PBE", source="test", scheme=MP_GGA
)
OTHER = ImportRules(engine="own", label="own 1", source="test")
SPEC = [{"titel": "PAW_PBE Li_sv 23Jan2001", "hash": "abc"}]


def entry(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    found = ComputedEntry(
        "Li4 O2",
        -28.0,
        parameters={"run_type": "GGA", "hubbards": {}},
        data={"oxidation_states": {"Li": 1, "O": -2}, "oxide_type": "oxide"},
        entry_id="mp-1960",
    )
    stored: dict[str, Any] = json.loads(json.dumps(found.as_dict()))
    return stored | changes


def test_an_entry_becomes_a_reference_with_its_correction_and_its_source() -> None:
    (found,), rejected = imported_energies([entry()], VASP)
    assert rejected == ()
    assert (found.phase_id, found.formula) == ("Li2O-mp-1960", "Li4O2")
    assert found.energy_per_atom == pytest.approx(-28.0 / 6)
    assert (found.calculator, found.source) == ("vasp mp-gga PBE", "test")
    assert found.comparable is not None
    (correction,) = found.comparable.adjustments
    assert correction.value == pytest.approx(2 * -0.687)


def test_an_entry_that_was_corrected_before_is_corrected_once() -> None:
    plain = ComputedEntry.from_dict(entry())
    done = MaterialsProject2020Compatibility(check_potcar=False).process_entry(plain)
    assert done is not None
    assert done.correction < -1
    again = json.loads(json.dumps(done.as_dict()))
    (once,), _ = imported_energies([entry()], VASP)
    (twice,), _ = imported_energies([again], VASP)
    assert once.comparable is not None
    assert twice.comparable is not None
    assert twice.comparable.energy_per_atom == once.comparable.energy_per_atom


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"energy": None}, "no energy"),
        ({"energy": float("nan")}, "energy nan is not a finite number of eV"),
        ({"composition": {"Xx": 1}}, "Xx is no element"),
        ({"composition": {}}, "the composition is empty or no mapping"),
        ({"composition": {"Li": 0, "O": 1}}, "the amount of Li is 0, not positive"),
        ({"composition": {"Li": -1, "O": 1}}, "the amount of Li is -1, not positive"),
        ({"composition": {"Li": 1.5, "O": 1}}, "1.5 Li is no whole number of atoms"),
        ({"parameters": {"run_type": "r2SCAN"}}, "run type 'r2SCAN' is none of"),
        ({"parameters": {}}, "run type 'None' is none of"),
        ({"data": {"oxidation_states": {"Li": 1, "O": -2}}}, "neither a structure nor"),
        ({"structure": []}, "the structure is no mapping"),
        ({"energy": 10**400}, "energy is too large a number"),
        ({"energy": "-28"}, "energy is no number but str"),
        ({"energy": True}, "energy is no number but bool"),
        ({"composition": {"D": 4, "O": 2}}, "D is an isotope: write it as H"),
        ({"composition": {"X": 1, "O": 1}}, "X is no element"),
        ({"composition": {"Li": float("inf")}}, "the amount of Li inf is not a finite"),
        ({"composition": {"Li": None}}, "the amount of Li is no number"),
        ({"composition": "Li4O2"}, "the composition is empty or no mapping"),
        ({"data": {"oxide_type": "None"}}, "neither a structure nor data.oxide_type"),
        ({"data": None}, "neither a structure nor data.oxide_type"),
        ({"parameters": None}, "run type 'None' is none of GGA, GGA+U"),
        ({"parameters": {"run_type": "gga"}}, "run type 'gga' is not written GGA or"),
        (
            {"parameters": {"run_type": "GGA", "hubbards": {"Li": 1.0}}},
            "U value of Li is 1 eV, with the Materials Project's settings it is 0 eV",
        ),
        (
            {"parameters": {"run_type": "GGA", "hubbards": {"Li": "x"}}},
            "the U of Li is no number but str",
        ),
        (
            {"parameters": {"run_type": "GGA", "potcar_spec": [{"titel": "PAW Li x"}]}},
            "pseudopotentials Li, with the Materials Project's settings they are Li_sv",
        ),
        (
            {"parameters": {"run_type": "GGA", "potcar_symbols": ["PBE Li", "PBE O"]}},
            "pseudopotentials Li, O, with the Materials Project's settings",
        ),
    ],
)
def test_what_is_wrong_with_an_entry_is_said(
    changes: dict[str, Any], reason: str
) -> None:
    used, (rejected,) = imported_energies([entry(**changes)], VASP)
    assert used == ()
    assert rejected.entry == "mp-1960"
    assert reason in rejected.reason


def test_what_is_no_entry_is_named_by_its_place() -> None:
    used, rejected = imported_energies([entry(), 3, {"energy": 1}], VASP)
    assert len(used) == 1
    assert [one.entry for one in rejected] == ["entry 2", "entry 3"]


def test_an_element_that_the_engine_lacks_is_rejected() -> None:
    rules = ImportRules(
        engine="own",
        label="own 1",
        source="test",
        unsupported=lambda symbols: {"O"} & set(symbols),
    )
    _, (rejected,) = imported_energies([entry()], rules)
    assert rejected.reason == "engine own cannot compute O"


def test_an_engine_without_corrections_takes_no_corrected_energy() -> None:
    (found,), _ = imported_energies([entry()], OTHER)
    assert found.comparable is None
    _, (rejected,) = imported_energies([entry(correction=-1.374)], OTHER)
    assert "carries corrections of -1.374 eV" in rejected.reason


def test_oxidation_states_come_from_the_library_where_an_entry_has_none() -> None:
    rules = ImportRules(
        engine="vasp-mp-gga",
        label="vasp mp-gga PBE",
        source="test",
        scheme=MP_GGA,
        oxidation_states={"Li2O": {"Li": 1.0, "O": -2.0}},
    )
    (found,), _ = imported_energies([entry(data={"oxide_type": "oxide"})], rules)
    assert found.oxidation_states == {"Li": 1.0, "O": -2.0}


def test_an_alloy_and_an_element_need_no_oxidation_states() -> None:
    alloy = entry(composition={"Li": 2, "Mn": 1}, data={}, entry_id="a")
    metal = entry(composition={"Li": 2}, data={}, entry_id="b")
    used, rejected = imported_energies([alloy, metal], VASP)
    assert rejected == ()
    assert [one.comparable.adjustments for one in used if one.comparable] == [(), ()]


def test_a_structure_is_kept_and_tells_a_peroxide() -> None:
    structure = Structure(
        Lattice.cubic(4.0),
        ["Li", "Li", "O", "O"],
        [[0.5, 0.5, 0.5], [0.5, 0, 0.5], [0, 0, 0], [0.37, 0, 0]],
    )
    found = ComputedStructureEntry(
        structure,
        -19.0,
        parameters={"run_type": "GGA", "hubbards": {}, "potcar_spec": SPEC},
        data={"oxidation_states": {"Li": 1, "O": -1}},
        entry_id="p",
    )
    stored = json.loads(json.dumps(found.as_dict()))
    rules = ImportRules(engine="o", label="o 1", source="t")
    (energy,), _ = imported_energies([stored], rules)
    assert energy.volume_per_atom == pytest.approx(16.0)
    assert energy.structure is not None
    # Its pseudopotential is not the Materials Project's: pymatgen says so.
    _, (rejected,) = imported_energies([stored], VASP)
    assert rejected.reason
    stored["parameters"].pop("potcar_spec")
    (peroxide,), _ = imported_energies([stored], VASP)
    assert peroxide.comparable is not None
    assert "peroxide" in peroxide.comparable.adjustments[0].name


def test_a_structure_of_another_composition_is_rejected() -> None:
    structure = Structure(Lattice.cubic(4.0), ["Li"], [[0, 0, 0]]).as_dict()
    _, (rejected,) = imported_energies([entry(structure=structure)], VASP)
    assert rejected.reason == "the structure holds Li1, the composition Li4 O2"


def test_an_id_twice_is_one_phase_or_a_contradiction() -> None:
    used, rejected = imported_energies([entry(), entry()], VASP)
    assert len(used) == 1
    assert [one.reason for one in rejected] == ["repeats mp-1960: taken once"]
    used, (other,) = imported_energies([entry(), entry(energy=-27.0)], VASP)
    assert len(used) == 1
    assert other.reason == "its id stands twice, content differs"


def test_an_entry_without_an_id_is_named_by_its_content() -> None:
    first, second = entry(entry_id=None), entry(entry_id=None, energy=-27.0)
    used, _ = imported_energies([first, second, first], VASP)
    assert len({one.phase_id for one in used}) == 2


def test_an_entry_of_r2scan_is_taken_as_it_is_with_its_pseudopotentials() -> None:
    rules = ImportRules(
        engine="vasp-mp24", label=MP24.calculator, source="test", scheme=MP24
    )
    titles = ("PAW_PBE Li_sv 10Sep2004", "PAW_PBE O 08Apr2002")
    parameters = {
        "run_type": "R2SCAN",
        "potcar_spec": [{"titel": title, "hash": None} for title in titles],
    }
    # Neither oxidation states nor the kind of oxide matter where nothing is added.
    ready = entry(parameters=parameters, data={}, correction=-0.4)
    (found,), rejected = imported_energies([ready], rules)
    assert rejected == ()
    assert found.comparable is not None
    assert found.comparable.energy_per_atom == pytest.approx(-28.0 / 6)
    assert found.comparable.checks["run type"] == "r2SCAN"
    assert found.calculator == found.comparable.calculator == MP24.calculator
    _, (bare, other) = imported_energies(
        [entry(parameters={"run_type": "R2SCAN"}), entry(entry_id="mp-2")], rules
    )
    assert "no pseudopotentials are stated" in bare.reason
    assert "run type 'GGA' is none of r2SCAN" in other.reason


def test_an_entry_that_was_decoded_is_the_same_as_its_dictionary() -> None:
    salt = Structure(Lattice.cubic(4.0), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    decoded = ComputedStructureEntry(salt, -9.0, entry_id="a")
    stored = json.loads(json.dumps(decoded.as_dict()))
    (one,), none = imported_energies([decoded], OTHER)
    (other,), _ = imported_energies([stored], OTHER)
    assert none == ()
    assert one == other
    assert one.volume_per_atom == pytest.approx(32)


def test_an_entry_that_breaks_when_it_is_read_ends_no_import() -> None:
    class Odd:
        composition = property(lambda _: 1 / 0)

        def __getattr__(self, name: str) -> None:
            raise LookupError(name)

    with pytest.raises(ZeroDivisionError):
        _ = Odd().composition
    used, (rejected,) = imported_energies([Odd(), entry()], VASP)
    assert len(used) == 1
    assert rejected.entry == "entry 1"
    assert rejected.reason.startswith("not understood (ZeroDivisionError")


def test_of_two_pseudopotentials_of_an_element_the_usual_one_stays() -> None:
    def of(number: int, title: str) -> dict[str, Any]:
        spec = [{"titel": title, "hash": ""}, {"titel": "PAW_PBE O 08Apr2002"}]
        parameters = {"run_type": "GGA", "hubbards": {}, "potcar_spec": spec}
        return entry(
            entry_id=f"mp-{number}", energy=-28 - number, parameters=parameters
        )

    usual, rare = "PAW_PBE Li_sv 23Jan2001", "PAW_PBE Li_sv 10Sep2004"
    entries = [of(1, usual), of(2, rare), of(3, usual)]
    used, (rejected,) = imported_energies(entries, VASP)
    assert {one.phase_id for one in used} == {"Li2O-mp-1", "Li2O-mp-3"}
    assert rejected.entry == "mp-2"
    assert "10Sep2004" in rejected.reason
    assert "no hull mixes two" in rejected.reason
