"""A lattice model as a document: fitted to training cells, read back, its domain."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from itertools import pairwise, product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import linprog

from hts_battery.disorder.cells import element_of
from hts_battery.disorder.lattice_fit import fit_lattice_model
from hts_battery.disorder.lattice_model import LatticeModel
from hts_battery.errors import OrderingError
from hts_battery.schemas.decoding import read_structure
from hts_battery.schemas.formula import display_formula
from hts_battery.schemas.lattice import (
    Closing,
    LatticeModelDoc,
    LatticeParameters,
    LearningPoint,
    PairEnergies,
    RefusedCells,
)
from hts_battery.schemas.species import Species, parse_species

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from hts_battery.disorder.lattice_fit import LatticeFit
    from hts_battery.schemas.lattice import LatticeTraining

Occupation = dict[str, dict[str, float]]
"""Sublattice → species → fraction of its sites."""

_OUTSIDE = 0.01  # of a sublattice's sites that a composition may lie beyond the fit
_ANIONS = ("O", "F", "S", "Cl", "N")


class _Cell(NamedTuple):
    """A training cell with an energy, and where it comes from."""

    name: str
    campaign: str
    formula: str
    predicted_by: str | None
    structure: Structure
    energy: float


def model_of(parameters: LatticeParameters) -> LatticeModel:
    """Build the model that parameters describe."""
    return LatticeModel(
        parameters.parent,
        {pair.species: pair.energies for pair in parameters.pairs},
        dielectric=parameters.dielectric,
        species_energies=parameters.species_energies,
        edge=parameters.edge,
    )


def parameters_of(model: LatticeModel) -> LatticeParameters:
    """
    Write a model down.

    Examples
    --------
    >>> model = LatticeModel.from_pairs("rocksalt", {("Li+", "Mn3+"): [0.01]})
    >>> model_of(parameters_of(model)).pairs
    {('Li+', 'Mn3+'): (0.01,)}
    """
    return LatticeParameters(
        parent=model.parent,
        dielectric=model.dielectric,
        edge=model.edge,
        pairs=tuple(
            PairEnergies(species=pair, energies=values)
            for pair, values in sorted(model.pairs.items())
        ),
        species_energies=model.species_energies,
    )


def fit_training(
    trainings: Mapping[str, Sequence[LatticeTraining]], *, seed: int = 0
) -> LatticeModelDoc:
    """
    Fit a lattice model to what campaigns have relaxed.

    Parameters
    ----------
    trainings
        Campaign → its results. Those whose cells a model chose itself say how that
        model predicted them, and are fitted to like the others.
    seed
        Of the folds.

    Raises
    ------
    OrderingError
        Two calculators, or too few cells or compositions are left.
    """
    refused: dict[str, list[str]] = defaultdict(list)
    cells = list(_cells(trainings, refused))
    calculator = _calculator(trainings)
    structures = [cell.structure for cell in cells]
    energies = [cell.energy for cell in cells]
    fit = fit_lattice_model(structures, energies, seed=seed)
    for number, reason in fit.refused.items():
        refused[reason].append(cells[number].name)
    used = [cells[number] for number in fit.used]
    parameters = parameters_of(fit.model)
    return LatticeModelDoc(
        digest=parameters.digest,
        parameters=parameters,
        campaigns=tuple(trainings),
        calculator=calculator,
        used=tuple(cell.name for cell in used),
        refused=tuple(
            RefusedCells(reason=reason, cells=tuple(names))
            for reason, names in sorted(refused.items())
        ),
        error=fit.error,
        absolute_error=fit.absolute_error,
        swap_error=fit.swap_error,
        features=fit.features,
        rank=fit.rank,
        ridge=fit.ridge,
        seed=seed,
        columns=fit.columns,
        covariance=tuple(tuple(row) for row in fit.covariance.tolist()),
        learning_curve=tuple(
            LearningPoint(cells=count, error=error) for count, error in fit.learning
        ),
        domain=_domain(used),
        ground_states={
            formula: min(energies)
            for formula, energies in _energies_by_formula(used).items()
        },
        closing=_closings(used, seed),
    )


def _cells(
    trainings: Mapping[str, Sequence[LatticeTraining]], refused: dict[str, list[str]]
) -> Iterable[_Cell]:
    """Yield the cells with an energy, and note the others by reason."""
    for campaign, results in trainings.items():
        for result in results:
            for one in result.cells:
                name = f"{campaign} {result.formula} {one.name}"
                if one.refused is not None or one.structure is None:
                    refused[one.refused or "without a structure"].append(name)
                    continue
                yield _Cell(
                    name,
                    campaign,
                    result.formula,
                    result.predicted_by,
                    read_structure(one.structure),
                    float(one.energy if one.energy is not None else np.nan),
                )


def _calculator(trainings: Mapping[str, Sequence[LatticeTraining]]) -> str:
    """Return the one calculator of all cells."""
    found = sorted(
        {
            one.calculator
            for results in trainings.values()
            for result in results
            for one in result.kept
            if one.calculator
        }
    )
    if len(found) != 1:
        raise OrderingError(
            f"energies of {' and '.join(found) or 'no calculator'} in "
            f"{', '.join(trainings) or 'no campaign'}: a model takes those of one"
        )
    return found[0]


def occupation_of(structure: Structure) -> Occupation:
    """Return the fractions of the species on cation and anion sites."""
    found: Occupation = {"cation": {}, "anion": {}}
    for species, amount in structure.composition.items():
        side = "anion" if element_of(str(species)) in _ANIONS else "cation"
        found[side][str(species)] = float(amount)
    return {
        side: {name: n / sum(shares.values()) for name, n in sorted(shares.items())}
        for side, shares in found.items()
        if shares
    }


def _domain(cells: Sequence[_Cell]) -> tuple[dict[str, float], ...]:
    """List the compositions of cells, each once."""
    found = {}
    for cell in cells:
        flat = flattened(occupation_of(cell.structure))
        found[tuple(sorted((k, round(x, 6)) for k, x in flat.items()))] = flat
    return tuple(found[key] for key in sorted(found))


def flattened(occupation: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Write the fractions of all sublattices in one mapping."""
    return {name: x for shares in occupation.values() for name, x in shares.items()}


