"""hts transport: diffusivities of trajectories, and their lines with temperature."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.options import AsJson
from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hts_battery.schemas.transport import (
        ArrheniusFit,
        Diffusivity,
        Interval,
        Prediction,
    )
    from hts_battery.transport.trajectory_files import Trajectory

_TABLE = (".csv", ".csv.gz")
_ROOM = 300.0  # K


def analyse(  # noqa: PLR0913, PLR0917 - options
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Trajectory: .traj, .extxyz, XDATCAR, vasprun.xml, a .parquet chunk "
            "or a folder of them.",
        ),
    ],
    ion: Annotated[str, typer.Option(help="Element that moves.")] = "Li",
    time_step: Annotated[
        float | None,
        typer.Option(help="Between frames, in fs, where the file does not say."),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(help="In K, where the file does not say; for conductivities."),
    ] = None,
    charge: Annotated[float, typer.Option(help="Of the ion, in e.")] = 1.0,
    jump_length: Annotated[float, typer.Option(help="In angstrom.")] = 3.0,
    method: Annotated[
        str,
        typer.Option(
            help="covariance; mogroup or pymatgen: fits of others, without an error."
        ),
    ] = "covariance",
    figure: Annotated[
        Path | None, typer.Option(help="Draw strides into this picture.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure diffusivity, conductivity and Haven ratio, with errors."""
    from hts_battery.transport.published_methods import METHODS

    if method not in METHODS:
        raise ConfigurationError(f"--method {method}: one of {', '.join(METHODS)}")
    if method != METHODS[0]:
        answer = _published(file, ion, time_step, jump_length, method)
        if as_json:
            formatting.json_line(answer)
            return
        formatting.table(
            ("quantity", "value"), ((name, value) for name, value in answer.items())
        )
        formatting.note("a fit to correlated points: its error is not known from it")
        return
    from hts_battery.transport import diffusivity

    frames = _read(file, time_step)
    found = diffusivity(
        frames.positions,
        frames.lattices,
        mobile=frames.indices(ion),
        time_step=frames.time_step or 0.0,
        temperature=frames.temperature if temperature is None else temperature,
        charges=charge,
        jump_length=jump_length,
    )
    if figure is not None:
        from hts_battery.transport.figures import draw_diffusivity

        draw_diffusivity(found, figure, f"{ion} in {file.name}")
    if as_json:
        formatting.json_line(found.model_dump(mode="json"))
        return
    formatting.table(("quantity", "value", "95 %", "unit"), _rows(found))
    formatting.line(f"{found.verdict}: {found.reason}")
    _notes(found, ion)


