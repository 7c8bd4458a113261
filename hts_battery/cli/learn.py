"""hts learn: symbolic descriptors, searched in a table and applied to another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hts_battery.cli import formatting
from hts_battery.cli.options import AsJson, DryRun
from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas as pd

    from hts_battery.schemas.learned import LearnedDescriptor

Table = Annotated[
    Path, typer.Argument(metavar="TABLE", help="CSV file: a row a composition.")
]


def descriptor(  # noqa: PLR0913, PLR0917 - options
    table: Table,
    target: Annotated[str, typer.Option(help="Column to order, separate or match.")],
    task: Annotated[
        Literal["rank", "classify", "regress"], typer.Option(help="What is asked.")
    ] = "rank",
    method: Annotated[
        Literal["so", "tree", "rank"],
        typer.Option(help="Least squares, a tree, or a ranking SVM of the features."),
    ] = "so",
    dimensions: Annotated[int, typer.Option(min=1, max=3, help="Features.")] = 2,
    units: Annotated[
        Path | None,
        typer.Option(help="CSV file with the columns column and unit; 1 is a number."),
    ] = None,
    groups: Annotated[
        str | None, typer.Option(help="Column whose rows of one value stay together.")
    ] = None,
    columns: Annotated[
        str | None, typer.Option(help="Columns to search in, comma between them.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Formulas to show.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the folds.")] = 0,
    save: Annotated[
        Path | None, typer.Option(help="File to keep the formulas in, as JSON.")
    ] = None,
    sisso: Annotated[
        Path | None, typer.Option(help="Folder to write SISSO's input files to.")
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Search formulas of one to three features; how good is said of rows kept aside."""
    from hts_battery.learning import DescriptorSearch
    from hts_battery.learning.learned import learned, search_rows
    from hts_battery.learning.sisso import sisso_files

    frame = _read(table)
    named = None if columns is None else [one.strip() for one in columns.split(",")]
    rows = search_rows(frame, target, groups=groups, columns=named)
    known = None if units is None else _units(units)
    if sisso is not None:
        for name, text in sisso_files(rows.columns, rows.target, units=known).items():
            if dry_run:
                formatting.note(f"would write {sisso / name}")
                continue
            sisso.mkdir(parents=True, exist_ok=True)
            (sisso / name).write_text(text, encoding="utf-8")
    search = DescriptorSearch(task, method, dimensions, known, seed)
    search.fit(rows.columns, rows.target, rows.groups)
    found = learned(search, rows, limit=limit)
    if save is not None and dry_run:
        formatting.note(f"would write {len(found.formulas)} formulas to {save}")
    elif save is not None:
        save.write_text(found.model_dump_json(indent=1), encoding="utf-8")
    _show(found, as_json=as_json)


def apply(
    formulas: Annotated[
        Path, typer.Argument(metavar="FORMULAS", help="File of `hts learn descriptor`.")
    ],
    table: Table,
    number: Annotated[int, typer.Option(min=1, help="Which formula, from 1.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Score the rows of a table by a formula; higher is less stable."""
    from pydantic import ValidationError

    from hts_battery.learning.learned import apply_formula
    from hts_battery.schemas.learned import LearnedDescriptor

    try:
        text = formulas.read_text(encoding="utf-8")
        found = LearnedDescriptor.model_validate_json(text)
    except (OSError, ValidationError) as err:
        raise ConfigurationError(
            f"{formulas} holds no formulas: write it with `hts learn descriptor --save`"
        ) from err
    frame = _read(table)
    scores = apply_formula(found, frame, number=number)
    rows = [
        {"row": row, "score": None if score != score else score}  # noqa: PLR0124 - NaN
        for row, score in enumerate(scores.tolist(), start=1)
    ]
    if as_json:
        for one in rows:
            formatting.json_line(one)
        return
    shown = [
        (one["row"], "not defined" if one["score"] is None else f"{one['score']:.6g}")
        for one in rows
    ]
    formatting.table(["row", "score"], shown, right=["row", "score"])


def _show(found: LearnedDescriptor, *, as_json: bool) -> None:
    if as_json:
        for one in found.formulas:
            formatting.json_line(one.model_dump(mode="json"))
        return
    formatting.line(
        f"{found.rows} rows, {found.screened} features screened; {found.measure} of "
        "rows kept aside"
    )
    for reason, rows in found.left_out.items():
        formatting.note(f"{rows} rows left out: {reason}")
    formatting.table(
        ["formula", "complexity", "kept aside", "fitted", "boundary", "wins"],
        [
            (
                one.text,
                str(one.complexity),
                f"{one.fold_score:.4f}",
                f"{one.train_score:.4f}",
                "" if one.boundary is None else f"{one.boundary:.4g}",
                "" if one.wins is None else f"{one.wins:.2f}",
            )
            for one in found.formulas
        ],
        right=["complexity", "kept aside", "fitted", "boundary", "wins"],
    )
    formatting.note("a formula explains; for a prediction compare it with a forest")


def _read(file: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.read_csv(file)
    except (OSError, ValueError) as err:
        raise ConfigurationError(f"{file} cannot be read as a table: {err}") from err


def _units(file: Path) -> dict[str, str]:
    found = _read(file)
    if not {"column", "unit"} <= set(found.columns):
        raise ConfigurationError(f"{file} needs the columns column and unit")
    return dict(zip(found["column"], found["unit"].astype(str), strict=True))
