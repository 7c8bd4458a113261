"""hts space: count, list, sample and look up compositions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from hts_battery.cli import formatting
from hts_battery.cli.options import AsJson, DryRun, SpecFile
from hts_battery.errors import (
    CompositionError,
    ConfigurationError,
    OrderingError,
    SpecError,
    StateLimitError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pymatgen.core import Structure

    from hts_battery.compositions import CompositionSpace
    from hts_battery.schemas.candidate import Candidate
    from hts_battery.structures.parent_space import ParentSpace


def _open(path: Path) -> CompositionSpace:
    """Load a space; one without members is a refused file like any other."""
    from hts_battery.compositions import load_space

    try:
        return load_space(path)
    except CompositionError as err:
        raise SpecError(str(err), file=str(path)) from err


def _show(members: Iterable[tuple[int, Candidate]], *, as_json: bool) -> None:
    """Print compositions by their indices."""
    rows = (
        (index, one.formula, one.candidate_id, one.species) for index, one in members
    )
    if as_json:
        for index, formula, name, species in rows:
            amounts = {ion: str(amount) for ion, amount in species.items()}
            formatting.json_line(
                {
                    "index": index,
                    "formula": formula,
                    "candidate_id": name,
                    "species": amounts,
                }
            )
        return
    formatting.table(
        ("index", "formula", "candidate_id", "species per formula unit"),
        (
            (*row, " ".join(f"{ion}:{amount}" for ion, amount in species.items()))
            for *row, species in rows
        ),
        right=("index",),
    )


def count(spec: SpecFile, as_json: AsJson = False) -> None:
    """Count the compositions of a space, exactly and without listing them."""
    space = _open(spec)
    if as_json:
        formatting.json_line({"count": space.count, "basis": space.basis})
        return
    formatting.line(f"{space.count:,} compositions (basis: {space.basis})")
    try:
        formatting.line(f"{space.species_count:,} with oxidation states told apart")
    except StateLimitError as err:
        formatting.line(f"not counted with oxidation states told apart: {err}")


def list_members(
    spec: SpecFile,
    offset: Annotated[int, typer.Option(min=0, help="Index of the first.")] = 0,
    limit: Annotated[int, typer.Option(min=0, help="How many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List compositions from any index on."""
    space = _open(spec)
    if offset > space.count:
        raise ConfigurationError(
            f"--offset {offset}: the space holds {space.count:,} compositions"
        )
    stop = min(offset + limit, space.count)
    _show(enumerate(space.iterate(offset, stop), offset), as_json=as_json)


