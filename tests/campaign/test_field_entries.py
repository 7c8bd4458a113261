"""Entries as they are published: kinds that broke an import, and whole files."""

from __future__ import annotations

import gzip
import json
import sys
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bson import ObjectId
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.core.entries import ComputedEntry, ComputedStructureEntry

from hts_battery.campaign.reference_import import (
    import_rules,
    plausible_energies,
    read_file,
)
from hts_battery.thermo.hull import Hull
from hts_battery.thermo.imported_entries import imported_energies

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.schemas.reference import ReferenceEnergy
    from hts_battery.thermo.imported_entries import Rejection

    Imported = tuple[tuple[ReferenceEnergy, ...], tuple[Rejection, ...]]

LABELS = {
    "vasp-mp-gga": "vasp mp-gga PBE",
    "vasp-mp24": "vasp mp24 r2SCAN PBE_64",
    "chgnet": "chgnet 0.4.2",
    "ionic": "ionic 1",
}
STAMP = {"@module": "datetime", "@class": "datetime", "string": "2026-01-02 03:04:05"}
SALT = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(4.2), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
)


def imported(entries: list[Any], engine: str = "vasp-mp-gga") -> Imported:
    rules = import_rules(engine, LABELS[engine], source="test")
    used, rejected = imported_energies(entries, rules)
    assert len(used) + len(rejected) == len(entries)
    return used, rejected


def salt(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    found: dict[str, Any] = ComputedStructureEntry(
        SALT, -48.0, parameters={"run_type": "GGA", "hubbards": {}}, entry_id="salt"
    ).as_dict()
    return found | changes


# Kinds, as small inputs ----------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        STAMP,
        {"$date": "2026-01-02T03:04:05Z"},
        {"$oid": "5f0c5a7e1c9d440000000000"},
        {"@module": "bson.objectid", "@class": "ObjectId", "oid": "5f0c5a7e"},
        {"@module": "numpy", "@class": "array", "dtype": "int64", "data": [1, 2]},
        {"@module": "a_package.nobody_has", "@class": "Thing"},
        {"@module": "pymatgen.core.composition", "@class": "Composition", "Mg": 1},
        datetime.now(UTC),
        ObjectId(),
        np.eye(3),
        np.float64("nan"),
        SALT,
        object(),
        {1: object()},
        [STAMP] * 3,
    ],
)
@pytest.mark.parametrize("field", ["data", "parameters"])
def test_what_an_entry_holds_beside_its_energy_does_not_matter(
    field: str, value: object
) -> None:
    held = salt()[field] | {"last_updated": value, "stamp": {"deep": [value]}}
    used, rejected = imported([salt(**{field: held})])
    assert rejected == ()
    (bare,), _ = imported([salt()])
    # A stamp makes no other entry of it: its content is what counts.
    assert used == (bare,)


