"""The Materials Project: entries of chemical systems, through its client mp-api."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from hts_battery.errors import ConfigurationError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

KEY_VARIABLES = ("MP_API_KEY", "PMG_MAPI_KEY")
THERMO_TYPE_GGA = "GGA_GGA+U"
"""PBE and PBE+U, the energies that belong to those of the engine vasp-mp-gga."""
THERMO_TYPE_R2SCAN = "R2SCAN"
"""r2SCAN alone, the energies that belong to those of the engine vasp-mp24."""

_BATCH = 100  # systems a question: they travel in its address
_REFUSED = re.compile(r"\b(401|403)\b|api[ _-]?key", re.IGNORECASE)


class Rester(Protocol):
    """What is used of mp-api's ``MPRester``."""

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
    ) -> list[dict[str, object]]:
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
        found: list[dict[str, object]] = []
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
