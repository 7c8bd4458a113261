"""Entries of pymatgen become reference energies, or are rejected with the reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from math import isfinite
from typing import TYPE_CHECKING, Any

from pymatgen.core import Composition, Element, Structure

from hts_battery.schemas.formula import ELEMENTS
from hts_battery.schemas.reference import ReferenceEnergy
from hts_battery.thermo.vasp_corrections import VaspEnergy, correct_vasp_energies
from hts_battery.thermo.vasp_tasks import oxide_type_of

if TYPE_CHECKING:
    from hts_battery.schemas.energy import ComparableEnergy
    from hts_battery.thermo.vasp_schemes import VaspScheme

_SYMPREC = 0.1
_WHOLE = 1e-6
_SMALL_CORRECTION_EV = 1e-9
_TRUSTED = ("pymatgen.", "emmet.", "monty.")


@dataclass(frozen=True, kw_only=True)
class ImportRules:
    """What an imported entry has to obey, and what is known beside it."""

    engine: str
    """Engine whose hull the energies are for."""
    label: str
    """Calculator that made them."""
    source: str
    """Where they come from, for people."""
    scheme: VaspScheme | None = None
    """What energies of VASP have to be; none takes energies as they are."""
    unsupported: Callable[[Iterable[str]], Iterable[str]] = field(
        default=lambda _: frozenset()
    )
    """Those of some elements that the engine cannot compute."""
    oxidation_states: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Reduced formula → oxidation states, where an entry does not say them."""


@dataclass(frozen=True)
class Rejection:
    """An entry that was not imported."""

    entry: str
    """Its id, or its place in the file."""
    reason: str
    """Why."""


def imported_energies(
    entries: Iterable[object], rules: ImportRules
) -> tuple[tuple[ReferenceEnergy, ...], tuple[Rejection, ...]]:
    """
    Turn entries into reference energies.

    The energy of an entry is the one before corrections; those that it carries are left
    aside and made anew, so that none is counted twice.

    Parameters
    ----------
    entries
        Dictionaries as ``ComputedEntry`` or ``ComputedStructureEntry`` write them.
    rules
        Engine, calculator and what the engine's energies need.

    Returns
    -------
    tuple
        Energies and rejections: together as many as the entries, but for exact repeats.
    """
    found: dict[str, ReferenceEnergy] = {}
    rejected: list[Rejection] = []
    for number, entry in enumerate(entries, 1):
        name = f"entry {number}"
        if isinstance(entry, Mapping) and entry.get("entry_id"):
            name = str(entry["entry_id"])
        try:
            energy = _read(entry, rules)
        except (KeyError, TypeError, ValueError) as err:
            # pymatgen refuses what is no structure or composition in these ways.
            rejected.append(Rejection(name, str(err) or type(err).__name__))
            continue
        if found.setdefault(energy.phase_id, energy) != energy:
            rejected.append(Rejection(name, "its id stands twice, content differs"))
    return tuple(found.values()), tuple(rejected)


def _read(entry: object, rules: ImportRules) -> ReferenceEnergy:
    """Read one entry; the message of an error is the reason for rejecting it."""
    if not isinstance(entry, Mapping) or "composition" not in entry:
        raise ValueError("no entry: it has no composition")
    _refuse_foreign_classes(entry)
    composition = _composition(entry["composition"])
    symbols = sorted(element.symbol for element in composition)
    if unsupported := sorted(rules.unsupported(symbols)):
        raise ValueError(
            f"engine {rules.engine} cannot compute {', '.join(unsupported)}"
        )
    energy = entry.get("energy")
    if isinstance(energy, bool) or not isinstance(energy, int | float):
        raise TypeError("no energy")
    if not isfinite(energy):
        raise ValueError(f"energy {energy} is not a finite number of eV")
    structure = _structure(entry.get("structure"), composition)
    states = _oxidation_states(entry, composition, rules)
    phase_id = _phase_id(entry, composition)
    comparable = None
    if rules.scheme is not None:
        comparable = _comparable(
            f"{rules.engine}:{phase_id}", entry, structure, states, rules.scheme
        )
    elif abs(float(entry.get("correction") or 0.0)) > _SMALL_CORRECTION_EV:
        raise ValueError(
            f"carries corrections of {entry['correction']} eV, and energies of "
            f"{rules.engine} take none"
        )
    return ReferenceEnergy(
        phase_id=phase_id,
        formula=composition.formula.replace(" ", ""),
        engine=rules.engine,
        label=rules.label,
        energy_per_atom=energy / composition.num_atoms,
        n_atoms=round(composition.num_atoms),
        converged=True,
        space_group_number=structure
        and structure.get_space_group_info(symprec=_SYMPREC)[1],
        volume_per_atom=structure and structure.volume / len(structure),
        structure=structure and structure.as_dict(),
        start_digest=f"imported {_digest(entry)}",
        comparable=comparable,
        oxidation_states=states,
        source=rules.source,
    )


