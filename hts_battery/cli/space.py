"""hts space: count, list, sample and look up compositions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hts_battery.cli import formatting
from hts_battery.cli.options import AsJson, DryRun, SpecFile
from hts_battery.errors import CompositionError, ConfigurationError, SpecError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hts_battery.compositions import CompositionSpace
    from hts_battery.schemas.candidate import Candidate


def _open(path: Path) -> CompositionSpace:
    """Load a space; one without members is a refused file like any other."""
    from hts_battery.compositions import load_space

    try:
        return load_space(path)
    except CompositionError as err:
        raise SpecError(str(err), file=str(path)) from err


def _row(index: int, candidate: Candidate) -> dict[str, Any]:
    return {
        "index": index,
        "formula": candidate.formula,
        "candidate_id": candidate.candidate_id,
        "species": {name: str(amount) for name, amount in candidate.species.items()},
    }


def _show(rows: Iterable[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        for row in rows:
            formatting.json_line(row)
        return
    formatting.table(
        ("index", "formula", "candidate_id", "species per formula unit"),
        (
            (
                row["index"],
                row["formula"],
                row["candidate_id"],
                " ".join(f"{name}:{amount}" for name, amount in row["species"].items()),
            )
            for row in rows
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
    formatting.line(f"{space.species_count:,} with oxidation states told apart")


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
    _show(
        (
            _row(index, candidate)
            for index, candidate in enumerate(space.iterate(offset, stop), offset)
        ),
        as_json=as_json,
    )


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
    _show((_row(index, space[index]) for index in indices), as_json=as_json)


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
    replace: Annotated[
        bool, typer.Option("--replace", help="Write over a file that exists.")
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make a space of a parent of your own: sublattices, species, sites of a CIF."""
    from hts_battery.compositions import load_space
    from hts_battery.structures.parent_space import given_species, parent_space
    from hts_battery.structures.structure_files import read_structure_file

    read = read_structure_file(file)
    if len(read.structures) > 1:
        raise ConfigurationError(
            f"{file} holds {len(read.structures)} structures: a parent is one, split "
            "the file"
        )
    stem = re.sub("[^a-z0-9_-]+", "-", file.name.split(".")[0].lower())
    name = family or stem.strip("-_") or "own"
    states = given_species(state or ())
    try:
        parent = parent_space(read.structures[0], name, states=states)
        count = load_space(parent.mapping).count
    except (ConfigurationError, CompositionError) as err:
        raise SpecError(str(err), file=str(file)) from err
    written = None
    if output is not None and not dry_run:
        if output.exists() and not replace:
            raise ConfigurationError(f"{output} exists: --replace writes over it")
        output.write_text(parent.as_yaml(file.name), encoding="utf-8")
        written = str(output)
    if as_json:
        row = {**parent.mapping, "count": count, "problem": parent.problem}
        formatting.json_line({**row, "written": written})
    elif output is None:
        formatting.raw(parent.as_yaml(file.name))
    else:
        for note in filter(None, (parent.problem, *read.notes)):
            formatting.line(note)
        done = "written" if written else "would be written"
        formatting.line(f"{output} {done}: {count:,} compositions, family {name}")
