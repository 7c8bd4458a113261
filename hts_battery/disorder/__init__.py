"""SCIENCE: lattices without order: percolation, short-range order, scattering."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hts_battery.disorder.accessible import accessible_carriers
    from hts_battery.disorder.cells import lattice_cell
    from hts_battery.disorder.composite import effective_conductivity
    from hts_battery.disorder.lattice_model import LatticeModel
    from hts_battery.disorder.monte_carlo import lattice_monte_carlo
    from hts_battery.disorder.order_parameters import warren_cowley
    from hts_battery.disorder.percolation import percolation_threshold
    from hts_battery.disorder.scattering import diffuse_scattering, pair_distribution

__all__ = [
    "LatticeModel",
    "accessible_carriers",
    "diffuse_scattering",
    "effective_conductivity",
    "lattice_cell",
    "lattice_monte_carlo",
    "pair_distribution",
    "percolation_threshold",
    "warren_cowley",
]

_MODULES = {
    "LatticeModel": "lattice_model",
    "accessible_carriers": "accessible",
    "diffuse_scattering": "scattering",
    "effective_conductivity": "composite",
    "lattice_cell": "cells",
    "lattice_monte_carlo": "monte_carlo",
    "pair_distribution": "scattering",
    "percolation_threshold": "percolation",
    "warren_cowley": "order_parameters",
}


def __getattr__(name: str) -> object:
    """Load what is asked for, and with it numpy, pymatgen and numba, then only."""
    if name in _MODULES:
        from importlib import import_module  # noqa: PLC0415 - only when needed

        module = import_module(f"hts_battery.disorder.{_MODULES[name]}")
        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
