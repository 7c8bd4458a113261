"""Importing energies of competing phases from files and from the Materials Project."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from monty.serialization import loadfn

from hts_battery.errors import ConfigurationError
from hts_battery.flows.engine import MP2020
from hts_battery.flows.engines import engine
from hts_battery.flows.references import read_energy_file
from hts_battery.schemas.formula import display_formula
from hts_battery.schemas.reference import mean_oxidation_states
from hts_battery.structures.reference_library import load_reference_phases
from hts_battery.thermo.imported_entries import ImportRules, imported_energies

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from hts_battery.connections.materials_project import MaterialsProject
    from hts_battery.schemas.reference import ReferenceEnergy
    from hts_battery.thermo.imported_entries import Rejection

    Imported = tuple[tuple[ReferenceEnergy, ...], tuple[Rejection, ...]]

_MP_ENGINE = "vasp-mp-gga"


def read_file(path: Path, *, engine_name: str, calculator: str | None) -> Imported:
    """
    Read energies from a file of this project's or from one of pymatgen entries.

    Parameters
    ----------
    path
        JSON, also compressed: a file of ``hts references compute --write``, a list of
        entries, or a mapping whose key ``entries`` holds one.
    engine_name
        Engine whose hull they are for.
    calculator
        Name of the calculator of pymatgen entries, with its version.

    Returns
    -------
    tuple
        Energies, and what was rejected.

    Raises
    ------
    ConfigurationError
        If the file cannot be read, or belongs to another engine or calculator.
    """
    if path.suffix not in {".json", ".gz"}:
        raise ConfigurationError(f"{path}: a file of entries ends with .json, .json.gz")
    try:
        content = loadfn(path, cls=None, fmt="json")
    except OSError as err:
        raise ConfigurationError(f"{path}: {err.strerror or err}") from err
    except ValueError as err:
        raise ConfigurationError(f"{path}: not JSON: {err}") from err
    if isinstance(content, dict) and "energies" in content:
        energies = read_energy_file(path)
        if energies.engine != engine_name:
            raise ConfigurationError(
                f"{path} holds energies of the engine {energies.engine}, not of "
                f"{engine_name}: name it with --engine"
            )
        return energies.energies, ()
    if isinstance(content, dict):
        content = content.get("entries")
    if not isinstance(content, list):
        raise ConfigurationError(
            f"{path}: neither a list of pymatgen entries, nor a mapping with the key "
            "entries, nor a file of `hts references compute --write`"
        )
    rules = import_rules(engine_name, calculator, source=f"file {path.name}")
    return imported_energies(content, rules)


def import_rules(
    engine_name: str, calculator: str | None, *, source: str
) -> ImportRules:
    """
    Say what entries of a calculator have to obey to be references of an engine.

    Raises
    ------
    ConfigurationError
        If the calculator is not named, or is another than the engine's.
    """
    chosen = engine(engine_name)
    corrected = chosen.correction == MP2020
    if chosen.label is not None and (
        not corrected or chosen.name.startswith("rehearsal:")
    ):
        raise ConfigurationError(
            f"energies of the engine {chosen.name} cannot be imported: no hull is made "
            "of them"
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
        corrected=corrected,
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
    Fetch the entries of chemical systems, PBE and PBE+U only.

    Raises
    ------
    ConfigurationError
        If the engine's energies are not those of the Materials Project.
    """
    require_materials_project_engine(engine_name)
    label = engine(engine_name).label
    source = "Materials Project, thermo type GGA_GGA+U"
    rules = import_rules(engine_name, label, source=source)
    return imported_energies(connection.entries(list(systems)), rules)


def require_materials_project_engine(engine_name: str) -> None:
    """
    Refuse an engine whose energies do not compare with the Materials Project's.

    Raises
    ------
    ConfigurationError
        Says what to do instead.
    """
    name = engine(engine_name).name
    if name != _MP_ENGINE:
        raise ConfigurationError(
            f"energies of the Materials Project belong to {_MP_ENGINE}, not to {name}: "
            f"`hts references compute --engine {name}` computes competing phases, or "
            f"choose --engine {_MP_ENGINE}"
        )


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
