"""hts electro: capacity, stability window, interfaces and voltage curves."""

from __future__ import annotations

import csv
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.options import AsJson
from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hts_battery.electrochemistry import OxygenGas
    from hts_battery.electrochemistry.interfaces import InterfaceReaction
    from hts_battery.electrochemistry.window import StabilityWindow
    from hts_battery.thermo.hull import Hull

MEV_PER_EV = 1000
_POINTS = 200
Formulas = Annotated[list[str], typer.Argument(metavar="FORMULA...", help="Formulas.")]
CarrierOption = Annotated[
    str | None,
    typer.Option("--carrier", help="Element that moves; the alkali metal, or else Li."),
]
EngineOption = Annotated[
    str, typer.Option("--engine", help="Engine of the shipped competing phases.")
]
EnergyOption = Annotated[
    float | None,
    typer.Option(
        "--energy", help="Of the only formula, eV/atom, by the engine; else the hull's."
    ),
]
_ON_HULL = "moved onto the hull"


@contextmanager
def _refused_in_words() -> Iterator[None]:
    """Say what is wrong with an argument as that, and not as a fault of the code."""
    try:
        yield
    except ValueError as err:
        raise ConfigurationError(str(err)) from err


def capacity(
    formulas: Formulas,
    carrier: CarrierOption = None,
    ceilings: Annotated[
        str, typer.Option(help="Highest charges: reachable or conservative.")
    ] = "reachable",
    as_json: AsJson = False,
) -> None:
    """Count the capacity of compositions: of all carriers, of metals, of oxygen."""
    from hts_battery.electrochemistry import capacity as counted

    _one_of(ceilings, ("reachable", "conservative"), "--ceilings")
    with _refused_in_words():
        found = [counted(f, _carrier(f, carrier), ceilings=ceilings) for f in formulas]
    if as_json:
        for one in found:
            formatting.json_line(
                {
                    "formula": one.formula,
                    "carrier": one.carrier_element,
                    "capacity_carrier": one.carrier,
                    "capacity_metal_redox": one.metal_redox,
                    "capacity_oxygen_redox": one.oxygen_redox,
                    "electrons": str(one.electrons),
                    "ceilings": one.ceilings,
                    "flags": list(one.flags),
                }
            )
        return
    columns = ("all carriers", "metals", "oxygen")
    formatting.table(
        ("formula", "carrier", *columns, "flags"),
        (
            (
                one.formula,
                one.carrier_element,
                *(f"{n:.0f}" for n in (one.carrier, one.metal_redox, one.oxygen_redox)),
                ", ".join(one.flags),
            )
            for one in found
        ),
        right=columns,
    )
    _say_what_stays((one.formula, one.carrier_element) for one in found)
    formatting.note(
        f"mAh/g of the formula as written; ceilings: {ceilings}. From the composition "
        "alone: what a cell gives at a voltage is another question."
    )


