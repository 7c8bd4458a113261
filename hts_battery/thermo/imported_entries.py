"""Entries of pymatgen become reference energies, or are rejected with the reason."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from hts_battery.errors import HTSBatteryError
from hts_battery.schemas.reference import ReferenceEnergy
from hts_battery.thermo.entry_structures import (
    check_kind,
    correction_of,
    mapping_of,
    number_of,
    plain,
    read_composition,
    read_structure,
)
from hts_battery.thermo.mp2020 import OXIDE_TYPES, check_potentials
from hts_battery.thermo.vasp_corrections import (
    VaspEnergy,
    correct_vasp_energies,
    oxide_type_of,
    oxide_types_of,
)
from hts_battery.thermo.vasp_schemes import element_of, symbol_of

if TYPE_CHECKING:
    from pymatgen.core import Composition, Structure

    from hts_battery.schemas.calculation import PotcarRow
    from hts_battery.schemas.energy import ComparableEnergy
    from hts_battery.thermo.vasp_schemes import VaspScheme

_SYMPREC = 0.1
_DECIMALS = 10  # of digested vectors, in angstrom, and of positions
_SMALL_CORRECTION_EV = 1e-9
_ZERO_EV = 1e-6  # per cell; no element has this total energy
_OXIDE = {"hydroxide": "oxide", "oxide": "hydroxide"}
"""Kinds of oxygen that are corrected alike."""
_ATTRIBUTES = (
    "entry_id",
    "composition",
    "structure",
    "parameters",
    "data",
    "energy_adjustments",
    "temp",
    "chempots",
)
"""Attributes of an entry that was decoded before it came here."""
_READ = {
    "parameters": (
        "run_type",
        "hubbards",
        "potcar_spec",
        "potcar_symbols",
    ),
    "data": (
        "oxidation_states",
        "oxide_type",
        "sulfide_type",
        "run_type",
        "gibbs_model",
        "temp",
    ),
}
"""What counts of these; whatever else they hold is never looked at."""


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
    run_types_refused: bool = False
    """Whether an entry that states a run type, as VASP's do, is another program's."""
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


class _Content(NamedTuple):
    """What an entry says, in plain values."""

    name: str | None
    data: Mapping[str, object]
    parameters: Mapping[str, object]
    energy: float
    composition: Composition
    structure: Structure | None
    states: Mapping[str, float]

    @property
    def formula(self) -> str:
        return str(self.composition.formula.replace(" ", ""))


def imported_energies(
    entries: Iterable[object], rules: ImportRules
) -> tuple[tuple[ReferenceEnergy, ...], tuple[Rejection, ...]]:
    """
    Turn entries into reference energies.

    The energy of an entry is the one before corrections; those that it carries are left
    aside and made anew, so that none is counted twice. Nothing that an entry names is
    imported, and none ends the import of the others.

    Parameters
    ----------
    entries
        Dictionaries as ``ComputedEntry`` or ``ComputedStructureEntry`` write them, or
        such objects.
    rules
        Engine, calculator and what the engine's energies need.

    Returns
    -------
    tuple
        Energies and rejections: together as many as the entries.
    """
    found: dict[str, tuple[str, ReferenceEnergy]] = {}
    rejected: list[Rejection] = []
    for number, given in enumerate(entries, 1):
        name = f"entry {number}"
        try:
            entry = _entry(given)
            name = _name(entry) or name
            energy = _read(entry, rules)
        except (HTSBatteryError, TypeError, ValueError) as err:
            rejected.append(Rejection(name, str(err) or type(err).__name__))
            continue
        except Exception as err:  # noqa: BLE001 - an odd entry ends no import
            what = f"not understood ({type(err).__name__}: {err})"
            rejected.append(Rejection(name, what))
            continue
        first, known = found.setdefault(energy.phase_id, (name, energy))
        if known == energy and known is not energy:
            rejected.append(Rejection(name, f"repeats {first}: taken once"))
        elif known is not energy:
            rejected.append(Rejection(name, "its id stands twice, content differs"))
    return _of_one_pseudopotential(found.values(), rejected)


def _entry(given: object) -> dict[str, object]:
    """Plain values of what counts of an entry; the rest of it is not touched."""
    if not isinstance(given, Mapping):
        if not hasattr(given, "composition"):
            raise TypeError(f"no entry but {type(given).__name__}")
        given = {
            "@class": type(given).__name__,
            "energy": getattr(given, "uncorrected_energy", None),
        } | {key: getattr(given, key) for key in _ATTRIBUTES if hasattr(given, key)}
    found: dict[str, object] = {
        str(key): value if key in _READ or key == "structure" else plain(value)
        for key, value in given.items()
    }
    for part, keys in _READ.items():
        held = mapping_of(found.get(part))
        found[part] = {key: plain(held[key]) for key in keys if key in held}
    if callable(as_dict := getattr(found.get("structure"), "as_dict", None)):
        found["structure"] = as_dict()
    return found


def _name(entry: Mapping[str, object]) -> str | None:
    found = entry.get("entry_id")
    return None if found is None or found == "" else str(found)


def _read(entry: Mapping[str, object], rules: ImportRules) -> ReferenceEnergy:
    """Read one entry; the message of an error is the reason for rejecting it."""
    check_kind(entry)
    content = _content(entry, rules)
    symbols = sorted(element.symbol for element in content.composition)
    if unsupported := sorted(rules.unsupported(symbols)):
        raise ValueError(
            f"engine {rules.engine} cannot compute {', '.join(unsupported)}"
        )
    phase_id = _phase_id(content)
    comparable = None
    if rules.scheme is not None:
        comparable = _comparable(f"{rules.engine}:{phase_id}", content, rules.scheme)
    elif rules.run_types_refused and (said := _run_types(content)):
        raise ValueError(
            f"run type {said[0]!r}: an energy of VASP, none of {rules.label}; where "
            f"{rules.label} computed it, leave parameters.run_type out"
        )
    elif abs(carried := correction_of(entry)) > _SMALL_CORRECTION_EV:
        raise ValueError(
            f"carries corrections of {carried:g} eV, and energies of {rules.engine} "
            "take none"
        )
    n_atoms = round(content.composition.num_atoms)
    structure = content.structure
    return ReferenceEnergy(
        phase_id=phase_id,
        formula=content.formula,
        engine=rules.engine,
        label=rules.label,
        energy_per_atom=content.energy / n_atoms,
        n_atoms=n_atoms,
        converged=True,
        space_group_number=structure and _space_group(structure),
        volume_per_atom=structure and structure.volume / len(structure),
        structure=structure and structure.as_dict(),
        start_digest=f"imported {_digest(content)}",
        comparable=comparable,
        oxidation_states=dict(content.states),
        source=rules.source,
    )


def _content(entry: Mapping[str, object], rules: ImportRules) -> _Content:
    of_species: Mapping[str, float] = {}
    composition = entry.get("composition")
    if composition is not None:
        composition, of_species = read_composition(composition)
        structure = read_structure(entry.get("structure"), composition)
    elif (structure := read_structure(entry.get("structure"), None)) is not None:
        composition = structure.composition
    else:
        raise ValueError("no entry: it has no composition")
    if entry.get("energy") is None:
        raise TypeError("no energy")
    energy = number_of(entry["energy"], "energy", "eV")
    if len(composition) == 1 and abs(energy) < _ZERO_EV:
        raise ValueError("an element at 0 eV: an energy of formation, no total energy")
    return _Content(
        _name(entry),
        mapping_of(entry["data"]),
        mapping_of(entry["parameters"]),
        energy,
        composition,
        structure,
        _oxidation_states(entry, composition, of_species, rules),
    )


def _oxidation_states(
    entry: Mapping[str, object],
    composition: Composition,
    of_species: Mapping[str, float],
    rules: ImportRules,
) -> dict[str, float]:
    """Oxidation states that the entry or the library says; nothing is guessed."""
    symbols = sorted(element.symbol for element in composition)
    if all(element.is_metal for element in composition) or len(symbols) == 1:
        return dict.fromkeys(symbols, 0.0)
    stated = mapping_of(mapping_of(entry["data"]).get("oxidation_states"))
    library = rules.oxidation_states.get(composition.reduced_formula, {})
    for given in (stated, of_species, library):
        if set(symbols) <= {name for name in given if given[name] is not None}:
            return {
                symbol: number_of(given[symbol], f"the oxidation state of {symbol}")
                for symbol in symbols
            }
    return {}


def _comparable(
    entry_id: str, content: _Content, scheme: VaspScheme
) -> ComparableEnergy:
    """Make the energy of VASP comparable anew; a rejection is a ValueError."""
    _check_potential_names(content, scheme)
    audit = correct_vasp_energies(
        [
            VaspEnergy(
                entry_id=entry_id,
                formula=content.formula,
                energy=content.energy,
                run_type=_run_type(content, scheme),
                hubbards=mapping_of(content.parameters.get("hubbards")),
                oxidation_states=content.states,
                oxide_type=_oxide_type(content) if scheme.corrected else "oxide",
                sulfide_type=cast("str | None", content.data.get("sulfide_type")),
                potcar_spec=_potcar_spec(content),
                structure=content.structure,
            )
        ],
        scheme,
    )
    if audit.rejected:
        raise ValueError(audit.rejected[0].reason)
    return audit.used[0]


def _run_type(content: _Content, scheme: VaspScheme) -> str:
    """Run type, of the parameters or, where they say none, of the data."""
    said = _run_types(content)
    if not said:
        raise ValueError(
            f"run type 'None' is none of {', '.join(scheme.run_types)}: nothing says "
            "with which functional it was computed; state it as parameters.run_type "
            f"if {scheme.calculator} computed it, else take the engine that did"
        )
    if len({one.casefold() for one in said}) > 1:
        raise ValueError(f"two run types are stated: {' and '.join(said)}")
    return said[0]


def _run_types(content: _Content) -> list[str]:
    found = (content.parameters.get("run_type"), content.data.get("run_type"))
    return [str(one) for one in found if one]


def _potcar_spec(content: _Content) -> tuple[PotcarRow, ...]:
    found = content.parameters.get("potcar_spec")
    if not isinstance(found, list):
        return ()
    specs = (one for one in map(mapping_of, found) if isinstance(one.get("titel"), str))
    return tuple(cast("Iterable[PotcarRow]", specs))


def _check_potential_names(content: _Content, scheme: VaspScheme) -> None:
    """Compare the names of pseudopotentials that older entries state alone."""
    names = content.parameters.get("potcar_symbols")
    if not scheme.corrected or not isinstance(names, list) or _potcar_spec(content):
        return
    check_potentials({symbol_of(str(name)) for name in names}, content.composition)


def _oxide_type(content: _Content) -> str:
    """Kind of oxygen, as stated and by the structure; they must agree."""
    if "O" not in content.composition or len(content.composition) == 1:
        return "oxide"
    said = content.data.get("oxide_type")
    stated = str(said) if str(said) in OXIDE_TYPES else None
    if content.structure is None:
        if stated is None:
            raise ValueError(
                "neither a structure nor data.oxide_type: oxide and peroxide are "
                "corrected differently"
            )
        return stated
    found, others = oxide_type_of(content.structure), oxide_types_of(content.structure)
    if stated is not None and not {stated, _OXIDE.get(stated)} & others:
        raise ValueError(
            f"data.oxide_type says {said}, the distances of its structure say {found}"
        )
    return stated or found


def _of_one_pseudopotential(
    found: Iterable[tuple[str, ReferenceEnergy]], rejected: Iterable[Rejection]
) -> tuple[tuple[ReferenceEnergy, ...], tuple[Rejection, ...]]:
    """Keep, of every element, the pseudopotential that most entries used."""
    kept, refused = list(found), list(rejected)
    counts: dict[str, Counter[tuple[str, str]]] = {}
    for _, energy in kept:
        for element, one in _pseudopotentials(energy).items():
            counts.setdefault(element, Counter())[one] += 1
    chosen = {element: one.most_common(1)[0] for element, one in counts.items()}
    energies = []
    for name, energy in kept:
        others = {
            element: one
            for element, one in _pseudopotentials(energy).items()
            if one != chosen[element][0]
        }
        if not others:
            energies.append(energy)
            continue
        element, (title, digest) = min(others.items())
        (usual, usual_digest), number = chosen[element]
        refused.append(
            Rejection(
                name,
                f"pseudopotential {title} {digest}, of {number} entries with {element} "
                f"it is {usual} {usual_digest}: no hull mixes two",
            )
        )
    return tuple(energies), tuple(refused)


def _pseudopotentials(energy: ReferenceEnergy) -> dict[str, tuple[str, str]]:
    """Element → title and digest of its pseudopotential."""
    spec = energy.comparable.pseudopotentials if energy.comparable else {}
    return {element_of(title): (title, digest) for title, digest in spec.items()}


def _space_group(structure: Structure) -> int | None:
    try:
        return int(structure.get_space_group_info(symprec=_SYMPREC)[1])
    except (TypeError, ValueError):  # pymatgen could not determine it
        return None


def _phase_id(content: _Content) -> str:
    """Name the phase by formula and entry id; without one by its content."""
    name = (content.name or _digest(content)).replace(":", "-")
    return f"{content.composition.reduced_formula}-{name}"


def _digest(content: _Content) -> str:
    """
    Digest what counts of an entry, a stamp of its update left out.

    Vectors and positions are rounded and wrapped first: they may have been computed
    from angles, or from Cartesian positions, and then end in digits of the machine.
    """
    cell = None
    if (structure := content.structure) is not None:
        cell = [
            (np.round(structure.lattice.matrix, _DECIMALS) + 0.0).tolist(),
            (np.round(structure.frac_coords % 1.0, _DECIMALS) % 1.0).tolist(),
            [site.specie.symbol for site in structure],
        ]
    read = [content.energy, content.formula, content.states, cell]
    parts = [content.data, content.parameters]
    text = json.dumps([read, parts], sort_keys=True, default=str)
    return sha256(text.encode()).hexdigest()[:12]
