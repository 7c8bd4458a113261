"""A decomposition as it is stored: phases by falling amount."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hts_battery.schemas.thermo import DecompositionPhase
from hts_battery.thermo.competition import competitor_kind
from hts_battery.thermo.gases import is_gas

if TYPE_CHECKING:
    from hts_battery.thermo.decomposition import Decomposition


def decomposition_phases(mixture: Decomposition) -> tuple[DecompositionPhase, ...]:
    """
    Competing phases by falling amount; ties by id, so that runs agree.

    Parameters
    ----------
    mixture
        The decomposition, in atomic fractions.

    Examples
    --------
    >>> from hts_battery.thermo import Hull
    >>> found = Hull(["Li", "O2", "Li2O"], [0, 0, -2]).decomposition("Li2O2")
    >>> [(phase.formula, phase.gas) for phase in decomposition_phases(found)]
    [('Li2O', False), ('O2', True)]
    """
    ranked = sorted(mixture.phases.items(), key=lambda item: (-item[1], item[0]))
    return tuple(
        DecompositionPhase(
            formula=mixture.formulas[name],
            reference_id=name,
            kind=competitor_kind(name),
            amount=amount,
            gas=is_gas(mixture.formulas[name]),
        )
        for name, amount in ranked
    )