def test_nothing_that_an_entry_names_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "planted_module.py").write_text("class Thing: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    thing = {"@module": "planted_module", "@class": "Thing", "@version": "1"}
    entry = salt(data={"x": thing, "oxide_type": thing}, extra=thing)
    entry["structure"] = {**entry["structure"], "properties": thing, "extra": thing}
    entry["structure"]["sites"][0]["properties"] = {"x": thing}
    path = tmp_path / "a.json"
    path.write_text(json.dumps([entry]))
    used, _ = read_file(
        path, engine_name="vasp-mp-gga", calculator=LABELS["vasp-mp-gga"]
    )
    assert len(used) == 1
    assert "planted_module" not in sys.modules


def test_decoded_entries_are_read_as_their_dictionaries_are() -> None:
    decoded = ComputedStructureEntry.from_dict(salt())
    assert imported([decoded]) == imported([salt()])
    bare = ComputedEntry("Li2", -3.8, parameters={"run_type": "GGA"}, entry_id="b")
    assert imported([bare]) == imported([bare.as_dict()])
    _, (price,) = imported([PDEntry("MgO", -6.0)])
    assert "PDEntry: does not say whether its energy is a total one" in price.reason


ODD: list[Any] = [
    None,
    3,
    "entry",
    [],
    {},
    {"energy": -1.0},
    {"composition": {"Li": 1}},
    {"composition": {"Li": 1}, "energy": {}},
    {"composition": {"Li": 1}, "energy": float("nan")},
    {"composition": {"Li": [1]}, "energy": -1.0},
    {"composition": [["Li", 1]], "energy": -1.0},
    {"composition": {None: 1}, "energy": -1.0},
    {"composition": {"D": 2, "O": 1}, "energy": -1.0},
    {"composition": {"Vac": 2, "O": 1}, "energy": -1.0},
    {"composition": {"Li": 0}, "energy": -1.0},
    salt(structure={"sites": [{}], "lattice": {}}),
    salt(structure={"@class": "Slab"}),
    salt(structure=SALT.as_dict() | {"sites": [3, 4]}),
    salt(parameters={"run_type": ["GGA"]}),
    salt(parameters={"run_type": "GGA", "hubbards": {"Mg": {}}}),
    salt(parameters={"run_type": "GGA", "potcar_spec": [{"titel": 3}, {"titel": ""}]}),
    salt(data={"oxidation_states": {"Mg": "two", "O": -2}}),
    salt(energy_adjustments=[{"adj_per_deg": 1, "temp": 300}]),
    salt(**{"@class": "GibbsComputedStructureEntry"}),
]


@pytest.mark.parametrize("engine", LABELS)
def test_no_odd_entry_ends_an_import(engine: str) -> None:
    metal = {"composition": {"Mg": 2}, "energy": -3.2, "entry_id": "metal"}
    if "vasp" in engine:
        titles = [{"titel": "PAW_PBE Mg_pv 13Apr2007", "hash": None}]
        run_type = "GGA" if engine == "vasp-mp-gga" else "r2SCAN"
        metal["parameters"] = {"run_type": run_type, "potcar_spec": titles}
    used, rejected = imported([*ODD, metal], engine)
    assert "Mg-metal" in {one.phase_id for one in used}
    assert all(one.reason for one in rejected)


def test_ids_of_any_kind_name_a_phase() -> None:
    ids = [None, "", 7, {"$oid": "5f0c"}, ObjectId("5f0c5a7e1c9d440000000000"), "a:b"]
    used, rejected = imported(
        [salt(entry_id=one, energy=-48 - n / 10) for n, one in enumerate(ids)]
    )
    assert rejected == ()
    names = [one.phase_id for one in used]
    assert len(set(names)) == len(names)
    assert names[2:] == [
        "MgO-7",
        "MgO-5f0c",
        "MgO-5f0c5a7e1c9d440000000000",
        "MgO-a-b",
    ]


def test_numbers_of_extended_json_and_numpy_are_read() -> None:
    written = salt(
        energy={"$numberDouble": "-48.0"},
        composition={"Mg": {"$numberInt": "4"}, "O": np.int64(4)},
    )
    assert imported([written]) == imported([salt()])


@pytest.mark.parametrize(
    ("parameters", "data"),
    [
        ({"run_type": "GGA", "hubbards": None, "potcar_spec": None}, {}),
        ({"run_type": "GGA", "hubbards": {"Mg": 0, "O": None}}, None),
        ({"hubbards": {}}, {"run_type": "GGA"}),
        ({"run_type": {"@module": "m", "@class": "RunType", "value": "GGA"}}, {}),
        ({"run_type": "GGA", "potcar_symbols": ["PBE Mg_pv", "PBE O"]}, {}),
    ],
)
def test_settings_are_read_in_every_form(
    parameters: dict[str, Any], data: dict[str, Any] | None
) -> None:
    (found,), _ = imported([salt(parameters=parameters, data=data)])
    assert found.comparable is not None
    assert found.comparable.energy_per_atom == pytest.approx((-48 - 4 * 0.687) / 8)


def test_one_file_of_several_run_types_is_told_apart() -> None:
    entries = [
        salt(parameters={"run_type": kind}, entry_id=kind)
        for kind in ("GGA", "GGA+U", "R2SCAN", "PBEsol", "HSE06", "SCAN")
    ]
    used, rejected = imported(entries)
    assert [one.phase_id for one in used] == ["MgO-GGA", "MgO-GGA+U"]
    assert all("is none of GGA, GGA+U" in one.reason for one in rejected)
    twice = salt(parameters={"run_type": "GGA"}, data={"run_type": "R2SCAN"})
    _, (rejected_one,) = imported([twice])
    assert rejected_one.reason == "two run types are stated: GGA and R2SCAN"


def test_an_energy_of_vasp_is_no_energy_of_another_engine() -> None:
    for engine in ("chgnet", "ionic"):
        _, (rejected,) = imported([salt()], engine)
        assert rejected.reason.startswith("run type 'GGA': an energy of VASP, none of")
        (found,), _ = imported([salt(parameters={})], engine)
        assert found.comparable is None


def peroxide(distance: float, said: str | None) -> dict[str, Any]:
    cell = Structure(
        Lattice.cubic(4.5),
        ["Li", "Li", "O", "O"],
        [[2.25, 2.25, 0], [2.25, 0, 2.25], [0, 0, 0], [distance, 0, 0]],
        coords_are_cartesian=True,
    )
    data = {} if said is None else {"oxide_type": said}
    return ComputedStructureEntry(
        cell, -19.0, parameters={"run_type": "GGA"}, data=data, entry_id="p"
    ).as_dict()


@pytest.mark.parametrize(
    ("distance", "said", "kind"),
    [
        (1.28, None, "superoxide"),
        (1.45, None, "peroxide"),
        (1.53, None, "peroxide"),
        (1.60, None, "peroxide"),
        (2.30, None, "oxide"),
        (1.45, "superoxide", "superoxide"),  # as the Materials Project's data has it
        (1.53, "peroxide", "peroxide"),
    ],
)
def test_oxygen_is_corrected_by_what_it_is(
    distance: float, said: str | None, kind: str
) -> None:
    (found,), _ = imported([peroxide(distance, said)])
    assert found.comparable is not None
    (one,) = found.comparable.adjustments
    assert one.name.endswith(f"({kind})")


def test_an_oxide_that_holds_a_peroxide_is_a_contradiction() -> None:
    _, (rejected,) = imported([peroxide(1.5, "oxide")])
    assert rejected.reason == (
        "data.oxide_type says oxide, the distances of its structure say peroxide"
    )


def test_a_hull_is_made_of_one_pseudopotential_of_each_element() -> None:
    def metal(number: int, title: str) -> dict[str, Any]:
        spec = [{"titel": f"PAW_PBE Li_sv {title}", "hash": title}]
        return ComputedEntry(
            "Li2",
            -3.8 - number / 100,
            parameters={"run_type": "GGA", "potcar_spec": spec},
            entry_id=str(number),
        ).as_dict()

    titles = ["10Sep2004", "23Jan2001", "23Jan2001"]
    used, (rejected,) = imported([metal(n, title) for n, title in enumerate(titles)])
    assert [one.phase_id for one in used] == ["Li-1", "Li-2"]
    assert rejected.entry == "0"
    assert "of 2 entries with Li it is PAW_PBE Li_sv 23Jan2001" in rejected.reason


def test_a_relaxed_oxide_has_no_short_contact() -> None:
    # Its lattice vectors are such that an atom's distance from itself is not zero.
    lattice = Lattice(
        [
            [4.683328950346023, 0.0, -3.356817890927481],
            [4.519307082386251e-16, 2.8103, 1.7208124498219033e-16],
            [0.0, 0.0, 6.2817],
        ]
    )
    cell = Structure(
        lattice,
        ["Li", "Mg", "O", "O"],
        [
            [0, 0, 0],
            [0.5, 0.5, 0.5],
            [0.2741283, 0, 0.7716412],
            [0.7258717, 0, 0.2283588],
        ],
    )
    for turn in (np.eye(3), np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]])):
        turned = Structure(lattice.matrix @ turn, cell.species, cell.frac_coords)
        entry = ComputedStructureEntry(turned, -24.0, parameters={"run_type": "GGA"})
        (found,), _ = imported([entry.as_dict()])
        assert found.comparable is not None
        assert "short_oxygen_contact" not in found.comparable.flags


