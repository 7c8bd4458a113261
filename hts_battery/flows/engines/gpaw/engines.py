"""The engines that compute with GPAW."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from hts_battery.errors import ConfigurationError
from hts_battery.flows.engines.engine import (
    LCAO_ERROR,
    PBE_U_ERROR,
    Capability,
    Engine,
    keeping_the_cell,
)
from hts_battery.flows.engines.gpaw.process import gpaw_command
from hts_battery.flows.engines.gpaw.settings import GPAWSettings
from hts_battery.flows.execution.node import node_settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jobflow import Maker

    from hts_battery.schemas.campaign import RelaxationSpec

PACKAGES = ("gpaw", "gpaw-data")
FIXED_CELL_CUTOFF_EV = 600.0


@dataclass(frozen=True)
class GPAWEngine(Engine):
    """An engine whose calculator is GPAW with certain settings."""

    settings: GPAWSettings = field(default_factory=GPAWSettings)

    def calculator(self) -> str:
        """
        Name the calculator as documents do, settings included.

        Examples
        --------
        >>> gpaw_engines()[0].settings.label
        'PBE+U pw800 k1.8'
        """
        return f"{self.name} {self.versions()['gpaw']} {self.settings.label}"


def gpaw_engines() -> tuple[GPAWEngine, ...]:
    """Return every engine of GPAW: energies at one cutoff only are compared."""
    return (
        # PBE+U, plane waves to 800 eV: cells may move.
        _engine("gpaw", GPAWSettings()),
        _engine("gpaw-fixed-cell", GPAWSettings(cutoff=FIXED_CELL_CUTOFF_EV)),
        # Atomic orbitals, for a first geometry.
        _engine("gpaw-lcao", GPAWSettings(mode="lcao")),
    )


def _engine(name: str, settings: GPAWSettings) -> GPAWEngine:
    def relax_maker(relaxation: RelaxationSpec) -> Maker:
        # atomate2 takes seconds to import and only nodes need it.
        from hts_battery.flows.engines.gpaw.jobs import gpaw_maker  # noqa: PLC0415

        return gpaw_maker(name, settings, relaxation)

    return GPAWEngine(
        name=name,
        packages=PACKAGES,
        relax_maker=relax_maker,
        extra="gpaw",
        magmom=True,
        elements=_elements_with_data,
        checks=(_command_is_there,),
        makers={Capability.KEEP_CELL: keeping_the_cell(relax_maker)},
        error=PBE_U_ERROR if settings.mode == "pw" else LCAO_ERROR,
        settings=settings,
    )


def _elements_with_data() -> frozenset[str]:
    """Return the elements of the installed PBE data; all where none is installed."""
    found = find_spec("gpaw_data")
    folders = found.submodule_search_locations if found else None
    if not folders:
        from pymatgen.core import Element  # noqa: PLC0415 - the registry starts quickly

        return frozenset(element.symbol for element in Element)
    names = (Path(folder) / "setups" for folder in folders)
    return frozenset(
        file.name.partition(".")[0]
        for folder in names
        for file in folder.glob("*.PBE.gz")
    )


def _command_is_there(_: frozenset[str]) -> Iterable[str]:
    """Say why GPAW cannot be started here, if it cannot."""
    try:
        command = gpaw_command(node_settings())
    except ConfigurationError as err:
        return (str(err),)
    if shutil.which(command[0]) is None:
        problem = (
            f"the setting gpaw_command starts {command[0]}, which is not on this "
            "machine: install it or correct the setting"
        )
        return (problem,)
    return ()
