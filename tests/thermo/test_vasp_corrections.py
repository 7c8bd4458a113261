from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError
from pymatgen.core import Lattice, Structure

from hts_battery.errors import MixedCalculatorError
from hts_battery.schemas.energy import CorrectionAudit, TaskValidation
from hts_battery.thermo.corrections import require_one_calculator
from hts_battery.thermo.vasp_corrections import VaspEnergy, correct_vasp_energies
from hts_battery.thermo.vasp_schemes import MP24, vasp_scheme

if TYPE_CHECKING:
    from collections.abc import Mapping

STATES = {
    "Li": 1.0,
    "Na": 1.0,
    "Mn": 3.0,
    "Ti": 4.0,
    "Zr": 4.0,
    "Si": 4.0,
    "P": 5.0,
    "S": 6.0,
    "In": 3.0,
    "Mg": 2.0,
    "O": -2.0,
    "F": -1.0,
}
HUBBARDS = {"Mn": 3.9}


def vasp(
    formula: str, *, states: Mapping[str, float] = STATES, **changes: object
) -> VaspEnergy:
    given: dict[str, object] = {
        "entry_id": formula,
        "formula": formula,
        "energy": -10.0,
        "run_type": "GGA+U" if "Mn" in formula else "GGA",
        "hubbards": HUBBARDS if "Mn" in formula else {},
        "oxidation_states": states,
    } | changes
    return VaspEnergy(**given)  # type: ignore[arg-type]


def correction(energy: VaspEnergy) -> float:
    """Sum of the adjustments in eV/atom."""
    (used,) = correct_vasp_energies([energy]).used
    total = sum(adjustment.value for adjustment in used.adjustments)
    assert used.energy_per_atom == pytest.approx(
        (used.uncorrected_energy + total) / used.n_atoms
    )
    return total / used.n_atoms


@pytest.mark.physics
@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("Li12Mn4Ti4O20", -0.51030),
        ("Li13Mn4Ti3O17F3", -0.49343),
        ("Na3Zr2Si2PO12", -0.41220),
        ("NaZr2P3O12", -0.45800),
    ],
)
def test_mp2020_arithmetic(formula: str, expected: float) -> None:
    assert correction(vasp(formula)) == pytest.approx(expected, abs=6e-6)


def test_every_adjustment_is_named() -> None:
    (used,) = correct_vasp_energies([vasp("Li12Mn4Ti4O20")]).used
    by_name = {adj.name: adj for adj in used.adjustments}
    assert len(by_name) == 2
    values = sorted(adj.value for adj in used.adjustments)
    assert values == pytest.approx([20 * -0.687, 4 * -1.668])
    assert all(adj.reason and adj.uncertainty for adj in used.adjustments)
    assert set(used.package_versions) == {"pymatgen", "pymatgen-core"}
    assert used.flags == ("pseudopotentials_not_checked", "settings_not_validated")
    assert used.pseudopotentials == {}


@pytest.mark.physics
def test_sulfate_gets_no_sulfide_correction() -> None:
    sulfate = correction(vasp("In2S3O12"))
    assert sulfate == pytest.approx(12 * -0.687 / 17, abs=1e-9)
    spurious = 3 * -0.503 / 17
    assert spurious == pytest.approx(-0.0888, abs=1e-4)
    sulfide = correction(vasp("Li2S", states={"Li": 1.0, "S": -2.0}))
    assert sulfide == pytest.approx(-0.503 / 3, abs=1e-9)


def rock_salt_with_contact(distance: float) -> Structure:
    return Structure(
        Lattice.cubic(8.0),
        ["Mg", "Mg", "O", "O"],
        [[0, 0, 0], [4, 4, 4], [0, 0, 4], [0, 0, 4 + distance]],
        coords_are_cartesian=True,
    )


def test_short_oxygen_contact_is_flagged_and_changes_no_correction() -> None:
    short = vasp("Mg2O2", structure=rock_salt_with_contact(1.30))
    long = vasp("Mg2O2", structure=rock_salt_with_contact(2.2))
    assert correction(short) == correction(long) == pytest.approx(2 * -0.687 / 4)
    assert "short_oxygen_contact" in correct_vasp_energies([short]).used[0].flags
    assert "short_oxygen_contact" not in correct_vasp_energies([long]).used[0].flags
    peroxide = vasp("Li2O2", oxide_type="peroxide")
    assert correction(peroxide) > correction(vasp("Li2O2"))
    # What one contact at 1.30 Å would make of every O, were it not stated.
    superoxide = vasp("Mg2O2", oxide_type="superoxide")
    assert correction(superoxide) == pytest.approx(2 * -0.161 / 4)


