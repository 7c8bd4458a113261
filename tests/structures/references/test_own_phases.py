from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from hts_battery.errors import ConfigurationError
from hts_battery.schemas.reference import ReferenceSource, SourceKind
from hts_battery.structures.references.checks import phase_problems
from hts_battery.structures.references.library import (
    reference_phase,
    reference_structure,
)
from hts_battery.structures.references.own_phases import (
    LARGEST_PHASE,
    OwnPhase,
    file_source,
    found_space_group,
    given_states,
    materials_project_source,
    own_phase,
)
from hts_battery.structures.references.site_properties import reference_charges

SOURCE = file_source("mine.cif")


def made(structure: Structure, name: str = "mine", **options: object) -> OwnPhase:
    return own_phase(structure, name, source=SOURCE, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    ["TiO2-rutile", "Li-bcc", "LiMn2O4-spinel", "LiF-rocksalt", "Cr2O3-corundum"],
)
def test_a_phase_of_the_library_passes_as_ones_own(name: str) -> None:
    """Its cell, read as if from a file, is the same phase with the same charges."""
    phase = reference_phase(name)
    found = made(reference_structure(phase))
    assert found.problems == ()
    assert found.phase is not None
    assert phase_problems(found.phase) == ()
    assert len(reference_structure(found.phase)) == len(reference_structure(phase))
    assert sorted(reference_charges(found.phase)) == pytest.approx(
        sorted(reference_charges(phase)), abs=0.51
    )
    assert phase.phase_id in " ".join(found.notes)
    assert found.phase.source.kind is SourceKind.OWN_FILE


def test_an_element_that_the_library_lacks() -> None:
    rhodium = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.80), ["Rh"], [[0] * 3])
    found = made(rhodium, "Rh")
    assert found.phase is not None
    assert found.phase.phase_id == "Rh-own"
    assert len(found.phase.sites) == 1
    assert found_space_group(found.phase) == "Fm-3m"
    assert found.notes == ()
    assert found_space_group(reference_phase("TiO2-rutile")) == "P4_2/mnm"


def oxide(*, a: float = 6.44, states: bool = False) -> Structure:
    species = ["O2-", "K+"] if states else ["O", "K"]
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(a), species, [[0, 0, 0], [0.25] * 3]
    )


def test_charges_come_from_the_file_the_user_or_the_bonds() -> None:
    for structure, options in (
        (oxide(states=True), {}),
        (oxide(), {}),
        (oxide(), {"states": given_states(["K+", "O2-"])}),
        (oxide(), {"states": given_states(["O2-"])}),
    ):
        found = made(structure, "K2O", **options)
        assert found.phase is not None
        charges = {site.element: site.oxidation_state for site in found.phase.sites}
        assert charges == {"K": 1, "O": -2}
    alloy = Structure(Lattice.cubic(3.0), ["Ni", "Al"], [[0] * 3, [0.5] * 3])
    found = made(alloy)
    assert found.phase is not None
    assert {site.oxidation_state for site in found.phase.sites} == {Fraction(0)}


@pytest.mark.parametrize(
    ("structure", "options", "says"),
    [
        (oxide(a=3.0), {}, "K-O is"),
        (oxide(a=9.5), {}, "too far"),
        (oxide(), {"states": {"K": Fraction(2), "O": Fraction(-2)}}, "add up to"),
        (
            Structure(Lattice.cubic(4), [{"Li": 0.5}, "F"], [[0] * 3, [0.5] * 3]),
            {},
            "0.5 Li.*--order N.*space from-cif",
        ),
        (
            Structure(
                Lattice.cubic(4),
                ["Li", "Li", "Li", "F"],
                [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0], [0, 0, 0]],
            ),
            {},
            "oxidation states of .* are not known: name them",
        ),
    ],
)
def test_what_cannot_compete_says_why(
    structure: Structure, options: dict[str, object], says: str
) -> None:
    found = made(structure, **options)
    assert found.problems
    text = "; ".join(found.problems)
    assert "\n" not in text
    assert re.search(says, text), text


def test_too_many_atoms() -> None:
    points = np.random.default_rng(0).random((LARGEST_PHASE + 1, 3))
    structure = Structure(Lattice.cubic(30), ["Li"] * len(points), points)
    (problem,) = made(structure).problems
    assert f"{LARGEST_PHASE + 1} atoms" in problem


def test_states_as_a_user_writes_them() -> None:
    assert given_states(["Fe8/3+", "O2-"]) == {"Fe": Fraction(8, 3), "O": -2}
    with pytest.raises(ConfigurationError, match="is not a species"):
        given_states(["iron"])
    with pytest.raises(ConfigurationError, match="twice"):
        given_states(["Fe2+", "Fe3+"])


def test_sources_say_what_they_are() -> None:
    assert file_source("a.cif", ordered_by_us=True).kind.value.endswith("by us")
    assert materials_project_source("mp-1").licence == "CC-BY-4.0"
    with pytest.raises(ValueError, match="a user's own"):
        ReferenceSource(kind=SourceKind.OWN_DECORATION, file="a.cif")
    with pytest.raises(ValueError, match="a user's own"):
        ReferenceSource(kind=SourceKind.OWN_FILE)


def test_ids_are_readable_and_plain() -> None:
    for name, expected in (
        ("K2O", "K2O-own"),
        ("K2O-antifluorite", "K2O-antifluorite"),
        ("my file (2)", "K2O-my-file-2"),
        ("", "K2O-own"),
    ):
        found = made(oxide(), name)
        assert found.phase is not None
        assert found.phase.phase_id == expected
    named = made(oxide(), phase_id="K2O-x", note="of a friend").phase
    assert named is not None
    assert (named.phase_id, named.note) == ("K2O-x", "of a friend")
