from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from monty.json import MontyDecoder, MontyEncoder

from hts_battery.errors import ConfigurationError
from hts_battery.flows.engines.engine import MP2020, NO_CORRECTION
from hts_battery.flows.engines.forcefields import FORCE_FIELDS
from hts_battery.flows.engines.registry import ENGINES, engine
from hts_battery.flows.engines.vasp.engines import missing_potcars
from hts_battery.schemas.campaign import RelaxationSpec

if TYPE_CHECKING:
    from pathlib import Path


def test_each_engine_stands_under_its_own_name() -> None:
    assert {one.name for one in ENGINES.values()} == set(ENGINES)
    assert {"chgnet", "gpaw", "vasp-mp-gga", "vasp-mp24"} <= set(ENGINES)


def test_no_two_engines_call_their_energies_the_same() -> None:
    labels = [one.label or one.name for one in ENGINES.values()]
    labels += [
        engine(f"rehearsal:{name}").label for name in ("vasp-mp-gga", "vasp-mp24")
    ]
    assert len(set(labels)) == len(labels)


def test_an_unknown_engine_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"no engine 'CHGNet'.*one of chgnet"):
        engine("CHGNet")


def test_a_missing_package_is_named_with_what_installs_it() -> None:
    absent = replace(engine("chgnet"), packages=("no-such-package-here",))
    with pytest.raises(ConfigurationError, match=r"hts_battery\[chgnet\]"):
        absent.calculator()
    assert any("no-such-package-here" in line for line in absent.missing())


def test_the_calculator_carries_its_version() -> None:
    pytest.importorskip("chgnet")
    assert engine("chgnet").calculator().startswith("chgnet 0.")


def test_relaxation_settings_reach_the_maker() -> None:
    maker = engine("chgnet").relax_maker(
        RelaxationSpec(fmax=0.02, steps=7, relax_cell=False)
    )
    assert maker.steps == 7
    assert maker.relax_kwargs["fmax"] == 0.02
    assert maker.relax_cell is False


