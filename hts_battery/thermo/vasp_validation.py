"""
Whether a VASP calculation was made with the settings that its hull asks for.

The checks are those by which the Materials Project admits calculations to its own
hull, in the package pymatgen-io-validation (which emmet-core brings): plane-wave
cut-off, k-point density, functional, U values, convergence, pseudopotentials and more.
"""

from __future__ import annotations

from copy import deepcopy
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from hts_battery.schemas.energy import TaskValidation
from hts_battery.thermo.vasp_schemes import MP_GGA

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymatgen.io.validation.common import VaspFiles

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

    Returns
    -------
    TaskValidation
        Every reason against it, not only the first. A document that cannot be read
        is not valid, and the reason says what is missing.
    """
    from emmet.core.tasks import TaskDoc  # noqa: PLC0415 - seconds to import
    from emmet.core.vasp.validation import ValidationDoc  # noqa: PLC0415 - likewise

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
