"""Reference documents: what they refuse."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from hts_battery.schemas.reference import (
    ReferenceEnergy,
    ReferenceEnergyFile,
    ReferencePhase,
    ReferenceSite,
    ReferenceSource,
    SourceKind,
)


def energy(**changes: object) -> ReferenceEnergy:
    row: dict[str, object] = {
        "phase_id": "LiF-rocksalt",
        "formula": "LiF",
        "engine": "chgnet",
        "energy_per_atom": -5.05,
        "n_atoms": 2,
        "converged": True,
        "start_digest": "0" * 20,
    }
    return ReferenceEnergy(**(row | changes))


def phase(**changes: object) -> ReferencePhase:
    row: dict[str, object] = {
        "phase_id": "LiF-rocksalt",
        "formula": "LiF",
        "group": "lithium_fluorides",
        "space_group_symbol": "Fm-3m",
        "space_group_number": 225,
        "cell": (4.03, 4.03, 4.03, 90, 90, 90),
        "sites": (
            ReferenceSite(element="Li", oxidation_state=1, position=(0, 0, 0)),
            ReferenceSite(element="F", oxidation_state=-1, position=(0.5, 0.5, 0.5)),
        ),
        "source": ReferenceSource(kind=SourceKind.OWN_DECORATION),
    }
    return ReferencePhase(**(row | changes))


def file_of(*energies: ReferenceEnergy, **changes: object) -> ReferenceEnergyFile:
    row: dict[str, object] = {
        "engine": "chgnet",
        "settings": {"fmax": 0.05},
        "versions": {"chgnet": "0.4.2"},
        "created": datetime(2026, 1, 1, tzinfo=UTC),
        "energies": energies,
    }
    return ReferenceEnergyFile(**(row | changes))


def test_phase_survives_a_round_trip() -> None:
    assert ReferencePhase.model_validate_json(phase().model_dump_json()) == phase()


def test_phase_knows_its_system() -> None:
    assert phase().chemical_system == "F-Li"
    assert phase().amounts == {"Li": 1, "F": 1}


def test_formula_of_other_elements_is_refused() -> None:
    with pytest.raises(ValidationError, match="different elements"):
        phase(formula="NaF")


def test_formula_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="lif"):
        phase(formula="lif")


def test_unknown_element_is_refused() -> None:
    with pytest.raises(ValidationError, match="not an element"):
        ReferenceSite(element="Xx", oxidation_state=0, position=(0, 0, 0))


def test_own_decoration_carries_no_citation() -> None:
    with pytest.raises(ValidationError, match="its number and citation"):
        ReferenceSource(kind=SourceKind.OWN_DECORATION, citation="somebody")


def test_crystallographic_file_is_cited() -> None:
    with pytest.raises(ValidationError, match="its number and citation"):
        ReferenceSource(kind=SourceKind.CRYSTALLOGRAPHIC_FILE, cod_id=1)


AKERMANITE = {"database": "AMCSD", "number": "0008517", "citation": "Kusaka et al."}


@pytest.mark.parametrize(
    ("kind", "changes", "says"),
    [
        (SourceKind.CRYSTALLOGRAPHIC_FILE, {"number": None}, "stand together"),
        (SourceKind.CRYSTALLOGRAPHIC_FILE, {"cod_id": 1}, "one file"),
        (SourceKind.CRYSTALLOGRAPHIC_FILE, {"citation": None}, "its number and"),
        (SourceKind.OWN_DECORATION, {"citation": None}, "its number and"),
        (
            SourceKind.COMPUTED_STRUCTURE,
            {"database": None, "number": None},
            "names its database",
        ),
    ],
)
def test_a_source_names_its_file_wholly(
    kind: SourceKind, changes: dict[str, object], says: str
) -> None:
    with pytest.raises(ValidationError, match=says):
        ReferenceSource(kind=kind, **{**AKERMANITE, **changes})


@pytest.mark.parametrize(
    "kind", [SourceKind.CRYSTALLOGRAPHIC_FILE, SourceKind.COMPUTED_STRUCTURE]
)
def test_a_structure_may_come_from_another_collection(kind: SourceKind) -> None:
    source = ReferenceSource(kind=kind, licence="CC-BY-4.0", **AKERMANITE)
    assert source.number == "0008517"


def test_a_licence_belongs_to_a_file() -> None:
    with pytest.raises(ValidationError, match="licence"):
        ReferenceSource(kind=SourceKind.OWN_DECORATION, licence="CC-BY-4.0")


def test_aflow_label_belongs_to_aflow() -> None:
    with pytest.raises(ValidationError, match="aflow_label"):
        ReferenceSource(kind=SourceKind.AFLOW_DECORATED)


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (SourceKind.PUBLISHED_TYPE, "type_source"),
        (SourceKind.ELECTROSTATIC_ORDERING, "ordering"),
    ],
)
def test_a_source_says_what_its_kind_needs(kind: SourceKind, field: str) -> None:
    values = {
        "type_source": "amcsd 0009708: Okada K; Ossaka J",
        "ordering": {
            "parent": "rocksalt",
            "cells": 2,
            "species": {"cation": {"Li+": 1, "Co3+": 1}, "anion": {"O2-": 2}},
        },
    }
    assert getattr(ReferenceSource(kind=kind, **{field: values[field]}), field)
    with pytest.raises(ValidationError, match=field):
        ReferenceSource(kind=kind)
    with pytest.raises(ValidationError, match=field):
        ReferenceSource(kind=SourceKind.OWN_DECORATION, **{field: values[field]})


@pytest.mark.parametrize("changes", [{"converged": False}, {"energy_per_atom": None}])
def test_unusable_energy_must_say_why(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="needs a reason"):
        energy(**changes)
    assert energy(**changes, rejected="not converged in 500 steps").rejected


def test_energy_file_survives_a_round_trip() -> None:
    whole = file_of(energy())
    again = ReferenceEnergyFile.model_validate_json(whole.model_dump_json())
    assert again == whole


def test_engines_are_not_mixed() -> None:
    with pytest.raises(ValidationError, match="holds energies of"):
        file_of(energy(engine="gpaw"))


def test_one_energy_a_phase() -> None:
    with pytest.raises(ValidationError, match="more than one energy"):
        file_of(energy(), energy())


def test_time_has_a_zone() -> None:
    with pytest.raises(ValidationError, match="time zone"):
        file_of(created=datetime(2026, 1, 1))  # noqa: DTZ001  # that is the mistake
