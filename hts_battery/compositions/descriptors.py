"""
Descriptors of a composition: means and spreads over its metals and polyanions.

Radii are octahedral Shannon radii (10.1107/S0567739476001551) and electronegativities
Pauling's, both as pymatgen tabulates them. Sums are exact: the decimals of the tables
and the amounts are rationals until the last step.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from math import sqrt
from typing import TYPE_CHECKING, Literal, NamedTuple

from hts_battery.compositions.radii import octahedral_radius
from hts_battery.errors import CompositionError
from hts_battery.schemas.formula import display_formula, parse_formula
from hts_battery.schemas.species import VACANCY, Species, parse_species
from hts_battery.schemas.species_table import (
    METAL_ROLES,
    species_properties,
    species_table,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hts_battery.schemas.candidate import Assignment

    Amounts = Mapping[str, Fraction]
    """Species → amount."""

_OXYGEN = Fraction(12)
_TETRAHEDRAL_OXYGEN = 4
_NOT_KNOWN = float("nan")
_NONE = {"P5+": Fraction(1)}
"""What spreads over no polyanions are taken of: a single one has none."""


DescriptorName = Literal[
    "metal_radius_mean",
    "metal_radius_spread",
    "metal_radius_range",
    "metal_electronegativity_mean",
    "metal_electronegativity_spread",
    "metal_charge_spread",
    "polyanion_charge_spread",
    "polyanion_electronegativity_spread",
    "carrier_amount",
]


def composition_descriptors(formula: str | Mapping[str, Fraction]) -> dict[str, float]:
    """
    Describe a composition by its metals, polyanions and charge carriers.

    Parameters
    ----------
    formula
        Text, element → amount, or species → amount (``{"Mn3+": 1, …}``). Elements get
        the oxidation states that :func:`neutral_species` gives.

    Returns
    -------
    dict[str, float]
        ``metal_radius_mean``, ``_spread``, ``_range`` in angstrom,
        ``metal_electronegativity_mean``, ``_spread`` on Pauling's scale,
        ``metal_charge_spread``, ``polyanion_charge_spread`` (SiO4 4, PO4 3, SO4 2),
        ``polyanion_electronegativity_spread`` (of Si, P, S) and ``carrier_amount`` (Li,
        Na and K per twelve O). Spreads are amount-weighted standard deviations. NaN
        where a metal has no such value (:func:`species_without_radius` names it), or
        where there are no metals; spreads over no polyanions are 0.

    Raises
    ------
    CompositionError
        If the formula cannot be read, holds no oxygen, or cannot be neutral.

    Examples
    --------
    >>> found = composition_descriptors("Na3Zr2Si2PO12")
    >>> found["metal_radius_mean"], found["carrier_amount"]
    (0.72, 3.0)
    >>> round(found["polyanion_charge_spread"], 4)
    0.4714
    """
    species = _species(formula)
    oxygen = species.get("O2-")
    if not oxygen:
        raise CompositionError(
            f"{formula} holds no oxygen: nothing to refer amounts to"
        )
    metals = {name: amount for name, amount in species.items() if is_metal(name)}
    centres = _of_role(species, "polyanion centre")
    carriers = _of_role(species, "charge carrier")
    radius, x = _Values(metals, _radius), _Values(metals, _electronegativity)
    return {
        "metal_radius_mean": radius.mean,
        "metal_radius_spread": radius.spread,
        "metal_radius_range": radius.range,
        "metal_electronegativity_mean": x.mean,
        "metal_electronegativity_spread": x.spread,
        "metal_charge_spread": _Values(metals, _charge).spread,
        "polyanion_charge_spread": _Values(centres or _NONE, _polyanion_charge).spread,
        "polyanion_electronegativity_spread": _Values(
            centres or _NONE, _electronegativity
        ).spread,
        "carrier_amount": float(sum(carriers.values(), Fraction(0)) * _OXYGEN / oxygen),
    }


class MetalRanges(NamedTuple):
    """Ranges over the metals of a composition, and their mean charge."""

    electronegativity: float
    charge: float
    charge_mean: float


def metal_ranges(metals: Mapping[str, Fraction]) -> MetalRanges:
    """
    Return what the metals of a composition span; NaN where it is not known.

    Examples
    --------
    >>> metal_ranges({"Hf4+": Fraction(3, 2), "Mg2+": Fraction(1, 2)})
    MetalRanges(electronegativity=0.01, charge=2.0, charge_mean=3.5)
    """
    charge = _Values(metals, _charge)
    spread = _Values(metals, _electronegativity).range
    return MetalRanges(spread, charge.range, charge.mean)


def species_amounts(assignment: Assignment) -> dict[str, Fraction]:
    """Add up the species of all sublattices, vacancies left out."""
    found: dict[str, Fraction] = {}
    for here in assignment.values():
        for species, amount in here.items():
            if amount and species != VACANCY:
                found[species] = found.get(species, Fraction(0)) + amount
    return found


def species_without_radius(formula: str | Mapping[str, Fraction]) -> tuple[str, ...]:
    """
    Name the metals of a composition that have no octahedral Shannon radius.

    Examples
    --------
    >>> species_without_radius({"Na+": 2, "Fe6+": 1, "O2-": 4})
    ('Fe6+',)
    """
    metals = filter(is_metal, _species(formula))
    return tuple(sorted(one for one in metals if octahedral_radius(one) is None))


def neutral_species(amounts: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """
    Give the elements of a composition oxidation states that make it neutral.

    Si, P and S are centres of polyanions where there are four O for each of them.
    Metals begin in their lowest states; the couple with the lowest potential of the
    species table gives its electrons away first, as far as neutrality asks.

    Raises
    ------
    CompositionError
        If no states of the species table make it neutral.

    Examples
    --------
    >>> {name: str(n) for name, n in neutral_species(parse_formula("LiMn2O4")).items()}
    {'Li+': '1', 'O2-': '4', 'Mn3+': '1', 'Mn4+': '1'}
    """
    found: dict[str, Fraction] = {}
    ladders: dict[str, list[int]] = {}
    for element, amount in amounts.items():
        states = _states(element, amounts)
        if len(states) == 1:
            found[str(Species(element, states[0]))] = Fraction(amount)
        else:
            ladders[element] = states
    missing = -sum(
        (parse_species(name).charge * n for name, n in found.items()), Fraction(0)
    )
    missing -= sum(ladder[0] * amounts[one] for one, ladder in ladders.items())
    held = {Species(one, ladder[0]): amounts[one] for one, ladder in ladders.items()}
    while missing > 0:
        steps = [
            (_potential(one.element, upper), one, upper)
            for one, amount in held.items()
            if amount and (upper := _next(one, ladders[one.element])) is not None
        ]
        if not steps:
            break
        _, one, upper = min(steps)
        size = upper - one.charge
        moved = min(held[one], Fraction(missing) / size)
        held[one] -= moved
        raised = Species(one.element, upper)
        held[raised] = held.get(raised, Fraction(0)) + moved
        missing -= moved * size
    if missing:
        text = display_formula({key: Fraction(n) for key, n in amounts.items()})
        raise CompositionError(
            f"{text} cannot be neutral: {float(missing):+g} charges are missing with "
            "the oxidation states of the species table"
        )
    return found | {str(one): n for one, n in held.items() if n}


def _next(one: Species, ladder: list[int]) -> int | None:
    """Next higher state of an element, if there is one."""
    place = ladder.index(one.charge) + 1
    return ladder[place] if place < len(ladder) else None


def _potential(element: str, charge: int) -> int:
    known = species_table().get(str(Species(element, charge)))
    return known.potential or 0 if known else 0


def _states(element: str, amounts: Mapping[str, Fraction]) -> list[int]:
    """Oxidation states of an element in this composition, ascending."""
    states = _tabulated().get(element)
    if states is None:
        return _common_states(element)
    anions, cations = [q for q in states if q < 0], [q for q in states if q > 0]
    if anions and cations:  # sulfur: in sulfate or sulfide
        centres = sum(amounts.get(one, 0) for one in ("Si", "P", "S"))
        enough = amounts.get("O", 0) >= _TETRAHEDRAL_OXYGEN * centres
        return cations if enough else anions
    return states


@cache
def _tabulated() -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for row in species_table().values():
        found.setdefault(row.element, []).append(row.charge)
    return {element: sorted(states) for element, states in found.items()}


def _common_states(element: str) -> list[int]:
    """Oxidation states of an element that the species table does not hold."""
    from pymatgen.core import Element  # noqa: PLC0415 - a second to import

    states = sorted(int(q) for q in Element(element).common_oxidation_states)
    positive = [q for q in states if q > 0]
    if not positive:
        raise CompositionError(f"no oxidation state of {element} is known")
    return positive


def _species(formula: str | Mapping[str, Fraction]) -> dict[str, Fraction]:
    if isinstance(formula, str):
        return neutral_species(parse_formula(formula))
    if any(name[-1:] in "+-" for name in formula):
        return {str(parse_species(s)): Fraction(n) for s, n in formula.items() if n}
    return neutral_species({name: Fraction(n) for name, n in formula.items()})


def _of_role(species: Amounts, role: str) -> dict[str, Fraction]:
    return {
        name: amount
        for name, amount in species.items()
        if species_properties(name).role == role
    }


@cache
def is_metal(species: str) -> bool:
    """Whether the species table calls it one; what it does not hold, by its element."""
    if species in species_table():
        return species_properties(species).role in METAL_ROLES
    from pymatgen.core import Element  # noqa: PLC0415 - a second to import

    parsed = parse_species(species)
    return parsed.charge > 0 and bool(Element(parsed.element).is_metal)


class _Values:
    """Amount-weighted mean, spread and range of a property, exact until the end."""

    def __init__(
        self, amounts: Amounts, value: Callable[[str], Fraction | None]
    ) -> None:
        found = [(value(name), amount) for name, amount in amounts.items()]
        pairs = [(one, amount) for one, amount in found if one is not None]
        self._known = bool(pairs) and len(pairs) == len(found)
        if self._known:
            total = sum(amount for _, amount in pairs)
            mean = sum(one * amount for one, amount in pairs) / total
            self._mean = mean
            self._variance = sum(n * (one - mean) ** 2 for one, n in pairs) / total
            self._range = max(one for one, _ in pairs) - min(one for one, _ in pairs)

    @property
    def mean(self) -> float:
        return float(self._mean) if self._known else _NOT_KNOWN

    @property
    def spread(self) -> float:
        return sqrt(self._variance) if self._known else _NOT_KNOWN

    @property
    def range(self) -> float:
        return float(self._range) if self._known else _NOT_KNOWN


def _radius(species: str) -> Fraction | None:
    radius = octahedral_radius(species)
    return None if radius is None else Fraction(str(radius))


@cache
def _electronegativity(species: str) -> Fraction | None:
    from pymatgen.core import Element  # noqa: PLC0415 - a second to import

    value = float(Element(parse_species(species).element).X)
    return Fraction(str(value)) if value == value else None  # noqa: PLR0124 - NaN


def _charge(species: str) -> Fraction:
    return Fraction(parse_species(species).charge)


def _polyanion_charge(species: str) -> Fraction:
    return 2 * _TETRAHEDRAL_OXYGEN - _charge(species)
