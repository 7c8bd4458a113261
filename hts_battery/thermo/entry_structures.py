"""Composition and cell of an entry of another program, checked before they count."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from math import isfinite
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pymatgen.core import Composition, Lattice, Structure

from hts_battery.schemas.formula import ELEMENTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TOTAL = frozenset({"ComputedEntry", "ComputedStructureEntry"})
_ASK = "a ComputedEntry or ComputedStructureEntry of the total energy is asked for"
_RELATIVE = (
    "does not say whether its energy is a total one, nor which corrections are in it"
)
_REACTION = "a reaction, no phase"
_DEFECT = "a defect, no phase of its own composition"
_NOT_TOTAL = {
    "GibbsComputedStructureEntry": "a Gibbs energy of formation at a temperature, no "
    "total energy",
    "ExpEntry": "a measured formation enthalpy, no calculated energy",
    "PDEntry": _RELATIVE,
    "TransformedPDEntry": _RELATIVE,
    "CostEntry": "a price, no energy",
    "GrandPotPDEntry": "a grand potential at fixed chemical potentials, no total "
    "energy",
    "GrandPotentialPDEntry": "a grand potential at fixed chemical potentials, no total "
    "energy",
    "PourbaixEntry": "an energy in water at a pH and a potential, no total energy",
    "IonEntry": "a dissolved ion, no phase",
    "MultiEntry": "an energy in water at a pH and a potential, no total energy",
    "SlabEntry": "a slab, no bulk phase",
    "DefectEntry": _DEFECT,
    "DefectSiteEntry": _DEFECT,
    "ComputedReaction": _REACTION,
    "Reaction": _REACTION,
    "BalancedReaction": _REACTION,
}
"""Class → what an object of it holds instead of a total energy."""
_GIBBS_MARKS = ("formation_enthalpy_per_atom", "gibbs_model", "temp")
_MARKS = {
    "chempots": "GrandPotPDEntry",
    "thermodata": "ExpEntry",
    "attribute": "PDEntry",
    "miller_index": "SlabEntry",
    "concentration": "PourbaixEntry",
    "sc_entry": "DefectEntry",
    "reactants": "ComputedReaction",
}
"""Key that only one kind of object has → its class, where the class is not named."""
_CELLS = frozenset({"Structure", "IStructure"})
_NO_BULK = {
    "Slab": "a slab",
    "Interface": "an interface",
    "Molecule": "a molecule",
    "IMolecule": "a molecule",
}


def check_kind(entry: Mapping[str, object]) -> None:
    """Refuse what holds no total energy of a bulk phase, and say what it is."""
    name = entry.get("@class")
    if any(entry.get(key) is not None for key in _GIBBS_MARKS):
        name = "GibbsComputedStructureEntry"
    elif name is None:
        name = next((_MARKS[key] for key in _MARKS if key in entry), None)
    if name in _NOT_TOTAL:
        raise ValueError(f"{name}: {_NOT_TOTAL[name]}{_temperature(entry)}")
    if name is not None and name not in _TOTAL:
        raise ValueError(f"an object of the class {name}: {_ASK}")
    data = mapping_of(entry.get("data"))
    for key in ("gibbs_model", "temp"):
        if data.get(key):
            raise ValueError(
                f"data.{key} is {data[key]}: a free energy at a temperature, no total "
                "energy"
            )
    for adjustment in _adjustments(entry):
        _check_adjustment(adjustment)
    _check_cell(entry.get("structure"))


def _temperature(entry: Mapping[str, object]) -> str:
    found = entry.get("temp")
    return "" if found is None else f" ({found} K)"


def _check_cell(structure: object) -> None:
    found = mapping_of(structure)
    name = found.get("@class")
    if "miller_index" in found:
        name = "Slab"
    if name is not None and name not in _CELLS:
        what = _NO_BULK.get(str(name), f"an object of the class {name}")
        raise ValueError(f"its structure is {what}: the cell of a phase is asked for")


def correction_of(entry: Mapping[str, object]) -> float:
    """Sum up the corrections that an entry carries, in eV per cell."""
    adjustments = _adjustments(entry)
    if adjustments or entry.get("correction") is None:
        return sum(_value(one) for one in adjustments)
    return number_of(entry["correction"], "the correction")


def _adjustments(entry: Mapping[str, object]) -> list[Mapping[str, object]]:
    found = entry.get("energy_adjustments")
    return [mapping_of(one) for one in found] if isinstance(found, list) else []


def _check_adjustment(adjustment: Mapping[str, object]) -> None:
    kind = str(adjustment.get("@class"))
    if "adj_per_deg" in adjustment or kind == "TemperatureEnergyAdjustment":
        raise ValueError(
            f"carries a correction for {adjustment.get('temp')} K: a free energy at a "
            "temperature, no total energy"
        )


def _value(adjustment: Mapping[str, object]) -> float:
    name = f"the correction {adjustment.get('name') or adjustment.get('@class')!r}"
    if "value" in adjustment:
        return number_of(adjustment["value"], name)
    if {"adj_per_atom", "n_atoms"} <= adjustment.keys():
        per_atom = number_of(adjustment["adj_per_atom"], name)
        return per_atom * number_of(adjustment["n_atoms"], f"number of atoms of {name}")
    raise ValueError(f"{name} does not say its value")


_SPECIES = re.compile(
    r"(?P<element>[A-Z][a-z]?)(?P<charge>\d*\.?\d*[+-])?(,spin=[-+\d.]+)?$"
)
_HYDROGEN = frozenset({"D", "T"})
_WHOLE = 1e-6
_FULL = 1e-3  # an occupancy this near to one is one: files round
_SAME_PLACE = 0.5  # angstrom; no two atoms of a relaxed cell are nearer
_FLAT = 1.0  # angstrom^3 per atom; no phase is denser than diamond's 5.7
_LENGTHS = ("a", "b", "c", "alpha", "beta", "gamma")


class Contents(NamedTuple):
    """What a cell holds."""

    composition: Composition
    """Elements, whole amounts of the cell."""
    oxidation_states: dict[str, float]
    """Element → mean oxidation state, where species say them."""


def read_composition(value: object) -> Contents:
    """
    Read the composition of a calculated cell: known elements, positive whole amounts.

    Examples
    --------
    >>> found = read_composition({"Mn3+": 2, "Mn4+": 2, "O2-": 7})
    >>> found.composition.formula, found.oxidation_states
    ('Mn4 O7', {'Mn': 3.5, 'O': -2.0})
    """
    if not isinstance(value, Mapping) or not value:
        raise ValueError("the composition is empty or no mapping")
    amounts: dict[str, float] = {}
    charges: dict[str, float | None] = {}
    for name, given in value.items():
        symbol, charge = _species(str(name))
        amount = number_of(given, f"the amount of {name}")
        if amount <= 0:
            raise ValueError(f"the amount of {name} is {given}, not positive")
        amounts[symbol] = amounts.get(symbol, 0.0) + amount
        before = charges.get(symbol, 0.0)
        charges[symbol] = (
            None if charge is None or before is None else before + charge * amount
        )
    for symbol, amount in amounts.items():
        if abs(amount - round(amount)) > _WHOLE:
            raise ValueError(f"{amount} {symbol} is no whole number of atoms of a cell")
    states = {
        symbol: charge / amounts[symbol]
        for symbol, charge in charges.items()
        if charge is not None
    }
    whole = {symbol: round(amount) for symbol, amount in amounts.items()}
    return Contents(Composition(whole), states)


def _species(name: str) -> tuple[str, float | None]:
    """Element and charge of a species as pymatgen writes it."""
    match = _SPECIES.match(name)
    symbol = match["element"] if match else name
    _check_element(symbol)
    if match is None or match["charge"] is None:
        return symbol, None
    size = float(match["charge"][:-1] or 1)
    return symbol, size if match["charge"][-1] == "+" else -size


def _check_element(symbol: str) -> None:
    if symbol in _HYDROGEN:
        raise ValueError(f"{symbol} is an isotope: write it as H, whose energy it has")
    if symbol not in ELEMENTS:
        raise ValueError(f"{symbol} is no element")


def read_structure(value: object, composition: Composition | None) -> Structure | None:
    """
    Read a cell: ordered, of its composition, no two atoms in one place; None if absent.

    Only lattice, species and coordinates are read; properties of sites, which may be
    objects of any module, are not.
    """
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise TypeError("the structure is no mapping")
    sites = value.get("sites")
    if not isinstance(sites, list | tuple) or not sites:
        raise ValueError("the structure has no sites")
    lattice = _lattice(value.get("lattice"))
    if abs(lattice.volume) < _FLAT * len(sites):
        raise ValueError(
            f"the cell of {len(sites)} atoms has {lattice.volume:.3g} angstrom^3"
        )
    sites = [mapping_of(site) for site in sites]
    symbols = [_symbol(site, number) for number, site in enumerate(sites, 1)]
    structure = Structure(lattice, symbols, _coordinates(sites, lattice))
    if composition is not None and structure.composition != composition:
        raise ValueError(
            f"the structure holds {structure.composition.formula}, the composition "
            f"{composition.formula}"
        )
    first, second, _, lengths = structure.get_neighbor_list(_SAME_PLACE)
    if len(first):
        raise ValueError(
            f"atoms {first[0] + 1} and {second[0] + 1} of the structure are "
            f"{lengths[0]:.2g} angstrom apart: no relaxed cell"
        )
    return structure


def _lattice(value: object) -> Lattice:
    value = plain(value)
    found = mapping_of(value)
    if "matrix" in found or isinstance(value, list):
        matrix = _numbers(found.get("matrix", value), "the lattice")
        if matrix.shape != (3, 3):
            raise ValueError("the lattice is no three vectors")
        return Lattice(matrix)
    if missing := [name for name in _LENGTHS if name not in found]:
        raise ValueError(f"the lattice says no {', '.join(missing)}")
    numbers = (number_of(found[name], f"{name} of the lattice") for name in _LENGTHS)
    return Lattice.from_parameters(*numbers)


def _coordinates(
    sites: Sequence[Mapping[str, object]], lattice: Lattice
) -> NDArray[np.float64]:
    """Fractional coordinates of the sites."""
    key = "abc" if all("abc" in site for site in sites) else "xyz"
    if missing := next((n for n, s in enumerate(sites, 1) if key not in s), None):
        raise ValueError(f"site {missing} of the structure has no coordinates")
    found = _numbers([plain(site[key]) for site in sites], "the coordinates")
    if found.shape != (len(sites), 3):
        raise ValueError("the coordinates are no three numbers a site")
    return found if key == "abc" else np.asarray(lattice.get_fractional_coords(found))


def _numbers(value: object, what: str) -> NDArray[np.float64]:
    try:
        found = np.array(value, dtype=float)
    except (TypeError, ValueError) as err:
        raise ValueError(f"{what} holds what is no number") from err
    if not np.all(np.isfinite(found)):
        raise ValueError(f"{what} holds a number that is not finite")
    return found


def _symbol(site: Mapping[str, object], number: int) -> str:
    """Element of a site that holds one, wholly."""
    species = plain(site.get("species"))
    if not isinstance(species, list) or not species:
        raise ValueError(f"site {number} of the structure names no species")
    shares: dict[str, float] = {}
    for one in map(mapping_of, species):
        symbol, _ = _species(str(one.get("element")))
        share = number_of(one.get("occu", 1), f"an occupancy of site {number}")
        if share:
            shares[symbol] = shares.get(symbol, 0.0) + share
    if len(shares) != 1 or abs(next(iter(shares.values())) - 1) > _FULL:
        held = ", ".join(f"{name} {share:g}" for name, share in sorted(shares.items()))
        raise ValueError(
            f"disordered: site {number} holds {held or 'nothing'}, and an energy "
            "belongs to an ordered cell"
        )
    return next(iter(shares))


_EXTENDED_NUMBERS = ("$numberDouble", "$numberInt", "$numberLong", "$numberDecimal")
_EXTENDED_TEXTS = ("$oid", "$uuid", "$symbol")
_TEXTS = ("value", "string")
"""Where monty writes the value of an enumeration and the text of a date or an id."""


def plain(value: object) -> Any:  # noqa: ANN401 - whatever a file holds
    """
    Write a value of JSON, extended JSON, numpy or monty in built-in types.

    Dictionaries that name a module and a class stay dictionaries, but for members of
    enumerations and texts: nothing is imported. What is none of these kinds stays what
    it is.
    """
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, Mapping):
        return _plain_mapping(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    if not isinstance(value, type) and callable(made := getattr(value, "as_dict", 0)):
        # An object of pymatgen, decoded by whoever read the file.
        return plain(made())
    return value


def _plain_mapping(value: Mapping[Any, Any]) -> Any:  # noqa: ANN401 - as above
    if len(value) == 1:
        ((key, inner),) = value.items()
        if key in _EXTENDED_NUMBERS:
            return float(inner)
        if key in _EXTENDED_TEXTS:
            return str(inner)
    if value.get("@module") == "numpy" and "data" in value:
        return plain(value["data"])
    found = {str(key): plain(one) for key, one in value.items()}
    texts = [found[key] for key in _TEXTS if isinstance(found.get(key), str)]
    return texts[0] if texts and "@class" in found else found


def mapping_of(value: object) -> Mapping[Any, Any]:
    """Return a mapping as it is, and an empty one in the place of anything else."""
    return value if isinstance(value, Mapping) else {}


def number_of(value: object, what: str, unit: str = "") -> float:
    """Read a finite number; what it is and its unit are named in the error."""
    found = plain(value)
    if isinstance(found, bool) or not isinstance(found, Real):
        raise TypeError(f"{what} is no number but {type(value).__name__}")
    try:
        number = float(found)
    except OverflowError as err:
        raise ValueError(f"{what} is too large a number") from err
    if not isfinite(number):
        of_unit = f" of {unit}" if unit else ""
        raise ValueError(f"{what} {number} is not a finite number{of_unit}")
    return number
