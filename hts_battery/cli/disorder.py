"""hts disorder: percolation, short-range order and scattering of disordered cells."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.options import AsJson
from hts_battery.cli.structure_files import read_structure
from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from fractions import Fraction

    from pymatgen.core import Structure

    from hts_battery.schemas.percolation import AccessibleCarriers, RandomLimit

_MOST_MEMBERS = 2_000
_STRUCTURE_SUFFIXES = (".cif", ".json", ".vasp", ".poscar", ".xsf")

StructureFile = Annotated[
    Path, typer.Argument(metavar="CELL", help="Structure file: CIF, POSCAR, JSON.")
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the random numbers.")]


def percolate(  # noqa: PLR0913, PLR0917 - options
    what: Annotated[
        str,
        typer.Argument(
            metavar="SPEC|FORMULA|CELL",
            help="Campaign or space file, formula, or structure file.",
        ),
    ],
    rule: Annotated[
        str | None,
        typer.Option(help="0tm, 1tm, nearest, nasicon; by the family if not given."),
    ] = None,
    parent: Annotated[
        str | None, typer.Option(help="Parent lattice; by the family if not given.")
    ] = None,
    carrier: Annotated[
        str | None, typer.Option(help="Element that moves; Li, or else Na.")
    ] = None,
    cations: Annotated[int, typer.Option(min=4, help="Sites of a cell.")] = 32_000,
    samples: Annotated[int, typer.Option(min=2, help="Cells.")] = 60,
    seed: Seed = 0,
    figure: Annotated[
        Path | None, typer.Option(help="Draw accessible carriers into this picture.")
    ] = None,
    small: Annotated[
        bool,
        typer.Option("--small", help="Take a CELL below 4,000 sites all the same."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what of the carriers a percolating network reaches, at random or in cells."""
    file = Path(what)
    if file.suffix.lower() in _STRUCTURE_SUFFIXES or file.name.startswith("POSCAR"):
        _show_cell(read_structure(file), rule, carrier, small=small, as_json=as_json)
        return
    from hts_battery.disorder.random_limit import measured_lattice, random_limit

    found = [
        random_limit(
            amounts,
            parent=parent or usual,
            rule=rule,
            carrier=carrier,
            cations=cations,
            samples=samples,
            seed=seed,
        )
        for amounts, usual in _compositions(what)
    ]
    if figure is not None:
        from hts_battery.disorder.percolation_figures import draw_percolation

        first = found[0]
        lattice = (first.parent, first.rule, cations, samples, seed)
        draw_percolation(measured_lattice(*lattice)[1], found, figure)
        formatting.note(f"figure: {figure}")
    if as_json:
        for one in found:
            formatting.json_line(one.model_dump(mode="json"))
        return
    _show_limits(found)


def order(
    cell: StructureFile,
    shells: Annotated[int, typer.Option(min=1, max=12, help="Shells.")] = 4,
    as_json: AsJson = False,
) -> None:
    """Print the Warren-Cowley order parameters of a cell, pair by pair."""
    from hts_battery.disorder import warren_cowley

    values = warren_cowley(read_structure(cell), shells=shells)
    if as_json:
        formatting.json_line({"-".join(pair): alpha for pair, alpha in values.items()})
        return
    names = [f"shell {number}" for number in range(1, shells + 1)]
    formatting.table(
        ("pair", *names),
        (
            ("-".join(pair), *(f"{value:+.4f}" for value in alpha))
            for pair, alpha in values.items()
        ),
        right=names,
    )
    formatting.note("0: random; negative: the two attract. Of this cell alone.")


def scattering(  # noqa: PLR0913, PLR0917 - options
    cell: StructureFile,
    pdf: Annotated[
        bool, typer.Option("--pdf", help="Write G(r) into a .gr file named as CELL.")
    ] = False,
    data: Annotated[
        Path | None, typer.Option(help="Refine the cell against this .gr file.")
    ] = None,
    diffuse: Annotated[
        str | None, typer.Option(help="Plane: hk0, h0l or 0kl; a figure.")
    ] = None,
    radiation: Annotated[
        str, typer.Option(help="neutron, xray, electron.")
    ] = "neutron",
    longest: Annotated[float, typer.Option(min=1, help="Of G(r), in angstrom.")] = 20.0,
    displacement: Annotated[
        float, typer.Option(help="U of an atom along one direction, in angstrom^2.")
    ] = 0.005,
    out: Annotated[
        Path, typer.Option(help="Folder of the .gr file and figures.")
    ] = Path(),
    as_json: AsJson = False,
) -> None:
    """Compute, compare and draw what a cell scatters: G(r), a diffuse plane."""
    if not pdf and data is None and diffuse is None:
        raise ConfigurationError("give --pdf, --data FILE or --diffuse PLANE")
    from hts_battery.disorder import scattering_report

    structure = read_structure(cell)
    contrast = scattering_report.contrast(structure, radiation)
    if not as_json:
        formatting.table(
            ("element", "share", "scattering power"),
            ((one.element, f"{one.share:.4f}", f"{one.power:.3f}") for one in contrast),
            right=("share", "scattering power"),
        )
        formatting.line(scattering_report.contrast_sentence(contrast, radiation))
        for sentence in scattering_report.mixing_sentences(structure, radiation):
            formatting.line(sentence)
    written = scattering_report.write_scattering(
        structure,
        scattering_report.Wanted(
            pdf=pdf,
            data=data,
            plane=diffuse,
            radiation=radiation,
            longest=longest,
            displacement=displacement,
            folder=out,
            title=cell.name,
        ),
    )
    if as_json:
        formatting.json_line(written.model_dump(mode="json"))
        return
    for sentence in written.sentences:
        formatting.line(sentence)


