"""
The MP2020 corrections of one energy, with every reading of what it does not say.

The scheme: Wang et al., Sci. Rep. 11, 15496 (2021), 10.1038/s41598-021-94550-5, in the
installed pymatgen. Its corrections of O and of metals with a U depend on composition
and oxide type alone; those of :data:`STATE_DEPENDENT` on whether the element is an
anion. Where an energy does not say its oxidation states, it is corrected without any
and with those that pymatgen would guess, and taken where both agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymatgen.core import Composition
from pymatgen.entries.compatibility import MaterialsProject2020Compatibility
from pymatgen.entries.computed_entries import ComputedEntry

from hts_battery.schemas.energy import EnergyAdjustment
from hts_battery.thermo.entry_structures import number_of
from hts_battery.thermo.vasp_schemes import symbol_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymatgen.core import Structure

    from hts_battery.thermo.vasp_corrections import VaspEnergy

STATE_DEPENDENT = frozenset(
    ("Br", "I", "Se", "Si", "Sb", "Te", "H", "N", "F", "Cl", "S")
)
"""Elements that are corrected only where they are anions."""
OXIDE_TYPES = frozenset(("oxide", "peroxide", "superoxide", "ozonide", "hydroxide"))
"""Kinds of oxygen that the scheme tells apart; hydroxide counts as oxide."""
_RUN_TYPES = ("GGA", "GGA+U")
_LARGEST_GUESS = -20  # sites of the reduced formula; pymatgen's own limit there
_SAME_EV = 1e-9


def mp2020_adjustments(energy: VaspEnergy) -> tuple[EnergyAdjustment, ...]:
    """Return the corrections in eV per cell; refuse what the scheme is not for."""
    scheme = MaterialsProject2020Compatibility(check_potcar=False)
    composition = Composition(energy.formula)
    _check(energy, composition, scheme)
    readings = [
        _adjustments(energy, states, scheme)
        for states in _readings(energy, composition)
    ]
    sums = [_sums(one) for one in readings]
    if unsure := sorted(
        name
        for name in {name for one in sums for name in one}
        if len({round(one.get(name, 0.0) / _SAME_EV) for one in sums}) > 1
    ):
        raise ValueError(
            f"no oxidation states are stated, and {', '.join(unsure)} depends on them: "
            "state them in data.oxidation_states, element by element"
        )
    return readings[0]


def _check(
    energy: VaspEnergy,
    composition: Composition,
    scheme: MaterialsProject2020Compatibility,
) -> None:
    """Refuse settings that the scheme was not fitted to."""
    if energy.run_type not in _RUN_TYPES:
        raise ValueError(
            f"run type {energy.run_type!r} is not written {' or '.join(_RUN_TYPES)}"
        )
    elements = sorted(composition.elements, key=lambda el: float(el.X))
    if "O" in composition and energy.oxide_type not in OXIDE_TYPES:
        raise ValueError(
            f"oxide type {energy.oxide_type!r} is none of "
            f"{', '.join(sorted(OXIDE_TYPES))}"
        )
    # An element alone is not corrected, and U is not asked for.
    wanted = scheme.u_settings.get(elements[-1].symbol, {}) if len(elements) > 1 else {}
    used = {
        str(name): number_of(value or 0, f"the U of {name}")
        for name, value in energy.hubbards.items()
    }
    for element in sorted(el.symbol for el in elements):
        expected, found = float(wanted.get(element, 0)), used.get(element, 0.0)
        if len(elements) > 1 and abs(found - expected) > _SAME_EV:
            raise ValueError(
                f"U value of {element} is {found:g} eV, with the Materials Project's "
                f"settings it is {expected:g} eV in this composition"
            )
    if energy.run_type == "GGA" and any(used.values()):
        raise ValueError("run type GGA, but a U is stated: one of the two is wrong")
    if energy.potcar_spec:
        check_potentials(
            {symbol_of(str(spec.get("titel"))) for spec in energy.potcar_spec},
            composition,
        )


def check_potentials(symbols: set[str], composition: Composition) -> None:
    """Refuse other pseudopotentials than those of the relaxations of that time."""
    from pymatgen.io.vasp.sets import MPRelaxSet  # noqa: PLC0415 - takes 2.5 s

    wanted: dict[str, str] = MPRelaxSet.CONFIG["POTCAR"]
    expected = {wanted.get(el.symbol, el.symbol) for el in composition.elements}
    if symbols != expected:
        raise ValueError(
            f"pseudopotentials {', '.join(sorted(symbols))}, with the Materials "
            f"Project's settings they are {', '.join(sorted(expected))}"
        )


def _readings(
    energy: VaspEnergy, composition: Composition
) -> tuple[Mapping[str, float], ...]:
    """Oxidation states as stated; where they matter and are not, with a guess too."""
    symbols = {element.symbol for element in composition}
    stated = energy.oxidation_states
    # A missing state and zero are one to the scheme, which warns of no states at all.
    without = dict.fromkeys(symbols, 0.0) | dict(stated)
    unknown = (symbols & STATE_DEPENDENT) - set(stated)
    if not unknown or len(symbols) == 1:
        return (without,)
    guess = _guess(composition)
    if guess is None:
        most_negative = max(composition.elements, key=lambda el: float(el.X)).symbol
        if doubtful := sorted(unknown - {most_negative}):
            raise ValueError(
                f"no oxidation states are stated, and the correction of "
                f"{', '.join(doubtful)} depends on them: state them in "
                "data.oxidation_states, element by element"
            )
        return (without,)
    return without, guess | dict(stated)


def _guess(composition: Composition) -> dict[str, float] | None:
    """Most probable oxidation states by composition, as pymatgen would guess them."""
    try:
        guesses = composition.oxi_state_guesses(max_sites=_LARGEST_GUESS)
    except ValueError:  # the reduced formula has too many sites
        return None
    return dict(guesses[0]) if guesses else None


def _adjustments(
    energy: VaspEnergy,
    states: Mapping[str, float],
    scheme: MaterialsProject2020Compatibility,
) -> tuple[EnergyAdjustment, ...]:
    """Corrections with one reading of the oxidation states."""
    data: dict[str, object] = {
        "oxidation_states": dict(states),
        "oxide_type": energy.oxide_type,
    }
    if "S" in states:
        data["sulfide_type"] = _sulfide_type(energy, states["S"])
    entry = ComputedEntry(
        Composition(energy.formula),
        energy.energy,
        parameters={
            "run_type": energy.run_type,
            "hubbards": {name: value or 0 for name, value in energy.hubbards.items()},
        },
        data=data,
        entry_id=energy.entry_id,
    )
    return tuple(
        EnergyAdjustment(
            name=adjustment.name,
            value=float(adjustment.value),
            uncertainty=_known(float(adjustment.uncertainty)),
            reason=adjustment.explain,
        )
        for adjustment in scheme.get_adjustments(entry)
    )


def _sulfide_type(energy: VaspEnergy, state: float) -> str:
    """Tell sulfide from sulfate: by oxidation state, structure or what is stated."""
    if state:
        return "sulfate" if state > 0 else "sulfide"
    if energy.structure is not None:
        return _sulfide_type_of(energy.structure)
    return energy.sulfide_type or "sulfide"


def _sulfide_type_of(structure: Structure) -> str:
    from pymatgen.analysis.structure_analyzer import (  # noqa: PLC0415 - slow
        sulfide_type,
    )

    found = sulfide_type(structure)  # type: ignore[no-untyped-call]  # pymatgen's
    return str(found or "sulfate")


def _sums(adjustments: tuple[EnergyAdjustment, ...]) -> dict[str, float]:
    found: dict[str, float] = {}
    for one in adjustments:
        found[one.name] = found.get(one.name, 0.0) + one.value
    return found


def _known(uncertainty: float) -> float | None:
    return None if uncertainty != uncertainty else uncertainty  # noqa: PLR0124 - NaN
