"""GPAW behind atomate2's ASE makers: a calculator that asks a process of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.units import GPa
from atomate2.ase.jobs import AseRelaxMaker
from atomate2.ase.schemas import AseStructureTaskDoc
from jobflow import job
from pydantic import Field, JsonValue

from hts_battery.errors import ConfigurationError
from hts_battery.flows.engines.gpaw.process import (
    LOG,
    GPAWProcess,
    Reply,
    Versions,
    gpaw_command,
)
from hts_battery.flows.engines.gpaw.settings import (
    GPAWSettings,
    materials_project_moments,
)
from hts_battery.flows.execution.node import node_settings
from hts_battery.schemas.base import Document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ase import Atoms
    from pymatgen.core import Structure

    from hts_battery.schemas.campaign import RelaxationSpec

MOMENTS = "magmom"
"""Site property of the start moments, in Bohr magnetons."""
_NEW_PROCESS = frozenset({"numbers", "pbc", "initial_magmoms"})
_LEAST_STEPS_OF_A_RELAXATION = 2


class GPAWCall(Document):
    """One self-consistent calculation of a relaxation."""

    energy: float = Field(description="Energy extrapolated to no smearing, eV.")
    free_energy: float = Field(description="Energy that the forces belong to, eV.")
    scf_steps: int = Field(description="Electronic steps to convergence.")
    seconds: float = Field(description="Wall time, forces and stress included.")


class GPAWRecord(Document):
    """What a GPAW relaxation was made with, and what it cost."""

    settings: GPAWSettings = Field(description="Settings of the engine.")
    parameters: dict[str, JsonValue] = Field(
        description="Keywords that GPAW was given."
    )
    hubbard_u: dict[str, float] = Field(description="Metal → U of its d orbitals, eV.")
    start_moments: tuple[float, ...] = Field(
        description="Moment of each site at the start, Bohr magnetons."
    )
    start_moments_from: str = Field(
        description="Where they come from: the structure, or MPRelaxSet by element."
    )
    moments: tuple[float, ...] = Field(
        description="Moment of each site at the end, Bohr magnetons."
    )
    pressure: float | None = Field(
        description="Pressure at the end in GPa; positive wants to expand; empty "
        "where the mode has no stress."
    )
    k_points: int = Field(description="k-points of the whole zone.")
    irreducible_k_points: int = Field(description="k-points that were computed.")
    bands: int = Field(description="Bands for each k-point and spin.")
    datasets: dict[str, str] = Field(description="Element → digest of its PAW data.")
    versions: Versions = Field(description="Packages of GPAW's interpreter.")
    calls: tuple[GPAWCall, ...] = Field(description="One entry an ionic step.")


class GPAWTaskDocument(AseStructureTaskDoc):
    """Task document of atomate2 with the record of GPAW beside it."""

    forcefield_version: str = Field(
        description="Version of GPAW with functional, basis and k-point density: what "
        "must be equal for energies to be compared."
    )
    gpaw: GPAWRecord = Field(description="Settings, costs and moments.")


class GPAWCalculator(Calculator):
    """
    ASE calculator whose work is done by GPAW in another process.

    The process starts with the first structure and keeps its wave functions from one
    step of a relaxation to the next; :meth:`close` ends it. GPAW leaves its text output
    in the folder.
    """

    name = "gpaw"

    def __init__(
        self, settings: GPAWSettings, command: Sequence[str], folder: Path
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # ASE is not typed
        self.settings = settings
        self.command = tuple(command)
        self.folder = folder
        self.implemented_properties = ["energy", "free_energy", "forces", "magmoms"]
        if settings.has_stress:
            self.implemented_properties.append("stress")
        self.replies: list[Reply] = []
        self.parameters_sent: dict[str, object] = {}
        self.versions: Versions = {}
        self._process: GPAWProcess | None = None

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Ask GPAW for everything it knows of the structure."""
        super().calculate(  # type: ignore[no-untyped-call] # as above
            atoms, properties, system_changes
        )
        current: Atoms = self.atoms  # type: ignore[assignment] # set above
        if self._process is None or _NEW_PROCESS & set(system_changes):
            reply = self._start(current)
        else:
            reply = self._process.ask(_geometry(current))
        self.replies.append(reply)
        self.results = {
            "energy": reply["energy"],
            "free_energy": reply["free_energy"],
            "forces": np.array(reply["forces"]),
            "magmoms": np.array(reply["moments"]),
        }
        if reply["stress"] is not None:
            self.results["stress"] = np.array(reply["stress"])

    def _start(self, atoms: Atoms) -> Reply:
        """Start GPAW and have it compute its first structure."""
        self.close()
        symbols = atoms.get_chemical_symbols()
        self.parameters_sent = self.settings.parameters(symbols)
        self._process = GPAWProcess(self.command, self.folder)
        self.versions = self._process.versions
        return self._process.ask(
            {
                "structure": {
                    "symbols": symbols,
                    **_geometry(atoms),
                    "pbc": [bool(periodic) for periodic in atoms.pbc],
                    "moments": atoms.get_initial_magnetic_moments().tolist(),
                },
                "parameters": self.parameters_sent,
                "log": LOG,
                "stress": self.settings.has_stress,
            }
        )

    def close(self) -> None:
        """End the process, if one runs."""
        if self._process is not None:
            self._process.close()
            self._process = None


