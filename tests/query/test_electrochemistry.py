"""Questions about a candidate's electrochemistry, as people read the answers."""

from __future__ import annotations

import re

import pytest

from hts_battery.query.electrochemistry import electrochemistry_answers, volts
from hts_battery.schemas.property import PropertyDoc, Provenance, SubjectKind


def document(name: str, value: float | None, **changes: object) -> PropertyDoc:
    units = {"capacity": "mAh/g", "voltage": "V", "window": "V"}
    given = {
        "property_id": name,
        "subject_kind": SubjectKind.CANDIDATE,
        "subject_id": "c",
        "campaign": "shown",
        "builder": "any",
        "name": name,
        "conditions": {},
        "value": value,
        "unit": units.get(name.split("_", maxsplit=1)[0], "eV/atom"),
        "provenance": Provenance(code_version="1"),
        "input_digest": "d",
        "reason": None if value is not None else "it is not known",
        **changes,
    }
    return PropertyDoc.model_validate(given)


CATHODE = [
    document("capacity_carrier", 394.865, notes=("if every Li leaves",)),
    document("capacity_metal_redox", 131.622),
    document("capacity_oxygen_redox", 263.243),
    document(
        "voltage_average",
        3.7512,
        uncertainty=0.4,
        notes=("against Li metal", "12 to 8 to 4 Li of the cell", "oxygen_moment"),
    ),
    document("voltage_metal", 3.31234),
    document("voltage_oxygen", 4.25678),
    document("charged_e_hull", 0.1234),
    document("charged_freed_oxygen", 0.25),
]
ELECTROLYTE = [
    document(name, None)
    for name in ("capacity_carrier", "capacity_metal_redox", "capacity_oxygen_redox")
] + [
    document(
        "window_reduction",
        1.10832,
        uncertainty=0.0213,
        notes=(
            "A + Na -> B",
            "Na is open, against its metal",
            "missing phases may lower the hull by 12 meV/atom",
            "metastable",
        ),
    ),
    document("window_oxidation", 3.36431, uncertainty=0.134, notes=("A -> Na + C",)),
    document(
        "interface_mutual",
        -0.16247,
        conditions={"electrode": "Na"},
        notes=("A + 2 Na -> D", "with Na: 0.80"),
    ),
    document(
        "interface_mutual",
        -0.02456,
        conditions={"electrode": "NaCoO2", "voltage": 3.5},
        notes=("A + NaCoO2 -> E",),
    ),
    document("interface_mutual", None, conditions={"electrode": "NaKrO2"}),
]


def test_a_cathode_answers_how_much_at_what_voltage_from_oxygen_and_how_sure() -> None:
    found = {one.question: one for one in electrochemistry_answers(CATHODE)}
    assert list(found) == [
        "How much?",
        "How much of it from oxygen?",
        "At what voltage?",
        "How sure?",
    ]
    assert found["How much?"].answer == "395 mAh/g"
    assert found["How much of it from oxygen?"].answer == "263 mAh/g, 67 %"
    assert found["At what voltage?"].answer == "3.8 ± 0.4 V"
    assert found["At what voltage?"].because == (
        "metals 3.31 V; oxygen 4.26 V; against Li metal; 12 to 8 to 4 Li of the cell"
    )
    assert found["How sure?"].answer == "voltages of the engine are off by 0.4 V"
    assert found["How sure?"].because == (
        "charged cell 123 meV/atom above the hull, 25 % of its oxygen free; an oxygen "
        "has a hole"
    )


def test_an_electrolyte_answers_between_which_voltages_and_what_forms() -> None:
    found = {one.question: one for one in electrochemistry_answers(ELECTROLYTE)}
    assert list(found) == [
        "Between which voltages?",
        "What forms below?",
        "What forms above?",
        "What at Na?",
        "What at NaCoO2 at 3.50 V?",
        "What at NaKrO2?",
        "How sure?",
    ]
    assert found["Between which voltages?"].answer == "1.11 ± 0.02 V to 3.4 ± 0.1 V"
    assert found["What forms below?"].answer == "A + Na -> B"
    assert found["What at Na?"].answer == "-162 meV/atom"
    assert found["What at Na?"].because == "A + 2 Na -> D"
    assert found["What at NaKrO2?"] == (
        "What at NaKrO2?",
        "not known",
        "it is not known",
    )
    assert "above the hull: the window is that of its products" in (
        found["How sure?"].because
    )


@pytest.mark.parametrize("documents", [CATHODE, ELECTROLYTE])
def test_no_voltage_has_a_third_decimal(documents: list[PropertyDoc]) -> None:
    text = " ".join(" ".join(one) for one in electrochemistry_answers(documents))
    assert not re.search(r"\.\d{3,}", text)


def test_what_is_not_known_is_left_out_or_says_why() -> None:
    assert electrochemistry_answers([]) == []
    unknown = document("voltage_average", None, reason="no Li metal among them")
    (voltage, sure) = electrochemistry_answers([unknown])
    assert voltage == ("At what voltage?", "not known", "no Li metal among them")
    assert sure.answer.startswith("by the error of the engine")
    phase = [document("window_reduction", 0.5), document("window_oxidation", None)]
    window, below, above = electrochemistry_answers(phase)
    assert window.answer == "0.50 V to not known"
    assert (below.answer, above.because) == ("nothing", "it is not known")


def test_an_error_of_millivolts_is_no_third_decimal() -> None:
    assert volts(1.23456, 0.0004) == "1.23 ± 0.01 V"
