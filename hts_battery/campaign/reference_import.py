"""Importing energies of competing phases from files and from the Materials Project."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import zlib
from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any, cast

from hts_battery.connections.materials_project import (
    THERMO_TYPE_GGA,
    THERMO_TYPE_R2SCAN,
)
from hts_battery.errors import ConfigurationError, MissingReferenceError
from hts_battery.flows.engines.registry import engine
from hts_battery.flows.recipes.references import checked_energy_file, known_energies
from hts_battery.schemas.formula import display_formula, parse_formula
from hts_battery.schemas.reference import mean_oxidation_states
from hts_battery.structures.references.library import load_reference_phases
from hts_battery.thermo.hull import Hull
from hts_battery.thermo.imported_entries import (
    ImportRules,
    Rejection,
    imported_energies,
)
from hts_battery.thermo.vasp_schemes import is_vasp, vasp_scheme

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from hts_battery.connections.materials_project import MaterialsProject
    from hts_battery.schemas.reference import ReferenceEnergy

    Imported = tuple[tuple[ReferenceEnergy, ...], tuple[Rejection, ...]]
_TEXT = (".json", ".jsonl", ".ndjson")
_PACKED = (".gz", ".bz2", ".xz", ".lzma")
_MAGIC = {
    b"\x1f\x8b": gzip.decompress,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ\x00": lzma.decompress,
    b"\x5d\x00\x00": lzma.decompress,
}
"""First bytes of a compressed file → what unpacks it."""
_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError)
_LAYERS = 4  # a file packed more often than this is no mistake but a trap
_LISTS = ("entries", "all_entries", "computed_data", "data")
"""Keys under which other programs keep entries; in computed_data phase diagrams do."""

_THERMO_TYPES = {"vasp-mp-gga": THERMO_TYPE_GGA, "vasp-mp24": THERMO_TYPE_R2SCAN}
"""Engine → kind of the Materials Project's energies that belong to its own."""
# No compound lies this far below a mixture of others (K2SO4 from K2O and SO3, one of
# the strongest salts: 0.9), no form of it below another; nothing relaxed lies above.
_FAR_BELOW, _BELOW_OTHER_FORMS, _FAR_ABOVE = 1.2, 0.3, 2.0  # eV/atom


