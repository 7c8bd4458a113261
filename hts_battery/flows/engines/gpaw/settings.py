"""What a GPAW calculation is: functional, basis, k-points, Hubbard U, smearing."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from pydantic import Field
from pymatgen.core import Element

from hts_battery.schemas.base import Document

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOVING_CELL_CUTOFF_EV = 800.0
"""Least cutoff where the cell moves: below it the stress of oxides is wrong by GPa."""
_U_ORBITAL = "d"


class GPAWSettings(Document):
    """Settings of one GPAW calculation, the same for candidates and references."""

    mode: Literal["pw", "lcao"] = Field(
        "pw", description="Basis: plane waves, or atomic orbitals (lcao)."
    )
    cutoff: float = Field(
        MOVING_CELL_CUTOFF_EV, gt=0, description="Cutoff of plane waves in eV."
    )
    basis: str = Field("dzp", description="Atomic orbitals of mode lcao.")
    functional: str = Field("PBE", description="Exchange-correlation functional.")
    hubbard_u: dict[str, dict[str, float]] | None = Field(
        None,
        description="Anion → metal → U of its d orbitals in eV; null takes the table "
        "of pymatgen's MPRelaxSet as it is installed where the job runs.",
    )
    kpoint_density: float = Field(
        1.8,
        gt=0,
        description="k-points per 1/angstrom along each reciprocal vector (2 pi in "
        "it), rounded up; the grid holds the zone centre.",
    )
    smearing: float = Field(
        0.05, gt=0, description="Width of the Fermi-Dirac occupations in eV."
    )
    energy_tolerance: float = Field(
        5e-5,
        gt=0,
        description="Change of the energy in the last three electronic steps, in eV "
        "per valence electron.",
    )
    symmetry_tolerance: float = Field(
        1e-3, gt=0, description="Distance within which positions are equal, angstrom."
    )
    electronic_steps: int = Field(
        200, gt=0, description="Electronic steps after which a calculation fails."
    )

    @property
    def label(self) -> str:
        """
        Name what decides the scale of the energies, for the calculator's name.

        Examples
        --------
        >>> GPAWSettings().label
        'PBE+U pw800 k1.8'
        >>> GPAWSettings(mode="lcao", hubbard_u={}).label
        'PBE dzp k1.8'
        """
        basis = f"pw{self.cutoff:g}" if self.mode == "pw" else self.basis
        plus_u = "" if self.hubbard_u == {} else "+U"
        return f"{self.functional}{plus_u} {basis} k{self.kpoint_density:g}"

    @property
    def has_stress(self) -> bool:
        """Whether GPAW can compute the stress in this mode."""
        return self.mode == "pw"

    @property
    def moves_cells(self) -> bool:
        """Whether the stress is right enough to move a cell by."""
        return self.has_stress and self.cutoff >= MOVING_CELL_CUTOFF_EV

    def parameters(self, elements: Iterable[str]) -> dict[str, object]:
        """
        Translate into the keywords of ``gpaw.GPAW`` for a structure of these elements.

        Examples
        --------
        >>> settings = GPAWSettings(hubbard_u={"O": {"Mn": 3.9}})
        >>> settings.parameters(["Li", "Mn", "O"])["setups"]
        {'Mn': ':d,3.9'}
        """
        mode: dict[str, object] = {"name": self.mode}
        if self.mode == "pw":
            mode["ecut"] = self.cutoff
        keywords: dict[str, object] = {
            "mode": mode,
            "xc": self.functional,
            "kpts": {"density": self.kpoint_density, "gamma": True},
            "occupations": {"name": "fermi-dirac", "width": self.smearing},
            "convergence": {"energy": self.energy_tolerance},
            "symmetry": {"tolerance": self.symmetry_tolerance},
            "maxiter": self.electronic_steps,
            "setups": {
                metal: f":{_U_ORBITAL},{value:g}"
                for metal, value in self.u_values(elements).items()
            },
        }
        if self.mode == "lcao":
            keywords["basis"] = self.basis
        return keywords

    def u_values(self, elements: Iterable[str]) -> dict[str, float]:
        """Metal → U in eV for a structure of these elements."""
        table = materials_project_u() if self.hubbard_u is None else self.hubbard_u
        return hubbard_u(elements, table)


@lru_cache(maxsize=1)
def materials_project_u() -> dict[str, dict[str, float]]:
    """
    Anion → metal → U in eV of the Materials Project, read from pymatgen.

    They belong to VASP's projectors; GPAW's differ, so here they are a convention, not
    a fit.
    """
    # Takes seconds to import; only nodes need it.
    from pymatgen.io.vasp.sets import MPRelaxSet  # noqa: PLC0415

    table: dict[str, dict[str, float]] = MPRelaxSet.CONFIG["INCAR"]["LDAUU"]
    return {anion: dict(values) for anion, values in table.items()}


@lru_cache(maxsize=1)
def materials_project_moments() -> dict[str, float]:
    """Element → start moment in Bohr magnetons of the Materials Project."""
    from pymatgen.io.vasp.sets import MPRelaxSet  # noqa: PLC0415 - as above

    table: dict[str, float] = MPRelaxSet.CONFIG["INCAR"]["MAGMOM"]
    return {name: float(moment) for name, moment in table.items() if name.isalpha()}


def hubbard_u(
    elements: Iterable[str], table: Mapping[str, Mapping[str, float]]
) -> dict[str, float]:
    """
    Choose the U of each metal in eV by the most electronegative element beside it.

    That is the rule of pymatgen's input sets: metals carry a U in oxides and fluorides
    only, so an element and its oxide are not on one scale. The table is anion → metal →
    U.

    Examples
    --------
    >>> table = {"O": {"Mn": 3.9, "V": 3.25}}
    >>> hubbard_u(["Li", "Mn", "O"], table), hubbard_u(["Mn"], table)
    ({'Mn': 3.9}, {})
    """
    symbols = sorted(set(elements))
    anion = max(symbols, key=lambda symbol: Element(symbol).X)
    values = table.get(anion, {})
    return {symbol: values[symbol] for symbol in symbols if values.get(symbol)}
