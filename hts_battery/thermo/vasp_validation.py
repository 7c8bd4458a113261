"""
Whether a VASP calculation was made with the settings that its hull asks for.

The checks are those by which the Materials Project admits calculations to its own
hull, in the package pymatgen-io-validation (which emmet-core brings): plane-wave
cut-off, k-point density, functional, U values, convergence, pseudopotentials and more.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from hts_battery.schemas.energy import TaskValidation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymatgen.io.validation.common import VaspFiles

_FUNCTIONAL = "pbe"
_PACKAGES = ("pymatgen-io-validation", "emmet-core", "pymatgen", "pymatgen-core")


def validate_vasp_task(task: Mapping[str, Any]) -> TaskValidation:
    """
    Check a VASP task document against the Materials Project's settings.

    Parameters
    ----------
    task
        Document that atomate2's VASP jobs return (emmet-core's ``TaskDoc``), as
        stored. Pseudopotentials are checked where it names them.

    Returns
    -------
    TaskValidation
        Every reason against it, not only the first. A document that cannot be read
        is not valid, and the reason says what is missing.
    """
    from emmet.core.tasks import TaskDoc  # noqa: PLC0415 - seconds to import
    from emmet.core.vasp.validation import ValidationDoc  # noqa: PLC0415 - likewise

    try:
        files = ValidationDoc.task_doc_to_vasp_files(TaskDoc.model_validate(task))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as err:
        # What a document lacks surfaces as any of these deep inside two packages.
        return _verdict([f"the task document cannot be checked: {err!r}"], [])
    return validate_vasp_files(files)


def validate_vasp_files(files: VaspFiles) -> TaskValidation:
    """
    Check inputs and outputs of one calculation.

    The package admits several functionals, each with its own settings; the hull of
    corrected energies is one of PBE, so any other is a reason here.

    Parameters
    ----------
    files
        As pymatgen-io-validation reads them.

    Returns
    -------
    TaskValidation
        Every reason against it.
    """
    from pymatgen.io.validation.validation import VaspValidator  # noqa: PLC0415 - slow

    has_potcar = bool(files.user_input.potcar)
    found = VaspValidator.from_vasp_input(vasp_files=files, check_potcar=has_potcar)
    reasons, warnings = list(found.reasons), list(found.warnings)
    if files.functional != _FUNCTIONAL:
        reasons.append(
            f"functional: is {files.functional}, but should be {_FUNCTIONAL}"
        )
    if not has_potcar:
        warnings.append("pseudopotentials were not named, so not checked")
    return _verdict(reasons, warnings)


def _verdict(reasons: list[str], warnings: list[str]) -> TaskValidation:
    return TaskValidation(
        valid=not reasons,
        reasons=tuple(sorted(reasons)),
        warnings=tuple(sorted(warnings)),
        package_versions={package: version(package) for package in _PACKAGES},
    )
