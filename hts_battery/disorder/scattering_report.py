"""Files and figures of what a cell scatters, with its contrast said first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pydantic import Field

from hts_battery.disorder.cells import cation_sites, site_symbols
from hts_battery.disorder.figures import draw_plane, draw_refinement
from hts_battery.disorder.refinement import read_gr, refine, write_gr
from hts_battery.disorder.scattering import diffuse_scattering, pair_distribution
from hts_battery.disorder.scattering_powers import RADIATIONS, scattering_power
from hts_battery.schemas.base import Document

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from hts_battery.disorder.refinement import Refinement

_STEP = 0.02  # angstrom


class ElementContrast(NamedTuple):
    """How much of a cell an element is, and how strongly it scatters."""

    element: str
    share: float
    """Of all atoms."""
    power: float
    """In the unit of the radiation."""


class Wanted(NamedTuple):
    """What is asked of a cell."""

    pdf: bool
    """Whether G(r) is computed and written, named after the cell."""
    data: Path | None
    """File of a measured G(r)."""
    plane: str | None
    """Plane of reciprocal space."""
    radiation: str
    longest: float
    """Of G(r), in angstrom."""
    displacement: float
    """U in angstrom squared."""
    folder: Path
    """Where G(r) and figures go."""
    title: str
    """Name of the cell, for figures and files."""


class ScatteringReport(Document):
    """What was computed and written."""

    mean_power: float = Field(description="Mean scattering power of the atoms.")
    files: tuple[str, ...] = Field(description="Files written.")
    sentences: tuple[str, ...] = Field(description="What a person should know.")
    refined: dict[str, tuple[float, float]] | None = Field(
        description="Refined parameters, each with its standard error."
    )
    residual: float | None = Field(description="R_w of the refinement.")
    laue: float | None = Field(
        description="Laue unit of the plane, in squares of the scattering power."
    )


def contrast(structure: Structure, radiation: str) -> tuple[ElementContrast, ...]:
    """List the elements of a cell with their scattering power, the weakest first."""
    symbols, counts = np.unique(site_symbols(structure), return_counts=True)
    found = [
        ElementContrast(str(e), float(n) / len(structure), _power(str(e), radiation))
        for e, n in zip(symbols, counts, strict=True)
    ]
    return tuple(sorted(found, key=lambda one: one.power))


def contrast_sentence(found: tuple[ElementContrast, ...], radiation: str) -> str:
    """Say what the contrast means for the peaks."""
    unit = RADIATIONS[radiation]
    mean = sum(one.share * one.power for one in found)
    negative = [one.element for one in found if one.power < 0]
    text = f"mean scattering power {mean:.3f} {unit}"
    if negative:
        text += (
            f"; {', '.join(negative)} scatter with the other sign: their peaks with "
            "the others point down"
        )
    return text


def mixing_sentences(structure: Structure, radiation: str) -> tuple[str, ...]:
    """Say the mean and the contrast of each sublattice that holds several elements."""
    symbols, cations = site_symbols(structure), cation_sites(structure)
    unit = RADIATIONS[radiation]
    found = []
    for name, sites in (("cations", cations), ("anions", ~cations)):
        elements, counts = np.unique(symbols[sites], return_counts=True)
        if len(elements) > 1:
            powers = np.array([_power(str(e), radiation) for e in elements])
            mean = float(np.average(powers, weights=counts))
            spread = float(np.average((powers - mean) ** 2, weights=counts))
            found.append(
                f"{name} {', '.join(elements)}: mean {mean:.3f} {unit}, contrast (mean "
                f"square about it) {spread:.4g} {unit}^2"
            )
    return tuple(found)


def write_scattering(structure: Structure, wanted: Wanted) -> ScatteringReport:
    """Compute what is wanted, write its files, and report."""
    wanted.folder.mkdir(parents=True, exist_ok=True)
    files: list[str] = []
    sentences: list[str] = []
    r = np.arange(_STEP, wanted.longest + _STEP / 2, _STEP)
    mean = sum(one.share * one.power for one in contrast(structure, wanted.radiation))
    if wanted.pdf:
        curve = pair_distribution(
            structure, r, radiation=wanted.radiation, displacement=wanted.displacement
        )
        title = f"{wanted.title}, {wanted.radiation}, U {wanted.displacement:g} A^2"
        file = wanted.folder / f"{Path(wanted.title).stem}.gr"
        write_gr(file, curve.distances, curve.values, title=title)
        files.append(str(file))
        sentences.append(f"G(r) up to {wanted.longest:g} angstrom: {file}")
    refined = None
    if wanted.data is not None:
        refined = refine(
            structure,
            read_gr(wanted.data),
            radiation=wanted.radiation,
            displacement=wanted.displacement,
        )
        picture = wanted.folder / f"{wanted.data.stem}_refined.png"
        draw_refinement(refined, picture, wanted.title)
        files.append(str(picture))
        sentences += _refinement_sentences(refined, picture)
    laue = None
    if wanted.plane is not None:
        picture = wanted.folder / f"{Path(wanted.title).stem}_{wanted.plane}.png"
        found = diffuse_scattering(structure, wanted.plane, radiation=wanted.radiation)
        laue = float(np.mean(found.laue))
        draw_plane(found, wanted.plane, picture, wanted.title)
        files.append(str(picture))
        sentences.append(
            f"diffuse {wanted.plane}, 1 is a random alloy of the same elements "
            f"(Laue unit {laue:.4g} {RADIATIONS[wanted.radiation]}^2): {picture}"
        )
    return ScatteringReport(
        mean_power=mean,
        files=tuple(files),
        sentences=tuple(sentences),
        refined=None if refined is None else _parameters(refined),
        residual=None if refined is None else refined.residual,
        laue=laue,
    )


def _power(element: str, radiation: str) -> float:
    return float(scattering_power(element, radiation))


def _parameters(refined: Refinement) -> dict[str, tuple[float, float]]:
    """Name the refined parameters."""
    values = (refined.scale, refined.cell, refined.displacement, refined.damping)
    names = ("scale", "cell", "displacement", "damping")
    return dict(
        zip(names, zip(values, refined.standard_errors, strict=True), strict=True)
    )


def _refinement_sentences(refined: Refinement, picture: Path) -> list[str]:
    """Say what was refined, with errors."""
    units = {
        "scale": "",
        "cell": "of the given",
        "displacement": "A^2",
        "damping": "1/A",
    }
    listed = "; ".join(
        f"{name} {value:.5g} ± {error:.2g} {units[name]}".strip()
        for name, (value, error) in _parameters(refined).items()
    )
    return [
        f"refined: {listed}",
        f"R_w {refined.residual:.4f}; errors take the residuals as noise: {picture}",
    ]