@pytest.mark.parametrize(
    ("formula", "energy", "reason"),
    [
        ("Mg4 O4", -6.2, None),
        (
            "Mg4 O4",
            -9.0,
            "eV/atom below MgO of chgnet: no total energy of chgnet",
        ),
        ("Mg4 O4", -3.1, "eV/atom above MgO of chgnet"),  # its energy of formation
        ("Mg2", -1.6, None),
        # What falls apart into an element may be a new compound as well.
        ("Mg2 Br1", -9.0, None),
    ],
)
def test_an_energy_far_from_the_shipped_ones_is_another_calculators(
    tmp_path: Path, formula: str, energy: float, reason: str | None
) -> None:
    atoms = Composition(formula).num_atoms
    path = tmp_path / "a.json"
    path.write_text(json.dumps([ComputedEntry(formula, energy * atoms).as_dict()]))
    used, rejected = read_file(path, engine_name="chgnet", calculator="chgnet 0.4.2")
    assert len(used) == (reason is None)
    assert [reason in one.reason for one in rejected] == [True] * (reason is not None)


def test_energies_of_formation_show_by_their_elements() -> None:
    zero = ComputedEntry("Mg2", 0.0, parameters={"run_type": "GGA"}).as_dict()
    _, (rejected,) = imported([zero])
    assert rejected.reason.startswith("an element at 0 eV: an energy of formation")


def test_a_structure_says_the_composition_where_nothing_else_does() -> None:
    bare = salt()
    del bare["composition"]
    assert imported([bare]) == imported([salt()])


# The inputs of users' reports ----------------------------------------------------


