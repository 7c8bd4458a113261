"""The ionic potential behind atomate2's ASE makers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress
from atomate2.ase.jobs import AseRelaxMaker
from atomate2.ase.schemas import AseStructureTaskDoc
from jobflow import job
from pydantic import Field

from hts_battery.errors import CalculationError
from hts_battery.structures.inputs import CHARGE, wrapped_structure
from hts_battery.structures.ionic import UNDESCRIBED, VERSION, IonicPotential, ions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ase import Atoms
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from hts_battery.schemas.campaign import RelaxationSpec


class IonicTaskDocument(AseStructureTaskDoc):
    """Task document of atomate2 with the version of the potential beside it."""

    forcefield_version: str = Field(description="Version of the ionic potential.")


class IonicCalculator(Calculator):
    """ASE calculator of the ionic potential; formal charges are the initial charges."""

    name = "ionic"
    implemented_properties = ("energy", "free_energy", "forces", "stress")  # type: ignore[assignment] # ASE says list

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # ASE is not typed
        self._potential: IonicPotential | None = None

    @property
    def listed_at(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Cell and positions at which the potential listed its pairs."""
        return None if self._potential is None else self._potential.listed_at

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Compute everything; each property costs as much as all."""
        super().calculate(  # type: ignore[no-untyped-call] # as above
            atoms, properties, system_changes
        )
        current: Atoms = self.atoms  # type: ignore[assignment] # set above
        if self._potential is None or {"numbers", "initial_charges"} & set(
            system_changes
        ):
            self._potential = IonicPotential(
                ions(
                    current.get_chemical_symbols(),
                    current.get_initial_charges().tolist(),
                )
            )
        state = self._potential.evaluate(np.array(current.cell), current.positions)
        self.results = {
            "energy": state.energy,
            "free_energy": state.energy,
            "forces": state.forces,
            "stress": full_3x3_to_voigt_6_stress(state.stress),
        }


@dataclass
class IonicRelaxMaker(AseRelaxMaker):
    """
    Relax a structure with the ionic potential.

    Formal charges are the site property ``charge``. Where the cell may move it is first
    rescaled: all lengths are scaled until the pressure is zero, which costs one
    evaluation; where ``steps`` is 1 that is all. BFGS needs half the steps of
    atomate2's optimiser; of the steps, most of a document, nothing is stored.
    """

    name: str = "ionic relax"
    optimizer_kwargs: dict[str, str] = field(
        default_factory=lambda: {"optimizer": "BFGS"}
    )
    ionic_step_data: tuple[str, ...] | None = None

    @job
    def make(
        self,
        mol_or_struct: Structure,
        prev_dir: str | Path | None = None,  # noqa: ARG002 - the signature of all makers
    ) -> IonicTaskDocument:
        """Relax a structure, whose site property ``charge`` are the formal charges."""
        if None in mol_or_struct.site_properties.get(CHARGE, [None]):
            raise CalculationError(
                UNDESCRIBED,
                "the ionic engine needs the formal charge of every site as the site "
                f"property {CHARGE!r}",
            )
        start = rescaled(mol_or_struct) if self.relax_cell else mol_or_struct
        doc = AseRelaxMaker.make.original(self, start)  # type: ignore[attr-defined] # jobflow sets it
        found = {name: getattr(doc, name) for name in type(doc).model_fields}
        found["structure"] = wrapped_structure(found["structure"])
        return IonicTaskDocument(**found, forcefield_version=VERSION)

    def _get_calculator(self) -> IonicCalculator:
        return IonicCalculator()


def rescaled(structure: Structure) -> Structure:
    """
    Scale all lengths of a structure until it has no pressure.

    Formal charges are the site property ``charge``; CalculationError if the ions are
    not neutral or one has no parameters.
    """
    potential = IonicPotential(
        ions(
            [site.specie.symbol for site in structure],
            structure.site_properties[CHARGE],
        )
    )
    scale = potential.equilibrium_scale(structure.lattice.matrix, structure.cart_coords)
    scaled = structure.copy()
    scaled.scale_lattice(structure.volume * scale**3)
    return scaled


def ionic_maker(relaxation: RelaxationSpec) -> IonicRelaxMaker:
    """Make the maker of the engine; with one step the cell is only rescaled."""
    return IonicRelaxMaker(
        relax_cell=relaxation.relax_cell,
        steps=relaxation.steps,
        relax_kwargs={"fmax": relaxation.fmax, "final_atoms_object_file": None},
    )
