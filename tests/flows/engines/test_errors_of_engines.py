from __future__ import annotations

import pytest

from hts_battery.flows.engines.registry import ENGINES, engine
from hts_battery.thermo.estimates import uncertainty_terms

DOI = "10."


@pytest.mark.parametrize(
    "name", [*ENGINES, "forcefield:MACE-MP-0", "rehearsal:vasp-mp-gga"]
)
def test_every_engine_states_its_error_with_the_source_or_says_why_not(
    name: str,
) -> None:
    error = engine(name).error
    assert bool(error.terms) != bool(error.reason)
    assert all(term.source.startswith(DOI) and term.meaning for term in error.terms)


@pytest.mark.physics
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # A mean absolute error of 30 times sqrt(pi/2), and 24 of its functional.
        ("chgnet", 0.0446),
        ("gpaw", 0.024),
        ("vasp-mp-gga", 0.024),
        ("vasp-mp24", None),
        ("ionic", None),
        # The stand-in's energies are nobody's.
        ("rehearsal:vasp-mp-gga", None),
    ],
)
def test_published_errors(name: str, expected: float | None) -> None:
    found = uncertainty_terms(engine(name).error).calculator_error
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-4))
