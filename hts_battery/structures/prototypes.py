"""Descriptions of parent lattices, read from data files with their source."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING

import yaml
from pydantic import Field, ValidationError

from hts_battery.errors import OrderingError, SpecError
from hts_battery.schemas.base import Document, Rational
from hts_battery.schemas.files import load_mapping, spec_error

if TYPE_CHECKING:
    from pathlib import Path

_DATA = files("hts_battery.structures") / "data" / "prototypes"


class Sublattice(Document):
    """Sites of a parent lattice that share their species."""

    sites: Rational = Field(gt=0, description="Number of sites per formula unit.")
    coordination: int = Field(
        description="Number of nearest neighbours, for the choice of ionic radius."
    )
    reference: str = Field(
        description="Species on this sublattice in the compound whose lattice "
        "parameters the file gives."
    )
    positions: dict[str, tuple[Rational, Rational, Rational]] = Field(
        min_length=1,
        description="Label of each orbit of sites and one of its positions, "
        "fractional in the conventional cell.",
    )


class LatticeParameters(Document):
    """Conventional cell of the reference compound."""

    a: float = Field(gt=0, description="Length in angstrom.")
    b: float = Field(gt=0, description="Length in angstrom.")
    c: float = Field(gt=0, description="Length in angstrom.")
    alpha: float = Field(gt=0, lt=180, description="Angle in degrees.")
    beta: float = Field(gt=0, lt=180, description="Angle in degrees.")
    gamma: float = Field(gt=0, lt=180, description="Angle in degrees.")


class Prototype(Document):
    """A parent lattice, as its data file describes it."""

    name: str = Field(description="Name of the prototype and of its file.")
    title: str = Field(description="One sentence for people.")
    families: tuple[str, ...] = Field(
        description="Families of candidates that use it when nothing else is said."
    )
    source: str = Field(description="Where lattice parameters and positions stand.")
    space_group: int = Field(
        ge=1,
        le=230,
        description="International number, in pymatgen's setting: hexagonal axes for "
        "R groups, origin choice 1 where there are two.",
    )
    lattice: LatticeParameters = Field(description="Conventional cell.")
    primitive: tuple[
        tuple[Rational, Rational, Rational],
        tuple[Rational, Rational, Rational],
        tuple[Rational, Rational, Rational],
    ] = Field(description="Primitive vectors in units of the conventional ones.")
    formula_units: Rational = Field(
        description="Formula units in the primitive cell; may be a fraction."
    )
    sublattices: dict[str, Sublattice] = Field(description="By name.")
    bonds: tuple[tuple[str, str], ...] = Field(
        description="Pairs of sublattices in contact, whose ionic radii scale the "
        "lattice."
    )
    shells: int = Field(
        ge=1,
        description="Number of neighbour shells whose correlations are optimised.",
    )
    least_sites: dict[str, int] = Field(
        default_factory=dict,
        description="Sublattice → sites of the smallest cell in which an ordering can "
        "resemble a random solution; an ordering of a smaller one is a compound.",
    )


_OWN: dict[str, Path] = {}
"""Name of a prototype of the user's own → its file."""


def use_prototypes(folder: Path) -> None:
    """
    Let a folder of prototypes of one's own stand beside those of the package.

    Every process that orders candidates, or reads ordered cells, has to know it: the
    setting ``prototype_folder`` says it to all of them.

    Raises
    ------
    SpecError
        If a file is no prototype, has the name of another, or claims a family that
        another one has: with file, line and field.
    """
    if not folder.is_dir():
        raise SpecError("there is no such folder of prototypes", file=str(folder))
    found = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    families = {
        family: name
        for name in package_prototypes()
        for family in load_prototype(name).families
    }
    for name, path in found.items():
        prototype = _read(path)
        if prototype.name != name or name in package_prototypes():
            raise SpecError(
                f"the prototype of {path.name} is called {prototype.name}: a file is "
                "called as its prototype, and none as one of the package",
                file=str(path),
                field="name",
            )
        for family in prototype.families:
            if families.setdefault(family, name) != name:
                raise SpecError(
                    f"the family {family} is ordered on {families[family]} already: "
                    "give yours another name",
                    file=str(path),
                    field="families",
                )
    _OWN.clear()
    _OWN.update(found)
    load_prototype.cache_clear()
    prototype_of_family.cache_clear()


def _read(path: Path) -> Prototype:
    """Read a prototype of the user's own; refuse it with file, line and field."""
    data, lines = load_mapping(path, "a prototype")
    try:
        return Prototype.model_validate(data)
    except ValidationError as err:
        raise spec_error(err, file=str(path), lines=lines, shape=Prototype) from err


def own_prototype_digest(name: str) -> str | None:
    """Digest what the file of a prototype of one's own says; None of the package's."""
    if name not in _OWN:
        return None
    text = load_prototype(name).model_dump_json(exclude={"title", "source"})
    return sha256(text.encode()).hexdigest()[:24]


def package_prototypes() -> tuple[str, ...]:
    """Name the prototypes of the package."""
    names = (entry.name for entry in _DATA.iterdir())
    return tuple(sorted(n.removesuffix(".yaml") for n in names if n.endswith(".yaml")))


def prototype_names() -> tuple[str, ...]:
    """Name every prototype that has a data file: the package's, then one's own."""
    return (*package_prototypes(), *sorted(_OWN))


@lru_cache(maxsize=64)
def load_prototype(name: str) -> Prototype:
    """Read one prototype from its data file."""
    if name in _OWN:
        return _read(_OWN[name])
    if name not in prototype_names():
        known = ", ".join(prototype_names())
        raise OrderingError(f"no prototype {name!r}; there are {known}")
    text = (_DATA / f"{name}.yaml").read_text(encoding="utf-8")
    return Prototype.model_validate(yaml.safe_load(text))


@lru_cache(maxsize=64)
def prototype_of_family(family: str) -> Prototype:
    """Return the prototype on which a family's candidates are ordered."""
    prototypes = [load_prototype(name) for name in prototype_names()]
    for prototype in prototypes:
        if family in prototype.families:
            return prototype
    known = ", ".join(sorted(f for p in prototypes for f in p.families))
    raise OrderingError(
        f"no prototype for the family {family!r}; families with one: {known}; one of "
        "your own is a file in the folder of the setting prototype_folder"
    )