def sample(
    spec: SpecFile,
    n: Annotated[int, typer.Option("-n", min=1, help="How many.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the sample.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Draw compositions at random, each equally likely, none twice."""
    space = _open(spec)
    if n > space.count:
        raise ConfigurationError(
            f"-n {n}: the space holds {space.count:,} compositions"
        )
    indices = space.sample_indices(n, seed=seed)
    _show(((index, space[index]) for index in indices), as_json=as_json)


def find_index(
    spec: SpecFile,
    formula: Annotated[str, typer.Argument(help="Formula, in any spelling.")],
    as_json: AsJson = False,
) -> None:
    """Find the index of a composition."""
    index = _open(spec).index(formula)
    if as_json:
        formatting.json_line({"index": index})
    else:
        formatting.line(str(index))


def from_cif(  # noqa: PLR0913, PLR0917 - options are named on the command line
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Structure with partial occupancies (CIF)."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Space file to write; printed if none."),
    ] = None,
    family: Annotated[
        str | None, typer.Option(help="Family of the candidates; the file's name.")
    ] = None,
    state: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SPECIES",
            help="What an element may be, like Mn3+, where the file does not say; "
            "repeatable, also for one element.",
        ),
    ] = None,
    prototypes: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder for the parent lattice on which the members are ordered; that "
            "of the setting prototype_folder.",
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Write over files that exist.")
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make a space of a parent of your own: sublattices, species, sites of a CIF."""
    from hts_battery.structures.parent_space import given_species
    from hts_battery.structures.structure_files import read_structure_file

    read = read_structure_file(file)
    if len(read.structures) > 1:
        raise ConfigurationError(
            f"{file} holds {len(read.structures)} structures: a parent is one, split "
            "the file"
        )
    stem = re.sub("[^a-z0-9_-]+", "-", file.name.split(".")[0].lower())
    name = family or stem.strip("-_") or "own"
    try:
        states = given_species(state or ())
    except CompositionError as err:
        raise ConfigurationError(f"--state: {err}") from err
    made = _parent(read.structures[0], name, file, states)
    place = _prototype_file(prototypes, name)
    files = [(output, made.space), (place, made.prototype)]
    written = [] if output is None or dry_run else _written(files, replace=replace)
    if as_json:
        formatting.json_line(
            {
                **made.parent.mapping,
                "count": made.n_members,
                "problem": made.parent.problem,
                "written": str(output) if output in written else None,
                "prototype": str(place) if place in written else None,
                "not_ordered": made.not_ordered,
            }
        )
        return
    if output is None:
        formatting.raw(made.space)
        return
    for note in filter(None, (made.parent.problem, *read.notes)):
        formatting.line(note)
    done = "written" if written else "would be written"
    formatting.line(f"{output} {done}: {made.n_members:,} compositions, family {name}")
    formatting.line(_orderable(made, place, done))


def _written(
    files: Iterable[tuple[Path | None, str | None]], *, replace: bool
) -> list[Path]:
    """Write files that have a place and a text; none where one of them exists."""
    found = [(path, text) for path, text in files if path is not None and text]
    for path, _ in found:
        if path.is_dir():
            raise ConfigurationError(f"{path} is a folder: name a file")
        if path.exists() and not replace:
            raise ConfigurationError(f"{path} exists: --replace writes over it")
    try:
        for path, _ in found:
            path.parent.mkdir(parents=True, exist_ok=True)
        for path, text in found:
            path.write_text(text, encoding="utf-8")
    except OSError as err:
        raise ConfigurationError(f"{err.filename}: {err.strerror}") from err
    return [path for path, _ in found]


class _Parent(NamedTuple):
    """What a structure file makes: the texts of a space and of a prototype."""

    parent: ParentSpace
    n_members: int
    space: str
    prototype: str | None
    not_ordered: str | None
    """Why there is no prototype."""


def _parent(
    structure: Structure, name: str, file: Path, states: dict[str, list[int]]
) -> _Parent:
    from hts_battery.compositions import load_space
    from hts_battery.structures.parent_prototype import (
        parent_prototype,
        prototype_yaml,
    )
    from hts_battery.structures.parent_space import parent_space

    try:
        parent = parent_space(structure, name, states=states)
        count = load_space(parent.mapping).count
    except (ConfigurationError, CompositionError) as err:
        raise SpecError(str(err), file=str(file)) from err
    text = parent.as_yaml(file.name)
    try:
        prototype = parent_prototype(structure, parent, source=file.name)
    except (ConfigurationError, OrderingError) as err:
        return _Parent(parent, count, text, None, str(err))
    return _Parent(parent, count, text, prototype_yaml(prototype), None)


def _prototype_file(folder: Path | None, name: str) -> Path | None:
    """Return where the prototype of a family belongs; None if no folder is known."""
    from hts_battery.settings import get_settings

    known = folder or get_settings().prototype_folder
    return known and known / f"{name}.yaml"


def _orderable(made: _Parent, path: Path | None, done: str) -> str:
    """Say whether the members can be ordered, or what to do for it."""
    from hts_battery.settings import get_settings

    if made.not_ordered:
        return f"its members are counted and cannot be ordered: {made.not_ordered}"
    if path is None:
        return (
            "its members are counted and not yet ordered: name a folder of prototypes "
            "with --prototypes, or in the setting prototype_folder"
        )
    used = get_settings().prototype_folder
    if used is not None and path.parent.resolve() == used.resolve():
        return f"{path} {done}: the parent lattice on which its members are ordered"
    return (
        f"{path} {done}: its members are ordered where the setting prototype_folder "
        f"(HTS_BATTERY_PROTOTYPE_FOLDER) names {path.parent.absolute()}"
    )
