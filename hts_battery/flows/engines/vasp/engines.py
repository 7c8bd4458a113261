"""
VASP as the Materials Project runs it, under two names; nothing heavy is imported here.

``vasp-mp-gga`` is PBE with Hubbard U, two relaxations and a static calculation with
pymatgen's MPRelaxSet and MPStaticSet; ``vasp-mp24`` is r2SCAN after a PBEsol
pre-relaxation with the MP24 sets. The settings are atomate2's and are not changed: a
campaign cannot ask for another force threshold, because its energies would then stand
beside those of the Materials Project without belonging there.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hts_battery.errors import ConfigurationError
from hts_battery.flows.engines.engine import (
    MP2020,
    NO_CORRECTION,
    PBE_U_ERROR,
    R2SCAN_ERROR,
    REHEARSAL_ERROR,
    Capability,
    Engine,
)
from hts_battery.schemas.campaign import RelaxationSpec
from hts_battery.vasp_standin import VASP_MARK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobflow import Maker

    from hts_battery.schemas.uncertainty import CalculatorError

REHEARSAL_PREFIX = f"{VASP_MARK}:"
REHEARSAL_COMMAND = f"{shlex.quote(sys.executable)} -P -m hts_battery.vasp_standin.vasp"
_STEPS = ("relax 1", "relax 2", "static")
_PACKAGES = ("atomate2", "custodian", "pymatgen")
_GGA, _MP24 = "vasp-mp-gga", "vasp-mp24"
_GGA_LABEL, _MP24_LABEL = "vasp mp-gga PBE", "vasp mp24 r2SCAN PBE_64"


def vasp_mp_gga_engine() -> Engine:
    """
    Return the engine ``vasp-mp-gga``: PBE with Hubbard U.

    POTCARs of the functional "PBE", the first release, which is what the energies and
    the MP2020 corrections of the Materials Project belong to.
    """
    return _engine(_GGA, _GGA_LABEL, correction=MP2020, error=PBE_U_ERROR)


def vasp_mp24_engine() -> Engine:
    """Return the engine ``vasp-mp24``: r2SCAN, POTCARs of the functional "PBE_64"."""
    return _engine(_MP24, _MP24_LABEL, correction=NO_CORRECTION, error=R2SCAN_ERROR)


def _engine(
    name: str, label: str, *, correction: str, error: CalculatorError
) -> Engine:
    return Engine(
        name=name,
        packages=_PACKAGES,
        relax_maker=partial(_maker, name=name, label=label),
        extra="",
        steps=_STEPS,
        magmom=True,
        correction=correction,
        prerelaxes=False,
        label=label,
        elements=lambda: frozenset(_input_set(name)["POTCAR"]),
        checks=(_missing_commands, partial(_missing_potcars, name)),
        error=error,
        makers={
            Capability.KEEP_CELL: partial(
                _maker, name=name, label=label, keep_cell=True
            )
        },
    )


def rehearsal(engine: Engine) -> Engine:
    """
    Return the same engine of VASP with the stand-in where VASP would be.

    It needs neither POTCARs nor VASP. Its name and its calculator differ from the real
    ones, so its energies can never stand in a hull beside them. ConfigurationError if
    there is no stand-in for the engine.

    Examples
    --------
    >>> rehearsal(vasp_mp_gga_engine()).name
    'rehearsal:vasp-mp-gga'
    """
    if engine.name not in {_GGA, _MP24}:
        raise ConfigurationError(
            f"there is no stand-in for the engine {engine.name}; those that have one "
            f"are {_GGA}, {_MP24}"
        )
    name, label = f"{REHEARSAL_PREFIX}{engine.name}", f"{engine.label} {VASP_MARK}"
    stand_in = partial(_maker, name=name, label=label, rehearse=True)
    return replace(
        engine,
        name=name,
        relax_maker=stand_in,
        makers={Capability.KEEP_CELL: partial(stand_in, keep_cell=True)},
        label=label,
        error=REHEARSAL_ERROR,
        checks=(),
    )


def _maker(
    relaxation: RelaxationSpec,
    *,
    name: str,
    label: str,
    rehearse: bool = False,
    keep_cell: bool = False,
) -> Maker:
    """Return the maker of an engine, with or without the stand-in."""
    if relaxation != RelaxationSpec():
        raise ConfigurationError(
            f"engine {name} keeps the convergence of the Materials Project: leave "
            "`relaxation` out of the campaign"
        )
    # jobflow takes a second to import; the registry itself starts quickly.
    from hts_battery.flows.engines.vasp.flow import VaspFlowMaker  # noqa: PLC0415

    return VaspFlowMaker(
        name=name,
        calculator=label,
        settings=name.removeprefix(REHEARSAL_PREFIX).removeprefix("vasp-"),
        rehearse=rehearse,
        keep_cell=keep_cell,
    )


def _input_set(engine: str) -> dict[str, Any]:
    """Return the settings of pymatgen's input set that belongs to an engine."""
    from pymatgen.io.vasp.sets import MP24RelaxSet, MPRelaxSet  # noqa: PLC0415 - 2.5 s

    return dict((MPRelaxSet if engine == _GGA else MP24RelaxSet).CONFIG)


