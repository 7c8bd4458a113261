"""Engines by name: configured atomate2 makers that turn a structure into an energy."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jobflow import Maker

    from hts_battery.schemas.campaign import RelaxationSpec


@dataclass(frozen=True)
class Engine:
    """
    One way to get an energy, always the same for candidates and competing phases.

    Parameters
    ----------
    name
        Name in campaign files and in every document.
    packages
        Distributions whose versions can change its energies.
    relax_maker
        Function from relaxation settings to an atomate2 maker.
    extra
        The optional dependency of this project that installs it.
    """

    name: str
    packages: tuple[str, ...]
    relax_maker: Callable[[RelaxationSpec], Maker]
    extra: str

    def calculator(self) -> str:
        """
        Name the calculator with its versions, for example ``chgnet 0.4.2``.

        Raises
        ------
        ConfigurationError
            If a package it needs is not installed.
        """
        try:
            return " ".join(f"{name} {version(name)}" for name in self.packages)
        except PackageNotFoundError as err:
            raise ConfigurationError(
                f"engine {self.name} needs the package {err.name}: "
                f"pip install 'hts_battery[{self.extra}]'"
            ) from err


def _chgnet_relax_maker(relaxation: RelaxationSpec) -> Maker:
    # atomate2's force fields take five seconds to import and only nodes need them.
    from atomate2.forcefields.jobs import ForceFieldRelaxMaker  # noqa: PLC0415

    return ForceFieldRelaxMaker(
        name="chgnet relax",
        force_field_name="CHGNet",
        relax_cell=relaxation.relax_cell,
        steps=relaxation.steps,
        relax_kwargs={"fmax": relaxation.fmax, "final_atoms_object_file": None},
        # The shipped references were computed on the processor; a graphics card
        # rounds otherwise.
        calculator_kwargs={"use_device": "cpu"},
    )


ENGINES: Mapping[str, Engine] = {
    "chgnet": Engine(
        name="chgnet",
        packages=("chgnet",),
        relax_maker=_chgnet_relax_maker,
        extra="chgnet",
    ),
}


def engine(name: str) -> Engine:
    """
    Return the engine of that name.

    Raises
    ------
    ConfigurationError
        If there is none; the message lists the names.
    """
    try:
        return ENGINES[name]
    except KeyError as err:
        raise ConfigurationError(
            f"there is no engine {name!r}; choose one of {', '.join(sorted(ENGINES))}"
        ) from err
