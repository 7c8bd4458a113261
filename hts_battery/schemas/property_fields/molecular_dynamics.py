"""Properties that the builder ``molecular_dynamics`` makes."""

from __future__ import annotations

from hts_battery.schemas.field_spec import FieldSpec

_OF_RUN = "standard error of one trajectory; several orderings: of their mean"
FIELDS = (
    FieldSpec(
        "diffusivity",
        "of the ions that move, relative to the framework, where a run of molecular "
        "dynamics is diffusive",
        "cm^2/s",
        at_temperature=True,
        uncertainty=_OF_RUN,
    ),
    FieldSpec(
        "ionic_conductivity",
        "from that diffusivity by Nernst and Einstein: ions that move without each "
        "other",
        "S/cm",
        at_temperature=True,
        uncertainty=_OF_RUN,
    ),
    FieldSpec(
        "activation_energy",
        "of the diffusivities, where they are one line",
        "eV",
        uncertainty="standard error of the line",
    ),
)
