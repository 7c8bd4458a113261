from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hts_battery.schemas.campaign import GateSpec
from hts_battery.thermo.estimates import energy_at_gate, passes_gate

ENERGIES = st.floats(-2.0, 2.0)
"""In eV/atom."""
ENTROPIES = st.floats(0.0, 3e-4)
"""In eV/K per atom; ideal mixing of 32 species is 3e-4."""
KELVIN = st.floats(0.0, 3000.0)
GATES = st.builds(GateSpec, energy_above_hull=ENERGIES, temperature=KELVIN)
MORE = st.floats(0.0, 1.0)


@given(ENERGIES, ENTROPIES, GATES)
def test_the_energy_that_is_named_decides(
    above: float, entropy: float, gate: GateSpec
) -> None:
    found = energy_at_gate(above, entropy, gate)
    assert found == pytest.approx(above - gate.temperature * entropy)
    assert passes_gate(above, entropy, gate) is (found <= gate.energy_above_hull)


@given(ENERGIES, ENTROPIES, KELVIN)
def test_what_lies_at_the_threshold_passes(
    above: float, entropy: float, kelvin: float
) -> None:
    cold = GateSpec(energy_above_hull=above, temperature=0.0)
    assert passes_gate(above, entropy, cold)
    hot = GateSpec(
        energy_above_hull=energy_at_gate(
            above, entropy, cold.model_copy(update={"temperature": kelvin})
        ),
        temperature=kelvin,
    )
    assert passes_gate(above, entropy, hot)


@given(ENERGIES, ENTROPIES, GATES, MORE)
def test_what_passes_does_so_with_less_energy_and_a_higher_threshold(
    above: float, entropy: float, gate: GateSpec, more: float
) -> None:
    assume(passes_gate(above, entropy, gate))
    assert passes_gate(above - more, entropy, gate)
    higher = gate.model_copy(
        update={"energy_above_hull": gate.energy_above_hull + more}
    )
    assert passes_gate(above, entropy, higher)


@given(ENERGIES, ENTROPIES, ENTROPIES, GATES)
def test_entropy_opens_the_gate_and_does_nothing_at_absolute_zero(
    above: float, entropy: float, more: float, gate: GateSpec
) -> None:
    if passes_gate(above, entropy, gate):
        assert passes_gate(above, entropy + more, gate)
    cold = gate.model_copy(update={"temperature": 0.0})
    assert passes_gate(above, entropy, cold) is passes_gate(above, more, cold)
