"""The library of reference phases: loads, answers, builds the stated structures."""

from __future__ import annotations

import csv
import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.io.cif import CifParser

from hts_battery.schemas.formula import parse_formula
from hts_battery.structures.references.geometry import SITE_OF_ATOM
from hts_battery.structures.references.library import (
    conventional_structure,
    load_reference_phases,
    phases_within,
    reference_groups,
    reference_phase,
    reference_structure,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pymatgen.core import Structure

    from hts_battery.schemas.reference import ReferencePhase

QUICKSTART = ("Li", "Mn", "Ti", "Nb", "Cr", "O", "F")
LITHIUM_METALS = parse_formula("MgAlScTiVCrMnFeCoNiCuZnGaGeZrNbMoSnSbHfTaWYIn")
SMALL_ASYMMETRIC_UNIT = 8
# OBELiX adds noise to its coordinates, so that its files have no symmetry of their own.
NOISY = {"OBELiX"}
NASICON_METALS = parse_formula("MgZnCaLaGaYScInAlZrTiSnHfGeNbTa")


def formulas_within(*elements: str) -> set[str]:
    return {phase.formula for phase in phases_within(elements)}


def systems_with(*fixed: str, of: Iterable[str]) -> set[str]:
    """Metals for which a phase of exactly the fixed elements and the metal exists."""
    present = {phase.elements for phase in load_reference_phases()}
    return {metal for metal in of if frozenset({*fixed, metal}) in present}


def test_ids_are_unique_and_sorted() -> None:
    ids = [phase.phase_id for phase in load_reference_phases()]
    assert ids == sorted(set(ids))


def test_the_library_is_read_once() -> None:
    assert load_reference_phases() is load_reference_phases()


def test_every_group_holds_phases() -> None:
    held = Counter(phase.group for phase in load_reference_phases())
    assert set(held) == set(reference_groups())


def test_quickstart_space_has_elements_and_compounds() -> None:
    phases = phases_within(QUICKSTART)
    elements = {phase.formula for phase in phases if len(phase.elements) == 1}
    compounds = {phase.formula for phase in phases} - elements
    assert elements == set(QUICKSTART)
    assert len(compounds) >= 45


@pytest.mark.parametrize("element", ["O", "F"])
def test_gases_are_crystals_not_boxed_molecules(element: str) -> None:
    for phase in phases_within([element]):
        structure = reference_structure(phase)
        assert structure.volume / len(structure) < 25


def test_lithium_chemistry_of_the_published_metals_is_covered() -> None:
    assert systems_with("O", of=LITHIUM_METALS) == set(LITHIUM_METALS)
    assert systems_with("F", of=LITHIUM_METALS) == set(LITHIUM_METALS)
    assert len(systems_with("Li", "O", of=LITHIUM_METALS)) >= 20
    assert len(systems_with("Li", "F", of=LITHIUM_METALS)) >= 20


def test_every_element_that_occurs_has_its_own_phase() -> None:
    occurring = {el for phase in load_reference_phases() for el in phase.elements}
    single = {
        next(iter(phase.elements))
        for phase in load_reference_phases()
        if len(phase.elements) == 1
    }
    assert single == occurring


def test_nasicon_metals_have_oxides() -> None:
    assert systems_with("O", of=NASICON_METALS) == set(NASICON_METALS)


def test_members_of_the_candidate_family_are_marked() -> None:
    marked = [phase for phase in load_reference_phases() if phase.candidate_family]
    assert {phase.candidate_family for phase in marked} == {"nasicon"}
    assert "NaZr2P3O12" in {phase.formula for phase in marked}


def test_phases_within_takes_subsets_only() -> None:
    formulas = formulas_within("Li", "Ti", "O")
    assert {"Li", "TiO2", "Li2TiO3"} <= formulas
    assert "LiF" not in formulas


def test_unknown_phase_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="unobtainium"):
        reference_phase("unobtainium")


