"""What the stand-in reads: INCAR, POSCAR, KPOINTS, POTCAR or POTCAR.spec."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

Value = bool | int | float | str | list[int] | list[float]

_TRUE = re.compile(r"\.?(T|TRUE)\.?", re.IGNORECASE)
_FALSE = re.compile(r"\.?(F|FALSE)\.?", re.IGNORECASE)
_INTEGER = re.compile(r"[+-]?\d+")
_REPEATED = re.compile(r"(\d+)\*(\S+)")
_LISTS = {"MAGMOM", "LDAUU", "LDAUJ", "LDAUL"}
_WORDS = {"ALGO", "GGA", "METAGGA", "PREC", "SYSTEM"}
_REALS = {"ENCUT", "ENMAX", "EDIFF", "EDIFFG", "SIGMA", "POTIM", "NELECT", "KSPACING"}


class InputError(Exception):
    """An input file is missing or says something that VASP would not accept."""


@dataclass(frozen=True)
class Poscar:
    """The atoms of a POSCAR: vectors in angstrom and positions, one a row."""

    comment: str
    lattice: NDArray[np.float64]
    symbols: tuple[str, ...]
    fractional: NDArray[np.float64]

    @property
    def volume(self) -> float:
        """Volume in cubic angstrom."""
        return float(abs(np.linalg.det(self.lattice)))

    @property
    def types(self) -> tuple[tuple[str, int], ...]:
        """Runs of equal elements with their lengths, as POSCAR and POTCAR count."""
        runs: list[tuple[str, int]] = []
        for symbol in self.symbols:
            if runs and runs[-1][0] == symbol:
                runs[-1] = (symbol, runs[-1][1] + 1)
            else:
                runs.append((symbol, 1))
        return tuple(runs)

    def moved(
        self, lattice: NDArray[np.float64], fractional: NDArray[np.float64]
    ) -> Poscar:
        """Return the same atoms elsewhere."""
        return Poscar(self.comment, lattice, self.symbols, fractional)


@dataclass(frozen=True)
class Inputs:
    """Everything that one run reads."""

    incar: dict[str, Value]
    cell: Poscar
    grid: tuple[int, int, int]
    grid_style: str
    titles: tuple[str, ...]
    """Title of the POTCAR of each run of elements."""


def read_inputs(folder: Path) -> Inputs:
    """Read the inputs of one run; refuse in VASP's words where custodian knows them."""
    incar = read_incar(_text(folder / "INCAR"))
    cell = read_poscar(_text(folder / "POSCAR"))
    grid, style = _grid(folder / "KPOINTS", incar, cell)
    titles = _titles(folder, cell)
    _check(incar, cell)
    return Inputs(incar, cell, grid, style, titles)


def read_incar(text: str) -> dict[str, Value]:
    """Read the tags of an INCAR."""
    tags: dict[str, Value] = {}
    for raw in text.replace(";", "\n").splitlines():
        line = re.split(r"[#!]", raw, maxsplit=1)[0]
        if "=" not in line:
            continue
        name, words = line.split("=", 1)
        tags[name.strip().upper()] = _value(name.strip().upper(), words.split())
    return tags


def _value(name: str, words: list[str]) -> Value:
    """Read a value the way its tag asks for."""
    spread: list[str] = []
    for word in words:
        repeated = _REPEATED.fullmatch(word)
        spread += [repeated[2]] * int(repeated[1]) if repeated else [word]
    word = spread[0] if spread else ""
    if name in _WORDS:
        return " ".join(words)
    if name in _LISTS or len(spread) > 1:
        return [_real(name, word) for word in spread]
    if name in _REALS:
        return _real(name, word)
    return _plain(word)


def _plain(word: str) -> bool | int | float | str:
    """Read a value by its form alone."""
    if _TRUE.fullmatch(word) or _FALSE.fullmatch(word):
        return bool(_TRUE.fullmatch(word))
    if _INTEGER.fullmatch(word):
        return int(word)
    try:
        return float(word)
    except ValueError:
        return word


def _real(name: str, word: str) -> float:
    try:
        return float(word)
    except ValueError as err:
        raise InputError(f"Error reading item '{name}' from file INCAR.") from err


