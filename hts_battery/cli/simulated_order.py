"""hts disorder simulate, map, composite: what order, and a second phase, would do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from hts_battery.cli import formatting
from hts_battery.cli.options import AsJson
from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from hts_battery.disorder.simulated_order import Energies
    from hts_battery.schemas.percolation import RandomLimit, SimulatedOrder

Pairs = Annotated[
    list[str] | None,
    typer.Option(
        "--pair",
        help="Energy of unlike pairs in kT, shell by shell, as Li-M:-0.1,0.05 or "
        "M-F:2.5; M is every cation that does not move. M-F:2.5 if none is given.",
    ),
]
Size = Annotated[int, typer.Option(min=2, help="Conventional cells along each axis.")]
Cells = Annotated[int, typer.Option(min=2, help="Independent cells.")]
Attempts = Annotated[int, typer.Option(min=1, help="Swaps tried for each site.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the random numbers.")]
Picture = Annotated[Path | None, typer.Option(help="Draw into this picture.")]

_MOST_POINTS = 2_000
_BOUNDS = 3  # first, last, step


def simulate(  # noqa: PLR0913, PLR0917 - options
    formula: Annotated[str, typer.Argument(help="Composition, such as Li1.2Mn0.8O2.")],
    pair: Pairs = None,
    carrier: Annotated[
        str | None, typer.Option(help="Element that moves; Li, or else Na.")
    ] = None,
    scan: Annotated[
        bool,
        typer.Option("--scan", help="Go through energies of Li-M, shell by shell."),
    ] = False,
    size: Size = 12,
    cells: Cells = 10,
    attempts: Attempts = 300,
    seed: Seed = 0,
    figure: Picture = None,
    as_json: AsJson = False,
) -> None:
    """Simulate short-range order of a composition: order, Li4, accessible carriers."""
    from hts_battery.disorder.accessible_map import Effort, order_scan, two_by_two
    from hts_battery.disorder.order_figures import draw_scan
    from hts_battery.disorder.random_limit import random_limit
    from hts_battery.disorder.simulated_order import simulated_order
    from hts_battery.schemas.formula import parse_formula

    if figure is not None and not scan:
        raise ConfigurationError("--figure draws a scan: give --scan with it")
    amounts, energies = parse_formula(formula), _energies(pair)
    lithium, fluorine = two_by_two(amounts, carrier)
    effort = Effort(size, cells, attempts, seed)
    if scan:
        shells = order_scan(lithium, fluorine, energies, effort)
        found = [one for shell in shells for one in shell]
        if figure is not None:
            draw_scan(shells, figure)
            formatting.note(f"figure: {figure}")
    else:
        found = [
            simulated_order(lithium, fluorine, energies=energies, **effort._asdict())
        ]
    if as_json:
        for one in found:
            formatting.json_line(one.model_dump(mode="json"))
        return
    limit = random_limit(amounts, parent="rocksalt", carrier=carrier)
    _show(found, limit)


def map_accessible(  # noqa: PLR0913, PLR0917 - options
    lithium: Annotated[
        str, typer.Option(help="Li in two cations: first:last:step.")
    ] = "1:1.5:0.1",
    fluorine: Annotated[
        str, typer.Option(help="F in two anions: first:last:step.")
    ] = "0:0.6:0.1",
    pair: Pairs = None,
    size: Size = 12,
    cells: Cells = 3,
    attempts: Attempts = 300,
    seed: Seed = 0,
    figure: Picture = None,
    as_json: AsJson = False,
) -> None:
    """Map accessible Li over Li and F content of rock salt: random beside simulated."""
    from hts_battery.disorder.accessible_map import Effort, accessible_map, map_rows
    from hts_battery.disorder.order_figures import draw_map

    across, up = _steps(lithium), _steps(fluorine)
    energies = _energies(pair)
    points = accessible_map(across, up, energies, Effort(size, cells, attempts, seed))
    if figure is not None:
        draw_map(points, figure)
        formatting.note(f"figure: {figure}")
    rows = map_rows(points)
    if as_json:
        for row in rows:
            formatting.json_line(row)
        return
    names = ("Li", "F", "random", "simulated", "wraps", "Li4")
    formatting.table(
        names,
        (
            (
                f"{row['lithium']:g}",
                f"{row['fluorine']:g}",
                f"{row['random']:.3f} ± {row['random_error']:.3f}",
                f"{row['simulated']:.3f} ± {row['simulated_error']:.3f}",
                f"{row['wrap_probability']:.0%}",
                f"{row['li4']:.3f}",
            )
            for row in rows
        ),
        right=names,
    )
    first = points[0].simulated
    formatting.note(
        f"accessible Li, share: at random, and in {first.cells} cells of "
        f"{first.sites:,} cations each with {_words(first)}. {first.caveat}"
    )


def composite(
    fast: Annotated[float, typer.Option(min=0, help="Of the fast phase, S/cm.")],
    slow: Annotated[float, typer.Option(min=0, help="Of the slow phase, S/cm.")],
    share: Annotated[
        list[float] | None,
        typer.Option(min=0, max=1, help="Volume share of the fast phase; again."),
    ] = None,
    figure: Picture = None,
    as_json: AsJson = False,
) -> None:
    """Bound the conductivity of a fast phase in a slow one by its volume share."""
    from hts_battery.disorder import effective_conductivity
    from hts_battery.disorder.order_figures import draw_composite

    rows = []
    for one in share or [n / 10 for n in range(11)]:
        mix, sigmas = [one, 1 - one], [fast, slow]
        bounds = effective_conductivity(mix, sigmas, model="hashin-shtrikman")
        lower, upper = np.ravel(bounds).tolist()
        row = {
            model: effective_conductivity(mix, sigmas, model=model)
            for model in ("series", "bruggeman", "parallel")
        }
        rows.append({"share": one, "lower": lower, "upper": upper, **row})
    if figure is not None:
        draw_composite(fast, slow, figure)
        formatting.note(f"figure: {figure}")
    if as_json:
        for row in rows:
            formatting.json_line(row)
        return
    names = ("share", "series", "lower", "bruggeman", "upper", "parallel")
    formatting.table(
        names, ([f"{row[name]:.4g}" for name in names] for row in rows), right=names
    )
    formatting.note(
        "S/cm; lower and upper: Hashin-Shtrikman, of any isotropic mixture; series and "
        "parallel: layers; interfaces and grain boundaries are not in it"
    )


def _energies(pair: list[str] | None) -> Energies:
    """Read pair energies; the repulsion of metals and fluorine where none are given."""
    from hts_battery.disorder.simulated_order import (
        FLUORINE_REPULSION,
        read_pair_energies,
    )

    return read_pair_energies(pair) if pair else FLUORINE_REPULSION


def _steps(text: str) -> list[float]:
    """Read ``first:last:step``, or one number."""
    try:
        numbers = [float(part) for part in text.split(":")]
    except ValueError:
        numbers = []
    if len(numbers) == 1:
        return numbers
    if len(numbers) != _BOUNDS or not np.isfinite(numbers).all():
        raise ConfigurationError(f"{text!r}: write first:last:step, as 1:1.5:0.1")
    first, last, step = numbers
    if not step > 0 or first > last or (last - first) / step > _MOST_POINTS:
        raise ConfigurationError(
            f"{text!r}: a step above 0 from the first to a last that is not before it"
        )
    count = int((last - first) / step + 1e-9) + 1
    return [float(value) for value in (first + step * np.arange(count)).round(9)]


def _words(found: SimulatedOrder) -> str:
    """Write the pair energies of a simulation."""
    pairs = ", ".join(
        f"{pair} {' '.join(f'{value:g}' for value in values)}"
        for pair, values in found.energies.items()
    )
    return f"{pairs} kT" if pairs else "no order"


def _show(found: list[SimulatedOrder], limit: RandomLimit) -> None:
    """Print simulations, the random limit first."""
    names = ("alpha 1", "alpha 2", "Li4", "accessible", "wraps")
    formatting.table(
        ("pair energies", *names),
        [
            (
                "carriers at random", "0", "0", f"{found[0].li4_random:.3f}",
                f"{limit.accessible:.3f} ± {limit.accessible_error:.3f}",
                f"{limit.wrap_probability:.0%}",
            ),
            *(
                (
                    _words(one),
                    *(f"{value:+.3f}" for value in one.alpha.get("Li-M", (0, 0))[:2]),
                    f"{one.li4:.3f}",
                    f"{one.accessible:.3f} ± {one.accessible_error:.3f}",
                    f"{one.wrap_probability:.0%}",
                )
                for one in found
            ),
        ],
        right=names,
    )  # fmt: skip
    first = found[0]
    if first.li_around_f is not None:
        formatting.line(f"Li among the six cations around F: {first.li_around_f:.2f}")
    formatting.note(
        f"alpha: Warren-Cowley of Li and M, shells 1 and 2; Li4: tetrahedra of four "
        "Li, which alone mislead; accessible: share in clusters that wrap. "
        f"{first.cells} cells of {first.sites:,} cations, {first.attempts} swaps "
        f"tried a site, seed {first.seed}. {first.caveat}"
    )