def _refuse_foreign_classes(value: object) -> None:
    """Refuse to let a file name Python modules that are then imported."""
    if isinstance(value, Mapping):
        module = value.get("@module")
        if module is not None and not str(module).startswith(_TRUSTED):
            raise ValueError(f"holds an object of the module {module}")
        for one in value.values():
            _refuse_foreign_classes(one)
    elif isinstance(value, list | tuple):
        for one in value:
            _refuse_foreign_classes(one)


def _composition(value: object) -> Composition:
    """Read the composition of a cell: known elements, positive whole amounts."""
    if not isinstance(value, Mapping) or not value:
        raise ValueError("the composition is empty or no mapping")
    amounts: dict[str, float] = {}
    for name, amount in value.items():
        symbol = str(name).rstrip("0123456789+-.")
        if symbol not in ELEMENTS:
            raise ValueError(f"{name} is no element")
        if isinstance(amount, bool) or not isinstance(amount, int | float):
            raise TypeError(f"the amount of {name} is no number")
        amounts[symbol] = amounts.get(symbol, 0) + amount
    for symbol, amount in amounts.items():
        if not isfinite(amount) or amount <= 0:
            raise ValueError(f"the amount of {symbol} is {amount}, not positive")
        if abs(amount - round(amount)) > _WHOLE:
            raise ValueError(f"{amount} {symbol} is no whole number of atoms of a cell")
    return Composition({symbol: round(amount) for symbol, amount in amounts.items()})


def _structure(value: object, composition: Composition) -> Structure | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise TypeError("the structure is no mapping")
    structure = Structure.from_dict(value)
    structure.remove_oxidation_states()
    if structure.composition.element_composition != composition:
        raise ValueError(
            f"the structure holds {structure.composition.formula}, the composition "
            f"{composition.formula}"
        )
    return Structure(
        structure.lattice,
        [site.specie.symbol for site in structure],
        structure.frac_coords,
    )


def _oxidation_states(
    entry: Mapping[str, Any], composition: Composition, rules: ImportRules
) -> dict[str, float]:
    """Oxidation states that the entry or the library says; nothing is guessed."""
    if all(element.is_metal for element in composition) or len(composition) == 1:
        return {element.symbol: 0.0 for element in composition}
    given = (entry.get("data") or {}).get("oxidation_states") or {}
    symbols = {element.symbol for element in composition}
    if symbols <= set(given):
        return {symbol: float(given[symbol]) for symbol in sorted(symbols)}
    return dict(rules.oxidation_states.get(composition.reduced_formula, {}))


def _comparable(
    entry_id: str,
    entry: Mapping[str, Any],
    structure: Structure | None,
    states: Mapping[str, float],
    scheme: VaspScheme,
) -> ComparableEnergy:
    """Make the energy of VASP comparable anew; a rejection is a ValueError."""
    parameters, composition = (
        entry.get("parameters") or {},
        _composition(entry["composition"]),
    )
    oxide_type = "oxide"
    if scheme.corrected:
        oxide_type = _oxide_type(entry.get("data") or {}, composition, structure)
    audit = correct_vasp_energies(
        [
            VaspEnergy(
                entry_id=entry_id,
                formula=composition.formula.replace(" ", ""),
                energy=float(entry["energy"]),
                run_type=str(parameters.get("run_type")),
                hubbards=parameters.get("hubbards") or {},
                oxidation_states=states,
                oxide_type=oxide_type,
                potcar_spec=tuple(parameters.get("potcar_spec") or ()),
                structure=structure,
            )
        ],
        scheme,
    )
    if audit.rejected:
        raise ValueError(audit.rejected[0].reason)
    return audit.used[0]


def _oxide_type(
    data: Mapping[str, Any], composition: Composition, structure: Structure | None
) -> str:
    if Element("O") not in composition or len(composition) == 1:
        return "oxide"
    if structure is not None:
        return oxide_type_of(structure)
    if data.get("oxide_type"):
        return str(data["oxide_type"])
    raise ValueError(
        "neither a structure nor data.oxide_type: oxide and peroxide are corrected "
        "differently"
    )


def _phase_id(entry: Mapping[str, Any], composition: Composition) -> str:
    """Name the phase by formula and entry id; without one by its content."""
    name = str(entry.get("entry_id") or _digest(entry)).replace(":", "-")
    return f"{composition.reduced_formula}-{name}"


def _digest(entry: Mapping[str, Any]) -> str:
    content = json.dumps(entry, sort_keys=True, default=str)
    return sha256(content.encode()).hexdigest()[:12]
