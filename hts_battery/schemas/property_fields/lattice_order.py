"""Properties that the builder ``lattice_order`` makes."""

from __future__ import annotations

from hts_battery.schemas.field_spec import FieldSpec

_SAMPLING = "standard error of the sampling; that of the fit stands in the notes"
_MODEL = "in equilibrium at T, by a lattice model"

FIELDS = (
    FieldSpec(
        "lattice_alpha_LiM_1",
        "Warren-Cowley parameter of Li and the other cations, first shell of cations, "
        f"{_MODEL}; Na where it is the carrier",
        "1",
        at_temperature=True,
        uncertainty=_SAMPLING,
    ),
    FieldSpec(
        "lattice_alpha_LiM_2",
        "the same in the second shell of cations",
        "1",
        at_temperature=True,
        uncertainty=_SAMPLING,
    ),
    FieldSpec(
        "lattice_li4_fraction",
        f"tetrahedra of cations with four Li, of all, {_MODEL}",
        "1",
        at_temperature=True,
        uncertainty=_SAMPLING,
    ),
    FieldSpec(
        "lattice_accessible_li",
        f"carriers in a wrapping 0-TM cluster, of all, {_MODEL}",
        "1",
        at_temperature=True,
        uncertainty=_SAMPLING,
    ),
    FieldSpec(
        "lattice_energy",
        f"energy of the order, that of the species left out, {_MODEL}",
        "eV/atom",
        at_temperature=True,
        uncertainty=_SAMPLING,
    ),
    FieldSpec(
        "lattice_heat_capacity",
        f"of the configuration, from fluctuations of the energy, {_MODEL}",
        "kB/atom",
        at_temperature=True,
        uncertainty=_SAMPLING,
    ),
)