def _show_limits(found: list[RandomLimit]) -> None:
    """Print what percolates in compositions."""
    first = found[0]
    numbers = (first.carrier, "threshold", "excess", "accessible", "wraps")
    formatting.table(
        ("formula", *numbers),
        (
            (
                one.formula,
                f"{one.carriers_per_formula_unit:g}",
                _per_formula_unit(one),
                f"{one.excess:+.3f}",
                f"{one.accessible:.3f} ± {one.accessible_error:.3f}",
                f"{one.wrap_probability:.0%}",
            )
            for one in found
        ),
        right=numbers,
        least={"formula": max(len(one.formula) for one in found)},
    )
    formatting.note(
        f"{first.carrier}, threshold and excess per formula unit; accessible: share in "
        f"wrapping clusters. {first.parent}, rule {first.rule}, {first.samples} cells "
        f"of {first.sites:,} sites, seed {first.seed}. {first.caveat}"
    )


def _per_formula_unit(found: RandomLimit) -> str:
    """Write the threshold in carriers per formula unit."""
    critical = found.carriers_per_formula_unit - found.excess
    room = found.sites_per_formula_unit
    return f"{critical:.3f} ± {found.threshold_error * room:.3f}"


def _show_cell(
    structure: Structure,
    rule: str | None,
    carrier: str | None,
    *,
    small: bool,
    as_json: bool,
) -> None:
    """Print what of a cell's carriers is accessible."""
    from hts_battery.disorder import accessible_carriers

    symbols = {element.symbol for element in structure.composition.elements}
    moving = carrier or ("Li" if "Li" in symbols else "Na")
    found = accessible_carriers(structure, rule or "0tm", moving, small=small)
    if as_json:
        formatting.json_line(found.model_dump(mode="json"))
        return
    formatting.line(_cell_sentence(found))
    if found.tetrahedra:
        formatting.line(
            f"tetrahedra with 0 to 4 {moving}: "
            + ", ".join(f"{share:.3f}" for share in found.tetrahedra)
        )
    if found.sites < 4_000:  # noqa: PLR2004 - what the refusal names
        formatting.note(
            "a small cell: it says what it holds, not what the material does"
        )


def _cell_sentence(found: AccessibleCarriers) -> str:
    """Say in a sentence what is accessible."""
    if found.reason:
        return f"nothing is accessible: {found.reason}"
    axes = [name for name, wraps in zip("abc", found.wraps, strict=True) if wraps]
    return (
        f"{found.fraction:.3f} of {found.carriers} {found.carrier} are in "
        f"{found.clusters} wrapping cluster{'s' if found.clusters > 1 else ''} (rule "
        f"{found.rule}; along {', '.join(axes)})"
    )


def _compositions(what: str) -> list[tuple[Mapping[str, Fraction], str | None]]:
    """Read a formula, or the members of a file with different amounts of carrier."""
    from hts_battery.schemas.formula import parse_formula

    file = Path(what)
    if file.suffix.lower() not in (".yaml", ".yml"):
        return [(parse_formula(what), None)]
    from hts_battery.compositions import load_space
    from hts_battery.disorder.random_limit import PARENTS

    space = load_space(file)
    indices: Iterable[int] = range(space.count)
    if space.count > _MOST_MEMBERS:
        formatting.note(
            f"{space.count:,} members: the carrier contents among {_MOST_MEMBERS:,} of "
            "them, drawn at random"
        )
        indices = space.sample_indices(_MOST_MEMBERS, seed=0)
    found: dict[str, tuple[Mapping[str, Fraction], str | None]] = {}
    for index in indices:
        member = space[index]
        usual = PARENTS.get(member.family, (None, None))[0]
        contents = [
            str(member.amounts.get(element, 0)) for element in ("Li", "Na", "F")
        ]
        found.setdefault("-".join(contents), (member.amounts, usual))
    return list(found.values())
