from __future__ import annotations

from math import log

import numpy as np
import pytest
from pymatgen.analysis.phase_diagram import PhaseDiagram
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.entries.computed_entries import (
    ComputedStructureEntry,
    GibbsComputedStructureEntry,
)

from hts_battery.thermo import Hull, OtherCandidate
from hts_battery.thermo.competing_phases import CompetingPhases, HullQuery
from hts_battery.thermo.entropy import KB_EV_PER_K
from hts_battery.thermo.gibbs import (
    GibbsCandidate,
    GibbsHull,
    element_terms,
    gas_terms,
    reduced_mass,
    solid_term,
)

PHASES = {
    "Li": -1.9,
    "Mn": -9.0,
    "O2": -4.9,
    "Li2O": -6.8,
    "MnO": -8.9,
    "MnO2": -8.2,
    "LiMnO2": -7.4,
}
VOLUMES = {"Li2O": 8.2, "MnO": 11.4, "MnO2": 9.4, "LiMnO2": 9.1}
TARGET, TARGET_ENERGY, TARGET_VOLUME = "Li2MnO3", -6.95, 8.6
ONE_BAR = {"O2": 1.0, "F2": 1.0}


def entry(formula: str, energy: float, volume: float) -> ComputedStructureEntry:
    """Entry of the right volume; where the atoms sit does not matter."""
    composition = Composition(formula)
    elements = [el for el, n in composition.items() for _ in range(int(n))]
    side = (volume * len(elements)) ** (1 / 3)
    places = np.random.default_rng(0).random((len(elements), 3))
    cell = Structure(Lattice.cubic(side), elements, places)
    return ComputedStructureEntry(cell, energy * len(elements), entry_id=formula)


def references(*, without: str = "") -> Hull:
    kept = {name: value for name, value in PHASES.items() if name != without}
    return Hull(list(kept), list(kept.values()))


def asked(
    volume: float | None = TARGET_VOLUME, *, entropy: float = 0.0
) -> GibbsCandidate:
    return GibbsCandidate(HullQuery("a", TARGET), TARGET_ENERGY, entropy, volume)


@pytest.mark.physics
@pytest.mark.parametrize("temperature", [300, 700, 1473.0, 2000])
def test_equal_to_pymatgen(temperature: float) -> None:
    entries = [entry(name, e, VOLUMES.get(name, 15.0)) for name, e in PHASES.items()]
    target = entry(TARGET, TARGET_ENERGY, TARGET_VOLUME)
    everything = GibbsComputedStructureEntry.from_entries(
        [*entries, target], temp=temperature
    )
    diagram = PhaseDiagram([e for e in everything if e.name != TARGET])
    expected = diagram.get_e_above_hull(
        next(e for e in everything if e.name == TARGET), allow_negative=True
    )
    hull = GibbsHull(CompetingPhases(references()), VOLUMES, temperature, ONE_BAR)
    (found,) = hull.stabilities([asked()])
    assert found.energy_above_hull == pytest.approx(expected, abs=1e-8)
    assert found.left_out == ()
    assert found.n_references == 7
    assert found.package_versions["pymatgen-core"]


def test_elements_are_interpolated_between_steps() -> None:
    low, high = element_terms(1400)["O"], element_terms(1500)["O"]
    assert element_terms(1473)["O"] == pytest.approx(0.27 * low + 0.73 * high)
    assert element_terms(1500)["O"] == high < low


