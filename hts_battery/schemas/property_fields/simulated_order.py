"""Properties that the builder ``simulated_order`` makes."""

from __future__ import annotations

from hts_battery.schemas.field_spec import FieldSpec

_ERROR = "standard error of the mean over cells"
_ASSUMED = "cells simulated with metals that repel fluorine by 2.5 kT a pair"

FIELDS = (
    FieldSpec(
        "accessible_li_simulated",
        f"carriers in a wrapping cluster (0-TM, any axis), of all; {_ASSUMED}",
        "1",
        uncertainty=_ERROR,
    ),
    FieldSpec(
        "li4_fraction_simulated",
        f"tetrahedra of four carriers, of all; {_ASSUMED}; alone it misleads: read "
        "accessible_li_simulated beside it",
        "1",
        uncertainty=_ERROR,
    ),
    FieldSpec(
        "alpha_LiM_1_simulated",
        f"Warren-Cowley parameter of carrier and metals, first shell; {_ASSUMED}",
        "1",
        uncertainty=_ERROR,
    ),
    FieldSpec(
        "alpha_LiM_2_simulated",
        "the same in the second shell",
        "1",
        uncertainty=_ERROR,
    ),
    FieldSpec(
        "alpha_LiF_1_simulated",
        f"Warren-Cowley parameter of carrier and F, first shell; {_ASSUMED}",
        "1",
        uncertainty=_ERROR,
    ),
)
