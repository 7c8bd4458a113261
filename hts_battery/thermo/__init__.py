"""SCIENCE: is a candidate stable; corrections, hull, mixing entropy, temperature."""

from __future__ import annotations

from hts_battery.thermo.decomposition import Decomposition
from hts_battery.thermo.entropy import (
    candidate_entropy,
    mixing_entropy,
    nasicon_mixing_entropy,
)
from hts_battery.thermo.hull import Hull
from hts_battery.thermo.stability import (
    CandidateEnergy,
    mixing_temperature,
    ordering_estimates,
    ordering_kind,
    stabilities,
    stability,
    stability_label,
)

__all__ = [
    "CandidateEnergy",
    "Decomposition",
    "Hull",
    "candidate_entropy",
    "mixing_entropy",
    "mixing_temperature",
    "nasicon_mixing_entropy",
    "ordering_estimates",
    "ordering_kind",
    "stabilities",
    "stability",
    "stability_label",
]
