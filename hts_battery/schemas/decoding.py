"""
The one gate between stored documents and objects.

A document is data, but monty makes objects of what names a module and a class, anywhere
in it, site properties included, and imports that module: whoever may write a document
could run code as everybody who reads it. So whatever is decoded is looked through
first, and what names anything but the classes of documents is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator

from hts_battery.errors import ForeignClassError

if TYPE_CHECKING:
    from pymatgen.core import Structure

_CLASSES = frozenset(
    (
        ("bson.objectid", "ObjectId"),
        ("datetime", "datetime"),
        ("jobflow.core.reference", "OutputReference"),
        ("numpy", "array"),
        ("pymatgen.io.vasp.outputs", "Outcar"),  # stays a dictionary in task documents
        ("uuid", "UUID"),
    )
)
"""Module and class, where the module holds others too."""

_MODULES = (
    "atomate2.ase.schemas",
    "atomate2.forcefields.schemas",
    "atomate2.vasp.schemas",
    "custodian.vasp.handlers",  # what custodian writes down of itself; made, never run
    "custodian.vasp.jobs",
    "custodian.vasp.validators",
    "emmet.core.base",
    "emmet.core.math",
    "emmet.core.mpid",
    "emmet.core.structure",
    "emmet.core.symmetry",
    "emmet.core.tasks",
    "emmet.core.trajectory",
    "emmet.core.types",
    "emmet.core.vasp",
    "hts_battery.flows.engines",
    "hts_battery.schemas",
    "pymatgen.core",
    "pymatgen.electronic_structure",
    "pymatgen.entries",
    "pymatgen.io.vasp.inputs",
    "pymatgen.symmetry",
)
"""
Modules, with what is below them, that hold nothing but data.

Settings and input sets are none: some read a file or an address that a document names.
"""


def _plain(value: object) -> object:
    """Turn tuples into lists, so that a stored document equals the one in memory."""
    as_dict = getattr(value, "as_dict", None)
    if callable(as_dict):
        return _plain(as_dict())
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


StructureDict = Annotated[dict[str, object], BeforeValidator(_plain)]
"""A structure as pymatgen's dictionary of it, or the structure itself, written so."""


def check_document(document: object, what: str = "document") -> None:
    """
    Refuse a document that would import anything but the classes of documents.

    Parameters
    ----------
    document
        Whatever a store or a file held; nested to any depth.
    what
        What it is, for the error.

    Raises
    ------
    ForeignClassError
        Names where it stands in the document, and what it names.

    Examples
    --------
    >>> check_document({"@module": "pymatgen.core.lattice", "@class": "Lattice"})
    >>> check_document({"a": [{"@module": "os", "@callable": "system"}]})
    Traceback (most recent call last):
    ...
    hts_battery.errors.ForeignClassError: document: a.0 names os.system, which is no \
class of a document: it was not imported
    """
    waiting: list[tuple[str, object]] = [("", document)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, Mapping):
            if "@module" in value and not _is_known(value):
                named = value.get("@callable", value.get("@class"))
                where = f"{place} names " if place else "it names "
                raise ForeignClassError(
                    f"{what}: {where}{value['@module']}.{named}, which is no class of "
                    "a document: it was not imported"
                )
            inner: Any = value.items()
        elif isinstance(value, list | tuple):
            inner = enumerate(value)
        else:
            continue
        waiting += [
            (f"{place}.{key}" if place else str(key), one)
            for key, one in inner
            if isinstance(one, Mapping | list | tuple)
        ]


def _is_known(value: Mapping[Any, Any]) -> bool:
    """Say whether a mapping that names a module names a class of documents in it."""
    module, name = value["@module"], value.get("@class")
    if "@callable" in value or not isinstance(module, str):
        return False
    if not name or not module:
        return True  # nothing is made of it: jobflow marks its blobs so
    if (module, name) in _CLASSES:
        return True
    return any(module == one or module.startswith(f"{one}.") for one in _MODULES)


def read_structure(document: Mapping[str, object]) -> Structure:
    """
    Make pymatgen's structure of a stored dictionary.

    Raises
    ------
    ForeignClassError
        If a property of it, or of a site, would import something.
    """
    from pymatgen.core import Structure  # noqa: PLC0415 - words stay light

    check_document(document, "structure")
    return Structure.from_dict(dict(document))
