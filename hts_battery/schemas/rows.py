"""Stored documents as a database returns them: typed for readers, not validated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NotRequired, Required, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime


class CalculationRow(TypedDict, total=False):
    """Settings that decide an energy."""

    engine: str
    prerelax: CalculationRow
    relaxation: Mapping[str, object]
    structure: Mapping[str, object]


class TaskMetadata(TypedDict, total=False):
    """What the flows wrote beside an output, so that builders find it."""

    candidate_id: str
    content_key: str
    order_uuid: str
    ordering_id: str
    ordering_method: str
    part: str
    asked: Mapping[str, int]
    final: bool
    steps: int
    steps_before: int
    step: str
    calculation: CalculationRow


class TaskRow(TypedDict):
    """An output of a job."""

    uuid: str
    index: int
    name: str
    metadata: TaskMetadata
    output: Any
    completed_at: object


class CandidateRow(TypedDict):
    """A :class:`~hts_battery.schemas.candidate.CandidateDoc`."""

    candidate_id: str
    family: str
    formula: str
    amounts: Mapping[str, str]


class AdjustmentRow(TypedDict):
    """One correction of an energy, in eV per cell."""

    name: str
    value: float
    reason: str


class EnergyRow(TypedDict):
    """A :class:`~hts_battery.schemas.energy.ComparableEnergy`."""

    formula: str
    n_atoms: int
    uncorrected_energy: float
    energy_per_atom: float
    adjustments: Sequence[AdjustmentRow]
    correction_scheme: str
    package_versions: Mapping[str, str]


class RelaxedRow(TypedDict):
    """What is read of a :class:`~hts_battery.schemas.relaxed.RelaxedCell`."""

    verdict: str
    reasons: Sequence[str]
    site_occupancies: Mapping[str, Mapping[str, float]]


class RegistrationRow(TypedDict, total=False):
    """A campaign as it is registered; of one that was killed early only its name."""

    name: Required[str]
    spec: Mapping[str, object]
    digest: str
    members: int
    key_sum: str
    gate_since: str
    owner: str | None
    file: str | None


class _EntryFields(TypedDict):
    entry_id: str
    state: str
    reason: str | None
    candidate_id: str
    candidate_family: str | None
    content_key: str
    formula: str
    elements: Sequence[str]
    engine: str
    calculator: str
    calculation: CalculationRow
    ordering_id: str | None
    ordering_method: str | None
    ordering_series: Mapping[str, Sequence[str]]
    ordering_score: float | None
    ordering_seed: int | None
    electrostatic_energy: float | None
    assignment: Mapping[str, Mapping[str, str]]
    deviation: Mapping[str, str]
    relaxed: RelaxedRow | None
    volume_per_atom: float | None
    oxidation_states: Mapping[str, float]
    flags: Sequence[str]
    input_digest: str


class EntryRow(_EntryFields):
    """A :class:`~hts_battery.schemas.entry.EntryDoc`, used or rejected."""

    energy: EnergyRow | None


class UsedEntryRow(_EntryFields):
    """An entry that is used: it has an energy."""

    energy: EnergyRow
    source: str
    """Campaign whose ordering it is; where a campaign's own are read."""


class OrderingRow(TypedDict):
    """A :class:`~hts_battery.schemas.build.OrderingEnergy`."""

    entry_id: str
    source: str | None
    method: str
    kind: str
    energy_per_atom: float
    correction_per_atom: float
    scheme: str


class PropertyRow(TypedDict):
    """What the table holds of a :class:`~hts_battery.schemas.property.PropertyDoc`."""

    subject_id: str
    name: str
    conditions: dict[str, float | int | str]
    value: float | int | bool | str | None
    uncertainty: float | None


class PhaseRow(TypedDict):
    """A :class:`~hts_battery.schemas.thermo.DecompositionPhase`."""

    formula: str
    reference_id: str
    kind: str
    amount: float
    gas: bool


class OtherMixingRow(TypedDict):
    """Numbers of another mixing."""

    options: Mapping[str, object]
    entropy: float
    energy_above_hull: float
    label: str


class EntropyTermRow(TypedDict):
    """Entropy of one sublattice, in eV/K per formula unit."""

    sublattice: str
    sites: str
    fractions: Mapping[str, str]
    entropy_per_formula_unit: float
    counted: bool


class EntropyRow(TypedDict):
    """A :class:`~hts_battery.schemas.entropy.EntropyResult`."""

    options: Mapping[str, object]
    terms: Sequence[EntropyTermRow]


class EstimatesRow(TypedDict):
    """A :class:`~hts_battery.schemas.thermo.OrderingEstimates`."""

    random_spread: float | None
    random_mean: float | None
    lowest: float


class OptionsRow(TypedDict):
    """What is read of a :class:`~hts_battery.schemas.thermo.StabilityOptions`."""

    other_candidates: bool


class ResultRow(TypedDict):
    """What is read of a :class:`~hts_battery.schemas.thermo.ThermoDoc`."""

    formula: str
    calculator: str
    hull_version: str
    energy_per_atom: float
    entropy: float
    entropy_terms: EntropyRow
    competition_term: float
    energy_above_hull_0k: float
    energy_above_hull: float
    energy_above_hull_random: float | None
    label: str
    open: bool
    probability_stable: float | None
    uncertainty: float | None
    uncertainty_terms: Mapping[str, object]
    mixing_temperature: float | None
    orderings: EstimatesRow | None
    other_mixings: Sequence[OtherMixingRow]
    decomposition: Sequence[PhaseRow]
    chemical_potentials: Mapping[str, float]
    excluded_references: Sequence[str]
    options: OptionsRow
    hull_depth_risk: float | None
    hull_depth_risk_reported: float | None
    hull_depth_reason: str | None
    missing_compositions: Mapping[str, float]
    needed_systems_without_reference: Sequence[str]
    systems_without_reference: Sequence[str]
    n_references: int
    flags: Sequence[str]