def test_primitive_cell_is_the_same_crystal() -> None:
    for name in ("TiO2-anatase", "Cr2O3-corundum", "MnCr2O4-spinel", "O-alpha"):
        phase = reference_phase(name)
        conventional, primitive = (
            conventional_structure(phase),
            reference_structure(phase),
        )
        assert StructureMatcher(scale=False).fit(conventional, primitive)
        assert len(conventional) % len(primitive) == 0


def test_atoms_remember_their_asymmetric_site() -> None:
    structure = conventional_structure(reference_phase("TiO2-rutile"))
    assert Counter(structure.site_properties[SITE_OF_ATOM]).total() == 6


def test_structures_are_reproducible() -> None:
    phase = reference_phase("LiMn2O4-spinel")
    assert reference_structure(phase).as_dict() == reference_structure(phase).as_dict()


# The files carry rounded coordinates and unknown radiation types; the parser says so.
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_cited_phases_are_the_structures_of_their_files(shared_data: Path) -> None:
    files = {}
    for path in sorted((shared_data / "structures").glob("*.cif")):
        number = re.search(
            r"_cod_database_code\s+(\d+)", path.read_text(errors="replace")
        )
        if number:
            files[int(number[1])] = path
    cited = [phase for phase in load_reference_phases() if phase.source.cod_id in files]
    assert len(cited) > 70
    different = [
        phase.phase_id
        for phase in cited
        if not is_structure_of(phase, files[phase.source.cod_id])
    ]
    assert different == []


def numbered_files(shared_data: Path) -> dict[str, list[Path]]:
    """Files of the larger collection by their number in the database they are from."""
    folder = shared_data / "structures_2"
    if not folder.is_dir():
        pytest.skip("the shared data hold no structures_2")
    files: dict[str, list[Path]] = {}
    with (folder / "index.csv").open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            words = row["source_id"].split()
            number = words[1] if words[0] == "AFLOW" else words[-1]
            files.setdefault(number, []).append(folder / row["file"])
    return files


def phases_of_files(files: Mapping[str, list[Path]]) -> list[ReferencePhase]:
    """Phases of the library that name one of the files."""
    return [
        phase
        for phase in load_reference_phases()
        if (phase.source.number or str(phase.source.cod_id)) in files
    ]


def different_from_files(
    phases: Iterable[ReferencePhase], files: Mapping[str, list[Path]]
) -> list[str]:
    return [
        phase.phase_id
        for phase in phases
        if not any(
            is_structure_of(phase, path)
            for path in files[phase.source.number or str(phase.source.cod_id)]
        )
    ]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_phases_of_the_larger_collection_are_those_of_their_files(
    shared_data: Path,
) -> None:
    files = numbered_files(shared_data)
    phases = phases_of_files(files)
    assert len(phases) > 470
    small = [phase for phase in phases if len(phase.sites) <= SMALL_ASYMMETRIC_UNIT]
    assert different_from_files(small[::12], files) == []


@pytest.mark.long  # 32 s; a sample of them is read above each time
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_phase_of_the_larger_collection_is_that_of_its_file(
    shared_data: Path,
) -> None:
    files = numbered_files(shared_data)
    assert different_from_files(phases_of_files(files), files) == []


def is_structure_of(phase: ReferencePhase, path: Path) -> bool:
    parser = CifParser(path, occupancy_tolerance=1.1)
    original: Structure = parser.parse_structures(primitive=False)[0]
    original.remove_oxidation_states()
    noisy = phase.source.database in NOISY
    scaled = phase.source.cell_scaled
    matcher = StructureMatcher(
        ltol=0.02, stol=0.15 if noisy else 0.03, angle_tol=1, scale=scaled
    )
    # A file that has two metals the wrong way round says so in its note.
    fit = matcher.fit_anonymous if scaled else matcher.fit
    return bool(fit(original, reference_structure(phase)))
