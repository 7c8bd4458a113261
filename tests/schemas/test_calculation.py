from __future__ import annotations

from typing import Any

import pytest

from hts_battery.schemas.calculation import is_vasp_task, read_task


def relaxed(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    return {
        "state": "successful",
        "is_force_converged": True,
        "forcefield_version": "0.3.14",
        "structure": {"sites": []},
        "output": {
            "energy": -9.7,
            "n_steps": 7,
            "forces": [[0, 3e-3, 4e-3], [0, 0, 0]],
        },
    } | changes


def vasp(run: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    return {
        "state": "successful",
        "calcs_reversed": [{"vasp_version": "6.4.2"}],
        "structure": {"sites": []},
        "output": {"energy": -26.0},
        "run": {"calculator": "vasp mp-gga PBE", "converged": True, "n_steps": 3}
        | (run or {}),
    } | changes


@pytest.mark.parametrize(
    "engine", ["chgnet", "forcefield:MACE-MP-0", "gpaw-fixed-cell"]
)
def test_a_force_field_and_gpaw_are_read_alike(engine: str) -> None:
    found = read_task(relaxed(), engine)
    assert found.calculator == f"{engine} 0.3.14"
    assert (found.energy, found.n_steps, found.failure) == (-9.7, 7, None)
    assert found.max_force == pytest.approx(5e-3)


def test_a_relaxation_that_used_up_its_steps_says_so() -> None:
    for wrong in ({"is_force_converged": False}, {"state": "failed"}):
        found = read_task(relaxed(**wrong), "chgnet")
        assert found.failure == "relaxation not converged after 7 steps"


def test_vasp_says_how_it_went_in_the_record_of_its_run() -> None:
    found = read_task(vasp(), "vasp-mp-gga")
    assert found.calculator == "vasp-mp-gga 6.4.2"
    assert (found.n_steps, found.failure, found.max_force) == (3, None, None)
    assert read_task(vasp({"rehearsal": True}), "vasp-mp-gga").rehearsal


def test_a_state_of_success_does_not_outweigh_a_run_that_was_stopped() -> None:
    failures = [
        {"failure_class": "out of memory", "reason": "oom_kill"},
        {"failure_class": "walltime", "reason": "Walltime reached"},
    ]
    output = vasp({"converged": False, "failures": failures})
    found = read_task(output, "vasp-mp-gga")
    assert found.failure == (
        "VASP did not converge: successful; walltime: Walltime reached"
    )


def test_a_document_that_lost_its_calculations_is_still_named() -> None:
    output = vasp(calcs_reversed=None)
    assert is_vasp_task(output)
    assert read_task(output, "vasp-mp-gga").calculator == "vasp mp-gga PBE"


def test_a_document_of_another_kind_is_a_programming_error() -> None:
    with pytest.raises(KeyError):
        read_task({"output": {"energy": 0.0}}, "chgnet")


@pytest.mark.parametrize(
    ("properties", "moments"),
    [
        ([{"final_magmom": 4.6}, {"final_magmom": 0.0}], (4.6, 0.0)),
        ([{"final_magmom": 4.6}, {}], None),
        ([{"magmom": 5.0}, {"magmom": 0.0}], None),
    ],
)
def test_moments_are_those_that_the_engine_wrote(
    properties: list[dict[str, float]], moments: tuple[float, ...] | None
) -> None:
    """A moment that a calculation started from is not one that it ended with."""
    output = {
        "state": "successful",
        "is_force_converged": True,
        "forcefield_version": "0.4.2",
        "structure": {"sites": [{"properties": one} for one in properties]},
        "output": {"energy": -9.7, "n_steps": 7},
    }
    assert read_task(output, "chgnet").moments == moments