def outside_domain(
    occupation: Mapping[str, Mapping[str, float]], domain: Sequence[Mapping[str, float]]
) -> str | None:
    """
    Say how far a composition lies outside the mixtures of those that were fitted to.

    The smallest largest difference of a species' fraction to such a mixture, by a
    linear program; up to 0.01 of the sites is inside.

    Examples
    --------
    >>> known = [{"Li+": 0.5, "Mn3+": 0.5}, {"Li+": 0.7, "Mn3+": 0.3}]
    >>> outside_domain({"cation": {"Li+": 0.6, "Mn3+": 0.4}}, known)
    >>> outside_domain({"cation": {"Li+": 0.8, "Mn3+": 0.2}}, known)
    '0.1 of the sites away from every mixture of the compositions that were fitted to'
    """
    wanted = flattened(occupation)
    names = sorted({*wanted, *(name for one in domain for name in one)})
    unknown = [name for name in wanted if not any(one.get(name) for one in domain)]
    if unknown:
        return f"{', '.join(sorted(unknown))} in no cell that was fitted to"
    target = np.array([wanted.get(name, 0.0) for name in names])
    known = np.array([[one.get(name, 0.0) for name in names] for one in domain]).T
    count = known.shape[1]
    ones = np.ones((len(names), 1))
    found = linprog(
        np.append(np.zeros(count), 1.0),
        A_ub=np.block([[known, -ones], [-known, -ones]]),
        b_ub=np.concatenate([target, -target]),
        A_eq=np.append(np.ones(count), 0.0)[None],
        b_eq=[1.0],
    )
    distance = float(found.fun if found.fun is not None else np.inf)
    if distance <= _OUTSIDE:
        return None
    return (
        f"{distance:.2g} of the sites away from every mixture of the compositions "
        "that were fitted to"
    )


def species_in_model(
    amounts: Mapping[str, Fraction], species: Iterable[str]
) -> dict[str, Fraction]:
    """
    Give the elements of a formula the species of a model, so that it is neutral.

    One state for each element where that is neutral, else one element has two.

    Parameters
    ----------
    amounts
        Element → amount per formula unit.
    species
        Names of the model's species.

    Raises
    ------
    OrderingError
        An element that the model lacks, no neutral choice or several.

    Examples
    --------
    >>> one = Fraction(1)
    >>> found = species_in_model(
    ...     {"Li": one, "Mn": one, "O": 2 * one}, ["Li+", "Mn2+", "Mn3+", "O2-"])
    >>> {name: str(amount) for name, amount in found.items()}
    {'Li+': '1', 'Mn3+': '1', 'O2-': '2'}
    """
    formula = display_formula({key: Fraction(n) for key, n in amounts.items()})
    states: dict[str, list[int]] = defaultdict(list)
    for name in sorted(species):
        states[element_of(name)].append(parse_species(name).charge)
    missing = sorted(set(amounts) - set(states))
    if missing:
        raise OrderingError(
            f"{formula}: the model knows nothing of {', '.join(missing)}, only of "
            f"{', '.join(sorted(states))}"
        )
    found = _neutral(amounts, states) or _neutral_with_two(amounts, states)
    if len(found) != 1:
        raise OrderingError(
            f"{formula}: {len(found) or 'no'} neutral "
            f"{'choice' if not found else 'choices'} of the model's species "
            f"{', '.join(sorted(species))}"
        )
    return {
        str(Species(element, charge)): amount
        for (element, charge), amount in found[0].items()
    }


