"""Prototypes: the numbers of AFLOW, and cells that fit other ions."""

from __future__ import annotations

from csv import DictReader
from fractions import Fraction

import pytest
from pymatgen.analysis.prototypes import AFLOW_PROTOTYPE_LIBRARY
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.io.cif import CifParser

from hts_battery.errors import ConfigurationError
from hts_battery.schemas.reference import SourceKind
from hts_battery.structures.references.geometry import (
    conventional_cell,
    mean_valence_radius,
    primitive_cell,
)
from hts_battery.structures.references.library import (
    decorate,
    load_prototypes,
    load_reference_phases,
    parse_oxidation_species,
    parse_position,
    reference_phase,
)


@pytest.mark.parametrize(
    ("text", "element", "charge"),
    [
        ("Mn3+", "Mn", 3),
        ("Mn3.5+", "Mn", Fraction(7, 2)),
        ("Ti10/3+", "Ti", Fraction(10, 3)),
        ("O2-", "O", -2),
        ("O-", "O", -1),
        ("O0.5-", "O", Fraction(-1, 2)),
        ("Li", "Li", 0),
    ],
)
def test_species_are_read_exactly(
    text: str, element: str, charge: Fraction | int
) -> None:
    assert parse_oxidation_species(text) == (element, charge)


@pytest.mark.parametrize("text", ["mn3+", "Mn+3", "", "Mn3"])
def test_a_wrong_species_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="not a species"):
        parse_oxidation_species(text)


def test_thirds_are_exact() -> None:
    assert parse_position(["1/3", "2/3", 0.25]) == (1 / 3, 2 / 3, 0.25)


def test_aflow_prototypes_are_those_of_the_library() -> None:
    originals: dict[str, list] = {}
    for entry in AFLOW_PROTOTYPE_LIBRARY:
        originals.setdefault(entry["tags"]["aflow"], []).append(entry["snl"].structure)
    matcher = StructureMatcher(ltol=0.02, stol=0.03, angle_tol=1)
    different = []
    for prototype in load_prototypes().values():
        if prototype.aflow_label is None:
            continue
        cell = conventional_cell(
            prototype.space_group_symbol,
            prototype.cell,
            [_STAND_IN[site.label] for site in prototype.sites],
            [site.position for site in prototype.sites],
        )
        ours = primitive_cell(cell, prototype.space_group_symbol)
        if not any(
            _same_sites(matcher, ours, structure)
            for structure in originals[prototype.aflow_label]
        ):
            different.append(prototype.name)
    assert different == []


_STAND_IN = {"A": "Na", "B": "Ti", "C": "Si", "D": "P", "X": "O", "Y": "F", "Z": "Cl"}


def _same_sites(matcher: StructureMatcher, ours, original) -> bool:  # noqa: ANN001  # structures
    """Compare as decorated, or as bare sites where a label joins two elements."""
    if matcher.fit_anonymous(ours, original):
        return True
    bare = [structure.copy() for structure in (ours, original)]
    for structure in bare:
        for index in range(len(structure)):
            structure.replace(index, "C")
    return matcher.fit(*bare)


# Their files are in no folder here; three of them pymatgen has under another number.
ALLOY_TYPES = {
    "manganese-silicide",
    "khatyrkite",
    "uranium-silicide",
    "iron-boride",
    "copper-silicide",
    "sodium-lead",
    "titanium-triphosphide",
    "titanium-phosphide",
    "lithium-silicide",
}


@pytest.mark.parametrize("name", ["khatyrkite", "uranium-silicide", "iron-boride"])
def test_types_of_alloys_are_those_that_pymatgen_has_too(name: str) -> None:
    prototype = load_prototypes()[name]
    label = str(prototype.published).split(": ")[0].removeprefix("AFLOW ")[:-4]
    cell = conventional_cell(
        prototype.space_group_symbol,
        prototype.cell,
        [_STAND_IN[site.label] for site in prototype.sites],
        [site.position for site in prototype.sites],
    )
    matcher = StructureMatcher(ltol=0.02, stol=0.03, angle_tol=1)
    assert any(
        _same_sites(matcher, cell, entry["snl"].structure)
        for entry in AFLOW_PROTOTYPE_LIBRARY
        if entry["tags"]["aflow"] == label
    )


# The files carry rounded coordinates and unknown radiation types; the parser says so.
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_published_types_are_those_of_their_files(shared_data) -> None:  # noqa: ANN001  # a folder
    folder = shared_data / "structures_2"
    with (folder / "index.csv").open(encoding="utf-8") as file:
        paths = {row["source_id"]: folder / row["file"] for row in DictReader(file)}
    matcher = StructureMatcher(ltol=0.02, stol=0.03, angle_tol=1)
    published = [p for p in load_prototypes().values() if p.published]
    assert len(published) > 20
    different, elsewhere = [], set()
    for prototype in published:
        number = prototype.published.split(": ")[0].removeprefix(
            "github.com/njszym/XRD-AutoAnalyzer "
        )
        if number not in paths:
            elsewhere.add(prototype.name)
            continue
        original = CifParser(paths[number]).parse_structures(primitive=True)[0]
        original.remove_oxidation_states()
        cell = conventional_cell(
            prototype.space_group_symbol,
            prototype.cell,
            [_STAND_IN[site.label] for site in prototype.sites],
            [site.position for site in prototype.sites],
        )
        ours = primitive_cell(cell, prototype.space_group_symbol)
        if not _same_sites(matcher, ours, original):
            different.append(prototype.name)
    assert different == []
    assert elsewhere == ALLOY_TYPES


def test_a_phase_of_a_published_type_names_its_source() -> None:
    source = reference_phase("Na2ZnS2O8-glauberite").source
    assert source.kind is SourceKind.PUBLISHED_TYPE
    assert source.type_source is not None
    assert source.type_source.startswith("amcsd 0000158: Araki T; Zoltai T")


def test_every_structure_type_is_used() -> None:
    used = {phase.source.prototype for phase in load_reference_phases()}
    assert set(load_prototypes()) - used == set()


def test_bonds_of_a_scaled_cell_add_up_to_the_radii() -> None:
    fluoride = reference_phase("MnF2-rutile")
    structure = conventional_cell(
        fluoride.space_group_symbol,
        fluoride.cell,
        [site.element for site in fluoride.sites],
        [site.position for site in fluoride.sites],
    )
    near = sorted(n.nn_distance for n in structure.get_neighbors(structure[0], 3.0))[:6]
    radii = mean_valence_radius("Mn", Fraction(2), 6) + mean_valence_radius(
        "F", Fraction(-1), 3
    )
    assert sum(near) / 6 == pytest.approx(radii, abs=0.01)


def test_mean_valence_lies_between() -> None:
    low, high = (mean_valence_radius("Mn", Fraction(n), 6) for n in (3, 4))
    assert mean_valence_radius("Mn", Fraction(7, 2), 6) == pytest.approx(
        (low + high) / 2
    )


def test_too_few_species_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="labels A, B, X"):
        decorate(load_prototypes()["spinel"], "MgO", "Mg2+ O2-", group="oxides")


def test_a_given_cell_is_not_scaled() -> None:
    phase = decorate(
        load_prototypes()["rocksalt"],
        "LiF",
        {"species": "Li+ F-", "cell": [4.03, 4.03, 4.03, 90, 90, 90]},
        group="fluorides",
    )
    assert phase.cell[0] == 4.03
    assert not phase.source.cell_scaled
