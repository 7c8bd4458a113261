"""Energies of competing phases: relaxed with the engine that candidates use."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jobflow import Flow, Maker
from pydantic import ValidationError

from hts_battery.connections.durable_files import write_whole
from hts_battery.errors import ConfigurationError
from hts_battery.flows.engines.engine import Capability
from hts_battery.flows.engines.gpaw.engines import GPAWEngine
from hts_battery.flows.engines.registry import engine
from hts_battery.flows.execution.node import installed_versions
from hts_battery.flows.execution.recorded import jobs_of, recorded
from hts_battery.flows.recipes.recipe import Recipe, Subject
from hts_battery.schemas.calculation import is_vasp_task, read_task
from hts_battery.schemas.campaign import RelaxationSpec, content_key
from hts_battery.schemas.decoding import read_structure
from hts_battery.schemas.formula import parse_formula
from hts_battery.schemas.reference import (
    ReferenceEnergy,
    ReferenceEnergyFile,
    mean_oxidation_states,
)
from hts_battery.structures.inputs import CHARGE, MOMENT
from hts_battery.structures.references.checks import (
    drift_problems,
    relaxation_problems,
)
from hts_battery.structures.references.library import (
    reference_groups,
    reference_structure,
)
from hts_battery.structures.references.site_properties import (
    reference_charges,
    reference_moments,
)
from hts_battery.thermo.vasp_corrections import oxide_type_of, vasp_task_energy
from hts_battery.thermo.vasp_schemes import vasp_scheme

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from pymatgen.core import Structure

    from hts_battery.schemas.calculation import TaskOutput
    from hts_battery.schemas.campaign import PrerelaxSpec
    from hts_battery.schemas.energy import ComparableEnergy
    from hts_battery.schemas.reference import ReferencePhase

REFERENCE_STEP = "reference"
_PROVENANCE = ("atomate2", "ase", "torch", "pymatgen")
_SYMPREC = 0.1


def structure_digest(structure: Structure) -> str:
    """
    Digest a structure as the library gives it, to see when it was changed.

    Lengths and coordinates are rounded to 1e-5 before they are digested, so that two
    builds of a mathematics library agree.
    """
    # Adding 0.0 turns -0.0 into 0.0; the second modulus turns a rounded 1.0 into 0.0.
    content = {
        "lattice": (structure.lattice.matrix.round(5) + 0.0).tolist(),
        "sites": [
            [site.species_string, *((site.frac_coords % 1).round(5) % 1).tolist()]
            for site in structure
        ],
    }
    return sha256(json.dumps(content).encode()).hexdigest()[:16]


def reference_key(
    phase: ReferencePhase,
    engine_name: str,
    relaxation: RelaxationSpec,
    *,
    start: Structure | None = None,
) -> str:
    """Content key of a relaxation, from the structure of the library or another."""
    calculation = {
        "engine": engine_name,
        "relaxation": relaxation.model_dump(mode="json"),
        "start": structure_digest(start or reference_structure(phase)),
    }
    return content_key(phase.phase_id, calculation)


@dataclass
class ReferenceMaker(Maker):
    """
    Relax competing phases, with the settings of candidates.

    Parameters
    ----------
    name
        Name of the flows this maker produces.
    engine_name, relaxation
        Engine and settings, which are part of the content key.
    relax_maker
        Maker of the relaxation; the engine's own if none.
    """

    name: str = REFERENCE_STEP
    engine_name: str = "chgnet"
    relaxation: RelaxationSpec = field(default_factory=RelaxationSpec)
    relax_maker: Maker | None = None

    def make(self, phase: ReferencePhase, *, start: Structure | None = None) -> Flow:
        """
        Make the flow that relaxes one competing phase.

        It begins from the structure of the library unless another is given, such as one
        relaxed with a cheaper engine: atoms in the order of the library.
        """
        name, relaxation = self.engine_name, self.relaxation
        maker = self.relax_maker or engine(name).relax_maker(relaxation)
        job = maker.make(_started(phase, name, start))
        flow = Flow([job], output=job.output, name=f"{self.name} {phase.phase_id}")
        flow.update_metadata(
            {
                "step": REFERENCE_STEP,
                "phase_id": phase.phase_id,
                "engine": name,
                "content_key": reference_key(phase, name, relaxation, start=start),
            }
        )
        # Not its calculations on the way, where an engine takes several.
        for one in jobs_of(flow):
            one.update_metadata({"final": one.uuid == flow.output.uuid}, dynamic=True)
        return recorded(flow)


RECIPE = Recipe(
    name="references",
    steps=(REFERENCE_STEP,),
    subject=Subject.PHASE,
    needs=Capability.RELAX,
)


def _started(
    phase: ReferencePhase, engine_name: str, start: Structure | None
) -> Structure:
    """Return where it begins, with the moments or charges that the engine takes."""
    start = reference_structure(phase) if start is None else start.copy()
    chosen = engine(engine_name)
    moments = reference_moments(phase) if chosen.magmom else None
    if moments is not None:
        start.add_site_property(MOMENT, list(moments))
    if chosen.charge:
        start.add_site_property(CHARGE, list(reference_charges(phase)))
    return start


def reference_energy(
    phase: ReferencePhase, output: TaskOutput | None, engine_name: str
) -> ReferenceEnergy:
    """Write down the outcome of a relaxation; without an output the job failed."""
    start = reference_structure(phase)
    common: dict[str, Any] = {
        "phase_id": phase.phase_id,
        "formula": phase.formula,
        "engine": engine_name,
        "n_atoms": len(start),
        "start_digest": structure_digest(start),
        "phase": None if phase.group in reference_groups() else phase,
    }
    if output is None:
        return ReferenceEnergy(
            **common,
            versions=package_versions(engine_name),
            energy_per_atom=None,
            converged=False,
            rejected="the job failed",
        )
    found = read_task(output, engine_name)
    relaxed = read_structure(found.structure)
    reason, comparable = found.failure, None
    # The potential of the stand-in knows ions: metals collapse in a rehearsal.
    if reason is None and not found.rehearsal:
        asked = drift_problems if engine(engine_name).rough else relaxation_problems
        reason = "; ".join(asked(phase, relaxed)) or None
    if reason is None and is_vasp_task(output):
        reason, comparable = _corrected(phase, output, relaxed, engine_name)
    return ReferenceEnergy(
        **common,
        **_labelled(found.calculator, engine_name),
        energy_per_atom=found.energy / len(relaxed),
        converged=found.failure is None,
        n_steps=found.n_steps,
        max_force=found.max_force,
        space_group_number=relaxed.get_space_group_info(symprec=_SYMPREC)[1],
        volume_per_atom=relaxed.volume / len(relaxed),
        structure=relaxed.as_dict(),
        comparable=comparable,
        rejected=reason,
    )


def _corrected(
    phase: ReferencePhase,
    output: TaskOutput,
    relaxed: Structure,
    engine_name: str,
) -> tuple[str | None, ComparableEnergy | None]:
    """Return why the energy may not be used, or the energy as it enters a hull."""
    found = vasp_task_energy(
        f"{engine_name}:{phase.phase_id}",
        output,
        relaxed,
        scheme=vasp_scheme(engine_name),
        oxidation_states=mean_oxidation_states(phase),
        oxide_type=oxide_type_of(relaxed),
    )
    return (found, None) if isinstance(found, str) else (None, found)


def _labelled(calculator: str, engine_name: str) -> dict[str, Any]:
    """Write down the calculator as the node named it, as candidates do."""
    versions, label = package_versions(engine_name), None
    own = f"{engine_name} "
    if calculator.startswith(own):
        versions[engine_name] = calculator.removeprefix(own)
    else:
        label = calculator
    return {"versions": versions, "label": label}


def package_versions(engine_name: str) -> dict[str, str]:
    """Versions of the packages that can change an energy of this engine."""
    chosen = engine(engine_name)
    versions = {**chosen.versions(), **installed_versions(_PROVENANCE)}
    if chosen.calculator().startswith(f"{engine_name} "):
        # As documents of candidates say it, settings included where they matter.
        versions[engine_name] = chosen.calculator().removeprefix(f"{engine_name} ")
    return versions


def energy_file(
    energies: Iterable[ReferenceEnergy],
    engine_name: str,
    relaxation: RelaxationSpec,
    *,
    prerelax: PrerelaxSpec | None = None,
) -> ReferenceEnergyFile:
    """Collect energies of one engine with their settings and versions."""
    chosen, settings = engine(engine_name), relaxation.model_dump(mode="json")
    versions = package_versions(engine_name)
    if prerelax is not None:
        settings["prerelax"] = prerelax.model_dump(mode="json")
        versions |= engine(prerelax.engine).versions()
    if isinstance(chosen, GPAWEngine):
        settings["gpaw"] = chosen.settings.model_dump(mode="json")
    return ReferenceEnergyFile(
        engine=engine_name,
        settings=settings,
        versions=versions,
        created=datetime.now(UTC).replace(microsecond=0),
        energies=tuple(sorted(energies, key=lambda energy: energy.phase_id)),
    )


def write_energy_file(path: Path, energies: ReferenceEnergyFile) -> None:
    """Write an energy file, one line per phase so that changes are readable."""
    head = energies.model_dump(mode="json", exclude={"energies"})
    rows = [
        json.dumps(_rounded(energy.model_dump(mode="json")), sort_keys=True)
        for energy in energies.energies
    ]
    text = json.dumps(head, indent=1)[:-2] + ',\n "energies": [\n  '
    write_whole(path, text + ",\n  ".join(rows) + "\n ]\n}\n")


def _rounded(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Round floats to 1e-6: below what two machines agree on."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return value


def shipped_energies(
    engine_name: str, *, elements: Collection[str] | None = None
) -> ReferenceEnergyFile:
    """
    Energies that the project computed with an engine and ships.

    Only phases made of the elements, if some are given: the others are not even
    checked, which takes most of the time.
    """
    resource = files("hts_battery.flows") / "data" / f"references_{engine_name}.json"
    if not resource.is_file():
        raise ConfigurationError(
            f"no reference energies are shipped for the engine {engine_name}: "
            f"compute them with `hts references compute --engine {engine_name}`"
        )
    text = resource.read_text("utf-8")
    if elements is None:
        return ReferenceEnergyFile.model_validate_json(text)
    content, allowed = json.loads(text), frozenset(elements)
    content["energies"] = [
        energy
        for energy in content["energies"]
        if allowed.issuperset(parse_formula(energy["formula"]))
    ]
    return ReferenceEnergyFile.model_validate(content)


def checked_energy_file(content: object, path: Path) -> ReferenceEnergyFile:
    """Take what a file holds as reference energies; the error names a wrong field."""
    try:
        return ReferenceEnergyFile.model_validate_json(json.dumps(content))
    except ValidationError as err:
        first = err.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"{path}: {field}: {first['msg']}") from err


def known_energies(engine_name: str) -> dict[str, ReferenceEnergy]:
    """Shipped energies of an engine by phase id; empty where none are shipped."""
    try:
        energies = shipped_energies(engine_name).energies
    except ConfigurationError:
        return {}
    return {energy.phase_id: energy for energy in energies}