def occupation_in_model(
    amounts: Mapping[str, Fraction], species: Iterable[str]
) -> Occupation:
    """
    Return the fractions of the model's species on cation and anion sites.

    ``amounts``, ``species`` and what is refused as of :func:`species_in_model`.

    Examples
    --------
    >>> one = Fraction(1)
    >>> occupation_in_model(
    ...     {"Li": one, "Mn": one, "O": 2 * one}, ["Li+", "Mn2+", "Mn3+", "O2-"])
    {'cation': {'Li+': 0.5, 'Mn3+': 0.5}, 'anion': {'O2-': 1.0}}
    """
    sides: dict[str, dict[str, Fraction]] = {"cation": {}, "anion": {}}
    for name, amount in species_in_model(amounts, species).items():
        side = "anion" if parse_species(name).charge < 0 else "cation"
        sides[side][name] = amount
    return {
        side: {name: float(n / sum(shares.values())) for name, n in shares.items()}
        for side, shares in sides.items()
        if shares
    }


def occupation_inside(
    document: LatticeModelDoc, amounts: Mapping[str, Fraction]
) -> Occupation:
    """
    Return the fractions of a composition that a model may speak of.

    Raises
    ------
    OrderingError
        It lies outside the compositions that were fitted to, or no choice of the
        model's species is neutral.
    """
    occupation = occupation_in_model(amounts, document.parameters.species_energies)
    if why := outside_domain(occupation, document.domain):
        formula = display_formula(dict(amounts))
        raise OrderingError(f"{formula} is outside the model {document.digest}: {why}")
    return occupation


_Choice = dict[tuple[str, int], Fraction]


def _neutral(
    amounts: Mapping[str, Fraction], states: Mapping[str, Sequence[int]]
) -> list[_Choice]:
    """List the neutral choices with one state an element."""
    elements = list(amounts)
    found = []
    for charges in product(*(states[one] for one in elements)):
        chosen = {
            (element, charge): Fraction(amounts[element])
            for element, charge in zip(elements, charges, strict=True)
        }
        if not sum(charge * amount for (_, charge), amount in chosen.items()):
            found.append(chosen)
    return found


def _neutral_with_two(
    amounts: Mapping[str, Fraction], states: Mapping[str, Sequence[int]]
) -> list[_Choice]:
    """List the neutral choices in which one element has two neighbouring states."""
    found = []
    for element in (one for one in amounts if len(states[one]) > 1):
        others = {one: n for one, n in amounts.items() if one != element}
        rest = {one: states[one] for one in others}
        charges = sorted(states[element])
        for low, high in pairwise(charges):
            for picked in product(*rest.values()):
                held = sum(
                    charge * amount
                    for charge, amount in zip(picked, others.values(), strict=True)
                )
                total = Fraction(amounts[element])
                upper = (-Fraction(held) - low * total) / (high - low)
                if 0 < upper < total:
                    chosen = {
                        (one, charge): Fraction(amount)
                        for (one, amount), charge in zip(
                            others.items(), picked, strict=True
                        )
                    }
                    pair = {(element, low): total - upper, (element, high): upper}
                    found.append(chosen | pair)
    return found


def energy_error(document: LatticeModelDoc, difference: NDArray[np.float64]) -> float:
    """Carry the errors of the parameters over to a difference of features, in eV."""
    covariance = np.array(document.covariance)
    return float(np.sqrt(max(0.0, difference @ covariance @ difference)))


def _energies_by_formula(cells: Sequence[_Cell]) -> dict[str, list[float]]:
    """Collect energies in eV/atom, composition by composition."""
    found: dict[str, list[float]] = defaultdict(list)
    for cell in cells:
        found[cell.formula].append(cell.energy / len(cell.structure))
    return found


def _closings(cells: Sequence[_Cell], seed: int) -> tuple[Closing, ...]:
    """Say how the states that models chose came out, one campaign after the other."""
    found = []
    order = list(dict.fromkeys(cell.campaign for cell in cells if cell.predicted_by))
    for campaign in order:
        new = [cell for cell in cells if cell.campaign == campaign]
        later = order[order.index(campaign) :]
        before = [cell for cell in cells if cell.campaign not in later]
        fit = fit_lattice_model(
            [cell.structure for cell in before],
            [cell.energy for cell in before],
            seed=seed,
        )
        found.append(_closing(campaign, fit, before, new))
    return tuple(found)


def _closing(
    campaign: str, fit: LatticeFit, before: Sequence[_Cell], new: Sequence[_Cell]
) -> Closing:
    """Compare what a model said of its own states with what was calculated."""
    predicted = [fit.model.energy(one.structure) / len(one.structure) for one in new]
    errors = np.array(
        [
            said - one.energy / len(one.structure)
            for said, one in zip(predicted, new, strict=True)
        ]
    )
    known = {
        formula: min(energies)
        for formula, energies in _energies_by_formula(before).items()
    }
    lowest_said: dict[str, float] = {}
    for said, one in zip(predicted, new, strict=True):
        lowest_said[one.formula] = min(said, lowest_said.get(one.formula, np.inf))
    lower = None
    for one in new:
        energy = one.energy / len(one.structure)
        supposed = min(lowest_said[one.formula], known.get(one.formula, np.inf))
        if energy < supposed - fit.error:
            lower = f"{one.name}: {1000 * (supposed - energy):.0f} meV/atom lower"
    return Closing(
        campaign=campaign,
        model=parameters_of(fit.model).digest,
        cells=len(new),
        error=float(np.sqrt((errors**2).mean())),
        allowed=fit.error,
        lower_state=lower,
    )
