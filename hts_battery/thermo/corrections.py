"""
Which calculated energies may stand in one hull, and what is added to them first.

Energies of a model trained on corrected energies are comparable as they are, and
correcting them again would count every correction twice. CHGNet was trained on
Materials Project energies with the MP2020 corrections applied, as the notes of its
package 0.4.2 say (model: 10.1038/s42256-023-00716-3). The MP2020 corrections are
fitted to VASP with the Materials Project's settings and mean nothing for other codes.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from hts_battery.errors import MixedCalculatorError
from hts_battery.schemas.energy import ComparableEnergy
from hts_battery.schemas.formula import parse_formula
from hts_battery.thermo.vasp_schemes import element_of

if TYPE_CHECKING:
    from collections.abc import Iterable

_GPAW = ("gpaw", "gpaw-fixed-cell", "gpaw-lcao")
_UNADJUSTED = {
    "chgnet": "none: the model was trained on energies with MP2020 corrections",
    **dict.fromkeys(_GPAW, "none: MP2020 corrections are fitted to VASP energies only"),
}
_FLAGS = dict.fromkeys(_GPAW, ("redox_and_gas_reactions_uncorrected",))
_VASP = "vasp"
_FUNCTION_FOR_VASP = "hts_battery.thermo.vasp_corrections.correct_vasp_energies"


def comparable_energy(
    *, entry_id: str, formula: str, energy: float, calculator: str
) -> ComparableEnergy:
    """
    Take an energy that needs no correction and say why it needs none.

    Parameters
    ----------
    entry_id
        Key of the calculation.
    formula
        Formula of the calculated cell, with its number of atoms.
    energy
        Energy as calculated, eV per cell.
    calculator
        Name of the calculator, its version behind a space: ``chgnet 0.4.2``.

    Returns
    -------
    ComparableEnergy
        With an empty list of adjustments and the reason in ``correction_scheme``.

    Raises
    ------
    ValueError
        If the energy is not finite, the formula has no whole number of atoms, or
        the calculator is VASP, whose energies are checked and mostly corrected first.

    Examples
    --------
    >>> found = comparable_energy(
    ...     entry_id="a", formula="Li2O", energy=-14.1, calculator="chgnet 0.4.2"
    ... )
    >>> round(found.energy_per_atom, 6), found.adjustments
    (-4.7, ())
    """
    engine = calculator.partition(" ")[0].lower()
    if engine.rpartition(":")[2].startswith(_VASP):
        raise ValueError(
            f"energies of {calculator!r} are checked and corrected first: use "
            f"{_FUNCTION_FOR_VASP}"
        )
    n_atoms = sum(parse_formula(formula).values())
    if n_atoms.denominator != 1:
        raise ValueError(f"{formula!r} of {entry_id} is not the formula of a cell")
    if not isfinite(energy):
        raise ValueError(f"energy of {entry_id} is {energy}, not a finite number of eV")
    return ComparableEnergy(
        entry_id=entry_id,
        formula=formula,
        calculator=calculator,
        uncorrected_energy=energy,
        n_atoms=int(n_atoms),
        energy_per_atom=energy / int(n_atoms),
        adjustments=(),
        correction_scheme=_UNADJUSTED.get(
            engine, f"none: no correction scheme is known for {engine}"
        ),
        package_versions={},
        flags=_FLAGS.get(engine, ()),
    )


def leaves_reactions_uncorrected(calculator: str) -> bool:
    """Whether redox reactions and released gases carry the functional's errors."""
    return calculator.partition(" ")[0].lower() in _FLAGS


def require_one_calculator(energies: Iterable[ComparableEnergy]) -> str:
    """
    Refuse two calculators, schemes, or pseudopotentials of one element in one hull.

    Raises
    ------
    MixedCalculatorError
        Names the calculators, or the pseudopotentials, and one entry of each.
    ValueError
        If there are no energies.
    """
    known = list(energies)
    first: dict[tuple[str, str, str], str] = {}
    for energy in known:
        versions = ", ".join(
            f"{package} {version}"
            for package, version in sorted(energy.package_versions.items())
        )
        scheme = (energy.calculator, energy.correction_scheme, versions)
        first.setdefault(scheme, energy.entry_id)
    if not first:
        raise ValueError("no energies: a hull needs at least one")
    if len(first) > 1:
        found = "; ".join(
            f"{' / '.join(filter(None, scheme))} (entry {entry_id})"
            for scheme, entry_id in first.items()
        )
        raise MixedCalculatorError(
            f"energies of {len(first)} calculators or correction schemes in one hull: "
            f"{found}; calculate all of them with one"
        )
    _require_one_pseudopotential(known)
    return next(iter(first))[0]


def _require_one_pseudopotential(energies: Iterable[ComparableEnergy]) -> None:
    """Refuse an element calculated with two pseudopotentials, by title or hash."""
    first: dict[str, dict[tuple[str, str], str]] = {}
    for energy in energies:
        for title, digest in energy.pseudopotentials.items():
            found = first.setdefault(element_of(title), {})
            found.setdefault((title, digest), energy.entry_id)
    for element, found in first.items():
        if len(found) > 1:
            each = "; ".join(
                f"{title} {digest} (entry {entry_id})"
                for (title, digest), entry_id in found.items()
            )
            raise MixedCalculatorError(
                f"{len(found)} pseudopotentials of {element} in one hull: {each}; "
                "calculate all energies with one"
            )