def window(  # noqa: PLR0913, PLR0917 - options
    formulas: Formulas,
    carrier: CarrierOption = None,
    energy: EnergyOption = None,
    engine: EngineOption = "chgnet",
    tolerance: Annotated[
        float, typer.Option(min=0, help="That counts as stable, eV/atom.")
    ] = 0.0,
    oxygen: Annotated[
        float | None, typer.Option(help="Temperature at which O2 leaves at 1 bar, K.")
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(help="Draw the decomposition energy of one into this picture."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say between which voltages a composition stands, and what forms beyond."""
    from hts_battery.electrochemistry import OxygenGas, stability_window

    if len(formulas) > 1 and (energy is not None or figure is not None):
        raise ConfigurationError("--energy and --figure are of one formula: give one")
    gas = None if oxygen is None else OxygenGas(oxygen)
    with _refused_in_words():
        found = [
            stability_window(
                _hull(engine, [formula, element]),
                formula,
                energy,
                carrier=element,
                tolerance=tolerance,
                oxygen=gas,
            )
            for formula in formulas
            for element in (_carrier(formula, carrier),)
        ]
    if figure is not None:
        _draw(found[0], _hull(engine, [formulas[0], found[0].carrier]), gas, figure)
    if as_json:
        for one in found:
            formatting.json_line(_window_json(one, engine, gas))
        return
    _show_windows(found, given=energy is not None, engine=engine)


def interface(  # noqa: PLR0913, PLR0917 - options
    formula: Annotated[
        str, typer.Argument(metavar="FORMULA", help="Of the candidate.")
    ],
    electrodes: Annotated[
        list[str],
        typer.Argument(metavar="ELECTRODE...", help="Formulas of electrodes."),
    ],
    voltage: Annotated[
        float | None,
        typer.Option(min=0, help="At which the carrier is exchanged, V; else closed."),
    ] = None,
    carrier: CarrierOption = None,
    energy: EnergyOption = None,
    engine: EngineOption = "chgnet",
    as_json: AsJson = False,
) -> None:
    """Find the lowest reaction energy of a composition with each electrode."""
    from hts_battery.electrochemistry import interface_reaction

    element = _carrier(formula, carrier)
    with _refused_in_words():
        found = [
            interface_reaction(
                _hull(engine, [formula, electrode, element]),
                formula,
                electrode,
                carrier=element,
                voltage=voltage,
                energies_per_atom=energy,
            )
            for electrode in electrodes
        ]
    if as_json:
        for one in found:
            formatting.json_line(
                {
                    "formula": one.formula,
                    "electrode": one.electrode,
                    "carrier": one.carrier,
                    "voltage": one.voltage,
                    "mutual": one.mutual,
                    "total": one.total,
                    "unit": one.unit,
                    "fraction": one.fraction,
                    "equation": one.reaction.equation if one.reaction else None,
                    "products": dict(one.products),
                    "engine": engine,
                }
            )
        return
    _show_interfaces(found)


def curve(
    states: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="CSV with formula,energy_per_atom (eV)."),
    ],
    metal: Annotated[float, typer.Option(help="Energy of the metal, eV/atom.")],
    carrier: CarrierOption = None,
    figure: Annotated[
        Path | None, typer.Option(help="Draw the profile into this picture.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Draw the voltage profile of one framework from energies of its states."""
    from hts_battery.electrochemistry import voltage_profile

    formulas, energies = _states(states)
    element = _carrier(" ".join(formulas), carrier)
    with _refused_in_words():
        profile = voltage_profile(formulas, energies, metal, carrier=element)
    if figure is not None:
        from hts_battery.electrochemistry.figures import draw_profile

        draw_profile(profile, figure)
        formatting.note(f"figure: {figure}")
    if as_json:
        formatting.json_line(
            {
                "framework": profile.framework,
                "carrier": profile.carrier,
                "amounts": [float(n) for n in profile.amounts],
                "voltages": list(profile.voltages),
                "average": profile.average,
                "reason": profile.reason,
            }
        )
        return
    steps = zip(profile.amounts, profile.amounts[1:], profile.voltages, strict=False)
    columns = (f"{element} from", "to", "V")
    formatting.table(
        columns,
        ((f"{float(a):.3g}", f"{float(b):.3g}", f"{v:.2f}") for a, b, v in steps),
        title=f"{element} in {profile.framework}",
        right=columns,
    )
    average = profile.reason or f"average {profile.average:.2f} V"
    formatting.line(average)


def _states(path: Path) -> tuple[list[str], list[float]]:
    """Read formulas and energies of states; the error names the line."""
    try:
        rows = list(csv.DictReader(path.read_text("utf-8").splitlines()))
        states = [(row["formula"], float(row["energy_per_atom"])) for row in rows]
        formulas, energies = zip(*states, strict=True)
    except (OSError, KeyError, TypeError, ValueError) as err:
        raise ConfigurationError(
            f"{path}: {err}: give a CSV file with the columns formula and "
            "energy_per_atom (eV), a state a line"
        ) from err
    return list(formulas), list(energies)


def _carrier(formula: str, asked: str | None) -> str:
    from hts_battery.electrochemistry.carriers import alkali_carrier
    from hts_battery.schemas.formula import parse_formula

    return asked or alkali_carrier(parse_formula(formula))


def _one_of(value: str, choices: tuple[str, ...], option: str) -> None:
    if value not in choices:
        raise ConfigurationError(f"{option} {value!r}: give {' or '.join(choices)}")


def _hull(engine: str, formulas: Iterable[str]) -> Hull:
    """Build the hull of the shipped phases inside the elements of some formulas."""
    from hts_battery.flows.recipes.references import shipped_energies
    from hts_battery.schemas.formula import parse_formula
    from hts_battery.thermo import Hull

    elements = {symbol for formula in formulas for symbol in parse_formula(formula)}
    found = shipped_energies(engine, elements=elements).energies
    used = [
        (one.formula, one.energy_per_atom, one.phase_id)
        for one in found
        if not one.rejected and one.energy_per_atom is not None
    ]
    if not used:
        raise ConfigurationError(
            f"no phase of {'-'.join(sorted(elements))} is shipped for {engine}"
        )
    names, energies, ids = zip(*used, strict=True)
    return Hull(names, energies, ids=ids)


def _draw(
    found: StabilityWindow, hull: Hull, gas: OxygenGas | None, picture: Path
) -> None:
    """Draw the decomposition energy to a volt beyond the window."""
    from hts_battery.electrochemistry import decomposition_energy
    from hts_battery.electrochemistry.figures import draw_decomposition

    last = (found.oxidation or found.reduction or 0.0) + 1.0
    voltages = [last * step / _POINTS for step in range(_POINTS + 1)]
    lower = float(hull.lower_energies(found.formula)) + found.energy_above_hull
    energies = decomposition_energy(
        hull,
        found.formula,
        lower,
        carrier=found.carrier,
        voltages=voltages,
        oxygen=gas,
    )
    draw_decomposition(found, voltages, energies, picture)
    formatting.note(f"figure: {picture}")


def _window_json(
    found: StabilityWindow, engine: str, gas: OxygenGas | None
) -> dict[str, object]:
    reactions = found.reduction_reaction, found.oxidation_reaction
    reduction, oxidation = (r.equation if r else None for r in reactions)
    return {
        "formula": found.formula,
        "carrier": found.carrier,
        "reduction": found.reduction,
        "oxidation": found.oxidation,
        "width": found.width,
        "energy_above_hull": found.energy_above_hull,
        "reduction_slope": found.reduction_slope,
        "oxidation_slope": found.oxidation_slope,
        "reduction_reaction": reduction,
        "oxidation_reaction": oxidation,
        "reduction_products": dict(found.reduction_products),
        "oxidation_products": dict(found.oxidation_products),
        "gases": list(reactions[1].gases) if reactions[1] else [],
        "oxygen": gas._asdict() if gas else None,
        "flags": list(found.flags),
        "reason": found.reason,
        "engine": engine,
    }


def _show_windows(found: list[StabilityWindow], *, given: bool, engine: str) -> None:
    columns = ("reduction", "oxidation", "E_hull")
    formatting.table(
        ("formula", "against", *columns, "flags"),
        (
            (
                one.formula,
                one.carrier,
                _volts(one.reduction),
                _volts(one.oxidation),
                f"{MEV_PER_EV * one.energy_above_hull:.0f}" if given else _ON_HULL,
                ", ".join(one.flags),
            )
            for one in found
        ),
        right=columns,
    )
    for one in found:
        for limit, reaction in (
            ("below", one.reduction_reaction),
            ("above", one.oxidation_reaction),
        ):
            if reaction is not None:
                voltage = one.reduction if limit == "below" else one.oxidation
                formatting.line(f"{limit} {_volts(voltage)} V: {reaction.equation}")
        if one.reason:
            formatting.line(one.reason)
        formatting.note(_slopes(one))
    _say_what_stays((one.formula, one.carrier) for one in found)
    formatting.note(
        f"V against the metal; E_hull in meV/atom; competing phases by {engine}. A "
        "missing phase widens a window by tenths of a volt."
    )


def _say_what_stays(found: Iterable[tuple[str, str]]) -> None:
    """Name other alkali metals, which are not open."""
    from hts_battery.electrochemistry.carriers import other_alkali

    for formula, carrier in found:
        if others := other_alkali(formula, carrier):
            formatting.note(f"{formula}: {carrier} is open, {', '.join(others)} stays")


def _slopes(found: StabilityWindow) -> str:
    """Say how far the limits move with the candidate's energy."""
    named = (
        ("reduction", found.reduction_slope),
        ("oxidation", found.oxidation_slope),
    )
    each = [f"{name} {slope:.1f}" for name, slope in named if slope is not None]
    return f"{found.formula}: mV per meV/atom of its energy: {', '.join(each)}"


def _volts(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"


def _show_interfaces(found: list[InterfaceReaction]) -> None:
    columns = ("mutual", "total", "share")
    formatting.table(
        ("electrode", *columns, "reaction"),
        (
            (
                one.electrode,
                *(f"{MEV_PER_EV * (n or 0.0):.0f}" for n in (one.mutual, one.total)),
                "" if one.fraction is None else f"{one.fraction:.2f}",
                one.reaction.equation if one.reaction else "none",
            )
            for one in found
        ),
        right=columns,
    )
    first = found[0]
    formatting.note(
        f"m{first.unit}; share of the atoms that is {first.formula}'s at the lowest "
        "mutual energy; total: with what each does alone."
    )
