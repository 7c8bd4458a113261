"""What a stored VASP task says of an energy: validated, comparable, or why not."""

from __future__ import annotations

from copy import deepcopy
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from hts_battery.schemas.decoding import check_document
from hts_battery.schemas.energy import TaskValidation
from hts_battery.thermo.vasp_corrections import VaspEnergy, correct_vasp_energies
from hts_battery.thermo.vasp_schemes import MP_GGA

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymatgen.core import Structure
    from pymatgen.io.validation.common import VaspFiles

    from hts_battery.schemas.energy import ComparableEnergy
    from hts_battery.thermo.vasp_schemes import VaspScheme

# What a document lacks surfaces as any of these, deep inside two packages.
_LACKING = (AttributeError, IndexError, KeyError, TypeError, ValueError)
_PACKAGES = ("pymatgen-io-validation", "emmet-core", "pymatgen", "pymatgen-core")


def validate_vasp_task(
    task: Mapping[str, Any], functional: str = MP_GGA.functional
) -> TaskValidation:
    """
    Check a VASP task document against the Materials Project's settings.

    Parameters
    ----------
    task
        Document that atomate2's VASP jobs return (emmet-core's ``TaskDoc``), as
        stored. Pseudopotentials are checked where it holds their statistics.
    functional
        Functional of the hull, as pymatgen-io-validation calls it.
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
    Check inputs and outputs of one calculation.

    The package admits several functionals, each with its own settings; a hull is of
    one, so any other is a reason here.

    Parameters
    ----------
    files
        As pymatgen-io-validation reads them.
    functional
        Functional of the hull, as that package calls it.

    Returns
    -------
    TaskValidation
        Every reason against it.
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
        package_versions={package: version(package) for package in _PACKAGES},
    )


# O-O bonds, relative to 1.35 and 1.49 angstrom, up to which pymatgen's corrections and
# the Materials Project's data see a superoxide and a peroxide. The narrow limits tell
# the two apart, the wide ones find long peroxides, 1.56 to 1.64 angstrom.
_NARROW, _WIDE = 1.05, 1.1


def vasp_task_energy(
    entry_id: str,
    output: Mapping[str, Any],
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
    """
    Tell an oxide from a peroxide and its kin by the distances between its atoms.

    Returns
    -------
    str
        As :func:`vasp_task_energy` takes it; ``oxide`` where there is no oxygen.
    """
    found = _oxide_type(structure, _NARROW)
    return _oxide_type(structure, _WIDE) if found == "oxide" else found


def oxide_types_of(structure: Structure) -> set[str]:
    """
    Kinds of oxide that the distances between atoms allow.

    Returns
    -------
    set
        One, or two where the limits that pymatgen uses in its corrections and the
        Materials Project in its data disagree.
    """
    return {_oxide_type(structure, cutoff) for cutoff in (_NARROW, _WIDE)}


def _oxide_type(structure: Structure, cutoff: float) -> str:
    from pymatgen.analysis.structure_analyzer import oxide_type  # noqa: PLC0415 - slow

    found = str(oxide_type(structure, cutoff))
    return "oxide" if found == "None" else found
