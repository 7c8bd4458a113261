"""The pieces of vasprun.xml, as pymatgen reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import numpy as np

from hts_battery.vasp_standin import VASP_MARK, VASP_VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from hts_battery.vasp_standin.vasp_inputs import Inputs, Poscar, Value

EV_PER_CUBIC_ANGSTROM_IN_KBAR = 1602.1766
END = "</modeling>\n"


def header(inputs: Inputs, parameters: Mapping[str, Value]) -> str:
    """Everything before the first ionic step."""
    generator = {"program": "vasp", "version": VASP_VERSION, "subversion": VASP_MARK}
    return "\n".join(
        [
            '<?xml version="1.0" encoding="ISO-8859-1"?>',
            "<modeling>",
            f"<generator>\n{_items(generator)}\n</generator>",
            f"<incar>\n{_items(inputs.incar)}\n</incar>",
            _kpoints(inputs),
            '<parameters><separator name="general">',
            _items(parameters),
            "</separator></parameters>",
            _atoms(inputs),
            structure(inputs.cell, name="initialpos"),
            "",
        ]
    )


def structure(cell: Poscar, *, name: str | None = None) -> str:
    """One structure."""
    tag = f'<structure name="{name}">' if name else "<structure>"
    reciprocal = np.asarray(np.linalg.inv(cell.lattice).T, dtype=np.float64)
    return "\n".join(
        [
            tag,
            "<crystal>",
            varray("basis", cell.lattice),
            f'<i name="volume">{cell.volume:.8f}</i>',
            varray("rec_basis", reciprocal),
            "</crystal>",
            varray("positions", cell.fractional),
            "</structure>",
        ]
    )


def varray(name: str, rows: NDArray[np.float64]) -> str:
    """Rows of numbers under a name."""
    lines = "\n".join(f"<v>{_row(row)}</v>" for row in rows)
    return f'<varray name="{name}">\n{lines}\n</varray>'


def energy(value: float) -> str:
    """One energy in eV; there is no electronic entropy here."""
    names = ("e_fr_energy", "e_wo_entrp", "e_0_energy")
    items = "".join(f'<i name="{name}">{value:.8f}</i>' for name in names)
    return f"<energy>{items}</energy>"


def ionic_step(
    cell: Poscar,
    energies: Sequence[float],
    *,
    forces: NDArray[np.float64],
    stress: NDArray[np.float64],
    bands: str = "",
) -> str:
    """
    One ionic step with its self-consistency steps.

    Parameters
    ----------
    cell
        The atoms.
    energies
        Energy after each self-consistency step, the last one final, in eV.
    forces
        In eV/angstrom.
    stress
        In eV/angstrom^3, positive where the cell wants to shrink.
    bands
        Eigenvalues and density of states; VASP writes them in the last step.
    """
    loops = "\n".join(f"<scstep>{energy(value)}</scstep>" for value in energies)
    pressure = -stress * EV_PER_CUBIC_ANGSTROM_IN_KBAR
    return "\n".join(
        [
            "<calculation>",
            loops,
            structure(cell),
            varray("forces", forces),
            varray("stress", pressure),
            energy(energies[-1]),
            bands,
            "</calculation>",
            "",
        ]
    )


def bands(
    *, electrons: int, n_bands: int, spins: int, n_kpoints: int, gap: float
) -> str:
    """
    Made-up flat bands and their density of states.

    Parameters
    ----------
    electrons
        Number of valence electrons.
    n_bands
        Bands at every k-point.
    spins
        1 or 2.
    n_kpoints
        Number of k-points.
    gap
        In eV; zero makes a metal.
    """
    filled = electrons // 2
    levels = []
    for k in range(n_kpoints):
        shift = 0.1 * k if gap else 0.8 * k
        below = [-0.3 * (filled - b) - shift * bool(gap) for b in range(filled)]
        above = [gap + 0.3 * (b + 1) + shift for b in range(n_bands - filled)]
        occupied = [1.0] * filled + [0.0] * (n_bands - filled)
        crossing = below + above
        if not gap:
            crossing = [level + shift - 0.4 for level in crossing]
            occupied = [1.0 if level < 0 else 0.0 for level in crossing]
        rows = "".join(
            f"<r>{e:.4f} {f:.4f}</r>" for e, f in zip(crossing, occupied, strict=True)
        )
        levels.append(f'<set comment="kpoint {k + 1}">{rows}</set>')
    per_spin = "".join(
        f'<set comment="spin {s + 1}">{"".join(levels)}</set>' for s in range(spins)
    )
    fields = "<field>eigene</field><field>occ</field>"
    eigenvalues = (
        f"<eigenvalues><array>{_dimensions('band', 'kpoint', 'spin')}"
        f"{fields}<set>{per_spin}</set></array></eigenvalues>"
    )
    return f"{eigenvalues}\n{_density_of_states(electrons, spins, gap)}"


def _density_of_states(electrons: int, spins: int, gap: float) -> str:
    levels = np.linspace(-10.0, 10.0, 41)
    density = np.where((levels < 0) | (levels > gap), 1.0, 0.0)
    integral = np.minimum(np.cumsum(density) * 0.5, electrons)
    rows = "".join(
        f"<r>{_row(row)}</r>" for row in np.stack((levels, density, integral), axis=1)
    )
    per_spin = "".join(
        f'<set comment="spin {s + 1}">{rows}</set>' for s in range(spins)
    )
    fields = "<field>energy</field><field>total</field><field>integrated</field>"
    return (
        f'<dos><i name="efermi">{gap / 2:.4f}</i><total><array>'
        f"{_dimensions('gridpoints', 'spin')}{fields}"
        f"<set>{per_spin}</set></array></total></dos>"
    )


def kpoint_list(inputs: Inputs) -> NDArray[np.float64]:
    """Up to four points of the grid, equally weighted: enough to be read."""
    axes = [np.arange(n) / n for n in inputs.grid]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.asarray(points[:: max(1, -(-len(points) // 4))])


def _kpoints(inputs: Inputs) -> str:
    points = kpoint_list(inputs)
    weights = np.full((len(points), 1), 1 / len(points))
    divisions = " ".join(str(n) for n in inputs.grid)
    return "\n".join(
        [
            f'<kpoints><generation param="{inputs.grid_style}">',
            f'<v type="int" name="divisions">{divisions}</v>',
            '<v name="usershift">0.0 0.0 0.0</v></generation>',
            varray("kpointlist", points),
            varray("weights", weights),
            "</kpoints>",
        ]
    )


def _atoms(inputs: Inputs) -> str:
    types = inputs.cell.types
    atoms = "".join(
        f"<rc><c>{symbol:2s}</c><c>{number}</c></rc>"
        for number, (symbol, count) in enumerate(types, start=1)
        for _ in range(count)
    )
    kinds = "".join(
        f"<rc><c>{count}</c><c>{symbol:2s}</c><c>10.0</c><c>4.0</c>"
        f"<c>{escape(title)}</c></rc>"
        for (symbol, count), title in zip(types, inputs.titles, strict=True)
    )
    return (
        f"<atominfo><atoms>{len(inputs.cell.symbols)}</atoms>"
        f"<types>{len(types)}</types>"
        f'<array name="atoms">{_dimensions("ion")}<set>{atoms}</set></array>'
        f'<array name="atomtypes">{_dimensions("type")}<set>{kinds}</set></array>'
        "</atominfo>"
    )


def _dimensions(*names: str) -> str:
    return "".join(
        f'<dimension dim="{number}">{name}</dimension>'
        for number, name in enumerate(names, start=1)
    )


def _items(values: Mapping[str, Value]) -> str:
    return "\n".join(_item(name, value) for name, value in values.items())


def _item(name: str, value: Value) -> str:
    """One tag with its type, as VASP writes it."""
    if isinstance(value, bool):
        return f'<i type="logical" name="{name}">{"T" if value else "F"}</i>'
    if isinstance(value, int):
        return f'<i type="int" name="{name}">{value}</i>'
    if isinstance(value, float):
        return f'<i name="{name}">{value:.8f}</i>'
    if isinstance(value, list):
        return f'<v name="{name}">{_row(value)}</v>'
    return f'<i type="string" name="{name}">{escape(value)}</i>'


def _row(values: Sequence[float] | NDArray[np.float64]) -> str:
    return " ".join(f"{value:.8f}" for value in values)
