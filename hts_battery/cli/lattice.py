"""hts disorder: lattice models, from a training campaign to order at a temperature."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.opening import campaign_name, opened_stores
from hts_battery.cli.options import AsJson, DryRun
from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymatgen.core import Structure

    from hts_battery.campaign.lattice_campaigns import TrainingPlan
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.lattice import (
        LatticeModelDoc,
        LatticeRun,
        OrderTemperature,
        SampledValue,
    )

ModelFile = Annotated[
    Path, typer.Argument(metavar="MODEL", help="File that `hts disorder fit` wrote.")
]
Formula = Annotated[str, typer.Argument(metavar="FORMULA", help="Composition.")]
Cations = Annotated[int, typer.Option(min=32, help="Cations of the cell.")]
Sweeps = Annotated[int, typer.Option(min=16, help="Sweeps that are kept.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the random numbers.")]


def plan(  # noqa: PLR0913, PLR0917 - options
    what: Annotated[
        str,
        typer.Argument(metavar="FORMULA|SPEC", help="Composition, or space file."),
    ],
    engine: Annotated[str, typer.Option(help="Engine that relaxes the cells.")] = (
        "chgnet"
    ),
    out: Annotated[Path, typer.Option(help="Campaign file to write.")] = Path(
        "training.yaml"
    ),
    name: Annotated[
        str | None, typer.Option(help="Name of the campaign; that of the file if none.")
    ] = None,
    cells: Annotated[
        int | None,
        typer.Option(min=8, help="Cells in all; three a parameter if not given."),
    ] = None,
    seed: Seed = 0,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Write the campaign whose relaxed cells a lattice model is fitted to."""
    from hts_battery.campaign.lattice_campaigns import plan_formula, plan_space

    called = name or _name_of(out)
    if Path(what).suffix.lower() in (".yaml", ".yml"):
        made = plan_space(
            Path(what), engine=engine, name=called, cells=cells, seed=seed
        )
    else:
        made = plan_formula(what, engine=engine, name=called, cells=cells, seed=seed)
    comment = (
        f"Training of a lattice model of {made.features} parameters: {made.cells} "
        f"cells of {len(made.formulas)} compositions.\n"
        "`hts campaign run` or `submit` it, then `hts disorder fit` it."
    )
    _write_plan(made, comment, out, dry_run=dry_run, as_json=as_json)