def test_the_registry_is_imported_quickly() -> None:
    code = (
        "import sys, hts_battery.flows.engines.registry\n"
        "heavy = {'atomate2', 'jobflow', 'torch', 'pymatgen.io.vasp', 'ase'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)  # noqa: S603 - this interpreter


@pytest.mark.filterwarnings("ignore:Because the default MP-trained MACE")
def test_every_force_field_of_atomate2_has_a_name() -> None:
    from atomate2.forcefields.utils import MLFF  # noqa: PLC0415 - takes five seconds

    # MACE is a deprecated other name of MACE-MP-0; Forcefield stands for none.
    others = {"MACE", "Forcefield", "CHGNet"}
    assert {one.value for one in MLFF} - others == set(FORCE_FIELDS)
    for one in MLFF:
        if one.value not in others:
            named = {
                engine(f"forcefield:{text}").name for text in (one.value, one.name)
            }
            assert named == {f"forcefield:{one.value}"}


def test_a_force_field_says_which_package_it_needs() -> None:
    made = engine("forcefield:MACE-MP-0")
    with pytest.raises(ConfigurationError, match=r"package mace-torch: .*pip install"):
        made.calculator()
    assert made.correction == NO_CORRECTION
    assert made.relax_maker(RelaxationSpec(steps=3)).steps == 3


def test_one_model_has_one_name() -> None:
    with pytest.raises(ConfigurationError, match="is called chgnet"):
        engine("forcefield:CHGNet")
    with pytest.raises(ConfigurationError, match=r"no force field 'magic'.*MACE-MP-0"):
        engine("forcefield:magic")


@pytest.mark.parametrize("name", ["vasp-mp-gga", "vasp-mp24"])
def test_vasp_says_what_it_does_and_needs(name: str) -> None:
    made = engine(name)
    assert made.steps == ("relax 1", "relax 2", "static")
    assert made.magmom
    assert made.calculator().startswith("vasp mp")
    assert made.correction == (MP2020 if name == "vasp-mp-gga" else NO_CORRECTION)


@pytest.mark.parametrize(("name", "release"), [("gga", "PBE"), ("24", "PBE_64")])
def test_the_release_of_the_potentials_is_the_input_sets(
    name: str, release: str
) -> None:
    made = engine(f"vasp-mp-{name}" if name == "gga" else f"vasp-mp{name}")
    maker = made.relax_maker(RelaxationSpec()).flow_maker()
    jobs = (maker.relax_maker.relax_maker2, maker.static_maker)
    for one in jobs:
        assert one.maker.input_set_generator.user_potcar_functional == release
    assert made.calculator().endswith(release)


def test_vasp_keeps_the_convergence_of_the_materials_project() -> None:
    with pytest.raises(ConfigurationError, match="leave `relaxation` out"):
        engine("vasp-mp-gga").relax_maker(RelaxationSpec(fmax=0.01))


def test_makers_travel_as_json() -> None:
    maker = engine("vasp-mp-gga").relax_maker(RelaxationSpec())
    back = json.loads(json.dumps(maker, cls=MontyEncoder), cls=MontyDecoder)
    assert back == maker
    whole = maker.flow_maker()
    again = json.loads(json.dumps(whole, cls=MontyEncoder), cls=MontyDecoder)
    assert again.static_maker.options == whole.static_maker.options
    # What is submitted is a name: the input sets stay at home.
    assert len(json.dumps(maker, cls=MontyEncoder)) < 500


def test_an_element_that_an_engine_lacks_is_refused() -> None:
    assert engine("vasp-mp-gga").unsupported({"Li", "Po", "O"}) == {"Po"}
    assert engine("chgnet").unsupported({"Li", "Am"}) == {"Am"}
    with pytest.raises(ConfigurationError, match=r"cannot compute Am: choose another"):
        engine("chgnet").require({"Li", "Am"})


@pytest.fixture
def no_vasp(monkeypatch: pytest.MonkeyPatch) -> None:
    from atomate2 import SETTINGS  # noqa: PLC0415 - reads a file

    monkeypatch.setattr(SETTINGS, "VASP_CMD", "mpirun-none -n 4 vasp_std_none")
    monkeypatch.setattr(SETTINGS, "VASP_GAMMA_CMD", "vasp_gam_none")


@pytest.mark.usefixtures("no_vasp")
def test_missing_programs_and_potentials_are_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pymatgen.core import SETTINGS  # noqa: PLC0415 - as above

    monkeypatch.delitem(SETTINGS, "PMG_VASP_PSP_DIR", raising=False)
    problems = engine("vasp-mp-gga").missing({"Li", "O"})
    text = "\n".join(problems)
    for program in ("mpirun-none", "vasp_std_none", "vasp_gam_none"):
        assert f"no program '{program}' here" in text
    assert "ATOMATE2_VASP_CMD" in text
    assert "pmg config --add PMG_VASP_PSP_DIR" in text
    with pytest.raises(ConfigurationError, match="POTCAR library is not known"):
        engine("vasp-mp-gga").require({"Li"})


def test_a_rehearsal_needs_nothing_of_that(monkeypatch: pytest.MonkeyPatch) -> None:
    from pymatgen.core import SETTINGS  # noqa: PLC0415 - as above

    monkeypatch.delitem(SETTINGS, "PMG_VASP_PSP_DIR", raising=False)
    assert engine("rehearsal:vasp-mp-gga").missing({"Li", "O"}) == ()
    with pytest.raises(ConfigurationError, match="no stand-in for the engine chgnet"):
        engine("rehearsal:chgnet")


def test_each_potential_that_the_library_lacks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pymatgen.core import SETTINGS  # noqa: PLC0415 - as above

    # Placeholders: the names of files are looked at, never what is in them.
    folder = tmp_path / "POT_GGA_PAW_PBE"
    (folder / "O").mkdir(parents=True)
    (folder / "O" / "POTCAR.gz").touch()
    (folder / "POTCAR.Li_sv.gz").touch()
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(tmp_path))
    symbols = {"Li": "Li_sv", "O": "O", "Mn": "Mn_pv", "Ti": "Ti_pv"}
    assert not list(missing_potcars(frozenset({"Li", "O"}), symbols, "PBE"))
    (line,) = missing_potcars(frozenset(symbols), symbols, "PBE")
    assert "for Mn_pv, Ti_pv in" in line
    assert "add that release" in line
