"""Which species of a space differ in spin from the species table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hts_battery.errors import CompositionError, SpecError
from hts_battery.schemas.species_table import (
    SpinState,
    octahedral_spin_state,
    species_properties,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hts_battery.schemas.space import SpaceSpec
    from hts_battery.schemas.species_table import SpeciesProperties


def spin_states(
    spec: SpaceSpec, table: Mapping[str, SpeciesProperties] | None = None
) -> dict[str, SpinState]:
    """
    Collect the spin states that a space sets against those of the package.

    The space's own species table comes before the package's, ``spin`` beside a
    species before both.

    Parameters
    ----------
    spec
        The space in words.
    table
        Species properties that override those of the package.

    Returns
    -------
    dict
        Species → spin state, only where it differs from the package's table.

    Raises
    ------
    SpecError
        If a species has no such spin state, or two on different sublattices: its
        moment then would depend on where it sits.

    Examples
    --------
    >>> from hts_battery.schemas.space import SpaceSpec
    >>> cation = {"sites": 2, "species": {"Li+": {}, "Co3+": {"spin": "high"}}}
    >>> anion = {"sites": 2, "species": ["O2-"]}
    >>> spec = SpaceSpec.model_validate(
    ...     {"family": "hedrx", "basis": "formula-unit", "step": 0.1,
    ...      "sublattices": {"cation": cation, "anion": anion}})
    >>> {text: state.unpaired_electrons for text, state in spin_states(spec).items()}
    {'Co3+': 4}
    """
    found = {
        species: SpinState(
            spin=table[species].spin,
            unpaired_electrons=table[species].unpaired_electrons,
        )
        for species in sorted(spec.species)
        if table and species in table
    }
    stated: dict[str, SpinState] = {}
    for name, sublattice in spec.sublattices.items():
        for species, said in sublattice.species.items():
            if said.spin is None:
                continue
            field = f"sublattices.{name}.species.{species}.spin"
            try:
                state = octahedral_spin_state(species, said.spin)
            except CompositionError as err:
                raise SpecError(str(err), field=field) from err
            if stated.setdefault(species, state) != state:
                raise SpecError(
                    f"{species} has another spin state on another sublattice; "
                    "give it one",
                    field=field,
                )
    found |= stated
    return {
        species: state for species, state in found.items() if _differs(species, state)
    }


def _differs(species: str, state: SpinState) -> bool:
    known = species_properties(species)
    return (known.spin, known.unpaired_electrons) != (
        state.spin,
        state.unpaired_electrons,
    )