def test_pressure_enters_as_its_own_term() -> None:
    found = gas_terms(1000, {"O2": 1e-6})
    assert found["O2"].pressure_term == pytest.approx(
        0.5 * KB_EV_PER_K * 1000 * log(1e-6)
    )
    assert found["O2"].temperature_term == element_terms(1000)["O"]
    assert found["F2"].pressure_term == 0
    # Less oxygen makes phases that release it less stable, never more.
    reducing = GibbsHull(CompetingPhases(references()), VOLUMES, 1473, {"O2": 1e-9})
    airless = reducing.stabilities([asked()])[0]
    ambient = GibbsHull(
        CompetingPhases(references()), VOLUMES, 1473, ONE_BAR
    ).stabilities([asked()])[0]
    assert airless.energy_above_hull is not None
    assert ambient.energy_above_hull is not None
    assert airless.energy_above_hull >= ambient.energy_above_hull
    assert set(airless.gases) == {"O2"}


def test_entropy_of_mixing_is_a_term_of_its_own() -> None:
    hull = GibbsHull(CompetingPhases(references()), VOLUMES, 1000, ONE_BAR)
    without, with_it = hull.stabilities([asked(), asked(entropy=5e-5)])
    assert without.energy_above_hull is not None
    assert with_it.energy_above_hull == pytest.approx(without.energy_above_hull - 0.05)
    assert with_it.entropy_term == -0.05
    assert with_it.solid_term == without.solid_term


def test_what_has_no_gibbs_energy_is_named() -> None:
    some = {name: value for name, value in VOLUMES.items() if name != "MnO2"}
    (found,) = GibbsHull(
        CompetingPhases(references()), some, 1000, ONE_BAR
    ).stabilities([asked()])
    assert found.left_out == ("MnO2",)
    assert found.n_references == 6
    gaseous = Hull([*PHASES, "CO2", "C"], [*PHASES.values(), -7.7, -9.0])
    hull = GibbsHull(CompetingPhases(gaseous), VOLUMES | {"CO2": 20.0}, 1000, ONE_BAR)
    carbonate = GibbsCandidate(HullQuery("b", "Li2CO3"), -6.3, 0.0, 10.0)
    assert hull.stabilities([carbonate])[0].left_out == ("CO2",)


@pytest.mark.parametrize(
    ("temperature", "volume", "without", "reason"),
    [
        (0, 8.6, "", "outside 300 to 2000 K"),
        (2100, 8.6, "", "outside"),
        (1000, None, "", "volume of the candidate"),
        (1000, 8.6, "Li", "Li"),
    ],
)
def test_no_answer_says_why(
    temperature: float, volume: float | None, without: str, reason: str
) -> None:
    hull = references(without=without)
    (found,) = GibbsHull(CompetingPhases(hull), {}, temperature, ONE_BAR).stabilities(
        [asked(volume)]
    )
    assert found.energy_above_hull is None
    assert found.reason is not None
    assert reason in found.reason


def test_no_phase_with_a_gibbs_energy() -> None:
    hull = Hull(["Li2O"], [-6.8])
    (found,) = GibbsHull(CompetingPhases(hull), {}, 1000, ONE_BAR).stabilities(
        [asked()]
    )
    assert found.reason == "no reference has a volume"


def test_other_candidates_take_part_where_their_volume_is_known() -> None:
    rival = OtherCandidate("b", TARGET, -7.9, 5e-5, volume_per_atom=TARGET_VOLUME)
    itself = OtherCandidate("a", TARGET, TARGET_ENERGY, 0.0)
    unknown = OtherCandidate("c", "LiMn2O4", -9.9, 0.0)
    competing = CompetingPhases(references(), [itself, rival, unknown])
    (found,) = GibbsHull(competing, VOLUMES, 1000, ONE_BAR).stabilities([asked()])
    assert found.energy_above_hull == pytest.approx(-6.95 + 7.9 + 0.05)
    assert [phase.reference_id for phase in found.decomposition] == ["candidate:b"]
    assert found.left_out == ("candidate:a", "candidate:c")


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="pair of elements"):
        reduced_mass("Li")
    with pytest.raises(ValueError, match="300 to 2000 K"):
        solid_term("Li2O", 8.0, 200)
    with pytest.raises(ValueError, match="not positive"):
        solid_term("Li2O", 0.0, 400)
