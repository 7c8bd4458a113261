"""What an engine is: one way to get energies, and what it needs to give them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from math import pi, sqrt
from typing import TYPE_CHECKING

from hts_battery.errors import ConfigurationError
from hts_battery.schemas.uncertainty import CalculatorError, ErrorTerm

if TYPE_CHECKING:
    from jobflow import Maker

    from hts_battery.schemas.campaign import RelaxationSpec

MakerOf = Callable[["RelaxationSpec"], "Maker"]
"""Relaxation settings → maker of a job or flow, whose output is a task document."""

Check = Callable[[frozenset[str]], Iterable[str]]
"""Elements to be computed → what is missing here, each with what to do about it."""

NO_CORRECTION = "none"
"""Energies are comparable as they are."""
MP2020 = "MP2020"
"""Energies need the corrections of the Materials Project from 2020."""


# Published errors as standard deviations. What enters is the error of E_hull: of a
# reaction between chemically close compounds, in which much of the error of a formation
# energy from the elements cancels.
SD_PER_MAE = sqrt(pi / 2)
"""Standard deviation over mean absolute error of a normal distribution."""

_PBE_U = ErrorTerm(
    value=0.024,
    source="10.1103/PhysRevB.85.155208",
    meaning="PBE+U: standard deviation 24 meV/atom of 135 reaction energies of ternary "
    "oxides from binary oxides against experiment",
)
_CHGNET = ErrorTerm(
    value=round(0.030 * SD_PER_MAE, 4),
    source="10.1038/s42256-023-00716-3",
    meaning="CHGNet: mean absolute error 30 meV/atom of the test set against PBE+U, "
    "times sqrt(pi/2) for a standard deviation; of total energies, so what cancels "
    "between a candidate and its products is not taken off",
)

PBE_U_ERROR = CalculatorError(terms=(_PBE_U,))
"""Of the functional of the Materials Project, whoever computes with it."""
CHGNET_ERROR = CalculatorError(terms=(_CHGNET, _PBE_U))
"""Of the potential and of the functional whose energies it learned."""
R2SCAN_ERROR = CalculatorError(
    reason="no error of r2SCAN reaction energies between oxides is known here, only of "
    "formation energies from the elements; give stability.calculator_error"
)
LCAO_ERROR = CalculatorError(
    reason="atomic orbitals give a first geometry, and the error of their energies was "
    "not measured; give stability.calculator_error"
)
REHEARSAL_ERROR = CalculatorError(
    reason="a stand-in for rehearsals: its energies say nothing of a material"
)
IONIC_ERROR = CalculatorError(
    reason="a potential for rehearsals, whose error nobody has measured; give "
    "stability.calculator_error"
)

_NO_ERROR_KNOWN = CalculatorError(
    reason="no error of this engine's E_hull is known here; a campaign gives one as "
    "stability.calculator_error"
)


class Capability(StrEnum):
    """What a recipe may need of an engine; the value completes "it cannot"."""

    RELAX = "relax a cell"
    """Energies of cells whose lattice and atoms it moves."""
    KEEP_CELL = "relax the atoms of a cell that it keeps"
    """Energies of cells at a given lattice."""
    FORCES = "give forces step by step to molecular dynamics and searches of saddles"
    """Its maker has an ASE calculator."""


def keeping_the_cell(relax_maker: MakerOf) -> MakerOf:
    """Return the maker of an engine whose settings say whether cells move."""
    return lambda relaxation: relax_maker(
        relaxation.model_copy(update={"relax_cell": False})
    )


@dataclass(frozen=True)
class Engine:
    """
    One way to get an energy, always the same for candidates and competing phases.

    Parameters
    ----------
    name
        Name in campaign files and in every document.
    packages
        Distributions whose versions can change its energies.
    relax_maker
        Function from relaxation settings to an atomate2 maker of a job or flow. The
        output of what it makes is the document that holds the energy.
    extra
        The optional dependency of this project that installs it.
    steps
        Calculations that its maker makes, in order; the last one gives the energy.
    magmom
        Whether it starts from the site property ``magmom`` of a structure.
    charge
        Whether it takes the site property ``charge``: formal charges.
    correction
        What its energies need before they stand in a hull.
    prerelaxes
        Whether it can relax before a gate: its energies are compared with the hull on
        the node, as they are.
    label
        Name of the calculator where that is not name and version of the packages.
    elements
        Function that returns the elements it knows; none if it knows of no limit.
    checks
        What must be there on the machine that computes.
    error
        What is known of the error of its E_hull, with the source.
    rough
        Whether its numbers decide nothing about materials, so that a competing phase is
        kept unless its volume is no crystal's.
    makers
        What else it can: capability → maker, as ``relax_maker`` is.
    process_memory
        GB that a process takes which computes with one thread; none for an engine that
        starts a program, which has the cores to itself.
    """

    name: str
    packages: tuple[str, ...]
    relax_maker: MakerOf
    extra: str
    steps: tuple[str, ...] = ("relax",)
    magmom: bool = False
    charge: bool = False
    correction: str = NO_CORRECTION
    prerelaxes: bool = True
    label: str | None = None
    elements: Callable[[], frozenset[str]] | None = None
    checks: tuple[Check, ...] = ()
    error: CalculatorError = _NO_ERROR_KNOWN
    rough: bool = False
    process_memory: float | None = None
    makers: Mapping[Capability, MakerOf] = field(default_factory=dict)

    def maker(self, capability: Capability, relaxation: RelaxationSpec) -> Maker:
        """Make the maker of a capability; ConfigurationError where it has none."""
        makers = {Capability.RELAX: self.relax_maker, **self.makers}
        if capability not in makers:
            raise ConfigurationError(f"engine {self.name} cannot {capability}")
        return makers[capability](relaxation)

    def can(self, capability: Capability) -> bool:
        """Say whether it has a capability."""
        return capability is Capability.RELAX or capability in self.makers

    def calculator(self) -> str:
        """
        Name the calculator as documents do, for example ``chgnet 0.4.2``.

        Energies of two calculators never stand in one hull.
        """
        versions = self.versions()
        if self.label is not None:
            return self.label
        return " ".join(f"{name} {versions[name]}" for name in self.packages)

    def versions(self) -> dict[str, str]:
        """Return the versions of its packages; an error says what installs one."""
        try:
            return {name: version(name) for name in self.packages}
        except PackageNotFoundError as err:
            raise ConfigurationError(self._install(str(err.name))) from err

    def unsupported(self, elements: Iterable[str]) -> frozenset[str]:
        """Return those of some elements that it cannot compute."""
        if self.elements is None:
            return frozenset()
        return frozenset(elements) - self.elements()

    def missing(self, elements: Iterable[str] = ()) -> tuple[str, ...]:
        """List what it lacks here for some elements, each with what to do."""
        wanted = frozenset(elements)
        problems = []
        try:
            self.versions()
        except ConfigurationError as err:
            problems.append(str(err))
        if unsupported := self.unsupported(wanted):
            problems.append(
                f"engine {self.name} cannot compute {', '.join(sorted(unsupported))}: "
                "choose another engine or leave the element out of the space"
            )
        for check in self.checks:
            problems += check(wanted - unsupported)
        return tuple(problems)

    def require(self, elements: Iterable[str] = ()) -> None:
        """Refuse to compute where something is missing; say what to do."""
        if problems := self.missing(elements):
            raise ConfigurationError("; ".join(problems))

    def _install(self, package: str) -> str:
        means = (
            f"pip install 'hts_battery[{self.extra}]'"
            if self.extra
            else f"install it (pip install {package})"
        )
        return f"engine {self.name} needs the package {package}: {means}"