def _missing_commands(_elements: frozenset[str]) -> Iterator[str]:
    """Look for the programs that atomate2's settings name."""
    from atomate2 import SETTINGS  # noqa: PLC0415 - reads a file

    for name in ("VASP_CMD", "VASP_GAMMA_CMD"):
        words = shlex.split(getattr(SETTINGS, name))
        # The launcher comes first, VASP last: mpirun -n 64 vasp_std.
        for program in dict.fromkeys((words[0], words[-1])) if words else ("",):
            if shutil.which(program) is None:
                yield (
                    f"{name} of atomate2 is {getattr(SETTINGS, name)!r} and there is "
                    f"no program {program!r} here: load VASP's module, or set {name} "
                    f"in ~/.atomate2.yaml or ATOMATE2_{name} in the environment"
                )


def _missing_potcars(engine: str, elements: frozenset[str]) -> Iterator[str]:
    config = _input_set(engine)
    yield from missing_potcars(elements, config["POTCAR"], config["POTCAR_FUNCTIONAL"])


def missing_potcars(
    elements: frozenset[str], symbols: dict[str, str], functional: str
) -> Iterator[str]:
    """
    Look for the POTCARs of some elements in pymatgen's library; say what to do.

    Symbols are element → name of its POTCAR; the functional is as pymatgen calls it,
    for example ``PBE``.
    """
    from pymatgen.core import SETTINGS  # noqa: PLC0415 - the registry starts quickly
    from pymatgen.io.vasp.inputs import PotcarSingle  # noqa: PLC0415 - takes 2.5 s

    library = SETTINGS.get("PMG_VASP_PSP_DIR")
    if not library or not Path(library).expanduser().is_dir():
        yield (
            "VASP's POTCAR library is not known here "
            f"(PMG_VASP_PSP_DIR is {library or 'not set'}): "
            "run `pmg config -p FOLDER_FROM_VASP LIBRARY` and "
            "`pmg config --add PMG_VASP_PSP_DIR LIBRARY`"
        )
        return
    kinds = SETTINGS.get("PMG_VASP_PSP_SUB_DIRS", {})
    subfolder = kinds.get(functional, PotcarSingle.functional_dir[functional])
    folder = Path(library).expanduser() / subfolder
    absent = [
        symbols[element]
        for element in sorted(elements)
        if not any(folder.glob(f"POTCAR.{symbols[element]}*"))
        and not any(folder.glob(f"{symbols[element]}/POTCAR*"))
    ]
    if absent:
        yield (
            f"no POTCAR of the functional {functional} for {', '.join(absent)} in "
            f"{folder}: add that release of VASP's potentials to the library"
        )