@pytest.fixture
def field_cases(shared_data: Path) -> Path:
    folder = shared_data.parent / "field_cases"
    if not folder.is_dir():
        pytest.skip("the inputs of users' reports are not here")
    return folder


def reported(folder: Path, name: str) -> list[Any]:
    found: list[Any] = json.loads((folder / f"entries_{name}.json").read_text())
    return found


def test_reported_entries_that_say_when_they_were_updated(field_cases: Path) -> None:
    used, _ = imported(reported(field_cases, "last_updated"))
    assert len(used) == 2


def test_a_reported_gibbs_energy(field_cases: Path) -> None:
    _, (rejected,) = imported(reported(field_cases, "gibbs"))
    assert "a Gibbs energy of formation at a temperature" in rejected.reason
    assert "1500 K" in rejected.reason


def test_a_reported_disordered_entry(field_cases: Path) -> None:
    used, (rejected,) = imported(reported(field_cases, "disordered"))
    assert [one.formula for one in used] == ["Mg4O4"]
    assert rejected.reason.startswith("disordered: site 1 holds Fe 0.5, Li 0.5")


def test_a_reported_relaxed_oxide(field_cases: Path) -> None:
    (found,), _ = imported(reported(field_cases, "relaxed_oxide"))
    assert found.comparable is not None
    assert "short_oxygen_contact" not in found.comparable.flags


@pytest.mark.physics
def test_reported_entries_without_states(field_cases: Path) -> None:
    """Corrections of MP2020 (10.1038/s41598-021-94550-5), in eV an atom."""
    shares = {
        "Li3P": (0, 0),
        "FeP": (0, 0),
        "Li4P2O7": (7 / 13, 0),
        "LiPO3": (3 / 5, 0),
        "Li5FeO4": (4 / 10, 1 / 10),
    }
    used, rejected = imported(reported(field_cases, "without_states"))
    assert rejected == ()
    for one in used:
        oxide, iron = shares[one.phase_id.partition("-")[2]]
        assert one.comparable is not None
        assert one.energy_per_atom is not None
        added = one.comparable.energy_per_atom - one.energy_per_atom
        assert added == pytest.approx(-0.687 * oxide - 2.256 * iron, abs=1e-9)


# Whole files ---------------------------------------------------------------------


def whole(shared_data: Path, folder: str, name: str) -> list[Any]:
    path = shared_data / folder / name
    if not path.exists():
        pytest.skip(f"{name} is not here")
    found: list[Any] = json.loads(gzip.decompress(path.read_bytes()))
    return found


@pytest.mark.slow
@pytest.mark.physics
def test_real_entries_give_the_hull_that_pymatgen_finds(shared_data: Path) -> None:
    entries = whole(shared_data, "entries", "li_fe_o_entries.json.gz")
    used, rejected = imported(entries)
    assert len(used) >= 286
    assert all("no hull mixes two" in one.reason for one in rejected)
    flags = Counter(flag for one in used for flag in one.comparable.flags)  # type: ignore[union-attr]
    assert flags["short_oxygen_contact"] < 40
    names = [one.phase_id for one in used]
    formulas = [one.formula for one in used]
    energies = [one.comparable.energy_per_atom for one in used]  # type: ignore[union-attr]
    diagram = PhaseDiagram(
        [
            ComputedEntry(
                formula, energy * Composition(formula).num_atoms, entry_id=name
            )
            for name, formula, energy in zip(names, formulas, energies, strict=True)
        ]
    )
    above = Hull(formulas, energies, ids=names).energies_above_hull(formulas, energies)
    expected = {
        one.entry_id: diagram.get_e_above_hull(one) for one in diagram.all_entries
    }
    assert above == pytest.approx([expected[name] for name in names], abs=1e-8)


@pytest.mark.slow
def test_entries_that_say_no_settings_are_told_what_to_say(shared_data: Path) -> None:
    entries = whole(shared_data, "disorder", "li_mn_o_f_dft_entries.json.gz")
    for engine in ("vasp-mp-gga", "vasp-mp24"):
        used, rejected = imported(entries, engine)
        assert used == ()
        assert all("state it as parameters.run_type" in one.reason for one in rejected)
    # They can be read, exact repeats once, but they are no energies of CHGNet.
    found = imported(entries, "chgnet")
    assert len(found[0]) == 633
    assert all("repeats entry" in one.reason for one in found[1])
    assert found[0][0].oxidation_states == {"Li": 1.0, "Mn": 3.5, "O": -2.0}
    used, rejected = plausible_energies(found, "chgnet")
    assert (len(used), len(rejected)) == (0, 638)
    reasons = Counter("eV/atom below" in one.reason for one in rejected)
    assert reasons == {True: 633, False: 5}
