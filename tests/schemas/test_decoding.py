"""Documents are data: what they name is not imported, wherever it stands in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from monty.json import MontyDecoder
from planted import PlantedModule
from pymatgen.core import Lattice, Structure
from pymatgen.electronic_structure.core import Magmom

from hts_battery.errors import ForeignClassError
from hts_battery.schemas.decoding import check_document, read_structure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlantedModule:
    return PlantedModule(tmp_path, monkeypatch)


def cell() -> dict[str, Any]:
    """Return a good structure, with the objects that properties may be."""
    structure = Structure(
        Lattice.cubic(4.2),
        ["Li+", "O2-"],
        [[0, 0, 0], [0.5, 0.5, 0.5]],
        site_properties={"magmom": [Magmom(1.0), Magmom(0.0)], "label": ["a", "b"]},
        properties={"source": "here"},
    )
    found: dict[str, Any] = structure.as_dict()
    return found


PLACES: dict[str, Callable[[dict[str, Any], Any], None]] = {
    "property of a site": lambda doc, bad: doc["sites"][1]["properties"].update(x=bad),
    "in a list of a property": lambda doc, bad: doc["sites"][0]["properties"].update(
        x=[1, [{"deep": [bad]}]]
    ),
    "property of the structure": lambda doc, bad: doc["properties"].update(x=bad),
    "inside an object of ours": lambda doc, bad: doc["sites"][0]["properties"].update(
        x={
            "@module": "pymatgen.electronic_structure.core",
            "@class": "Magmom",
            "moment": bad,
        }
    ),
    "the lattice": lambda doc, bad: doc["lattice"].update(pbc=bad),
    "a species": lambda doc, bad: doc["sites"][0]["species"][0].update(properties=bad),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", ["class", "callable", "bound"])
def test_a_structure_imports_nothing_foreign(
    planted: PlantedModule, place: str, kind: str
) -> None:
    document = cell()
    PLACES[place](document, planted.naming(kind))
    named = "builtins.x.method" if kind == "bound" else planted.name
    with pytest.raises(ForeignClassError, match=named) as caught:
        read_structure(document)
    assert "\n" not in str(caught.value)
    assert not planted.was_imported


def test_the_plant_works_where_nobody_looks(planted: PlantedModule) -> None:
    # What the gate is for: pymatgen imports what a property of a site names.
    document = cell()
    for site in document["sites"]:
        site["properties"]["x"] = planted.naming("class")
    Structure.from_dict(document)
    assert planted.was_imported


@pytest.mark.parametrize(
    ("module", "name", "key"),
    [
        ("os", "system", "@callable"),
        ("pymatgen.core.structure", "Structure.from_file", "@callable"),
        ("hts_battery.schemas.structure", "OrderedCell", "@callable"),
        ("emmet.core.settings", "EmmetSettings", "@class"),
        ("fireworks.core.launchpad", "LaunchPad", "@class"),
        ("maggma.stores.mongolike", "MongoStore", "@class"),
        ("pandas", "DataFrame", "@class"),
        ("torch", "Tensor", "@class"),
        ("pymatgen.core_and_more", "X", "@class"),
        ("pymatgen", "X", "@class"),
        ("numpy", "memmap", "@class"),
        ("", "system", "@callable"),
        (["os"], "system", "@class"),
        (None, "system", "@callable"),
    ],
)
def test_what_is_no_class_of_a_document(module: object, name: str, key: str) -> None:
    with pytest.raises(ForeignClassError):
        check_document([{"a": {"@module": module, key: name}}])


def test_good_documents_are_what_they_were() -> None:
    document = cell()
    check_document(MontyDecoder().process_decoded({"plain": [1, "two", None]}))
    assert read_structure(document) == Structure.from_dict(cell())
    assert read_structure(cell())[0].properties["magmom"] == Magmom(1.0)


def test_a_deep_document_is_read_to_its_end() -> None:
    document: Any = {"@module": "os", "@callable": "system"}
    for _ in range(5000):
        document = [document]
    with pytest.raises(ForeignClassError, match="os"):
        check_document(document)
