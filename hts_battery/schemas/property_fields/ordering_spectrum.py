"""Properties that the builder ``ordering_spectrum`` makes."""

from __future__ import annotations

from hts_battery.schemas.field_spec import FieldSpec

_DRAWS = "standard error by the draws, for normal energies"
FIELDS = (
    FieldSpec(
        "entropy_forming_ability",
        "inverse standard deviation of the energies of orderings drawn at random, EFA "
        "of 10.1038/s41467-018-07160-7; every draw weighs the same",
        "(eV/atom)^-1",
        uncertainty=_DRAWS,
    ),
    FieldSpec(
        "disordered_enthalpy_entropy",
        "root of that over the mean distance of these orderings from the hull at 0 K, "
        "DEED of 10.1038/s41586-023-06786-y",
        "(eV/atom)^-1",
        uncertainty=_DRAWS,
    ),
    FieldSpec(
        "e_hull_boltzmann",
        "Boltzmann mean at T of the distance from the hull at 0 K of orderings drawn "
        "at random, weighed as whole cells; no entropy in it",
        "eV/atom",
        at_temperature=True,
        uncertainty="standard error by the draws",
    ),
)