def test_contact_through_the_cell_boundary_is_found() -> None:
    cell = Structure(Lattice.cubic(1.3), ["O"], [[0, 0, 0]])
    found = correct_vasp_energies([vasp("O", structure=cell)]).used[0]
    assert "short_oxygen_contact" in found.flags


def test_nothing_is_dropped() -> None:
    energies = [
        vasp("Li2O"),
        vasp("Li4O2", run_type="R2SCAN"),
        vasp("Li6O3", run_type="gga"),
        vasp("MnO", hubbards={}),
        vasp("Li8O4", states={"Li": 1.0}),
        vasp("Li10O5", energy=float("nan")),
    ]
    audit = correct_vasp_energies(energies)
    assert audit.n_energies == 6
    assert [energy.formula for energy in audit.used] == ["Li2O"]
    reasons = {energy.formula: energy.reason for energy in audit.rejected}
    assert "R2SCAN" in reasons["Li4O2"]
    assert "gga" in reasons["Li6O3"]
    assert "U value" in reasons["MnO"]
    assert "O" in reasons["Li8O4"]
    assert "oxidation state" in reasons["Li8O4"]
    assert "finite" in reasons["Li10O5"]
    assert CorrectionAudit.model_validate(audit.model_dump(mode="json")) == audit


def verdict(*reasons: str) -> TaskValidation:
    return TaskValidation(valid=not reasons, reasons=reasons, package_versions={})


def test_energies_with_other_settings_are_rejected() -> None:
    wrong = vasp("Li2O", validation=verdict("ENCUT: is 400", "LDAU: is True"))
    audit = correct_vasp_energies([wrong, vasp("Li4O2", validation=verdict())])
    assert audit.rejected[0].reason == "settings: ENCUT: is 400; LDAU: is True"
    assert "settings_not_validated" not in audit.used[0].flags


POTCARS = (
    {"titel": "PAW_PBE Li_sv 10Sep2004", "hash": "8245d7383d7556214082aa40a887cd96"},
    {"titel": "PAW_PBE O 08Apr2002", "hash": "7a25bc5b9a5393f46600a4939d357982"},
)


def test_one_pseudopotential_for_each_element_of_a_hull() -> None:
    audit = correct_vasp_energies(
        [vasp("Li2O", potcar_spec=POTCARS), vasp("Li4O2", potcar_spec=POTCARS)]
    )
    assert len(audit.used) == 2
    assert audit.used[0].pseudopotentials == {
        spec["titel"]: spec["hash"] for spec in POTCARS
    }
    assert "pseudopotentials_not_checked" not in audit.used[0].flags
    assert require_one_calculator(audit.used) == audit.used[0].calculator
    for change in (
        {POTCARS[0]["titel"]: "0" * 32},
        {"PAW_PBE Li 17Jan2003": POTCARS[0]["hash"]},
    ):
        other = audit.used[1].model_copy(update={"pseudopotentials": change})
        with pytest.raises(MixedCalculatorError, match="2 pseudopotentials of Li"):
            require_one_calculator([audit.used[0], other])
    # The scheme itself refuses what is not the Materials Project's choice.
    wrong = vasp("Li6O3", potcar_spec=({"titel": "PAW_PBE Li 17Jan2003"}, POTCARS[1]))
    assert correct_vasp_energies([wrong]).used == ()


def test_states_that_are_not_neutral_are_flagged() -> None:
    balanced, unbalanced = correct_vasp_energies([vasp("Li2O"), vasp("LiO")]).used
    assert "oxidation_states_not_neutral" not in balanced.flags
    assert "oxidation_states_not_neutral" in unbalanced.flags