def fit(
    campaigns: Annotated[
        list[str],
        typer.Argument(
            metavar="CAMPAIGN...",
            help="Training campaigns, names or files; closing "
            "ones after those that they close.",
        ),
    ],
    save: Annotated[Path, typer.Option(help="File of the model.")] = Path("model.json"),
    closing: Annotated[
        Path | None,
        typer.Option(
            "--close", help="Write the campaign of `hts disorder close`, too."
        ),
    ] = None,
    seed: Seed = 0,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Fit a lattice model to what training campaigns have relaxed."""
    from hts_battery.campaign.lattice_campaigns import read_training, registered_spec
    from hts_battery.disorder.lattice_document import fit_training

    names = [campaign_name(one) for one in campaigns]
    with opened_stores(make_indexes=False) as stores:
        trainings = {name: read_training(name, stores) for name in names}
        spec = registered_spec(names[0], stores)
    document = fit_training(trainings, seed=seed)
    if dry_run:
        formatting.note(f"would write {save}")
    else:
        save.write_text(document.model_dump_json(indent=1), encoding="utf-8")
    if closing is not None and not dry_run:
        made, comment = _closing(document, spec, closing, (), 6, 1273.0)
        closing.write_text(made.text(comment), encoding="utf-8")
    if as_json:
        formatting.json_line(document.model_dump(mode="json"))
        return
    _show_model(document)
    if not dry_run:
        formatting.line(f"model: {save}")


def run(  # noqa: PLR0913, PLR0917 - options
    model: ModelFile,
    formula: Formula,
    temperature: Annotated[float, typer.Option(help="In K.")],
    cations: Cations = 4_000,
    sweeps: Sweeps = 200,
    seed: Seed = 0,
    cif: Annotated[
        Path | None, typer.Option(help="File for the last cell, as CIF.")
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Sample a composition: order, energy and accessible carriers at a temperature."""
    from hts_battery.disorder.lattice_run import run_lattice
    from hts_battery.schemas.formula import parse_formula
    from hts_battery.schemas.lattice import LatticeMonteCarloOptions

    document = read_model(model)
    if temperature <= 0:
        raise ConfigurationError(f"--temperature {temperature:g}: above 0 K")
    found = run_lattice(
        parse_formula(formula),
        LatticeMonteCarloOptions(
            model=document,
            temperature=temperature,
            cations=cations,
            sweeps=sweeps,
            seed=seed,
        ),
    )
    if cif is not None:
        _write_cell(found.structure, cif, dry_run=dry_run)
    if as_json:
        formatting.json_line(found.run.model_dump(mode="json"))
        return
    _show_run(found.run, document)


def close(  # noqa: PLR0913, PLR0917 - options
    model: ModelFile,
    formulas: Annotated[
        list[str] | None,
        typer.Argument(metavar="FORMULA...", help="Those of the training if none."),
    ] = None,
    temperature: Annotated[
        float, typer.Option(min=1, help="Of the typical states, in K.")
    ] = 1273.0,
    cells: Annotated[int, typer.Option(min=2, help="Cells of each composition.")] = 6,
    out: Annotated[Path, typer.Option(help="Campaign file to write.")] = Path(
        "closing.yaml"
    ),
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Write the campaign that computes what a model finds lowest and typical."""
    from hts_battery.campaign.lattice_campaigns import registered_spec

    document = read_model(model)
    with opened_stores(make_indexes=False) as stores:
        spec = registered_spec(document.campaigns[0], stores)
    made, comment = _closing(document, spec, out, formulas or (), cells, temperature)
    _write_plan(made, comment, out, dry_run=dry_run, as_json=as_json)


def _closing(
    document: LatticeModelDoc,
    spec: CampaignSpec,
    out: Path,
    formulas: Sequence[str],
    cells: int,
    temperature: float,
) -> tuple[TrainingPlan, str]:
    """Plan the campaign of a model's own states, and what stands above it."""
    from hts_battery.campaign.lattice_campaigns import plan_closing

    made = plan_closing(
        document,
        spec,
        formulas,
        name=_name_of(out),
        cells=cells,
        temperature=temperature,
    )
    known = " ".join(document.campaigns)
    return made, (
        f"States of the lattice model {document.digest}, to be computed as it was "
        f"trained.\nAfterwards: hts disorder fit {known} {_name_of(out)}"
    )


def order_temperature(  # noqa: PLR0913, PLR0917 - options
    model: ModelFile,
    formula: Formula,
    cations: Cations = 2_000,
    sweeps: Sweeps = 200,
    seed: Seed = 0,
    cif: Annotated[
        Path | None, typer.Option(help="File for the ordered cell, as CIF.")
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Find the temperature at which order goes, between where it went and came."""
    from hts_battery.disorder.order_temperature import fitted_order_temperature
    from hts_battery.schemas.decoding import read_structure
    from hts_battery.schemas.formula import parse_formula

    found = fitted_order_temperature(
        read_model(model),
        parse_formula(formula),
        cations=cations,
        sweeps=sweeps,
        seed=seed,
    )
    if cif is not None:
        _write_cell(read_structure(found.structure), cif, dry_run=dry_run)
    if as_json:
        formatting.json_line(found.model_dump(mode="json"))
        return
    _show_order_temperature(found)


def read_model(file: Path) -> LatticeModelDoc:
    """Read the file of a model; what is wrong with it is named."""
    from pydantic import ValidationError

    from hts_battery.schemas.lattice import LatticeModelDoc

    try:
        document = LatticeModelDoc.model_validate_json(file.read_bytes())
    except OSError as err:
        raise ConfigurationError(f"{file} cannot be read: {err.strerror}") from err
    except ValidationError as err:
        first = err.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise ConfigurationError(
            f"{file} is no model of `hts disorder fit`: {place}: {first['msg']}"
        ) from err
    if document.parameters.digest != document.digest:
        raise ConfigurationError(
            f"{file}: its digest {document.digest} is not that of its parameters, "
            f"{document.parameters.digest}: it was changed by hand"
        )
    return document


def _name_of(file: Path) -> str:
    """Return the name of the campaign of a file."""
    return file.stem.lower().replace(" ", "-").replace(".", "-")


def _write_plan(
    made: TrainingPlan, comment: str, out: Path, *, dry_run: bool, as_json: bool
) -> None:
    """Write a campaign file and say what is in it."""
    if not dry_run:
        out.write_text(made.text(comment), encoding="utf-8")
    if as_json:
        formatting.json_line(
            {
                "campaign": made.data["name"],
                "file": None if dry_run else str(out),
                "compositions": list(made.formulas),
                "cells": made.cells,
                "features": made.features,
            }
        )
        return
    formatting.line(
        f"{'would write' if dry_run else 'wrote'} {out}: {made.cells} cells of "
        f"{len(made.formulas)} compositions for a model of {made.features} parameters"
    )
    formatting.line(f"next: hts campaign run {out}")


def _write_cell(structure: Structure, file: Path, *, dry_run: bool) -> None:
    from pymatgen.io.cif import CifWriter

    if dry_run:
        formatting.note(f"would write {file}")
        return
    CifWriter(structure).write_file(file)
    formatting.note(f"cell: {file}")


def _show_model(document: LatticeModelDoc) -> None:
    """Print what a model was fitted to and how far it is to be trusted."""
    parameters = document.parameters
    formatting.table(
        ("pair", "shell 1", "shell 2"),
        (
            (
                "-".join(pair.species),
                *(f"{1000 * value:+.2f}" for value in pair.energies),
                *("",) * (2 - len(pair.energies)),
            )
            for pair in parameters.pairs
        ),
        title=f"lattice model {document.digest}, meV a pair",
        right=("shell 1", "shell 2"),
    )
    dielectric = parameters.dielectric
    formatting.line(
        f"{len(document.used)} cells by {document.calculator}; "
        f"{document.rank} of {document.features} parameters told apart; electrostatics "
        + ("left out" if dielectric is None else f"divided by {dielectric:.1f}")
    )
    formatting.line(
        f"error of compositions left out {1000 * document.error:.1f} meV/atom (mean "
        f"absolute {1000 * document.absolute_error:.1f}); of a swap "
        f"{1000 * document.swap_error:.0f} meV"
    )
    formatting.line(
        "learning curve: "
        + ", ".join(
            f"{one.cells} cells {1000 * one.error:.1f}"
            for one in document.learning_curve
        )
        + " meV/atom"
    )
    for one in document.refused:
        formatting.note(f"refused: {one.reason}: {', '.join(one.cells)}")
    for closing in document.closing:
        formatting.line(
            f"{closing.campaign}: {'closed' if closing.closed else 'not closed'}: its "
            f"own states within {1000 * closing.error:.1f} meV/atom of the "
            f"{1000 * closing.allowed:.1f} allowed"
            + (f"; {closing.lower_state}" if closing.lower_state else "")
        )
    if not document.closing:
        formatting.note("its own lowest states are untested: hts disorder close")


def _show_run(found: LatticeRun, document: LatticeModelDoc) -> None:
    """Print what was sampled, or why nothing was."""
    title = (
        f"{found.formula} at {found.temperature:g} K, {found.cations} cations, model "
        f"{found.model}"
    )
    if not found.equilibrated:
        formatting.line(f"{title}: not equilibrated")
        for reason in found.reasons:
            formatting.line(reason)
        formatting.note("no value; take more --sweeps or a higher --temperature")
        return
    rows = [("energy of the order, eV/atom", _text(found.energy, 4))]
    rows.append(("heat capacity, kB/atom", _text(found.heat_capacity, 3)))
    for pair, values in (found.order or {}).items():
        rows += [
            (f"alpha {pair}, shell {shell}", _text(value, 3))
            for shell, value in enumerate(values, 1)
        ]
    for count, value in enumerate(found.tetrahedra or ()):
        rows.append((f"tetrahedra with {count} {found.carrier}", _text(value, 3)))
    rows.append((f"accessible {found.carrier}", _text(found.accessible, 3)))
    formatting.table(("", "value"), rows, title=title, right=("value",))
    formatting.note(
        f"± of the sampling alone. Error of the fit: {1000 * found.fit_error:.1f} "
        f"meV/atom in that energy, {1000 * document.swap_error:.0f} meV a swap. "
        f"{found.caveat}"
    )
    if not document.closed:
        formatting.note(
            "the model is not closed: `hts disorder close` tests its states"
        )


def _show_order_temperature(found: OrderTemperature) -> None:
    """Print the temperature, its bracket, and what orders."""
    method = {
        "crossing": "crossing of free energies",
        "binder": "crossing of Binder's cumulants of two sizes",
    }[found.method]
    formatting.line(
        f"order goes between {found.bracket[0]:.0f} and {found.bracket[1]:.0f} K "
        "(cooled from disorder, heated from order)"
    )
    if found.value is None:
        formatting.line(f"no value: {found.reason}")
    else:
        formatting.line(
            f"order-disorder temperature {found.value:.0f} ± {found.error:.0f} K of "
            f"the sampling, ± {found.fit_error or 0:.0f} K of the fit ({method})"
        )
    formatting.line(f"mean field: {found.mean_field:.0f} K")
    formatting.line(
        f"ordered: {found.ground_state_formula}, {found.space_group}, the lowest of "
        f"{found.annealed_cells} annealed cells"
    )
    formatting.note(found.caveat)


def _text(value: SampledValue | None, digits: int) -> str:
    """Write a value with its error."""
    if value is None:
        return "-"
    return f"{value.value:.{digits}f} ± {value.error:.{digits}f}"
