"""What the functions of the contract return: spaces, hulls, entropies, cells."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Any

import pytest
from golden.recording import plain
from golden.story import FILES

from hts_battery.compositions import load_space
from hts_battery.structures import order_candidate
from hts_battery.thermo import Hull, mixing_entropy, nasicon_mixing_entropy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from golden.recording import Recording

    from hts_battery import CompositionSpace

LAYERED: dict[str, Any] = {
    "family": "layered",
    "basis": "formula-unit",
    "step": 0.25,
    "sublattices": {
        "alkali": {"sites": 1, "species": ["Na+", "Li+"]},
        "metal": {"sites": 1, "species": ["Ni3+", "Mn3+", "Co3+"]},
        "anion": {"sites": 2, "species": ["O2-"]},
    },
}
_IMPOSSIBLE = {"sites": 1, "species": ["Ti4+"]}
FORMULAS = ("Li", "Mn", "Ti", "O2", "F2", "Li2O", "MnO", "Mn2O3", "TiO2", "LiF")
ENERGIES = (0.0, 0.0, 0.0, 0.0, 0.0, -2.0, -2.0, -2.0, -3.2, -3.1)
ASKED = {"LiMnO2": -2.05, "Li1.2Mn0.4Ti0.4O2": -2.3, "Li2TiO3": -2.9, "Li2O": -1.9}


@pytest.fixture
def space(tmp_path: Path) -> CompositionSpace:
    file = tmp_path / "small.yaml"
    file.write_text(FILES["small.yaml"], encoding="utf-8")
    return load_space(file)


def described(candidate: Any) -> dict[str, Any]:  # noqa: ANN401 - a Candidate
    return {
        "id": candidate.candidate_id,
        "family": candidate.family,
        "formula": candidate.formula,
        "species": {name: str(one) for name, one in candidate.species.items()},
        "amounts": {name: str(one) for name, one in candidate.amounts.items()},
        "sites": {name: str(one) for name, one in candidate.sites.items()},
    }


def test_a_space_of_a_file(
    recording: Callable[[str], Recording], space: CompositionSpace
) -> None:
    found = {
        "count": space.count,
        "length": len(space),
        "species": space.species_count,
        "metals": {str(key): one for key, one in space.metal_counts.items()},
        "basis": str(space.basis),
        "members": [described(space[index]) for index in (0, 17, space.count - 1)],
        "index": space.index("Li1.2Mn0.4Ti0.4O2"),
        "holds": space[5] in space,
        "drawn": [one.formula for one in space.sample(3, seed=0)],
        "sampled": list(space.sample_indices(6, seed=3)),
        "sampled by metals": list(space.sample_indices(6, seed=3, stratify="metals")),
    }
    recording("science").check("space of a file", found)


def test_a_space_of_a_mapping(recording: Callable[[str], Recording]) -> None:
    space = load_space(LAYERED)
    found = {
        "count": space.count,
        "members": [one.formula for one in space],
        "last": described(space[space.count - 1]),
    }
    recording("science").check("space of a mapping", found)


@pytest.mark.parametrize(
    "change",
    [
        {"step": 0.3},
        {"stepp": 0.1},
        {"sublattices": {"metal": {"sites": 1, "species": ["Xx3+"]}}},
        {"sublattices": {**LAYERED["sublattices"], "metal": _IMPOSSIBLE}},
    ],
    ids=str,
)
def test_what_a_space_refuses(
    recording: Callable[[str], Recording], change: dict[str, Any]
) -> None:
    with pytest.raises(Exception, match=r".") as caught:
        load_space(LAYERED | change)
    kinds = [one.__name__ for one in type(caught.value).__mro__]
    found = [kinds[0], "HTSBatteryError" in kinds]
    recording("science").check(f"refused {change}", found)


def test_a_hull(recording: Callable[[str], Recording]) -> None:
    hull = Hull(FORMULAS, ENERGIES)
    splits = [hull.decomposition(formula) for formula in ASKED]
    found = {
        "length": len(hull),
        "elements": hull.elements,
        "above": hull.energies_above_hull(list(ASKED), list(ASKED.values())).tolist(),
        "above without Li2O": hull.without(["Li2O"])
        .energies_above_hull(list(ASKED), list(ASKED.values()))
        .tolist(),
        "amounts": [split.amounts for split in splits],
        "lower": hull.lower_energies(list(ASKED)).tolist(),
        "potentials": [split.chemical_potentials for split in splits],
        "stable": hull.stable_references(["Li", "Mn", "O"]),
    }
    recording("science").check("hull", plain(found))
    recording("science").check("digest of the hull", hull.digest)


def test_what_a_hull_refuses() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Hull([], [])
    with pytest.raises(Exception, match="Cr") as caught:
        Hull(FORMULAS, ENERGIES).decomposition("LiCrO2")
    assert type(caught.value).__name__ == "MissingReferenceError"
    (above,) = Hull(FORMULAS, ENERGIES).energies_above_hull(["LiCrO2"], [-2.0])
    assert isnan(above)


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        ("Na3Zr2Si2PO12", {}),
        ("Na3Zr2Si2PO12", {"convention": "ouyang2021"}),
        ("Na2Zr0.5Ti0.5HfSiP2O12", {"convention": "textbook"}),
        ("NaZr2(PO4)3", {"sodium_on_6b": 1}),
        ("Na3Zr2Si2PO12", {"sodium_on_6b": 0.5}),
    ],
    ids=str,
)
def test_the_entropy_of_a_nasicon(
    recording: Callable[[str], Recording], formula: str, options: dict[str, Any]
) -> None:
    found = nasicon_mixing_entropy(formula, **options)
    recording("science").check(f"entropy of {formula} {options}", plain(1e5 * found))


def test_the_entropy_of_mixing(recording: Callable[[str], Recording]) -> None:
    cations = {"Li": 0.6, "Mn": 0.2, "Ti": 0.15, "Vac": 0.05}
    found = mixing_entropy([(2, cations), (2, {"O": 0.85, "F": 0.15})], 3.9)
    recording("science").check("entropy of mixing", plain(1e5 * found))


@pytest.mark.parametrize("method", ["sqs", "electrostatic", "random"])
def test_an_ordered_cell(
    recording: Callable[[str], Recording], space: CompositionSpace, method: str
) -> None:
    candidate = space[space.index("Li1.2Mn0.4Ti0.4O2")]
    cell = order_candidate(
        candidate, atoms=40, method=method, iterations=300, seed=5
    ).model_dump(mode="json")
    structure = cell.pop("structure")
    cell["structure"] = {
        "lattice": structure["lattice"]["matrix"],
        "species": [site["label"] for site in structure["sites"]],
        "positions": [_wrapped(site["abc"]) for site in structure["sites"]],
    }
    recording("science").check(f"ordered by {method}", plain(cell))


def _wrapped(position: list[float]) -> list[float]:
    """Put coordinates between 0 and 1, whatever the last digit of a processor."""
    return [round(value % 1, 6) % 1 for value in position]
