"""The gate: is a pre-relaxed candidate worth the expensive calculation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from hts_battery.errors import MixedCalculatorError, SubmissionError
from hts_battery.schemas.formula import canonical_formula
from hts_battery.schemas.gate import GateAnswer, GateVerdict, HullSnapshot
from hts_battery.schemas.thermo import LeftOutReferences
from hts_battery.thermo.competing_phases import left_out_references
from hts_battery.thermo.corrections import comparable_energy
from hts_battery.thermo.entropy import candidate_entropy
from hts_battery.thermo.estimates import energy_at_gate, passes_gate
from hts_battery.thermo.hull import Hull

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pymatgen.core import Structure

    from hts_battery.schemas.campaign import GateSpec
    from hts_battery.schemas.candidate import CandidateDoc
    from hts_battery.schemas.entropy import EntropyOptions
    from hts_battery.schemas.structure import OrderedCell


class Prerelaxation(TypedDict):
    """What the gate and the next steps need of a pre-relaxation; energy in eV/atom."""

    structure: Structure
    energy_per_atom: float
    converged: bool
    version: str
    """Of the calculator."""


class Threshold(NamedTuple):
    """What a candidate is compared with."""

    spec: GateSpec
    """Threshold in eV/atom and temperature in K."""
    hull: HullSnapshot
    """Competing phases of its elements."""
    entropy: EntropyOptions
    """What is counted in the mixing entropy."""
    released: bool
    """Whether the operator lets it through all the same."""


def hull_snapshot(
    hull: Hull,
    elements: Collection[str],
    *,
    calculator: str,
    exclude: Collection[str] = (),
    rule: LeftOutReferences = LeftOutReferences.OWN_COMPOSITION,
    family: Collection[str] = (),
) -> HullSnapshot:
    """
    Take from a hull the phases that matter to a candidate of some elements.

    Parameters
    ----------
    hull
        All competing phases of one calculator.
    elements
        Elements of the candidate.
    calculator
        Name of the calculator with its version.
    exclude
        Ids of the phases that the candidate is not compared with: what they hide
        travels too.
    rule, family
        What its cells are not compared with, and the members of its family. That is
        found on the node, where the composition of each cell is known.

    Raises
    ------
    MissingReferenceError
        If an element has no phase.

    Examples
    --------
    >>> hull = Hull(["Li", "O2", "Li2O", "Ti"], [0, 0, -2, 0])
    >>> hull_snapshot(hull, {"Li", "O"}, calculator="chgnet 0.4.2").formulas
    ('Li', 'O2', 'Li2O')
    """
    # Refuses elements that no mixture of the references reaches.
    others = hull.without(exclude)
    others.decomposition("".join(f"{element}1" for element in sorted(elements)))
    wanted = {*hull.stable_references(elements), *others.stable_references(elements)}
    phases = zip(hull.ids, hull.formulas, hull.energies_per_atom.tolist(), strict=True)
    rows = [phase for phase in phases if phase[0] in wanted]
    names, formulas, energies = zip(*rows, strict=True)
    return HullSnapshot(
        calculator=calculator,
        phase_ids=names,
        formulas=formulas,
        energies_per_atom=energies,
        digest=Hull(formulas, energies, ids=names).digest,
        left_out_references=rule,
        family=tuple(name for name in names if name in family),
    )


def prerelaxed(output: Any) -> Prerelaxation | None:  # noqa: ANN401 - document or dictionary
    """
    Read what is needed of a pre-relaxation.

    Parameters
    ----------
    output
        Output of its job, a task document or a dictionary of the same shape, or what
        this function returned before; none where the job failed.
    """

    def part(document: Any, name: str) -> Any:  # noqa: ANN401 - likewise
        is_dict = isinstance(document, Mapping)
        return document[name] if is_dict else getattr(document, name)

    if output is None or "version" in output:
        return output
    return {
        "structure": part(output, "structure"),
        "energy_per_atom": part(part(output, "output"), "energy_per_atom"),
        "converged": bool(part(output, "is_force_converged")),
        "version": part(output, "forcefield_version"),
    }


def gate_verdict(
    candidate: CandidateDoc,
    cells: Sequence[OrderedCell],
    outcomes: Mapping[str, Prerelaxation],
    *,
    engine: str,
    threshold: Threshold | None,
) -> GateVerdict:
    r"""
    Compare the lowest pre-relaxed ordering of a candidate with a threshold.

    .. math:: E_{hull}(T) = E - E_{hull\,phases} - T S

    Parameters
    ----------
    candidate
        The candidate.
    cells
        Its ordered cells; those that deviate are compared at their own composition.
    outcomes
        Ordering id → pre-relaxation; an ordering without one is left out.
    engine
        Engine of the pre-relaxation.
    threshold
        None lets every candidate pass.

    Raises
    ------
    SubmissionError
        If no ordering was pre-relaxed.
    MixedCalculatorError
        If the hull is of another calculator than the energies.
    """
    known = {cell.ordering_id: cell for cell in cells if cell.ordering_id in outcomes}
    if not known:
        raise SubmissionError(
            f"no ordering of {candidate.formula} was pre-relaxed with {engine}"
        )
    versions = {str(outcomes[name]["version"]) for name in known}
    calculator = " ".join((engine, *sorted(versions)))
    verdict = GateVerdict(
        candidate_id=candidate.candidate_id,
        verdict=GateAnswer.PASSED,
        energies_per_atom={
            name: comparable_energy(
                entry_id=name,
                formula=_cell_formula(cell),
                energy=outcomes[name]["energy_per_atom"] * cell.n_atoms,
                calculator=calculator,
            ).energy_per_atom
            for name, cell in known.items()
        },
        unconverged=tuple(name for name in known if not outcomes[name]["converged"]),
        calculator=calculator,
    )
    if threshold is None:
        return verdict
    if threshold.hull.calculator != calculator:
        raise MixedCalculatorError(
            f"{candidate.formula} was pre-relaxed with {calculator}, but the competing "
            f"phases that came with it are of {threshold.hull.calculator}"
        )
    return _compared(verdict, candidate, list(known.values()), threshold)


def _compared(
    verdict: GateVerdict,
    candidate: CandidateDoc,
    cells: Sequence[OrderedCell],
    threshold: Threshold,
) -> GateVerdict:
    """Add to a verdict what the ordering with the lowest E_hull(T) says."""
    spec, snapshot, options, released = threshold
    hull = Hull(
        snapshot.formulas, snapshot.energies_per_atom, ids=list(snapshot.phase_ids)
    )
    rule, family = snapshot.left_out_references, snapshot.family
    formulas = [canonical_formula(cell.amounts) for cell in cells]
    above = hull.energies_above_hull(
        formulas,
        [verdict.energies_per_atom[cell.ordering_id] for cell in cells],
        exclude=[
            left_out_references(hull, formula, rule=rule, family=family)
            for formula in formulas
        ],
    ).tolist()
    described = candidate.to_candidate()
    entropies = [
        candidate_entropy(described, options, assignment=cell.assignment).entropy
        for cell in cells
    ]
    energy, lowest = min(
        (energy_at_gate(above[n], entropies[n], spec), n) for n in range(len(cells))
    )
    answer = GateAnswer.PASSED
    if not passes_gate(above[lowest], entropies[lowest], spec):
        answer = GateAnswer.RELEASED if released else GateAnswer.GATED
    return verdict.model_copy(
        update={
            "verdict": answer,
            "ordering_id": cells[lowest].ordering_id,
            "energy_above_hull_0k": above[lowest],
            "entropy": entropies[lowest],
            "temperature": spec.temperature,
            "energy_above_hull": energy,
            "threshold": spec.energy_above_hull,
            "hull_digest": snapshot.digest,
            "n_references": len(snapshot.phase_ids),
        }
    )


def _cell_formula(cell: OrderedCell) -> str:
    """Write the formula with the cell's own number of atoms."""
    return "".join(
        f"{element}{amount * cell.formula_units}"
        for element, amount in sorted(cell.amounts.items())
    )
