"""Which relaxed cells tell nothing of a lattice, each with its reason."""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Element

from hts_battery.disorder.cells import element_of, site_species
from hts_battery.disorder.lattice_model import LatticeModel
from hts_battery.errors import CompositionError, OrderingError
from hts_battery.schemas.relaxed import RelaxationThresholds
from hts_battery.schemas.species_table import species_properties
from hts_battery.structures.relaxation.verdict import moment_bounds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymatgen.core import Structure

    from hts_battery.disorder.lattice_model import LatticeState

_COLLAPSED = 0.6  # of the middle volume per atom
_SWELLED = 1.7
_NEUTRAL = 1e-3
_RARE = 0.1  # of the cells with an element: a state of so few is an exchange
_USUAL = 0.8
_MOMENTS = ("final_magmom", "magmom")


def mapped_cells(
    structures: Sequence[Structure], energies: Sequence[float], parent: str
) -> tuple[dict[int, LatticeState], dict[int, str]]:
    """
    Put cells on the lattice; those that say nothing of it have their reason.

    Left out are cells without a finite energy, collapsed and swelled ones (by the
    middle volume per atom of all), those without oxidation states or not neutral, those
    whose ions exchanged charge (states that their element has nowhere, final moments of
    other states, states of one cell among many without), those off the parent lattice.
    """
    model = LatticeModel(parent, {}, dielectric=None)
    volumes = np.array([one.volume / len(one) for one in structures])
    middle = float(np.median(volumes)) if len(volumes) else 0.0
    states: dict[int, LatticeState] = {}
    refused: dict[int, str] = {}
    for number, structure in enumerate(structures):
        reason = _unphysical(structure, energies[number], volumes[number] / middle)
        if reason is not None:
            refused[number] = reason
            continue
        try:
            states[number] = model.state(structure)
        except OrderingError:
            refused[number] = "left the parent lattice"
    refused |= _rare_states(states)
    return {n: one for n, one in states.items() if n not in refused}, refused


def _unphysical(structure: Structure, energy: float, ratio: float) -> str | None:
    """Say what is wrong with a cell by itself; None where nothing is."""
    species = site_species(structure)
    known = [getattr(one, "oxi_state", None) is not None for one in species]
    checks = (
        (not np.isfinite(energy), "its energy is no number"),
        (ratio < _COLLAPSED, "collapsed: its volume per atom is far below the others'"),
        (ratio > _SWELLED, "swelled: its volume per atom is far above the others'"),
        (not all(known), "without oxidation states"),
        (
            all(known) and abs(structure.charge) > _NEUTRAL,
            "not neutral by its oxidation states",
        ),
    )
    for failed, reason in checks:
        if failed:
            return reason
    strange = sorted({str(one) for one in species if not _is_known(str(one))})
    if strange:
        return f"exchanged charge: {', '.join(strange)} is no state of its element"
    return moments_exchanged(structure)


@lru_cache(maxsize=512)
def _is_known(name: str) -> bool:
    """Say whether an element has a state, or one beside it where it is fractional."""
    element = Element(element_of(name))
    known = (*element.common_oxidation_states, *element.icsd_oxidation_states)
    text = name.removeprefix(element.symbol)
    size = float(text.rstrip("+-") or 1) * (-1 if text.endswith("-") else 1)
    return not known or min(abs(size - state) for state in known) < 1


def moments_exchanged(structure: Structure) -> str | None:
    """
    Say which ions have final moments that are not those of their states.

    Moments stand in the site property ``final_magmom`` or ``magmom``, in Bohr
    magnetons; without them nothing is said.
    """
    names = [one for one in _MOMENTS if one in structure.site_properties]
    if not names:
        return None
    limits = RelaxationThresholds()
    wrong: set[str] = set()
    moments = structure.site_properties[names[0]]
    for species, moment in zip(site_species(structure), moments, strict=True):
        expected = _unpaired(str(species))
        if moment is None or expected is None:
            continue
        least, largest = moment_bounds(expected, limits)
        if not least <= abs(float(moment)) <= largest:
            wrong.add(str(species))
    if not wrong:
        return None
    return f"exchanged charge: {', '.join(sorted(wrong))} with moments of other states"


def _unpaired(name: str) -> float | None:
    try:
        return float(species_properties(name).unpaired_electrons)
    except CompositionError:  # a fractional state has no whole number of electrons
        return None


def _rare_states(states: Mapping[int, LatticeState]) -> dict[int, str]:
    """Find cells with a state of an element that nearly all others have in another."""
    holders: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for number, state in states.items():
        for at in np.unique(state.species).tolist():
            name = state.names[at]
            holders[element_of(name)][name].add(number)
    found: dict[int, str] = {}
    for element, kinds in holders.items():
        everywhere = set().union(*kinds.values())
        usual = max(kinds.values(), key=len)
        for name, numbers in kinds.items():
            if len(usual) >= _USUAL * len(everywhere) and (
                len(numbers) < _RARE * len(everywhere)
            ):
                reason = (
                    f"exchanged charge: {name} in {len(numbers)} of {len(everywhere)} "
                    f"cells with {element}"
                )
                found |= dict.fromkeys(numbers, reason)
    return found
