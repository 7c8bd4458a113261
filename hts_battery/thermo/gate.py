"""The gate inequality: is a pre-relaxed candidate worth an expensive calculation."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hts_battery.schemas.campaign import GateSpec


def energy_at_gate(
    energy_above_hull_0k: float, entropy: float, gate: GateSpec
) -> float:
    r"""
    Return what a gate compares with its threshold.

    .. math:: E_{hull}(T) = E_{hull}(0) - T S

    Parameters
    ----------
    energy_above_hull_0k
        Pre-relaxed energy above the hull without entropy, in eV/atom; negative below.
    entropy
        Mixing entropy in eV/K per atom.
    gate
        Temperature in K and threshold in eV/atom.

    Returns
    -------
    float
        In eV/atom.
    """
    return energy_above_hull_0k - gate.temperature * entropy


def passes_gate(energy_above_hull_0k: float, entropy: float, gate: GateSpec) -> bool:
    """
    Say whether a pre-relaxed ordering is at or below the threshold of a gate.

    Energy and entropy come apart, so that what was computed once is compared with
    whatever threshold and temperature a campaign file asks for later.

    Parameters
    ----------
    energy_above_hull_0k, entropy, gate
        As for :func:`energy_at_gate`.

    Examples
    --------
    >>> from hts_battery.schemas.campaign import GateSpec
    >>> gate = GateSpec(energy_above_hull=0.03, temperature=1000)
    >>> passes_gate(0.1, 8e-5, gate), passes_gate(0.1, 5e-5, gate)
    (True, False)
    """
    return energy_at_gate(energy_above_hull_0k, entropy, gate) <= gate.energy_above_hull
