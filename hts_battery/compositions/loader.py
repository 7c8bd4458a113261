"""A composition space from a file or a mapping, with errors that name the line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from hts_battery.compositions.grid import GridSpace
from hts_battery.compositions.nasicon import NasiconPairs
from hts_battery.errors import (
    EmptySpaceError,
    SpecError,
    StateLimitError,
)
from hts_battery.schemas.files import line_of, load_mapping, spec_error
from hts_battery.schemas.space import NasiconPairsSpec, SpaceSpec
from hts_battery.schemas.spec_messages import none_of
from hts_battery.schemas.species import parse_species
from hts_battery.schemas.species_table import read_table_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hts_battery.compositions.space import CompositionSpace
    from hts_battery.schemas.files import Lines
    from hts_battery.schemas.species_table import SpeciesProperties


def why_empty(spec: SpaceSpec | NasiconPairsSpec) -> str:
    """Name each constraint whose removal alone would give a space members."""
    if not isinstance(spec, SpaceSpec):
        return "no member: these metals and polyanions never balance the charge"
    offending = [field for field, relaxed in _relaxed(spec) if _has_members(relaxed)]
    if offending:
        return (
            "no composition satisfies every constraint; without "
            + " or without ".join(offending)
            + " there would be some"
        )
    lowest, highest = _charge_bounds(spec)
    return (
        "no composition satisfies every constraint, and removing a single one does "
        "not help: check the charges (all sites together reach from "
        f"{lowest} to {highest} per formula unit) and sublattices, metals, elements, "
        "contents"
    )


def _relaxed(spec: SpaceSpec) -> Iterator[tuple[str, SpaceSpec]]:
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
    relaxed = SpaceSpec.model_validate({**spec.model_dump(), **changes})
    if relaxed != spec:
        yield field, relaxed


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


_BLOCK = "space"
_TABLE = "species_table"
_RULES: dict[str, type[SpaceSpec | NasiconPairsSpec]] = {
    "nasicon-pairs": NasiconPairsSpec
}


class _Block(NamedTuple):
    """The mapping that describes a space, and where it stands."""

    data: dict[str, object]
    file: str | None
    lines: Lines
    prefix: str

    @property
    def folder(self) -> Path:
        return Path(self.file).parent if self.file else Path()

    def error(self, message: str, field: str | None) -> SpecError:
        path = ".".join(part for part in (self.prefix, field or "") if part)
        return SpecError(
            message, file=self.file, line=line_of(path, self.lines), field=path or None
        )


def load_space(source: str | Path | Mapping[str, object]) -> CompositionSpace:
    """
    Load a composition space and make sure that it has members.

    Parameters
    ----------
    source
        A YAML file or a mapping: the space itself, or a campaign with the space
        (or the file that holds it, relative to the campaign's) under ``space``.

    Raises
    ------
    SpecError
        If the file is wrong, or exact counting would need more than its
        ``state_limit``, with file, line and field.
    EmptySpaceError
        If no composition satisfies every constraint; says which empties it.

    Examples
    --------
    >>> space = load_space({
    ...     "family": "hedrx", "basis": "formula-unit", "step": 0.1,
    ...     "sublattices": {
    ...         "cation": {"sites": 2, "species": ["Li+", "Mn3+", "Ti4+"]},
    ...         "anion": {"sites": 2, "species": ["O2-"]},
    ...     },
    ... })
    >>> space.count, space[3].formula
    (4, 'Li1.3Mn0.1Ti0.6O2')
    """
    block = _find_block(source)
    try:
        return _build(block)
    except SpecError as err:
        if err.line is not None or err.file is not None:
            raise
        raise block.error(err.message, err.field) from err
    except StateLimitError as err:
        raise block.error(str(err), "state_limit") from err


def _find_block(source: str | Path | Mapping[str, object]) -> _Block:
    """Find the block of a space in a bare mapping, a file or a campaign."""
    if isinstance(source, Mapping):
        block = _Block(dict(source), None, {}, "")
    else:
        data, lines = load_mapping(source, "a space")
        block = _Block(data, str(source), lines, "")
    if _BLOCK not in block.data:
        return block
    inner = block.data[_BLOCK]
    if isinstance(inner, str):
        path = block.folder / inner
        if not path.is_file():
            raise block.error(
                f"there is no file {inner!r} in {block.folder.absolute()}: the name of "
                "the file of a space is relative to this file",
                _BLOCK,
            )
        if block.file is not None and path.samefile(block.file):
            raise block.error(
                "a space cannot stand in a file that names itself", _BLOCK
            )
        return _find_block(path)
    if not isinstance(inner, Mapping):
        raise block.error(
            "write a mapping or a text, like space: my_space.yaml", _BLOCK
        )
    return block._replace(data=dict(inner), prefix=_BLOCK)


def _build(block: _Block) -> CompositionSpace:
    data = dict(block.data)
    table = _user_table(data.pop(_TABLE, None), block)
    if "rule" in data and data["rule"] not in _RULES:
        raise block.error(none_of(data["rule"], list(_RULES)), "rule")
    model = _RULES.get(str(data.get("rule")), SpaceSpec)
    try:
        spec = model.model_validate(data)
    except ValidationError as err:
        raise spec_error(
            err,
            file=block.file,
            lines=block.lines or None,
            prefix=block.prefix,
            shape=model,
        ) from err
    space: CompositionSpace
    if isinstance(spec, NasiconPairsSpec):
        space = NasiconPairs(spec)
    else:
        space = GridSpace(spec, table)
    if not space.count:
        raise EmptySpaceError(why_empty(spec))
    return space


def _user_table(name: object, block: _Block) -> dict[str, SpeciesProperties] | None:
    """Read the user's species table, a CSV file beside the space."""
    if name is None:
        return None
    if not isinstance(name, str):
        raise block.error("name a CSV file here", _TABLE)
    path = block.folder / Path(name).expanduser()
    if not path.is_file():
        raise block.error(
            f"there is no file {name!r} in {block.folder.absolute()}: its name is "
            "relative to this file",
            _TABLE,
        )
    return read_table_file(path)
