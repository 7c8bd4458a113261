"""What a relaxed cell says of its local structure, in the numbers one asks for."""

from __future__ import annotations

from statistics import fmean, stdev
from typing import TYPE_CHECKING

from hts_battery.schemas.relaxed import Verdict
from hts_battery.structures.descriptors import NASICON
from hts_battery.structures.prototypes import prototype_of_family

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hts_battery.schemas.relaxed import RelaxedCell

_CUBIC = (
    *("alpha_LiM_1", "alpha_LiM_2", "alpha_LiF_1"),
    *("li4_fraction", "li4_fraction_random", "tetrahedron_height"),
)
_NASICON = (
    *("tetrahedron_height", "bottleneck_area_min", "bottleneck_volume"),
    *("bottleneck_metal_polyanion", "occupancy_6b", "occupancy_18e"),
)
_ALKALI = frozenset(("Li", "Na", "K"))

LocalStructure = dict[str, "float | str"]
"""Name → number, or why there is none."""


def asked_of(family: str) -> tuple[str, ...]:
    """
    Name the numbers that can be asked of a family's cells.

    Examples
    --------
    >>> asked_of("nasicon")[:2]
    ('tetrahedron_height', 'bottleneck_area_min')
    """
    return _NASICON if prototype_of_family(family).name == NASICON else _CUBIC


def local_structure(cell: RelaxedCell, family: str) -> LocalStructure:
    """
    Say what is known of the local structure of one relaxed cell.

    Order parameters and fractions are dimensionless, heights and distances in Å, areas
    in Å², volumes in Å³; definitions in ``docs/descriptors.md``.

    Returns
    -------
    dict
        Name → number, or why there is none: a transformed cell has none of them.
    """
    if cell.verdict is Verdict.TRANSFORMED:
        reason = f"relaxed into another structure: {'; '.join(cell.reasons)}"
        return dict.fromkeys(asked_of(family), reason)
    found = _nasicon(cell) if asked_of(family) == _NASICON else _cubic(cell)
    return {name: found[name] for name in asked_of(family)}


def _cubic(cell: RelaxedCell) -> LocalStructure:
    lost = "the atoms do not stand on the parent's sites one to one"
    found: LocalStructure = dict.fromkeys(_CUBIC, lost)
    order, tetrahedra = cell.descriptors.lithium, cell.descriptors.tetrahedra
    if order is not None:
        first, second = order.metal
        alone = "Li and other cations are not both in the cell"
        found["alpha_LiM_1"] = alone if first is None else first
        found["alpha_LiM_2"] = alone if second is None else second
        without = "Li and F are not both in the cell"
        found["alpha_LiF_1"] = without if order.fluorine is None else order.fluorine
        if tetrahedra is None:
            cubic = "the parent's cations form no face-centred cubic lattice"
            found |= dict.fromkeys(_CUBIC[3:], cubic)
    if tetrahedra is not None:
        found["li4_fraction"] = tetrahedra.fractions[-1]
        found["li4_fraction_random"] = tetrahedra.random_fractions[-1]
        found["tetrahedron_height"] = tetrahedra.mean_height
    return found


def _nasicon(cell: RelaxedCell) -> LocalStructure:
    geometry = cell.descriptors.nasicon
    if geometry is None:
        return dict.fromkeys(_NASICON, "the network of its polyhedra is lost")
    return {
        "tetrahedron_height": geometry.tetrahedron_height,
        "bottleneck_area_min": geometry.bottleneck_area_min,
        "bottleneck_volume": geometry.tetrahedron_volume,
        "bottleneck_metal_polyanion": geometry.metal_polyanion,
        "occupancy_6b": _occupancy(cell, "6b"),
        "occupancy_18e": _occupancy(cell, "18e"),
    }


def _occupancy(cell: RelaxedCell, label: str) -> float | str:
    """Return the share of the sites of one label that hold an alkali ion."""
    held = cell.site_occupancies.get(label, {})
    if not held:
        return f"no {label} site is recognisable"
    return sum(n for el, n in held.items() if el in _ALKALI) / sum(held.values())


def mean_and_spread(values: Sequence[float]) -> tuple[float, float | None]:
    """
    Return the mean of some numbers, and their standard deviation (n - 1) above one.

    Examples
    --------
    >>> mean_and_spread([1.0, 3.0]), mean_and_spread([2.0])
    ((2.0, 1.4142135623730951), (2.0, None))
    """
    return fmean(values), stdev(values) if len(values) > 1 else None