class ThermoRow(TypedDict):
    """A :class:`~hts_battery.schemas.build.ThermoRecord`."""

    campaign: str
    candidate_id: str
    temperature: float
    state: str
    error: str | None
    entry_id: str | None
    engine: str
    orderings: Sequence[OrderingRow]
    orderings_by_campaign: Mapping[str, int]
    flags: Sequence[str]
    deviation: Mapping[str, str]
    result: ResultRow | None
    previous: Mapping[str, object] | None
    hull_version: str | None
    options_digest: str
    code_version: str
    input_digest: str


class SummaryRow(TypedDict):
    """A :class:`~hts_battery.schemas.summary.SummaryDoc`."""

    campaign: str
    candidate_id: str
    formula: str
    family: str
    elements: Sequence[str]
    chemical_system: str
    element_keys: Sequence[str]
    n_metals: int
    engine: str
    calculator: str
    energy_per_atom: float
    energy_above_hull: float
    energy_above_hull_at: Mapping[str, float]
    energy_above_hull_upper_at: Mapping[str, float]
    energy_above_hull_other_at: Mapping[str, float]
    label_at: Mapping[str, str]
    open_at: Mapping[str, bool]
    probability_stable_at: Mapping[str, float]
    uncertainty: float | None
    uncertainty_source: str
    mixing: str
    other_mixing: str
    entropy: float
    entropy_by_sublattice: Mapping[str, float]
    mixing_temperature: float | None
    decomposition: Sequence[PhaseRow]
    n_orderings: int
    n_random_orderings: int
    orderings_by_campaign: Mapping[str, int]
    ordering_spread: float | None
    entry_id: str
    calculated_formula: str
    deviation: float
    deviation_by_element: Mapping[str, str]
    same_cell_as: str | None
    hull_depth_risk: float | None
    hull_depth_risk_reported: float | None
    hull_depth_reason: str | None
    n_references: int
    excluded_references: Sequence[str]
    hull_version: str
    flags: Sequence[str]
    input_digest: str


class StabilityRow(TypedDict, total=False):
    """A :class:`~hts_battery.schemas.build.StabilityNumbers`."""

    energy_above_hull: float
    label: str
    open: bool
    hull_version: str


class ChangeRow(TypedDict):
    """A :class:`~hts_battery.schemas.build.Change`."""

    candidate_id: str
    formula: str | None
    temperature: float
    before: StabilityRow | None
    after: StabilityRow | None
    reasons: Sequence[str]


class ChangeSetRow(TypedDict):
    """A :class:`~hts_battery.schemas.build.ChangeSet`."""

    run_id: str
    campaign: str
    changes: Sequence[ChangeRow]


class HullRow(TypedDict):
    """A :class:`~hts_battery.schemas.build.HullSummary`."""

    hull_version: str
    n_references: int


class ReportRow(TypedDict):
    """A :class:`~hts_battery.schemas.build.BuildReport`."""

    written: int
    removed: int
    failed: int


class BuildRow(TypedDict):
    """A :class:`~hts_battery.schemas.build.BuildManifest`."""

    run_id: str
    state: str
    started_at: datetime
    finished_at: datetime | None
    seconds: NotRequired[float | None]
    """Wall time, where it was worked out."""
    error: str | None
    reports: Mapping[str, ReportRow]
    hulls: Sequence[HullRow]


class EndingRow(TypedDict):
    """How one dispatch of a candidate ended."""

    kind: str
    reason: str | None
    failure_class: str | None
    lost_with: int | None
    node_hours: float
    time: str


class BacklogItemRow(TypedDict):
    """What is read of a :class:`~hts_battery.schemas.dispatch.BacklogItem`."""

    content_key: str
    candidate_id: str
    dispatch_id: str | None
    fw_id: int | None
    asked: Mapping[str, int]
    asked_steps: NotRequired[int]
    ending: EndingRow | None
    earlier: Sequence[EndingRow]


class SubmissionRow(TypedDict):
    """What is read of a :class:`~hts_battery.schemas.dispatch.Submission`."""

    campaign: str
    worker: str
    nodes: int
    budget: float | None
    hold: str | None
    hold_reason: NotRequired[str]
    resumed: NotRequired[str | None]
    routes: NotRequired[Mapping[str, str]]
    time: str


class OrderedCellRow(TypedDict, total=False):
    """What says of an ordered cell which of the candidate's orderings it is."""

    ordering_id: str
    method: str
    series: Mapping[str, int]


class FailuresRow(TypedDict):
    """Everything that failed of one calculation."""

    content_key: str
    failures: Sequence[Mapping[str, object]]


class StoredVerdictRow(TypedDict):
    """What is read of a :class:`~hts_battery.schemas.gate.GateVerdict`; its time."""

    energies_per_atom: Mapping[str, float]
    energy_above_hull_0k: float | None
    entropy: float
    at: str


class VerdictRow(TypedDict):
    """What a gate was decided on, eV/atom and eV/K per atom."""

    energy_above_hull_0k: float
    entropy: float
