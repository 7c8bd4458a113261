"""Which constraint empties a space: drop them one by one and count again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hts_battery.compositions.grid import GridSpace
from hts_battery.errors import SpecError, StateLimitError
from hts_battery.schemas.space import SpaceSpec
from hts_battery.schemas.species import parse_species

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hts_battery.schemas.space import NasiconPairsSpec


def why_empty(spec: SpaceSpec | NasiconPairsSpec) -> str:
    """
    Say which constraint leaves a space without members.

    Parameters
    ----------
    spec
        A space whose count is zero.

    Returns
    -------
    str
        One line that names each field whose removal alone gives members.
    """
    if not isinstance(spec, SpaceSpec):
        return "no member: these metals and polyanions never balance the charge"
    guilty = [field for field, looser in _looser(spec) if _has_members(looser)]
    if guilty:
        return (
            "no composition satisfies every constraint; without "
            + " or without ".join(guilty)
            + " there would be some"
        )
    lowest, highest = _charge_bounds(spec)
    return (
        "no composition satisfies every constraint, and removing a single one does "
        "not help: check the charges (all sites together reach from "
        f"{lowest} to {highest} per formula unit) and sublattices, metals, elements, "
        "contents"
    )


def _looser(spec: SpaceSpec) -> Iterator[tuple[str, SpaceSpec]]:
    """Spaces that lack one constraint each, and the field of that constraint."""
    data = spec.model_dump()
    for symbol in spec.elements:
        kept = {key: one for key, one in data["elements"].items() if key != symbol}
        yield from _changed(spec, f"elements.{symbol}", elements=kept)
    for place, names in enumerate(spec.exclusions):
        kept_sets = [one for one in spec.exclusions if one != names]
        yield from _changed(spec, f"exclusions.{place}", exclusions=kept_sets)
    for name, sublattice in data["sublattices"].items():
        for part in ("minimum", "maximum", "amount"):
            metals = {key: v for key, v in sublattice["metals"].items() if key != part}
            yield from _changed_sublattice(spec, name, f"metals.{part}", metals=metals)
        for text, said in sublattice["species"].items():
            free = {**said, "minimum": 0, "maximum": None}
            species = {**sublattice["species"], text: free}
            yield from _changed_sublattice(
                spec, name, f"species.{text}", species=species
            )
    if spec.fixed_elements:
        field = "stoichiometries" if spec.stoichiometries else "contents"
        yield from _changed(spec, field, stoichiometries=(), contents={})


def _changed(
    spec: SpaceSpec,
    field: str,
    **changes: Any,  # noqa: ANN401 - fields of the model, validated by it
) -> Iterator[tuple[str, SpaceSpec]]:
    looser = SpaceSpec.model_validate({**spec.model_dump(), **changes})
    if looser != spec:
        yield field, looser


def _changed_sublattice(
    spec: SpaceSpec,
    name: str,
    field: str,
    **changes: Any,  # noqa: ANN401 - fields of the model, validated by it
) -> Iterator[tuple[str, SpaceSpec]]:
    sublattices = spec.model_dump()["sublattices"]
    sublattices[name].update(changes)
    yield from _changed(spec, f"sublattices.{name}.{field}", sublattices=sublattices)


def _has_members(spec: SpaceSpec) -> bool:
    try:
        return GridSpace(spec).count > 0
    except (SpecError, StateLimitError):
        return False


def _charge_bounds(spec: SpaceSpec) -> tuple[float, float]:
    lowest = highest = 0.0
    for sublattice in spec.sublattices.values():
        charges = [parse_species(text).charge for text in sublattice.species]
        lowest += float(sublattice.sites) * min(charges)
        highest += float(sublattice.sites) * max(charges)
    return lowest, highest
