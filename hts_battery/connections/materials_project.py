"""The Materials Project: entries of chemical systems, through its client mp-api."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from hts_battery.errors import ConfigurationError, StoreError
from hts_battery.schemas.decoding import read_structure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pymatgen.core import Structure

KEY_VARIABLES = ("MP_API_KEY", "PMG_MAPI_KEY")
THERMO_TYPE_GGA = "GGA_GGA+U"
"""PBE and PBE+U, the energies that belong to those of the engine vasp-mp-gga."""
THERMO_TYPE_R2SCAN = "R2SCAN"
"""r2SCAN alone, the energies that belong to those of the engine vasp-mp24."""

_STRUCTURE_FIELDS = ("material_id", "structure", "theoretical")
_BATCH = 100  # systems a question: they travel in its address
_REFUSED = re.compile(r"\b(401|403)\b|api[ _-]?key", re.IGNORECASE)


class SummarySearch(Protocol):
    """What is used of mp-api's ``SummaryRester``."""

    def search(
        self,
        *,
        chemsys: list[str],
        energy_above_hull: tuple[float, float],
        deprecated: bool,
        all_fields: bool,
        fields: list[str],
    ) -> list[Any]:
        """Return the summaries of some chemical systems, with the fields asked for."""


class MaterialsResters(Protocol):
    """What is used of mp-api's ``MaterialsRester``."""

    @property
    def summary(self) -> SummarySearch:
        """Summaries of materials."""


@dataclass(frozen=True)
class FetchedStructure:
    """One structure of the Materials Project."""

    material_id: str
    structure: Structure
    is_reported: bool
    """Whether an experimental compound has it."""


class Rester(Protocol):
    """What is used of mp-api's ``MPRester``."""

    @property
    def materials(self) -> MaterialsResters:
        """Endpoints of materials."""

    def get_entries(
        self,
        chemsys_formula_mpids: str | list[str],
        *,
        compatible_only: bool,
        additional_criteria: dict[str, list[str]],
    ) -> list[Any]:
        """Return the entries of some chemical systems."""


@dataclass(frozen=True)
class MaterialsProject:
    """A connection to the Materials Project: a client and the errors it raises."""

    rester: Rester
    errors: tuple[type[Exception], ...] = (OSError,)

    def entries(
        self, chemical_systems: Sequence[str], *, thermo_type: str
    ) -> list[dict[str, Any]]:
        """
        Return the uncorrected entries of chemical systems, of one thermo type.

        Parameters
        ----------
        chemical_systems
            Like ``Li-Mn-O``.
        thermo_type
            Which kind of energies; no hull mixes two.

        Raises
        ------
        ConfigurationError
            If the key is refused.
        StoreError
            If the service does not answer.
        """
        found: list[dict[str, Any]] = []
        for start in range(0, len(chemical_systems), _BATCH):
            with _translated(self.errors):
                answer = self.rester.get_entries(
                    list(chemical_systems[start : start + _BATCH]),
                    compatible_only=False,
                    additional_criteria={"thermo_types": [thermo_type]},
                )
            found += [
                entry if isinstance(entry, dict) else entry.as_dict()
                for entry in answer
            ]
        return found

    def structures(
        self, chemical_systems: Sequence[str], *, within: float
    ) -> list[FetchedStructure]:
        """
        Return the structures of chemical systems near the service's own hull, by id.

        Parameters
        ----------
        chemical_systems
            Like ``Li-Mn-O``; structures of exactly these elements each.
        within
            At most so far above the hull, eV/atom.

        Raises
        ------
        ConfigurationError
            If the key is refused.
        StoreError
            If the service does not answer, or answers without a structure.
        """
        found: dict[str, FetchedStructure] = {}
        for start in range(0, len(chemical_systems), _BATCH):
            with _translated(self.errors):
                answer = self.rester.materials.summary.search(
                    chemsys=list(chemical_systems[start : start + _BATCH]),
                    energy_above_hull=(0.0, within),
                    deprecated=False,
                    all_fields=False,
                    fields=list(_STRUCTURE_FIELDS),
                )
            for doc in answer:
                one = _fetched_structure(doc)
                found[one.material_id] = one
        return [found[name] for name in sorted(found)]


def _fetched_structure(doc: object) -> FetchedStructure:
    """Read a summary as the client returns it: an object, or its dictionary."""
    values = {
        name: doc.get(name) if isinstance(doc, dict) else getattr(doc, name, None)
        for name in _STRUCTURE_FIELDS
    }
    structure = values["structure"]
    if isinstance(structure, dict):
        structure = read_structure(structure)
    if structure is None or values["material_id"] is None:
        raise StoreError(
            "the Materials Project answered without structure or id: the client mp-api "
            "may be of another release than the service"
        )
    return FetchedStructure(
        material_id=str(values["material_id"]),
        structure=structure,
        is_reported=values["theoretical"] is False,
    )


@contextmanager
def _translated(errors: tuple[type[Exception], ...]) -> Iterator[None]:
    """Say in our words what the client raises."""
    try:
        yield
    except errors as err:
        if _REFUSED.search(str(err)):
            # Its message may repeat the key.
            raise ConfigurationError(_wrong_key()) from None
        raise StoreError(
            f"the Materials Project does not answer: {type(err).__name__}: "
            f"{str(err).partition(chr(10))[0]}; try again later"
        ) from err


def _wrong_key() -> str:
    return (
        f"the Materials Project refuses the key in {' or '.join(KEY_VARIABLES)}: copy "
        "the one of https://materialsproject.org/dashboard"
    )


def connect(
    environment: Mapping[str, str] | None = None, *, endpoint: str | None = None
) -> MaterialsProject:
    """
    Connect to the Materials Project, or a mirror, with the key of the environment.

    Raises
    ------
    ConfigurationError
        If there is no key, it is refused, or mp-api is not installed.
    StoreError
        If the service does not answer.
    """
    variables = os.environ if environment is None else environment
    key = next((variables[name] for name in KEY_VARIABLES if variables.get(name)), None)
    if key is None:
        raise ConfigurationError(
            f"no key of the Materials Project: set {' or '.join(KEY_VARIABLES)} to the "
            "one of https://materialsproject.org/dashboard"
        )
    try:
        from mp_api.client import MPRester  # noqa: PLC0415 - an optional extra
        from mp_api.client.core import MPRestError  # noqa: PLC0415 - likewise
    except ImportError as err:
        raise ConfigurationError(
            "the Materials Project needs mp-api: pip install 'hts_battery[mp]'"
        ) from err
    errors = (MPRestError, OSError, ValueError)
    # A key of the wrong length is refused here, and the service is asked for its
    # release: requests' errors are OSErrors.
    with _translated(errors):
        rester = MPRester(key, endpoint=endpoint, mute_progress_bars=True)
    return MaterialsProject(rester, errors)
