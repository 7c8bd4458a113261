"""hts learn curve: error against number of training structures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hts_battery.cli import formatting
from hts_battery.cli.options import AsJson
from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from hts_battery.learning.curve import LearningCurve


def curve(  # noqa: PLR0913, PLR0917 - options
    dataset: Annotated[
        Path, typer.Option(help="JSON file of relaxed structures with energies.")
    ],
    models: Annotated[
        str, typer.Option(help="dummy, elements; with --universal shifted …")
    ] = "dummy,elements",
    universal: Annotated[
        str | None, typer.Option(help="chgnet, or chgnet-VERSION, such as 0.2.0.")
    ] = None,
    sizes: Annotated[
        str, typer.Option(help="Numbers of training structures, comma between them.")
    ] = "20,40,80,160,320",
    split: Annotated[
        Literal["composition", "random"],
        typer.Option(help="What is kept aside: whole compositions, or rows."),
    ] = "composition",
    repetitions: Annotated[int, typer.Option(min=1, help="Choices of them.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Of all choices.")] = 0,
    figure: Annotated[
        Path | None, typer.Option(help="Picture to draw (.png, .svg, .pdf).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure how errors of models fall with the number of training structures."""
    from hts_battery.learning.curve import learning_curve, noise_floor
    from hts_battery.learning.universal import (
        chgnet_output,
        curve_models,
        read_entries,
    )

    found = read_entries(dataset)
    output = None
    if universal is not None:
        name, _, version = universal.partition("-")
        if name != "chgnet":
            raise ConfigurationError(f"no universal model {name!r}; there is chgnet")
        output = chgnet_output(found.structures, version or "0.3.0")
    if split == "random":
        formatting.note(
            "a random split puts cells of one composition on both sides: its errors "
            "are too small"
        )
    groups = found.formulas
    if split == "random":
        groups = [str(row) for row in range(len(groups))]
    answer = learning_curve(
        found.energies.tolist(),
        groups,
        curve_models(models.split(","), found.formulas, output),
        sizes=_numbers(sizes),
        repetitions=repetitions,
        seed=seed,
    )
    floor = noise_floor(found.energies.tolist(), found.formulas)
    if figure is not None:
        from hts_battery.learning.curve_figure import draw_curve

        draw_curve(answer, floor, figure)
        formatting.note(f"figure: {figure}")
    _show(answer, floor, as_json=as_json)


def _numbers(text: str) -> list[int]:
    try:
        return [int(one) for one in text.split(",")]
    except ValueError as err:
        raise ConfigurationError(f"--sizes {text}: not whole numbers") from err


def _show(answer: LearningCurve, floor: float | None, *, as_json: bool) -> None:
    if as_json:
        for one in answer.points:
            formatting.json_line(
                {
                    "model": one.model,
                    "structures": one.structures,
                    "error": one.error,
                    "standard_error": (
                        one.standard_error if one.repetitions > 1 else None
                    ),
                    "repetitions": one.repetitions,
                }
            )
        return
    formatting.table(
        ("model", "structures", "error", "±", "repetitions"),
        [
            (
                one.model,
                str(one.structures),
                f"{1000 * one.error:.1f}",
                f"{1000 * one.standard_error:.1f}",
                str(one.repetitions),
            )
            for one in sorted(answer.points, key=lambda one: one.model)
        ],
        right=("structures", "error", "±", "repetitions"),
    )
    for name, (slope, error) in answer.exponents.items():
        formatting.line(f"{name}: error falls as structures^{slope:.2f} ± {error:.2f}")
    if floor is not None:
        formatting.line(
            f"two cells of one composition: {1000 * floor:.1f} meV/atom, below which "
            "no model of the composition alone comes"
        )
    formatting.line(
        f"mean absolute error, meV/atom, on {answer.test_groups} of {answer.groups} "
        "groups that no fit has seen"
    )
