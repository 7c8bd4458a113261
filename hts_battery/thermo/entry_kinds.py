"""Which objects of other programs hold a total energy, and why the others do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hts_battery.thermo.plain_values import mapping_of, number_of

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def check_kind(entry: Mapping[str, Any]) -> None:
    """
    Refuse what holds no total energy of a bulk phase.

    Parameters
    ----------
    entry
        Dictionary of an entry, as pymatgen writes it; its class need not be named.

    Raises
    ------
    ValueError
        Says what it holds instead.

    Examples
    --------
    >>> check_kind({"@class": "ExpEntry"})
    Traceback (most recent call last):
    ...
    ValueError: ExpEntry: a measured formation enthalpy, no calculated energy
    """
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


def _temperature(entry: Mapping[str, Any]) -> str:
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


def correction_of(entry: Mapping[str, Any]) -> float:
    """
    Sum up the corrections that an entry carries, in eV per cell.

    Parameters
    ----------
    entry
        Dictionary of an entry, as pymatgen writes it.

    Raises
    ------
    ValueError
        If one is of a kind whose value cannot be read.
    """
    adjustments = _adjustments(entry)
    if adjustments or entry.get("correction") is None:
        return sum(_value(one) for one in adjustments)
    return number_of(entry["correction"], "the correction")


def _adjustments(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = entry.get("energy_adjustments")
    return [mapping_of(one) for one in found] if isinstance(found, list) else []


def _check_adjustment(adjustment: Mapping[str, Any]) -> None:
    kind = str(adjustment.get("@class"))
    if "adj_per_deg" in adjustment or kind == "TemperatureEnergyAdjustment":
        raise ValueError(
            f"carries a correction for {adjustment.get('temp')} K: a free energy at a "
            "temperature, no total energy"
        )


def _value(adjustment: Mapping[str, Any]) -> float:
    name = f"the correction {adjustment.get('name') or adjustment.get('@class')!r}"
    if "value" in adjustment:
        return number_of(adjustment["value"], name)
    if {"adj_per_atom", "n_atoms"} <= adjustment.keys():
        per_atom = number_of(adjustment["adj_per_atom"], name)
        return per_atom * number_of(adjustment["n_atoms"], f"number of atoms of {name}")
    raise ValueError(f"{name} does not say its value")
