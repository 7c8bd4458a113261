"""Values of other programs' files as plain ones, importing nothing that they name."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from math import isfinite
from numbers import Real
from typing import Any

import numpy as np

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

    Parameters
    ----------
    value
        As a JSON reader, MongoDB's extended JSON, numpy or pymatgen hands it over.

    Examples
    --------
    >>> plain({"$numberDouble": "-1.5"}), plain({"$oid": "5f0c"})
    (-1.5, '5f0c')
    >>> plain({"@module": "numpy", "@class": "array", "dtype": "int64", "data": [1]})
    [1]
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
    """
    Read a finite number.

    Parameters
    ----------
    value
        A number of any kind; no text and no truth value.
    what
        What it is, for the error.
    unit
        Its unit, for the error.

    Raises
    ------
    TypeError
        If it is no number.
    ValueError
        If it is not finite.

    Examples
    --------
    >>> number_of(np.float32(0.5), "energy")
    0.5
    """
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
