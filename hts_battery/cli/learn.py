"""hts learn: symbolic descriptors, searched in a table and applied to another."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hts_battery.cli import formatting
from hts_battery.cli.options import AsJson, DryRun
from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas as pd

    from hts_battery.schemas.learned import LearnedDescriptor, Recall

Table = Annotated[
    str,
    typer.Argument(
        metavar="TABLE", help="CSV file, a row a composition; or a campaign, built."
    ),
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
    subgroups: Annotated[
        str | None, typer.Option(help="Column whose values' recall is said, each.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(help="Of a campaign, in K; the highest if none.")
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
    from hts_battery.cli.learning_tables import learning_table
    from hts_battery.learning import DescriptorSearch
    from hts_battery.learning.learned import learned, search_rows
    from hts_battery.learning.sisso import sisso_files

    frame = learning_table(table, temperature=temperature)
    named = None if columns is None else [one.strip() for one in columns.split(",")]
    rows = search_rows(frame, target, groups=groups, columns=named, subgroups=subgroups)
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
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE", help="CSV file, space or campaign file, or a campaign."
        ),
    ],
    number: Annotated[int, typer.Option(min=1, help="Which formula, from 1.")] = 1,
    limit: Annotated[int, typer.Option(min=1, help="Members of a space.")] = 1000,
    sample: Annotated[
        int | None,
        typer.Option(min=0, help="Seed: members drawn at random, not the first ones."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score a table, a space or a campaign by a formula; higher is less stable."""
    from hts_battery.cli.learning_tables import table_to_score
    from hts_battery.learning.learned import apply_formula

    found = _learned(formulas)
    frame = table_to_score(table, limit=limit, seed=sample)
    scores = apply_formula(found, frame, number=number)
    boundary = found.formulas[number - 1].boundary
    rows = [
        {
            "row": row,
            **({"formula": formula} if formula else {}),
            "score": None if isnan(score) else score,
            "stable": None if boundary is None or isnan(score) else score <= boundary,
        }
        for row, (formula, score) in enumerate(
            zip(_formulas(frame), scores.tolist(), strict=True), start=1
        )
    ]
    if as_json:
        for one in rows:
            formatting.json_line(one)
        return
    words = {"True": "yes", "False": "no", "None": ""}
    shown = [
        (
            one["row"],
            one.get("formula", ""),
            "not defined" if one["score"] is None else f"{one['score']:.6g}",
            words[str(one["stable"])],
        )
        for one in rows
    ]
    heading = ["row", "formula", "score", "stable by it"]
    formatting.table(heading, shown, right=["row", "score"])


def _formulas(frame: pd.DataFrame) -> list[str]:
    if "formula" not in frame:
        return [""] * len(frame)
    return [str(one) for one in frame["formula"]]


def _learned(file: Path) -> LearnedDescriptor:
    from pydantic import ValidationError

    from hts_battery.schemas.learned import LearnedDescriptor

    try:
        return LearnedDescriptor.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as err:
        raise ConfigurationError(
            f"{file} holds no formulas: write it with `hts learn descriptor --save`"
        ) from err


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
    _show_kept_aside(found)
    formatting.note(
        f"a formula explains, a forest predicts: {found.measure} of a forest "
        f"{found.forest_score:.4f}, of a constant {found.base_score:.4f}"
    )


def _show_kept_aside(found: LearnedDescriptor) -> None:
    """Say how well the first formula separates stable rows kept aside."""
    best = found.formulas[0].kept_aside
    if best is None:
        return
    formatting.line(
        f"stable ({best.stable} of {best.n}), by the first formula: AUC "
        f"{best.auc:.3f}, balanced accuracy {best.balanced_accuracy:.3f}; "
        f"{_recalled(best.recall)} at {best.false_positive_rate:.0%} false positives"
    )
    for name, one in best.subgroups.items():
        formatting.line(f"  {name}: {_recalled(one)}")


def _recalled(one: Recall) -> str:
    if one.recall is None or one.interval is None:
        return f"{one.n} found"
    low, high = one.interval
    return f"{one.recall:.2f} ({low:.2f} to {high:.2f}) of {one.n} found"


def _units(file: Path) -> dict[str, str]:
    from hts_battery.cli.learning_tables import read_csv

    found = read_csv(file)
    if not {"column", "unit"} <= set(found.columns):
        raise ConfigurationError(f"{file} needs the columns column and unit")
    return dict(zip(found["column"], found["unit"].astype(str), strict=True))
