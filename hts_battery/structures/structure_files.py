"""Crystal structures from files of the user's own: CIF, POSCAR, pymatgen JSON."""

from __future__ import annotations

import gzip
import json
import warnings
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from pymatgen.core import DummySpecies, Structure
from pymatgen.io.cif import CifParser
from pymatgen.io.vasp.inputs import Poscar

from hts_battery.errors import ConfigurationError, HTSBatteryError
from hts_battery.schemas.decoding import read_structure
from hts_battery.schemas.formula import ELEMENTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

FORMS = "a CIF (.cif), a POSCAR (POSCAR…, CONTCAR…, .vasp, .poscar) or pymatgen's JSON"
LARGEST_FILE = 50_000_000
"""Bytes; a crystal structure takes thousands."""
_PREFIX = "Issues encountered while parsing CIF: "
_HARMLESS = ("rounded to ideal values", "type key found. Spacegroup from")
"""Of pymatgen's words: a third written as 0.3333; symmetry by the group's name."""
_SPELLED = 12  # denominators of occupancies that files round: 0.33 is a third
_ROUNDED = 0.0035
_DECIMALS = 1000
_FULL = 1e-3  # occupancies nearer to 1 are whole


class StructureFile(NamedTuple):
    """What one file holds."""

    path: Path
    structures: tuple[Structure, ...]
    notes: tuple[str, ...]
    """What the reader had to mend, in its words."""


def read_structure_file(path: Path) -> StructureFile:
    """
    Read every crystal structure of a file.

    Parameters
    ----------
    path
        A CIF, a POSCAR, or a structure or entry as pymatgen writes it to JSON; also
        compressed with gzip. The name says which.

    Raises
    ------
    ConfigurationError
        If it cannot be read, or names what is no element; says what is wrong and what
        would be right.
    """
    text = _text(path)
    name = path.name.removesuffix(".gz").lower()
    with warnings.catch_warnings(record=True) as caught:
        # Recorded, not hidden: they say what the file leaves to guesses.
        warnings.simplefilter("always")
        try:
            found = _parsed(name, text, path)
        except HTSBatteryError:
            raise
        except Exception as err:
            # The readers raise whatever a broken file makes them stumble over.
            raise ConfigurationError(_unreadable(path, err)) from err
    for structure in found:
        _check_elements(structure, path)
    return StructureFile(path, tuple(found), tuple(_notes(caught)))


def _notes(caught: Iterable[warnings.WarningMessage]) -> Iterator[str]:
    """Yield what a reader said, each once, without what loses nothing."""
    lines = dict.fromkeys(
        line
        for one in caught
        for line in str(one.message).removeprefix(_PREFIX).splitlines()
    )
    yield from (
        _one_line(line)
        for line in lines
        if line.strip() and not any(words in line for words in _HARMLESS)
    )


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ConfigurationError(
                f"{path}: {path.stat().st_size:,} bytes are no crystal structure; "
                f"at most {LARGEST_FILE:,} are read"
            )
        content = path.read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")  # names of authors in older files
    except (OSError, EOFError) as err:
        raise ConfigurationError(
            f"{path}: {getattr(err, 'strerror', None) or err}"
        ) from err


def _parsed(name: str, text: str, path: Path) -> list[Structure]:
    if not text.strip():
        raise ConfigurationError(f"{path}: the file is empty")
    if name.endswith((".cif", ".mcif")):
        parser = CifParser.from_str(text, occupancy_tolerance=1.05)
        return parser.parse_structures(primitive=False, check_occu=True)
    if name.startswith(("poscar", "contcar")) or name.endswith((".vasp", ".poscar")):
        return [Poscar.from_str(text).structure]
    if name.endswith(".json"):
        return _of_json(json.loads(text), path)
    raise ConfigurationError(f"{path}: by its name no structure; give {FORMS}")


def _of_json(content: object, path: Path) -> list[Structure]:
    """Find structures in what pymatgen writes: one, a list, entries that hold one."""
    if isinstance(content, list):
        return [one for part in content for one in _of_json(part, path)]
    if isinstance(content, dict) and "lattice" in content and "sites" in content:
        return [read_structure(content)]
    if isinstance(content, dict) and isinstance(content.get("structure"), dict):
        return [read_structure(content["structure"])]
    raise ConfigurationError(
        f"{path}: no structure: pymatgen's JSON has the keys lattice and sites, or "
        "such a mapping under structure"
    )


def _check_elements(structure: Structure, path: Path) -> None:
    wrong = sorted(
        str(species)
        for species in structure.composition
        if isinstance(species, DummySpecies) or species.symbol not in ELEMENTS
    )
    if wrong:
        raise ConfigurationError(
            f"{path}: not an element: {', '.join(wrong)}; write chemical symbols in "
            "the file"
        )


def _unreadable(path: Path, err: Exception) -> str:
    reason = _one_line(str(err))
    if not reason or not isinstance(err, ValueError):
        reason = "cell, symmetry or sites are missing or cut off"
    return (
        f"{path}: it cannot be read as {_form(path)}: {reason}; open it in a viewer of "
        "crystal structures and save it anew"
    )


def _form(path: Path) -> str:
    name = path.name.lower()
    if ".cif" in name:
        return "a CIF"
    return "pymatgen's JSON" if ".json" in name else "a POSCAR"


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]


def exact_occupancy(value: float) -> Fraction:
    """
    Read an occupancy as a fraction: files write a third as 0.33.

    Examples
    --------
    >>> [str(exact_occupancy(x)) for x in (0.333, 0.67, 0.65, 0.125, 1.0)]
    ['1/3', '2/3', '13/20', '1/8', '1']
    """
    for denominator in range(1, _SPELLED + 1):
        near = Fraction(round(value * denominator), denominator)
        # Two decimals are one of a hundred unless they are a rounded third or seventh.
        if abs(float(near) - value) < (_ROUNDED if denominator % 3 == 0 else 1e-4):
            return near
    return Fraction(value).limit_denominator(_DECIMALS)


def is_disordered(structure: Structure) -> bool:
    """Whether some site holds several species, or is filled in part."""
    return bool(disordered_sites(structure))


def disordered_sites(structure: Structure) -> dict[str, Mapping[str, float]]:
    """Name the sites that are shared or partly filled, each kind once."""
    found: dict[str, tuple[str, Mapping[str, float]]] = {}
    for site in structure:
        if len(site.species) > 1 or abs(site.species.num_atoms - 1) > _FULL:
            held = {str(species): float(n) for species, n in site.species.items()}
            found.setdefault(str(held), (site.label, held))
    return dict(found.values())
