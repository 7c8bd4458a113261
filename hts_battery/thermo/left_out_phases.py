"""Which competing phase would have to go for a candidate to be stable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hts_battery.schemas.left_out import LeftOutPhase
from hts_battery.thermo.competing_phases import is_gas

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from hts_battery.thermo.hull import Hull


def left_out_phases(
    hull: Hull,
    formula: str,
    energy_per_atom: float,
    *,
    phases: Mapping[str, float],
    entropy_term: float = 0.0,
    exclude: Collection[str] = (),
) -> tuple[LeftOutPhase, ...]:
    r"""
    Leave each product of a decomposition out in turn and compare again.

    Twice: the phase alone, where another form of it may take its place, and every phase
    of its composition. An error of one phase's energy cannot make the candidate stable
    unless the phase lies at least :math:`E_{hull}(T)/x` too low, :math:`x` its atomic
    fraction in the mixture: the hull rises by no more than that, as it is concave in
    every energy.

    Parameters
    ----------
    hull
        The references that the candidate was compared with.
    formula
        What its cell holds.
    energy_per_atom
        Its energy without entropy, eV/atom.
    phases
        Id of each product → its atomic fraction.
    entropy_term
        -T·S of the candidate, eV/atom.
    exclude
        Ids of references that the candidate is not compared with.

    Returns
    -------
    tuple of LeftOutPhase
        In the order of the products.

    Examples
    --------
    >>> from hts_battery.thermo import Hull
    >>> hull = Hull(["Li", "O2", "Li2O", "Li2O2"], [0, 0, -2.0, -1.7],
    ...             ids=["a", "b", "oxide", "peroxide"])
    >>> found = left_out_phases(hull, "Li3O2", -1.75, phases={"oxide": 0.6,
    ...                         "peroxide": 0.4})
    >>> [(one.phase_id, one.stable_without) for one in found]
    [('oxide', True), ('peroxide', False)]
    """
    here = energy_per_atom + entropy_term
    names = [name for name in phases if name in hull.references]
    formulas = {name: hull.references[name][0] for name in names}
    alone = [{*exclude, name} for name in names]
    whole = [{*exclude, *hull.ids_at(formulas[name])} for name in names]
    asked = [*alone, *whole]
    mixtures = hull.decompositions([formula] * len(asked), exclude=asked)
    now = hull.decompositions([formula], exclude=[exclude])[0]
    above = None if now is None else here - now.energy
    found = []
    for number, name in enumerate(names):
        first, second = mixtures[number], mixtures[number + len(names)]
        without = None if first is None else here - first.energy
        without_all = None if second is None else here - second.energy
        found.append(
            LeftOutPhase(
                phase_id=name,
                formula=formulas[name],
                amount=phases[name],
                gas=is_gas(formulas[name]),
                energy_above_hull=without,
                stable_without=None if without is None else without <= 0,
                decomposition={} if first is None else dict(first.amounts),
                energy_above_hull_without_composition=without_all,
                stable_without_composition=None
                if without_all is None
                else without_all <= 0,
                least_error=None if above is None else max(0.0, above) / phases[name],
                reason=None
                if first is not None
                else str(hull.missing_reference(formula, exclude=alone[number])),
            )
        )
    return tuple(found)
