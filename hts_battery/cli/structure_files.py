"""Structure files that a person names on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from pymatgen.core import Structure


def read_structure(file: Path) -> Structure:
    """Read a structure file; what cannot be read is named."""
    import warnings

    from pymatgen.core import Structure

    if not file.is_file():
        raise ConfigurationError(f"{file}: no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of rounded coordinates and the like
            return Structure.from_file(file)
    except Exception as err:
        raise ConfigurationError(
            f"{file}: not a structure that pymatgen reads ({err}); CIF, POSCAR or JSON"
        ) from err
