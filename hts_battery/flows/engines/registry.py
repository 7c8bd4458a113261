"""Engines by name: configured atomate2 makers that turn a structure into an energy."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from hts_battery.errors import ConfigurationError
from hts_battery.flows.engines.engine import Engine
from hts_battery.flows.engines.forcefields import (
    PREFIX,
    chgnet_engine,
    force_field_engine,
    ionic_engine,
)
from hts_battery.flows.engines.gpaw.engines import gpaw_engines
from hts_battery.flows.engines.vasp.engines import (
    REHEARSAL_PREFIX,
    rehearsal,
    vasp_mp24_engine,
    vasp_mp_gga_engine,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ENGINES", "Engine", "engine"]

ENGINES: Mapping[str, Engine] = {
    one.name: one
    for one in (
        chgnet_engine(),
        ionic_engine(),
        *gpaw_engines(),
        vasp_mp_gga_engine(),
        vasp_mp24_engine(),
    )
}


def engine(name: str) -> Engine:
    """
    Return the engine of a name: of the registry, ``forcefield:…`` or ``rehearsal:…``.

    Raises
    ------
    ConfigurationError
        If there is none; the message lists the names.

    Examples
    --------
    >>> engine("vasp-mp-gga").steps
    ('relax 1', 'relax 2', 'static')
    """
    if name.startswith(PREFIX):
        return force_field_engine(name.removeprefix(PREFIX))
    if name.startswith(REHEARSAL_PREFIX):
        return rehearsal(engine(name.removeprefix(REHEARSAL_PREFIX)))
    try:
        return ENGINES[name]
    except KeyError as err:
        raise ConfigurationError(
            f"there is no engine {name!r}; choose one of {', '.join(sorted(ENGINES))}, "
            f"{PREFIX}NAME for a force field of atomate2, or {REHEARSAL_PREFIX}NAME "
            f"for a rehearsal without the code{_guess(name)}"
        ) from err


def _guess(name: str) -> str:
    """Name the engine that somebody may mean, if one is written much like that."""
    close = get_close_matches(name.lower().replace("_", "-"), ENGINES, n=1)
    return f" (did you mean {close[0]}?)" if close else ""