def read_json(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    """
    Read a JSON file, also compressed, also several times, also one document a line.

    Nothing in it is decoded into objects: what a document calls its class stays text.

    ``path``: ends with ``.json``, ``.jsonl`` or ``.ndjson``, and what it is packed
    with. Raises ConfigurationError if it cannot be read, unpacked or parsed; says
    which.
    """
    suffixes = [one.lower() for one in path.suffixes]
    if not suffixes or suffixes[-1] not in {*_TEXT, *_PACKED}:
        raise ConfigurationError(
            f"{path}: a file of entries ends with {', '.join(_TEXT)}, or that and "
            f"{', '.join(_PACKED)}"
        )
    try:
        content = path.read_bytes()
    except OSError as err:
        raise ConfigurationError(f"{path}: {err.strerror or err}") from err
    try:
        return _parsed(_unpacked(content))
    except _BROKEN as err:
        raise ConfigurationError(f"{path}: cannot be unpacked: {err}") from err
    except (ValueError, RecursionError) as err:
        raise ConfigurationError(f"{path}: not JSON: {err}") from err


def _unpacked(content: bytes) -> bytes:
    for _ in range(_LAYERS):
        unpack = next(
            (one for magic, one in _MAGIC.items() if content.startswith(magic)), None
        )
        if unpack is None:
            return content
        content = unpack(content)
    raise ValueError(f"it is packed more than {_LAYERS} times")


def _parsed(content: bytes) -> Any:  # noqa: ANN401 - as above
    try:
        return json.loads(content)
    except json.JSONDecodeError:
        lines = [line for line in content.splitlines() if line.strip()]
        if len(lines) < 2:  # noqa: PLR2004 - one line is not one document a line
            raise
        try:
            return [json.loads(line) for line in lines]
        except json.JSONDecodeError:
            pass
        raise


def entries_of(content: object) -> list[Any] | None:
    """
    Find the entries of a file.

    ``content``: a list of entries; one entry; a mapping of ids to entries, or of
    chemical systems to lists of them; any of these under the key ``entries``, as
    documents of the Materials Project, or ``all_entries``, as phase diagrams of
    pymatgen have it. Returns: what stands where entries are expected, entries or not;
    none if nothing does.

    Examples
    --------
    >>> entries_of({"entries": {"mp-1": {"energy": -1.9, "composition": {"Li": 1}}}})
    [{'energy': -1.9, 'composition': {'Li': 1}, 'entry_id': 'mp-1'}]
    """
    if isinstance(content, list):
        return list(_of_list(content))
    if not isinstance(content, Mapping):
        return None
    if _is_entry(content):
        return [content]
    for key in _LISTS:
        if key in content:
            return entries_of(content[key])
    return _of_mapping(content)


def _of_mapping(content: Mapping[str, object]) -> list[Any] | None:
    """Entries by their ids, or lists of them by anything else."""
    values = list(content.values())
    if values and all(map(_is_entry, values)):
        return [
            {**one, "entry_id": one.get("entry_id") or name}
            for name, one in cast("Mapping[str, dict[str, object]]", content).items()
        ]
    if values and all(
        isinstance(one, list) and any(map(_is_entry, one)) for one in values
    ):
        return list(_of_list(values))
    return None


def _of_list(content: list[Any]) -> Iterator[Any]:
    for one in content:
        nested = None
        if isinstance(one, list) or (isinstance(one, Mapping) and not _is_entry(one)):
            nested = entries_of(one)
        if nested is None:
            yield one
        else:
            yield from nested


def _is_entry(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    # A document about a material says its composition too, beside its entries.
    holds = isinstance(value.get("entries"), list | Mapping)
    return "energy" in value or ("composition" in value and not holds)


def read_file(path: Path, *, engine_name: str, calculator: str | None) -> Imported:
    """
    Read energies from a file of this project's or from one of pymatgen entries.

    ``path``: JSON, also compressed: a file of ``hts references compute --write``, a
    list of entries, or one of the wrappers of
    :func:`~hts_battery.campaign.reference_import.entries_of`. ``engine_name``: engine
    whose hull they are for. ``calculator``: name of the calculator of pymatgen entries,
    with its version. Returns: energies, and what was rejected. Raises
    ConfigurationError if the file cannot be read, or belongs to another engine or
    calculator.
    """
    content = read_json(path)
    if isinstance(content, dict) and "energies" in content:
        energies = checked_energy_file(content, path)
        if energies.engine != engine_name:
            raise ConfigurationError(
                f"{path} holds energies of the engine {energies.engine}, not of "
                f"{engine_name}: name it with --engine"
            )
        return energies.energies, ()
    entries = entries_of(content)
    if entries is None:
        raise ConfigurationError(
            f"{path}: neither a list of pymatgen entries, nor a mapping with the key "
            "entries, nor a file of `hts references compute --write`"
        )
    rules = import_rules(engine_name, calculator, source=f"file {path.name}")
    return plausible_energies(imported_energies(entries, rules), engine_name)


def plausible_energies(imported: Imported, engine_name: str) -> Imported:
    """
    Reject what cannot be an energy of the engine, by the energies that ship for it.

    Entries say who computed them only by the user's word. An energy is refused where
    the shipped phases of the engine decompose its composition into compounds alone and
    lie further from it than compounds do: total energies of another functional, or
    energies of formation.

    ``imported``: energies and rejections of an import. ``engine_name``: engine whose
    hull they are for.
    """
    used, rejected = imported
    known = [
        (one.phase_id, one.formula, one.energy_per_atom)
        for one in known_energies(engine_name).values()
        if one.rejected is None and one.energy_per_atom is not None
    ]
    if not known or not used:
        return imported
    names, formulas, energies = zip(*known, strict=True)
    hull = Hull(formulas, energies, ids=names)
    kept: list[ReferenceEnergy] = []
    refused = list(rejected)
    for energy in used:
        reason = _implausible(energy, hull)
        if reason is None:
            kept.append(energy)
        else:
            refused.append(Rejection(energy.phase_id, reason))
    return tuple(kept), tuple(refused)


def _implausible(energy: ReferenceEnergy, hull: Hull) -> str | None:
    try:
        found = hull.decomposition(energy.formula)
    except MissingReferenceError:
        return None
    if energy.energy_per_atom is None or any(
        len(parse_formula(phase.partition("-")[0])) == 1 for phase in found.amounts
    ):
        return None
    above = energy.energy_per_atom - found.energy
    lowest = _FAR_BELOW if len(found.amounts) > 1 else _BELOW_OTHER_FORMS
    if -lowest <= above <= _FAR_ABOVE:
        return None
    side = "below" if above < 0 else "above"
    return (
        f"{abs(above):.2f} eV/atom {side} {', '.join(sorted(found.amounts))} of "
        f"{energy.engine}: no total energy of {energy.calculator}; import it for the "
        "engine that computed it"
    )


def import_rules(
    engine_name: str, calculator: str | None, *, source: str
) -> ImportRules:
    """
    Say what entries of a calculator have to obey to be references of an engine.

    Raises ConfigurationError if the calculator is not named, or is another than the
    engine's.
    """
    chosen = engine(engine_name)
    scheme = vasp_scheme(chosen.name) if is_vasp(chosen.name) else None
    if scheme is not None and scheme.rehearsal:
        raise ConfigurationError(
            f"energies of the engine {chosen.name} cannot be imported: they mean "
            "nothing outside their rehearsal"
        )
    wanted = chosen.label or f"{chosen.name} VERSION"
    if calculator is None:
        raise ConfigurationError(
            f"--calculator is missing: entries do not say who computed them, for the "
            f"engine {chosen.name} it is {wanted!r}"
        )
    same = (
        calculator == chosen.label
        if chosen.label
        else calculator.startswith(f"{chosen.name} ")
    )
    if not same:
        raise ConfigurationError(
            f"energies of the calculator {calculator!r} are none of the engine "
            f"{chosen.name}, whose calculator is {wanted!r}: a hull mixes no two"
        )
    return ImportRules(
        engine=chosen.name,
        label=calculator,
        source=source,
        scheme=scheme,
        run_types_refused=scheme is None,
        unsupported=chosen.unsupported,
        oxidation_states=library_oxidation_states(),
    )


def library_oxidation_states() -> dict[str, dict[str, float]]:
    """Return formula → oxidation states, where all phases of the library agree."""
    from pymatgen.core import Composition  # noqa: PLC0415 - only for imports

    found: dict[str, list[dict[str, float]]] = {}
    for phase in load_reference_phases():
        states = mean_oxidation_states(phase)
        if states.keys() == phase.elements:
            formula = Composition(display_formula(phase.amounts)).reduced_formula
            found.setdefault(formula, []).append(states)
    return {
        formula: states[0]
        for formula, states in found.items()
        if all(other == states[0] for other in states)
    }


def from_materials_project(
    systems: Iterable[str], connection: MaterialsProject, *, engine_name: str
) -> Imported:
    """
    Fetch the entries of chemical systems, of the kind that belongs to an engine.

    Raises ConfigurationError if the engine's energies are not those of the Materials
    Project.
    """
    thermo_type = materials_project_thermo_type(engine_name)
    label = engine(engine_name).label
    source = f"Materials Project, thermo type {thermo_type}"
    rules = import_rules(engine_name, label, source=source)
    found = connection.entries(list(systems), thermo_type=thermo_type)
    return imported_energies(found, rules)


def materials_project_thermo_type(engine_name: str) -> str:
    """
    Return the kind of the Materials Project's energies that belongs to an engine.

    Raises ConfigurationError if none does; says what to do instead.
    """
    name = engine(engine_name).name
    if name not in _THERMO_TYPES:
        others = " or ".join(_THERMO_TYPES)
        raise ConfigurationError(
            f"energies of the Materials Project belong to {others}, not to {name}: "
            f"`hts references compute --engine {name}` computes competing phases, or "
            f"choose --engine {others}"
        )
    return _THERMO_TYPES[name]


def subsystems(
    compositions: Iterable[Collection[str]], *, largest: int
) -> tuple[str, ...]:
    """
    List the chemical systems inside compositions, up to a number of elements.

    Examples
    --------
    >>> subsystems([{"Li", "F"}, {"Li", "O"}], largest=2)
    ('F', 'F-Li', 'Li', 'Li-O', 'O')
    """
    distinct = {frozenset(one) for one in compositions}
    found = {
        "-".join(system)
        for elements in distinct
        for size in range(1, largest + 1)
        for system in combinations(sorted(elements), size)
    }
    return tuple(sorted(found))