def _geometry(atoms: Atoms) -> dict[str, list[list[float]]]:
    return {"cell": atoms.cell.tolist(), "positions": atoms.positions.tolist()}


@dataclass
class GPAWRelaxMaker(AseRelaxMaker):
    """
    Relax a structure with GPAW, or compute it as it is where ``steps`` is 1.

    Moments start from the site property ``magmom``; a structure without it starts as
    the Materials Project's do, by element. BFGS takes 15 to 30 steps where atomate2's
    FIRE takes 37 to 43 (three cells of 16 atoms, CHGNet, to 0.05 eV/angstrom), and a
    step costs minutes here.
    """

    name: str = "gpaw relax"
    settings: GPAWSettings = field(default_factory=GPAWSettings)
    optimizer_kwargs: dict[str, str] = field(
        default_factory=lambda: {"optimizer": "BFGS"}
    )

    @job(data=["trajectory"])
    def make(
        self,
        mol_or_struct: Structure,
        prev_dir: str | Path | None = None,  # noqa: ARG002 - the signature of all makers
    ) -> GPAWTaskDocument:
        """Relax a structure, whose site property ``magmom`` are the first moments."""
        structure, source = with_moments(mol_or_struct)
        calculator = GPAWCalculator(
            self.settings, gpaw_command(node_settings()), Path.cwd()
        )
        self._calculator = calculator
        try:
            document = AseRelaxMaker.make.original(self, structure)  # type: ignore[attr-defined] # jobflow sets it
        finally:
            calculator.close()
        return self._document(structure, source, calculator, document)

    def _document(
        self,
        structure: Structure,
        source: str,
        calculator: GPAWCalculator,
        doc: AseStructureTaskDoc,
    ) -> GPAWTaskDocument:
        """Put what atomate2 and GPAW say into one document."""
        last = calculator.replies[-1]
        return GPAWTaskDocument(
            **{name: getattr(doc, name) for name in type(doc).model_fields},
            forcefield_version=f"{calculator.versions['gpaw']} {self.settings.label}",
            gpaw=GPAWRecord(
                settings=self.settings,
                parameters=calculator.parameters_sent,
                hubbard_u=self.settings.u_values(structure.symbol_set),
                start_moments=tuple(structure.site_properties[MOMENTS]),
                start_moments_from=source,
                moments=tuple(last["moments"]),
                pressure=pressure(last["stress"]),
                versions=calculator.versions,
                calls=tuple(
                    GPAWCall(**{name: reply[name] for name in GPAWCall.model_fields})  # type: ignore[literal-required] # fields of both
                    for reply in calculator.replies
                ),
                k_points=last["k_points"],
                irreducible_k_points=last["irreducible_k_points"],
                bands=last["bands"],
                datasets=last["datasets"],
            ),
        )


def with_moments(structure: Structure) -> tuple[Structure, str]:
    """
    Give a structure start moments by element, unless it has its own.

    Returns a copy with elements only and the moments, and where they come from.
    """
    bare = structure.copy().remove_oxidation_states()
    own = bare.site_properties.get(MOMENTS)
    for name in tuple(bare.site_properties):
        bare.remove_site_property(name)
    if own is not None and None not in own:
        source, moments = "structure", [float(moment) for moment in own]
    else:
        table = materials_project_moments()
        source = "MPRelaxSet by element"
        moments = [table.get(site.specie.symbol, 0.0) for site in bare]
    bare.add_site_property(MOMENTS, moments)
    return bare, source


def pressure(stress: Sequence[float] | None) -> float | None:
    """
    Pressure in GPa of a stress in eV/angstrom^3, ASE's order and sign.

    Examples
    --------
    >>> round(pressure([-0.01, -0.01, -0.01, 0, 0, 0]), 3)
    1.602
    """
    return None if stress is None else -sum(stress[:3]) / 3 / GPa


def gpaw_maker(
    name: str, settings: GPAWSettings, relaxation: RelaxationSpec
) -> GPAWRelaxMaker:
    """Make the maker of an engine; one step of relaxation is a single point."""
    moves = relaxation.relax_cell and relaxation.steps >= _LEAST_STEPS_OF_A_RELAXATION
    if moves and not settings.moves_cells:
        raise ConfigurationError(
            f"the engine {name} ({settings.label}) cannot move cells: set "
            "relaxation.relax_cell to false, or choose the engine gpaw; competing "
            "phases are computed as a campaign does with `hts references compute "
            "--like CAMPAIGN`"
        )
    return GPAWRelaxMaker(
        name=f"{name} relax",
        settings=settings,
        relax_cell=relaxation.relax_cell,
        steps=relaxation.steps,
        relax_kwargs={"fmax": relaxation.fmax, "final_atoms_object_file": None},
    )