def read_poscar(text: str) -> Poscar:
    """Read a POSCAR of VASP 5 and later, in direct or Cartesian coordinates."""
    lines = text.splitlines()
    try:
        scale = float(lines[1].split()[0])
        lattice = _vectors(lines[2:5])
        names, counts = lines[5].split(), [int(word) for word in lines[6].split()]
        start = 8 if lines[7].strip()[:1] in "sS" else 7
        kind = lines[start].strip()[:1].lower()
        rows = lines[start + 1 : start + 1 + sum(counts)]
        places = _vectors(rows)
    except (IndexError, ValueError) as err:
        raise InputError("ERROR: POSCAR is cut short or has no numbers") from err
    if len(names) != len(counts) or len(places) != sum(counts):
        raise InputError("ERROR: POSCAR lacks elements, counts or positions")
    if scale < 0:
        scale = (-scale / abs(np.linalg.det(lattice))) ** (1 / 3)
    lattice = lattice * scale
    if kind in {"c", "k"}:
        places = places * scale @ np.linalg.inv(lattice)
    pairs = zip(names, counts, strict=True)
    symbols = tuple(name for name, count in pairs for _ in range(count))
    return Poscar(lines[0].strip(), lattice, symbols, places)


def _vectors(lines: list[str]) -> NDArray[np.float64]:
    return np.array([[float(word) for word in line.split()[:3]] for line in lines])


def _grid(
    path: Path, incar: dict[str, Value], cell: Poscar
) -> tuple[tuple[int, int, int], str]:
    """Return divisions and style of the k-points, from KPOINTS or KSPACING."""
    if path.is_file():
        lines = path.read_text(encoding="utf-8").splitlines()
        try:
            style = "Gamma" if lines[2].strip()[:1] in "gG" else "Monkhorst-Pack"
            first, second, third = (int(word) for word in lines[3].split()[:3])
        except (IndexError, ValueError) as err:
            raise InputError("Error reading KPOINTS file") from err
        return (first, second, third), style
    spacing = incar.get("KSPACING", 0.5)
    if not isinstance(spacing, float) or spacing <= 0:
        raise InputError("Error reading item 'KSPACING' from file INCAR.")
    reciprocal = 2 * np.pi * np.linalg.norm(np.linalg.inv(cell.lattice), axis=0)
    first, second, third = (max(1, int(np.ceil(b / spacing))) for b in reciprocal)
    return (first, second, third), "Gamma"


def _titles(folder: Path, cell: Poscar) -> tuple[str, ...]:
    """Read the titles of the potentials; refuse those of other elements."""
    potcar, spec = folder / "POTCAR", folder / "POTCAR.spec"
    if potcar.is_file():
        lines = potcar.read_text(encoding="utf-8").splitlines()
        titles = [line.split("=")[1].strip() for line in lines if "TITEL" in line]
    elif spec.is_file():
        words = spec.read_text(encoding="utf-8").split()
        titles = [f"PAW_PBE {symbol} placeholder" for symbol in words]
    else:
        raise InputError("ERROR: no POTCAR file found")
    elements = [title.split()[1].split("_")[0] for title in titles]
    wanted = [symbol for symbol, _ in cell.types]
    if elements != wanted:
        raise InputError(
            f"ERROR: POTCAR has {_listed(elements)}, POSCAR has {_listed(wanted)}"
        )
    return tuple(titles)


def _check(incar: dict[str, Value], cell: Poscar) -> None:
    """Refuse lists that do not fit the cell, as VASP does."""
    moments = incar.get("MAGMOM")
    if isinstance(moments, list) and len(moments) != len(cell.symbols):
        raise InputError("Error reading item 'MAGMOM' from file INCAR.")
    for name in ("LDAUU", "LDAUJ", "LDAUL"):
        values = incar.get(name)
        if isinstance(values, list) and len(values) != len(cell.types):
            raise InputError(f"Error reading item '{name}' from file INCAR.")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as err:
        raise InputError(f"ERROR: cannot read {path.name}: {err.strerror}") from err


def _listed(words: Iterable[str]) -> str:
    return " ".join(words)
