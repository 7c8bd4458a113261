"""SCIENCE: is a candidate stable; corrections, hull, mixing entropy, temperature."""

from __future__ import annotations

from hts_battery.thermo.competing_phases import (
    CompetingPhases,
    OtherCandidate,
    left_out_references,
)
from hts_battery.thermo.entropy import (
    candidate_entropy,
    mixing_entropy,
    nasicon_mixing_entropy,
)
from hts_battery.thermo.hull import Decomposition, Hull
from hts_battery.thermo.hull_depth import (
    Depth,
    HullDepth,
    KnownComposition,
    competitive,
    known_compositions,
)
from hts_battery.thermo.reference_changes import (
    ReferenceChanges,
    StoredAnswer,
    reference_changes,
)
from hts_battery.thermo.stability import (
    CandidateEnergy,
    HullContext,
    ReferenceFacts,
    mixing_temperature,
    ordering_estimates,
    ordering_kind,
    stabilities,
    stability,
    stability_label,
)

__all__ = [
    "CandidateEnergy",
    "CompetingPhases",
    "Decomposition",
    "Depth",
    "Hull",
    "HullContext",
    "HullDepth",
    "KnownComposition",
    "OtherCandidate",
    "ReferenceChanges",
    "ReferenceFacts",
    "StoredAnswer",
    "candidate_entropy",
    "competitive",
    "known_compositions",
    "left_out_references",
    "mixing_entropy",
    "mixing_temperature",
    "nasicon_mixing_entropy",
    "ordering_estimates",
    "ordering_kind",
    "reference_changes",
    "stabilities",
    "stability",
    "stability_label",
]
