"""
VASP energies as they enter a hull, with nothing guessed and nothing dropped.

PBE and PBE+U get the MP2020 corrections (:mod:`hts_battery.thermo.mp2020`), with the
version of the installed pymatgen, because its values have changed between releases;
r2SCAN gets none, and has a hull of its own.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from importlib.metadata import version
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Composition
from pymatgen.entries.compatibility import CompatibilityError

from hts_battery.schemas.decoding import check_document
from hts_battery.schemas.energy import (
    ComparableEnergy,
    CorrectionAudit,
    RejectedEnergy,
    TaskValidation,
)
from hts_battery.thermo.mp2020 import mp2020_adjustments
from hts_battery.thermo.vasp_schemes import (
    MP_GGA,
    VaspScheme,
    contents_known,
    pseudopotential_problem,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymatgen.core import Structure
    from pymatgen.io.validation.common import VaspFiles

    from hts_battery.schemas.calculation import PotcarRow, TaskOutput
    from hts_battery.thermo.vasp_schemes import VaspScheme

_PACKAGES = ("pymatgen", "pymatgen-core")
_VALIDATOR = "pymatgen-io-validation"
_NEUTRAL = 1e-3  # e per atom: mean oxidation states arrive rounded
_SHORT_OXYGEN_CONTACT = 1.6  # in Å; peroxides have about 1.5, oxides above 2.2


@dataclass(frozen=True, kw_only=True)
class VaspEnergy:
    """One VASP calculation with all that its correction depends on."""

    entry_id: str
    """Key of the calculation."""
    formula: str
    """Formula of the calculated cell."""
    energy: float
    """Energy as calculated, eV per cell."""
    run_type: str
    """As emmet-core names it: ``GGA``, ``GGA+U``, ``r2SCAN``."""
    hubbards: Mapping[str, float] = field(default_factory=dict)
    """Element → U in eV, as used."""
    oxidation_states: Mapping[str, float] = field(default_factory=dict)
    """Element → its mean oxidation state, of every element or of none: without them
    an energy is corrected only where no correction depends on them."""
    oxide_type: str = "oxide"
    """``oxide``, ``peroxide``, ``superoxide``, ``ozonide`` or ``hydroxide``."""
    sulfide_type: str | None = None
    """``sulfide``, ``polysulfide`` or ``sulfate``, where neither oxidation states nor
    a structure say it."""
    potcar_spec: tuple[PotcarRow, ...] = ()
    """Titles and hashes of the pseudopotentials."""
    structure: Structure | None = None
    """Relaxed cell, searched for short O-O contacts where given."""
    validation: TaskValidation | None = None
    """Verdict on its settings, of :mod:`hts_battery.thermo.vasp_corrections`."""


def correct_vasp_energies(
    energies: Sequence[VaspEnergy], scheme: VaspScheme = MP_GGA
) -> CorrectionAudit:
    """Make energies of one scheme comparable, or reject them with the reason."""
    if len({energy.entry_id for energy in energies}) != len(energies):
        raise ValueError("an entry id occurs twice: every energy needs its own")
    used: list[ComparableEnergy] = []
    rejected: list[RejectedEnergy] = []
    for energy in energies:
        reason = _invalid_reason(energy, scheme)
        try:
            if reason is None:
                used.append(_comparable(energy, scheme))
        except (CompatibilityError, ValueError) as err:
            # pymatgen says no in both ways; its sentence is the reason.
            reason = str(err)
        if reason is not None:
            rejected.append(
                RejectedEnergy(
                    entry_id=energy.entry_id, formula=energy.formula, reason=reason
                )
            )
    return CorrectionAudit(
        n_energies=len(energies), used=tuple(used), rejected=tuple(rejected)
    )


def _invalid_reason(energy: VaspEnergy, scheme: VaspScheme) -> str | None:
    """Say why an energy may not be used at all."""
    if not isfinite(energy.energy):
        return f"energy {energy.energy} is not a finite number of eV"
    if scheme.run_type(energy.run_type) is None:
        return (
            f"run type {energy.run_type!r} is none of {', '.join(scheme.run_types)}: "
            f"such energies do not compare with those of {scheme.calculator}"
        )
    if energy.validation is not None and not energy.validation.valid:
        return f"settings: {'; '.join(energy.validation.reasons)}"
    elements = {el.symbol for el in Composition(energy.formula).elements}
    if not scheme.corrected:
        return pseudopotential_problem(
            energy.potcar_spec,
            elements,
            release=scheme.potentials,
            names_only=scheme.rehearsal,
        )
    missing = sorted(elements - set(energy.oxidation_states))
    if missing and energy.oxidation_states:
        return f"no oxidation state supplied for {', '.join(missing)}"
    return None


def _comparable(energy: VaspEnergy, scheme: VaspScheme) -> ComparableEnergy:
    """Take one energy with what its scheme adds."""
    adjustments = mp2020_adjustments(energy) if scheme.corrected else ()
    n_atoms = round(Composition(energy.formula).num_atoms)
    total = energy.energy + sum(adjustment.value for adjustment in adjustments)
    return ComparableEnergy(
        entry_id=energy.entry_id,
        formula=energy.formula,
        calculator=scheme.calculator,
        uncorrected_energy=energy.energy,
        n_atoms=n_atoms,
        energy_per_atom=total / n_atoms,
        adjustments=adjustments,
        correction_scheme=scheme.corrections,
        package_versions={package: version(package) for package in _PACKAGES}
        if scheme.corrected
        else {},
        pseudopotentials={
            str(spec.get("titel")): str(spec.get("hash") or "")
            for spec in energy.potcar_spec
        },
        checks=_checks(energy, scheme),
        flags=_flags(energy, corrected=scheme.corrected),
    )


def _checks(energy: VaspEnergy, scheme: VaspScheme) -> dict[str, str]:
    """Say what was compared before the energy was taken, and with what."""
    if not energy.potcar_spec:
        potentials = "not known"
    else:
        means = "contents" if contents_known(energy.potcar_spec) else "titles"
        potentials = f"{scheme.potentials} by {means}"
    settings = "not validated"
    if energy.validation is not None:
        release = energy.validation.package_versions.get(_VALIDATOR, "")
        settings = f"valid by {_VALIDATOR} {release}".rstrip()
    return {
        "run type": scheme.run_type(energy.run_type) or energy.run_type,
        "pseudopotentials": potentials,
        "settings": settings,
    }


def _flags(energy: VaspEnergy, *, corrected: bool) -> tuple[str, ...]:
    flags = []
    if not energy.potcar_spec:
        flags.append("pseudopotentials_not_checked")
    if energy.validation is None:
        flags.append("settings_not_validated")
    if not energy.oxidation_states and corrected:
        flags.append("oxidation_states_not_stated")
    if energy.oxidation_states and abs(_charge(energy)) > _NEUTRAL:
        flags.append("oxidation_states_not_neutral")
    if energy.structure is not None and _has_short_oxygen_contact(energy.structure):
        flags.append("short_oxygen_contact")
    return tuple(flags)


def _charge(energy: VaspEnergy) -> float:
    """Charge of the cell by its oxidation states, in e per atom."""
    composition = Composition(energy.formula)
    total = sum(
        float(amount) * energy.oxidation_states.get(element.symbol, 0.0)
        for element, amount in composition.items()
    )
    return total / float(composition.num_atoms)


def _has_short_oxygen_contact(structure: Structure) -> bool:
    """Whether two O atoms, images included, are as close as in a peroxide."""
    oxygen = np.array([site.specie.symbol == "O" for site in structure])
    # Leaves out each atom's distance from itself, whatever it rounds to.
    first, second, _, _ = structure.get_neighbor_list(_SHORT_OXYGEN_CONTACT)
    return bool(np.any(oxygen[first] & oxygen[second]))


# What a document lacks surfaces as any of these, deep inside two packages.
_LACKING = (AttributeError, IndexError, KeyError, TypeError, ValueError)
_VALIDATING = ("pymatgen-io-validation", "emmet-core", "pymatgen", "pymatgen-core")


def validate_vasp_task(
    task: Mapping[str, object], functional: str = MP_GGA.functional
) -> TaskValidation:
    """
    Check a VASP task document against the Materials Project's settings.

    Pseudopotentials are checked where the document holds their statistics.
    """
    from emmet.core.tasks import TaskDoc  # noqa: PLC0415 - seconds to import
    from emmet.core.vasp.validation import ValidationDoc  # noqa: PLC0415 - likewise

    check_document(task, "task")
    try:
        # TaskDoc writes into what it reads.
        document = TaskDoc.model_validate(deepcopy(dict(task)))
        files = ValidationDoc.task_doc_to_vasp_files(document)
    except _LACKING as err:
        return _verdict([f"the task document cannot be checked: {err!r}"], [])
    return validate_vasp_files(files, functional)


def validate_vasp_files(
    files: VaspFiles, functional: str = MP_GGA.functional
) -> TaskValidation:
    """
    Check inputs and outputs of one calculation, and say every reason against it.

    The package admits several functionals, each with its own settings; a hull is of
    one, so any other is a reason here.
    """
    from pymatgen.io.validation.validation import VaspValidator  # noqa: PLC0415 - slow

    potcar = files.user_input.potcar or []
    has_potcar = bool(potcar) and all(one.keywords and one.stats for one in potcar)
    try:
        found = VaspValidator.from_vasp_input(vasp_files=files, check_potcar=has_potcar)
    except _LACKING as err:
        return _verdict([f"the settings cannot be checked: {err!r}"], [])
    reasons, warnings = list(found.reasons), list(found.warnings)
    if files.functional != functional:
        reasons.append(f"functional: is {files.functional}, but should be {functional}")
    if not has_potcar:
        warnings.append("no statistics of the pseudopotentials, so not checked")
    return _verdict(reasons, warnings)


def _verdict(reasons: list[str], warnings: list[str]) -> TaskValidation:
    return TaskValidation(
        valid=not reasons,
        reasons=tuple(sorted(reasons)),
        warnings=tuple(sorted(warnings)),
        package_versions={package: version(package) for package in _VALIDATING},
    )


# O-O bonds, relative to 1.35 and 1.49 angstrom, up to which pymatgen's corrections and
# the Materials Project's data see a superoxide and a peroxide. The narrow limits tell
# the two apart, the wide ones find long peroxides, 1.56 to 1.64 angstrom.
_NARROW, _WIDE = 1.05, 1.1


def vasp_task_energy(
    entry_id: str,
    output: TaskOutput,
    structure: Structure,
    *,
    scheme: VaspScheme,
    oxidation_states: Mapping[str, float],
    oxide_type: str = "oxide",
) -> ComparableEnergy | str:
    """
    Validate the energy of one VASP task, of a candidate or a phase, and correct it.

    Parameters
    ----------
    entry_id
        Key of the entry.
    output
        An emmet-core ``TaskDoc`` as stored.
    structure
        Its final structure.
    scheme
        What the energies of its engine have to be, and what is added to them.
    oxidation_states
        Element → mean formal charge: supplied, never guessed. Not asked for where
        nothing is added.
    oxide_type
        ``oxide``, ``peroxide``, ``superoxide``, ``ozonide`` or ``hydroxide``.

    Returns
    -------
    ComparableEnergy or str
        The energy as it enters a hull, or the reason why there is none.

    Raises
    ------
    KeyError
        If the document lacks what every VASP task has.
    """
    if (output.get("run") or {}).get("rehearsal") and not scheme.rehearsal:
        return "computed by a stand-in for VASP, so its energy means nothing"
    if not output["calcs_reversed"]:
        return "too large to be stored whole, so its settings cannot be checked"
    last = output["calcs_reversed"][0]
    audit = correct_vasp_energies(
        [
            VaspEnergy(
                entry_id=entry_id,
                formula=structure.composition.element_composition.formula.replace(
                    " ", ""
                ),
                energy=output["output"]["energy"],
                run_type=str(last["run_type"]),
                hubbards=last["input"].get("hubbards") or {},
                oxidation_states=oxidation_states,
                oxide_type=oxide_type,
                potcar_spec=tuple(last["input"].get("potcar_spec") or ()),
                structure=structure,
                validation=validate_vasp_task(output, scheme.functional),
            )
        ],
        scheme,
    )
    return audit.rejected[0].reason if audit.rejected else audit.used[0]


def oxide_type_of(structure: Structure) -> str:
    """Tell an oxide from a peroxide and its kin by the distances between its atoms."""
    found = _oxide_type(structure, _NARROW)
    return _oxide_type(structure, _WIDE) if found == "oxide" else found


def oxide_types_of(structure: Structure) -> set[str]:
    """Kinds of oxide that distances allow: two where the limits differ."""
    return {_oxide_type(structure, cutoff) for cutoff in (_NARROW, _WIDE)}


def _oxide_type(structure: Structure, cutoff: float) -> str:
    from pymatgen.analysis.structure_analyzer import oxide_type  # noqa: PLC0415 - slow

    found = str(oxide_type(structure, cutoff))
    return "oxide" if found == "None" else found
