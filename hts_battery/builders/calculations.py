"""Reading finished tasks: what a hull needs of a task document, or why it has none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_CONVERGED = "successful"


@dataclass(frozen=True)
class Calculation:
    """A finished calculation, whatever the engine."""

    energy: float
    """Energy as calculated, eV per cell."""
    structure: Mapping[str, Any]
    """Final structure, as a dictionary."""
    calculator: str
    """Calculator with its version, as the node reported it."""
    n_steps: int | None
    """Ionic steps taken; null where the document does not say."""
    failure: str | None
    """Why the energy may not be used; null where it may."""


def read_task(output: Mapping[str, Any], engine: str) -> Calculation:
    """
    Read the output of an atomate2 job: ASE, force field or VASP.

    Parameters
    ----------
    output
        A ``ForceFieldTaskDocument``, or a ``TaskDoc`` of VASP, as stored.
    engine
        Name of the engine, for the calculator's name.

    Raises
    ------
    KeyError
        If the document is not of that kind: a programming error, not a failure of
        the calculation.
    """
    if "calcs_reversed" in output:
        return _read_vasp(output, engine)
    result = output["output"]
    steps = result.get("n_steps")
    converged = output.get("state") == _CONVERGED and output.get("is_force_converged")
    failure = None if converged else f"relaxation not converged after {steps} steps"
    return Calculation(
        energy=result["energy"],
        structure=output["structure"],
        calculator=f"{engine} {output['forcefield_version']}",
        n_steps=steps,
        failure=failure,
    )


def _read_vasp(output: Mapping[str, Any], engine: str) -> Calculation:
    last = output["calcs_reversed"][0]
    state = str(output.get("state"))
    failure = None if state == _CONVERGED else f"VASP did not converge: {state}"
    return Calculation(
        energy=output["output"]["energy"],
        structure=output["structure"],
        calculator=f"{engine} {last['vasp_version']}",
        n_steps=None,
        failure=failure,
    )
