"""Force fields, by their names in atomate2, and the analytic potential of ions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypedDict

from hts_battery.errors import ConfigurationError
from hts_battery.flows.engines.engine import (
    CHGNET_ERROR,
    IONIC_ERROR,
    Capability,
    Engine,
    keeping_the_cell,
)
from hts_battery.flows.execution.node import node_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobflow import Maker

    from hts_battery.schemas.campaign import RelaxationSpec

PREFIX = "forcefield:"
FORCE_FIELDS: Mapping[str, str] = {
    "MACE-MP-0": "mace-torch",
    "MACE-MPA-0": "mace-torch",
    "MACE-MP-0b3": "mace-torch",
    "GAP": "quippy-ase",
    "M3GNet": "matgl",
    "NEP": "calorine",
    "Nequip": "nequip",
    "SevenNet": "sevenn",
    "MatPES-r2SCAN": "matgl",
    "MatPES-PBE": "matgl",
    "DeepMD": "deepmd-kit",
    "Allegro": "nequip",
    "FAIRChem": "fairchem-core",
    "MatterSim": "mattersim",
    "UPET": "upet",
}
"""Name in atomate2 → distribution that holds the model or loads it."""

_PROCESS_MEMORY = 1.5  # GB: PyTorch, the model and a relaxation of a hundred atoms
_CHGNET_ELEMENTS = 94
_CHGNET = "CHGNet"


def chgnet_engine() -> Engine:
    """
    Return the engine ``chgnet``.

    Its package carries the model and is required: without it atomate2 loads, under the
    same name, another model from another package.
    """
    return Engine(
        name="chgnet",
        packages=("chgnet",),
        relax_maker=_chgnet_relax_maker,
        extra="chgnet",
        elements=_first_elements,
        checks=(_missing_device,),
        error=CHGNET_ERROR,
        process_memory=_PROCESS_MEMORY,
        makers={
            Capability.KEEP_CELL: keeping_the_cell(_chgnet_relax_maker),
            Capability.FORCES: _chgnet_relax_maker,
        },
    )


def force_field_engine(name: str) -> Engine:
    """
    Return the engine of a force field, by its name in atomate2 or of its enumeration.

    Raises
    ------
    ConfigurationError
        If atomate2 has no force field of that name; the message lists the names.

    Examples
    --------
    >>> force_field_engine("MACE_MP_0").name
    'forcefield:MACE-MP-0'
    """
    known = {_plain(one): one for one in FORCE_FIELDS}
    if _plain(name) == _plain(_CHGNET):
        raise ConfigurationError(f"the engine {PREFIX}{name} is called chgnet")
    try:
        model = known[_plain(name)]
    except KeyError as err:
        raise ConfigurationError(
            f"atomate2 has no force field {name!r}; choose one of "
            f"{', '.join(sorted(FORCE_FIELDS))}, written as {PREFIX}MACE-MP-0"
        ) from err
    package = FORCE_FIELDS[model]
    relax_maker = partial(_relax_maker, model=model)
    return Engine(
        name=f"{PREFIX}{model}",
        packages=(package,),
        relax_maker=relax_maker,
        extra="",
        process_memory=_PROCESS_MEMORY,
        makers={
            Capability.KEEP_CELL: keeping_the_cell(relax_maker),
            Capability.FORCES: relax_maker,
        },
    )


def ionic_engine() -> Engine:
    """
    Return the engine ``ionic``: for rehearsing campaigns at full size.

    Examples
    --------
    >>> ionic_engine().calculator()
    'ionic 1'
    """
    # No package but this one has a say in its energies.
    from hts_battery.structures.ionic import (  # noqa: PLC0415 - starts quickly
        VERSION,
        elements,
    )

    return Engine(
        name="ionic",
        packages=(),
        relax_maker=_ionic_relax_maker,
        extra="",
        charge=True,
        label=f"ionic {VERSION}",
        elements=elements,
        error=IONIC_ERROR,
        rough=True,
        process_memory=0.6,
        # No forces for molecular dynamics: the NASICON network breaks within 6 ps at
        # 1000 K, and LiTiO2 with vacancies melts at 900 K.
        makers={Capability.KEEP_CELL: keeping_the_cell(_ionic_relax_maker)},
    )


def _plain(name: str) -> str:
    return name.removeprefix("MLFF.").replace("_", "-").lower()


def _first_elements() -> frozenset[str]:
    """Return the elements that CHGNet has a parameter for: hydrogen to plutonium."""
    from pymatgen.core import Element  # noqa: PLC0415 - the registry starts quickly

    return frozenset(Element.from_Z(z).symbol for z in range(1, _CHGNET_ELEMENTS + 1))


def _missing_device(_elements: frozenset[str]) -> tuple[str, ...]:
    device = node_settings().chgnet_device
    if device == "cpu":
        return ()
    from hts_battery.flows.engines.chgnet import missing_device  # noqa: PLC0415 - torch

    problem = missing_device(device)
    return () if problem is None else (problem,)


def _chgnet_relax_maker(relaxation: RelaxationSpec) -> Maker:
    # Imports PyTorch, and only nodes need it.
    from hts_battery.flows.engines.chgnet import CHGNetRelaxMaker  # noqa: PLC0415

    return CHGNetRelaxMaker(**_options(relaxation, _CHGNET))


def _ionic_relax_maker(relaxation: RelaxationSpec) -> Maker:
    # atomate2 takes seconds to import and only nodes need it.
    from hts_battery.flows.engines.ionic import ionic_maker  # noqa: PLC0415

    return ionic_maker(relaxation)


def _relax_maker(relaxation: RelaxationSpec, model: str) -> Maker:
    # atomate2's force fields take five seconds to import and only nodes need them.
    from atomate2.forcefields.jobs import ForceFieldRelaxMaker  # noqa: PLC0415

    return ForceFieldRelaxMaker(**_options(relaxation, model))


class _Options(TypedDict):
    """Fields of atomate2's makers of relaxations with a force field."""

    name: str
    force_field_name: str
    relax_cell: bool
    steps: int
    relax_kwargs: dict[str, float | None]


def _options(relaxation: RelaxationSpec, model: str) -> _Options:
    return {
        "name": f"{model.lower()} relax",
        "force_field_name": model,
        "relax_cell": relaxation.relax_cell,
        "steps": relaxation.steps,
        "relax_kwargs": {"fmax": relaxation.fmax, "final_atoms_object_file": None},
    }