def test_the_audit_sums_up_what_was_done_and_why_not() -> None:
    audit = correct_vasp_energies(
        [
            vasp("Li2O"),
            vasp("Li12Mn4Ti4O20"),
            *(vasp(f"Li{2 * n}O{n}", run_type="SCAN") for n in (3, 4)),
        ]
    )
    assert sum(audit.adjustments.values()) == pytest.approx(
        21 * -0.687 + 4 * -1.668, abs=1e-9
    )
    assert len(audit.adjustments) == 2
    ((reason, count),) = audit.rejections.items()
    assert "SCAN" in reason
    assert count == 2


def test_an_audit_that_does_not_add_up_is_refused() -> None:
    with pytest.raises(ValidationError, match="went in"):
        CorrectionAudit(n_energies=1, used=(), rejected=())
    with pytest.raises(ValueError, match="twice"):
        correct_vasp_energies([vasp("Li2O"), vasp("Li2O")])


def test_a_structure_without_oxygen_is_not_rejected_for_it() -> None:
    cell = Structure(Lattice.cubic(2.85), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    energy = VaspEnergy(
        entry_id="LiF",
        formula="LiF",
        energy=-9.7,
        run_type="GGA",
        oxidation_states={"Li": 1.0, "F": -1.0},
        structure=cell,
    )
    audit = correct_vasp_energies([energy])
    assert audit.rejected == ()
    assert "short_oxygen_contact" not in audit.used[0].flags


R2SCAN_SPEC = (
    {"titel": "PAW_PBE Mg_pv 13Apr2007", "hash": ""},
    {"titel": "PAW_PBE O 08Apr2002", "hash": ""},
)


def r2scan(**changes: object) -> VaspEnergy:
    given = {"run_type": "r2SCAN", "states": {}, "potcar_spec": R2SCAN_SPEC} | changes
    return vasp("Mg2O2", **given)  # type: ignore[arg-type]


def test_r2scan_is_compared_as_it_is_and_says_what_was_checked() -> None:
    (found,) = correct_vasp_energies([r2scan(run_type="R2SCAN")], MP24).used
    assert found.calculator == "vasp mp24 r2SCAN PBE_64"
    assert found.correction_scheme.startswith("none")
    assert found.adjustments == ()
    assert found.energy_per_atom == -2.5
    assert found.checks == {
        "run type": "r2SCAN",
        "pseudopotentials": "PBE_64 by titles",
        "settings": "not validated",
    }
    # No package supplied a correction, so a release of one changes no hull.
    assert found.package_versions == {}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"run_type": "GGA"}, "run type 'GGA' is none of r2SCAN"),
        ({"run_type": "GGA+U"}, "do not compare with those of vasp mp24"),
        ({"run_type": "r2SCAN+U"}, "run type 'r2SCAN+U'"),
        ({"potcar_spec": ()}, "no pseudopotentials are stated"),
        ({"energy": float("inf")}, "is not a finite number"),
    ],
)
def test_what_is_no_r2scan_of_that_kind_is_rejected(
    changes: dict[str, object], reason: str
) -> None:
    audit = correct_vasp_energies([r2scan(**changes)], MP24)
    assert reason in audit.rejected[0].reason


def test_r2scan_never_stands_beside_pbe() -> None:
    (new,) = correct_vasp_energies([r2scan()], MP24).used
    (old,) = correct_vasp_energies([vasp("Mg2O2")]).used
    assert require_one_calculator([new]) == MP24.calculator
    with pytest.raises(MixedCalculatorError, match="2 calculators or correction sch"):
        require_one_calculator([new, old])
    (rejected,) = correct_vasp_energies([r2scan()]).rejected
    assert "run type 'r2SCAN' is none of GGA, GGA+U" in rejected.reason


def test_a_stand_in_has_a_scheme_of_its_own() -> None:
    rehearsal = vasp_scheme("rehearsal:vasp-mp24")
    titles = ("PAW_PBE Mg_pv placeholder", "PAW_PBE O placeholder")
    stand_in = r2scan(potcar_spec=tuple({"titel": title} for title in titles))
    (found,) = correct_vasp_energies([stand_in], rehearsal).used
    assert found.calculator == "vasp mp24 r2SCAN PBE_64 rehearsal"
    assert correct_vasp_energies([stand_in], MP24).used == ()
    with pytest.raises(ValueError, match="no scheme of VASP energies"):
        vasp_scheme("chgnet")
