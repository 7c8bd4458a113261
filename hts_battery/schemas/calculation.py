"""What a finished calculation says, read from its document in the same way for all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict, cast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CONVERGED = "successful"


class SiteRow(TypedDict, total=False):
    """A site of a stored structure."""

    properties: Mapping[str, object]


class StructureRow(TypedDict, total=False):
    """A structure as pymatgen writes it."""

    sites: Sequence[SiteRow]


class OutputRow(TypedDict, total=False):
    """What a calculation gave."""

    energy: float
    n_steps: int
    forces: object


class RunRow(TypedDict, total=False):
    """What is read of a :class:`~hts_battery.schemas.failure.RunRecord`."""

    calculator: str
    converged: bool
    n_steps: int | None
    failures: Sequence[Mapping[str, str]]
    rehearsal: bool


class VaspInputRow(TypedDict, total=False):
    """Settings of one run of VASP."""

    hubbards: Mapping[str, float] | None
    potcar_spec: Sequence[Mapping[str, str]] | None


class VaspRunRow(TypedDict, total=False):
    """One run of VASP, as emmet-core stores it."""

    vasp_version: str
    run_type: str
    input: VaspInputRow


class TaskOutput(TypedDict, total=False):
    """Output of a job as stored: ASE's, a force field's, GPAW's, or a ``TaskDoc``."""

    state: str
    is_force_converged: bool
    forcefield_version: str
    structure: StructureRow
    output: OutputRow
    run: RunRow | None
    calcs_reversed: Sequence[VaspRunRow] | None


@dataclass(frozen=True)
class Calculation:
    """A finished calculation, whatever the engine."""

    energy: float
    """Energy as calculated, eV per cell."""
    structure: Mapping[str, object]
    """Final structure, as a dictionary."""
    calculator: str
    """Calculator with its version, as the node reported it."""
    n_steps: int | None
    """Ionic steps taken; null where the document does not say."""
    failure: str | None
    """Why the energy may not be used; null where it may."""
    max_force: float | None = None
    """Largest force on an atom, eV/angstrom; null where the document has none."""
    moments: tuple[float, ...] | None = None
    """Final moment of each site in Bohr magnetons; null where the engine gave none."""
    rehearsal: bool = False
    """Whether a stand-in made it, so that its energy means nothing."""


def is_vasp_task(output: TaskOutput) -> bool:
    """
    Say whether the output of a job is a VASP task document.

    Examples
    --------
    >>> is_vasp_task({"calcs_reversed": [], "output": {}})
    True
    """
    return "calcs_reversed" in output


def read_task(output: TaskOutput, engine: str, *, steps_before: int = 0) -> Calculation:
    """
    Read the output of a job: ASE, force field, GPAW or VASP.

    Candidates and competing phases are both read here, so that their calculators have
    one name.

    ``output``: a ``ForceFieldTaskDocument``, the document of GPAW, which has its form,
    or a ``TaskDoc`` of VASP, with or without the record of its run, as stored.
    ``engine``: name of the engine, for the calculator's name. ``steps_before``: ionic
    steps of the relaxation that this one goes on from. Raises KeyError if the
    document is not of that kind: a programming error, not a failure of the calculation.

    Examples
    --------
    >>> found = read_task(
    ...     {
    ...         "state": "successful",
    ...         "is_force_converged": True,
    ...         "forcefield_version": "0.3.14",
    ...         "structure": {},
    ...         "output": {"energy": -9.7, "n_steps": 7},
    ...     },
    ...     "forcefield:MACE-MP-0",
    ... )
    >>> found.calculator, found.failure
    ('forcefield:MACE-MP-0 0.3.14', None)
    """
    if is_vasp_task(output):
        return _read_vasp(output, engine)
    result = output["output"]
    steps = result.get("n_steps")
    if steps is not None:
        steps += steps_before
    converged = output.get("state") == _CONVERGED and output.get("is_force_converged")
    return Calculation(
        energy=result["energy"],
        structure=output["structure"],
        calculator=f"{engine} {output['forcefield_version']}",
        n_steps=steps,
        failure=None if converged else f"relaxation not converged after {steps} steps",
        max_force=_largest(result.get("forces")),
        moments=_moments(output["structure"], "final_magmom"),
    )


def _read_vasp(output: TaskOutput, engine: str) -> Calculation:
    """Read a VASP task; the record of its run knows what the document does not."""
    run = output.get("run") or {}
    state = str(output.get("state"))
    failure = None
    if state != _CONVERGED or run.get("converged") is False:
        failure = "; ".join(
            [f"VASP did not converge: {state}"]
            + [f"{one['failure_class']}: {one['reason']}" for one in _failures(run)]
        )
    result = output["output"]
    return Calculation(
        energy=result["energy"],
        structure=output["structure"],
        calculator=_vasp_calculator(output, engine),
        n_steps=run.get("n_steps"),
        failure=failure,
        max_force=_largest(result.get("forces")),
        # emmet writes the moments of the OUTCAR here, none where it has none.
        moments=_moments(output["structure"], "magmom"),
        rehearsal=bool(run.get("rehearsal")),
    )


def _vasp_calculator(output: TaskOutput, engine: str) -> str:
    """Name engine and version; a large document may have lost its calculations."""
    calculations = output["calcs_reversed"]
    if not calculations:
        return (output["run"] or {})["calculator"]
    return f"{engine} {calculations[0]['vasp_version']}"


def _failures(run: RunRow) -> list[Mapping[str, str]]:
    """Return the last failed attempt: it is the one that ended the calculation."""
    return list(run.get("failures") or ())[-1:]


def _largest(forces: object) -> float | None:
    if not isinstance(forces, list | tuple) or not forces:
        return None
    return max(math.hypot(*force) for force in forces)


def _moments(structure: StructureRow, name: str) -> tuple[float, ...] | None:
    """Read the moments that the engine wrote on the sites, if it did on every one."""
    found = [
        site.get("properties", {}).get(name) for site in structure.get("sites", ())
    ]
    if not found or any(not isinstance(one, int | float) for one in found):
        return None
    return tuple(float(cast("float", one)) for one in found)
