from __future__ import annotations

import pytest
from pydantic import ValidationError

from hts_battery.errors import OrderingError
from hts_battery.structures.prototypes import (
    Prototype,
    load_prototype,
    prototype_names,
    prototype_of_family,
)


@pytest.mark.parametrize("name", prototype_names())
def test_every_file_is_a_prototype_with_a_source(name: str) -> None:
    prototype = load_prototype(name)
    assert prototype.name == name
    assert prototype.source
    for first, second in prototype.bonds:
        assert {first, second} <= set(prototype.sublattices)


def test_no_family_has_two_prototypes() -> None:
    families = [f for n in prototype_names() for f in load_prototype(n).families]
    assert len(families) == len(set(families))


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(
        OrderingError, match=r"no prototype 'rock'; there are .*rocksal"
    ):
        load_prototype("rock")
    with pytest.raises(OrderingError, match=r"family 'x'; families with one: .*hedrx"):
        prototype_of_family("x")


def test_an_unknown_field_is_refused() -> None:
    content = load_prototype("rocksalt").model_dump() | {"colour": "grey"}
    with pytest.raises(ValidationError, match=r"colour"):
        Prototype.model_validate(content)