def arrhenius(  # noqa: PLR0913, PLR0917 - options
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.csv",
            help="Columns T (K), D (cm²/s), D_error (cm²/s, one standard error).",
        ),
    ],
    figure: Annotated[
        Path | None, typer.Option(help="Draw the line into this picture.")
    ] = None,
    cell: Annotated[
        Path | None,
        typer.Option(help="Structure file: the conductivity of its ions at 300 K."),
    ] = None,
    ion: Annotated[str, typer.Option(help="Element that moves, with --cell.")] = "Li",
    charge: Annotated[float, typer.Option(help="Of the ion, in e, with --cell.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the simulated lines.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Fit an Arrhenius line, and test whether it is one: kinks, jumps, curves."""
    from hts_battery.transport import arrhenius as fit
    from hts_battery.transport.trajectory_files import read_diffusivities

    found = fit(*read_diffusivities(file), seed=seed)
    if figure is not None:
        from hts_battery.transport.figures import draw_arrhenius

        draw_arrhenius(found, figure, file.name)
    conductivity = None if cell is None else _conductivity(found, cell, ion, charge)
    if as_json:
        formatting.json_line(_arrhenius_answer(found, conductivity))
        return
    formatting.table(("quantity", "value", "unit"), _arrhenius_rows(found))
    _say_prediction(found, conductivity)
    for warning in found.warnings:
        formatting.note(f"warning: {warning}")


def _conductivity(
    found: ArrheniusFit, cell: Path, ion: str, charge: float
) -> Prediction | None:
    """Return the Nernst-Einstein conductivity at room temperature."""
    from hts_battery.cli.structure_files import read_structure
    from hts_battery.transport.conductivity import nernst_einstein

    if found.verdict != "single":
        return None
    structure = read_structure(cell)
    ions = structure.composition.get_el_amt_dict().get(ion)
    if not ions:
        raise ConfigurationError(f"{cell} has no {ion}: --ion says what moves")
    factor = nernst_einstein(ions * charge**2 / structure.volume, _ROOM)
    predicted = found.at(_ROOM)
    low, high = predicted.interval
    return predicted._replace(
        value=predicted.value * factor, interval=(low * factor, high * factor)
    )


def _arrhenius_answer(
    found: ArrheniusFit, conductivity: Prediction | None
) -> dict[str, object]:
    """Put the fit and its predictions at 300 K into one object."""
    answer: dict[str, object] = found.model_dump(mode="json")
    single = found.verdict == "single"
    answer["diffusivity_300K"] = found.at(_ROOM)._asdict() if single else None
    answer["conductivity_300K"] = conductivity._asdict() if conductivity else None
    return answer


def _arrhenius_rows(found: ArrheniusFit) -> Iterator[tuple[str, str, str]]:
    """Lay a fit out."""
    energy = f"{found.activation_energy:.4f} ± {found.activation_energy_error:.4f}"
    yield "activation energy", energy, "eV"
    yield "ln prefactor", f"{found.log_prefactor:.3f}", "of cm²/s"
    chi = f"{found.chi_squared:.3g} / {found.degrees_of_freedom}"
    yield "chi squared / freedom", chi, ""
    for kind, chance in found.p_values.items():
        yield (
            f"p of {'anything but a line' if kind == 'any' else kind}",
            (f"{chance:.4f}"),
            "",
        )
    alternative = f"energy doubled below {found.power_break:.0f} K"
    yield "power", f"{found.power:.0%}", alternative
    if found.break_temperature is not None and found.activation_energies:
        low, high = found.activation_energies
        yield "break", f"{found.break_temperature:.0f}", "K"
        yield "energies below and above", f"{low:.3f} and {high:.3f}", "eV"


def _say_prediction(found: ArrheniusFit, conductivity: Prediction | None) -> None:
    """Say what the line predicts, or that it does not."""
    if found.verdict != "single":
        formatting.line(f"{found.verdict}: nothing is predicted at {_ROOM:g} K")
        return
    value, (low, high) = found.at(_ROOM)
    formatting.line(
        f"single: D at {_ROOM:g} K is {value:.3g} cm²/s ({low:.2g} to {high:.2g}, 95 %)"
    )
    if conductivity is not None:
        value, (low, high) = conductivity
        formatting.line(
            f"conductivity (Nernst-Einstein) at {_ROOM:g} K is {value:.3g} S/cm "
            f"({low:.2g} to {high:.2g})"
        )
    lowest = found.temperatures[0]
    formatting.note(f"extrapolated from {lowest:g} K: breaks below it are not seen")


def _read(file: Path, time_step: float | None) -> Trajectory:
    """Read a trajectory; its time step must be known."""
    from dataclasses import replace

    from hts_battery.transport.trajectory_files import read_trajectory

    frames = read_trajectory(file)
    spacing = frames.time_step if time_step is None else time_step
    if spacing is not None and not spacing > 0:
        raise ConfigurationError(f"--time-step {spacing:g}: above zero, in fs")
    if spacing is None:
        raise ConfigurationError(
            f"{file} does not say how far its frames are apart: give --time-step, in "
            "fs from frame to frame"
        )
    return replace(frames, time_step=spacing)


def _published(
    file: Path, ion: str, time_step: float | None, jump_length: float, method: str
) -> dict[str, float | str]:
    """Fit as a published program does."""
    from hts_battery.transport import published_methods as published
    from hts_battery.transport.trajectory_files import read_displacements

    if method == "mogroup" and file.name.endswith(_TABLE):
        times, msd = read_displacements(file)
    else:
        frames = _read(file, time_step)
        ways = published.ways_of(frames, ion)
        spacing = frames.time_step or 0.0
        if method == "pymatgen":
            tracer, collective = published.pymatgen_diffusivity(ways, spacing)
            return {
                "method": method,
                "tracer": tracer,
                "collective": collective,
                "haven_ratio": tracer / collective,
            }
        times, msd = published.displacement_curve(ways, spacing)
    fitted = published.mogroup_diffusivity(times, msd, jump_length=jump_length)
    return {"method": method, "tracer": fitted}


def _rows(found: Diffusivity) -> Iterator[tuple[str, str, str, str]]:
    """Lay the numbers out."""
    for name, value, interval, unit in (
        ("D*", found.tracer, found.tracer_interval, "cm²/s"),
        ("D_sigma", found.collective, found.collective_interval, "cm²/s"),
        (
            "conductivity, Nernst-Einstein",
            found.conductivity,
            found.conductivity_interval,
            "S/cm",
        ),
        (
            "conductivity, charge",
            found.charge_conductivity,
            found.charge_conductivity_interval,
            "S/cm",
        ),
        ("Haven ratio", found.haven_ratio, found.haven_ratio_interval, ""),
    ):
        if value is not None or interval is not None:
            yield (
                name,
                "" if value is None else f"{value:.3g}",
                _interval(interval),
                unit,
            )
    yield "jumps", f"{found.jumps}", "", f"of {found.jump_length:g} Å"


def _interval(interval: Interval | None) -> str:
    """Write an interval."""
    return "" if interval is None else f"{interval[0]:.3g} to {interval[1]:.3g}"


def _notes(found: Diffusivity, ion: str) -> None:
    """Say what the numbers rest on."""
    time = (found.frames - 1) * found.time_step / 1000
    formatting.note(
        f"{found.ions} {ion}, {found.frames} frames, {time:g} ps; relative to "
        f"{found.framework} framework atoms (drift {found.framework_drift:.2f} Å, own "
        f"displacement {found.framework_displacement:.2f} Å). Scatter of this run "
        "alone: no error of the forces, of the size of the cell, of orderings."
    )
    if found.immobile:
        formatting.note(f"{found.immobile} {ion} never left their places")
    if found.time_needed is not None:
        formatting.note(f"a run of about {found.time_needed / 1000:.3g} ps may do")
