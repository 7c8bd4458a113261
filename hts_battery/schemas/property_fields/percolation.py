"""Properties that the builder ``percolation`` makes."""

from __future__ import annotations

from hts_battery.schemas.field_spec import FieldSpec

_ERROR = "standard error of the mean over cells"
_RANDOM = "carriers at random on the parent lattice"

FIELDS = (
    FieldSpec(
        "accessible_li",
        "carriers in a cluster that wraps any axis (0-TM; NASICON: 6b and 18e), of "
        f"all; {_RANDOM}; Na where it is the carrier",
        "1",
        uncertainty=_ERROR,
        shown=True,
    ),
    FieldSpec(
        "accessible_li_amount",
        "the same, times the carriers",
        "atoms per formula unit",
        uncertainty=_ERROR,
    ),
    FieldSpec(
        "percolation_threshold",
        "filling of the sites at which carriers percolate, by wrapping of one axis; of "
        f"ordered parents the middle between any and all axes; {_RANDOM}",
        "1",
        uncertainty="standard error",
    ),
    FieldSpec(
        "percolation_excess",
        "carriers above the threshold, negative below",
        "atoms per formula unit",
        uncertainty="standard error",
    ),
    FieldSpec(
        "wrap_probability",
        "cells with a cluster that wraps any axis, of all: between 0 and 1 the mean of "
        "accessible_li hides two kinds of cells",
        "1",
    ),
)
