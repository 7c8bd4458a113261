"""The files that the stand-in writes while it runs, as VASP does: step by step."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TextIO
from xml.sax.saxutils import escape

import numpy as np

from hts_battery.vasp_standin import VASP_MARK, VASP_VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Self

    from numpy.typing import NDArray

    from hts_battery.vasp_standin.potential import Response
    from hts_battery.vasp_standin.vasp_inputs import Inputs, Poscar, Value

_METAL_GAP_EV, _INSULATOR_GAP_EV = 0.0, 3.0


class Outputs:
    """OUTCAR, OSZICAR, vasprun.xml and CONTCAR of one run."""

    def __init__(
        self,
        folder: Path,
        inputs: Inputs,
        parameters: Mapping[str, Value],
        *,
        electrons: int,
        insulating: bool,
    ) -> None:
        self._folder = folder
        self._inputs = inputs
        self._electrons = electrons
        self._gap = _INSULATOR_GAP_EV if insulating else _METAL_GAP_EV
        self._spins = 2 if parameters["ISPIN"] == 2 else 1  # noqa: PLR2004 - VASP's
        self._bands = electrons // 2 + 6
        self._hubbard = bool(parameters["LDAU"])
        self._parameters = {**parameters, "NBANDS": self._bands}
        self._start = time.monotonic()
        self._last_energy = 0.0

    def __enter__(self) -> Self:
        self._outcar = self._open("OUTCAR")
        self._oszicar = self._open("OSZICAR")
        self._vasprun = self._open("vasprun.xml")
        self._vasprun.write(header(self._inputs, self._parameters))
        n_kpoints = len(kpoint_list(self._inputs))
        ibrion, nsw = self._parameters["IBRION"], self._parameters["NSW"]
        self._outcar.write(
            f" vasp.{VASP_VERSION} stand-in of hts_battery: no physics\n"
            " running on    1 total cores\n"
            f"   k-points           NKPTS = {n_kpoints:6d}"
            f"   number of bands    NBANDS= {self._bands:6d}\n"
            "   total plane-waves  NPLWV =   13824\n"
            f"   ISPIN  = {self._spins:6d}    spin polarized calculation?\n"
            f"   NSW    = {nsw:6d}    number of steps for IOM\n"
            f"   IBRION = {ibrion:6d}    ionic relax\n"
        )
        self._flush()
        return self

    def __exit__(self, *_: object) -> None:
        for file in (self._outcar, self._oszicar, self._vasprun):
            file.close()

    def ionic_step(
        self,
        number: int,
        cell: Poscar,
        *,
        state: Response,
        loops: int,
        moments: NDArray[np.float64],
        last: bool,
    ) -> None:
        """Write one ionic step, numbered from 1; the last one with bands."""
        energies = [state.energy + 0.5**loop for loop in range(1, loops)]
        energies.append(state.energy)
        self._write_oszicar(number, energies, float(np.sum(moments)))
        self._write_outcar(number, energies, float(np.sum(moments)))
        bands = self._band_text() if last else ""
        self._vasprun.write(
            ionic_step(
                cell, energies, forces=state.forces, stress=state.stress, bands=bands
            )
        )
        (self._folder / "CONTCAR").write_text(poscar_text(cell), encoding="utf-8")
        self._flush()

    def finish(self, cell: Poscar, moments: NDArray[np.float64], reason: str) -> None:
        """Write what VASP writes at its end, and close the XML."""
        if self._hubbard:
            self._outcar.write(_density_matrices(self._inputs, moments))
        tables = [_table("total charge", np.full(len(moments), 1.0))]
        if self._spins > 1:
            tables.append(_table("magnetization (x)", moments))
        seconds = time.monotonic() - self._start
        self._outcar.write("".join(tables) + f" {reason}\n" + _timing(seconds))
        self._vasprun.write(structure(cell, name="finalpos") + "\n")
        self._vasprun.write(END)
        self._write_densities(cell)
        self._flush()

    def _write_densities(self, cell: Poscar) -> None:
        """Write a tiny charge density, and a wave function where one is asked for."""
        if self._parameters["LCHARG"]:
            block = "\n   2   2   2\n" + " 1.0E+00" * 8 + "\n"
            text = poscar_text(cell) + block * self._spins
            (self._folder / "CHGCAR").write_text(text, encoding="utf-8")
        wave = "rehearsal\n" if self._parameters["LWAVE"] else ""
        (self._folder / "WAVECAR").write_text(wave, encoding="utf-8")

    def _write_oszicar(
        self, number: int, energies: Sequence[float], moment: float
    ) -> None:
        head = "       N       E                     dE             d eps       "
        lines = [f"{head}ncg     rms          rms(c)"]
        previous = 0.0
        for loop, energy in enumerate(energies, start=1):
            change = energy - previous
            lines.append(
                f"DAV: {loop:3d}   {energy: .12E}  {change: .5E}  {change: .5E}"
                f"   100   0.100E-01    0.100E-02"
            )
            previous = energy
        final, change = energies[-1], energies[-1] - self._last_energy
        self._last_energy = final
        spin = f"  mag= {moment:10.4f}" if self._spins > 1 else ""
        energy_words = f"F= {final:.8E} E0= {final:.8E}  d E ={change:.6E}"
        lines.append(f"{number:4d} {energy_words}{spin}")
        self._oszicar.write("\n".join(lines) + "\n")

    def _write_outcar(
        self, number: int, energies: Sequence[float], moment: float
    ) -> None:
        lines = []
        for loop in range(1, len(energies) + 1):
            lines.append(f"--- Iteration {number:6d}({loop:4d})  ---")
            lines.append("  entropy T*S    EENTRO =        -0.00000000")
        if len(energies) < int(str(self._parameters["NELM"])):
            lines.append(" aborting loop because EDIFF is reached")
        final, zero = energies[-1], "      0.000000"
        step = (time.monotonic() - self._start) / number
        lines += [
            f" E-fermi : {self._gap / 2:8.4f}     XC(G=0): -9.0000   alpha+bet : -8.0",
            "  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)",
            f"  free  energy   TOTEN  = {final:18.8f} eV",
            "",
            f"  energy  without entropy={final:18.8f}  energy(sigma->0) ={final:18.8f}",
            f"    total drift:                          {zero}{zero}{zero}",
            f" number of electron {self._electrons:13.7f} magnetization {moment:12.7f}",
            f"     LOOP+:  cpu time {step:9.4f}: real time {step:9.4f}",
        ]
        self._outcar.write("\n".join(lines) + "\n")

    def _band_text(self) -> str:
        return bands(
            electrons=self._electrons,
            n_bands=self._bands,
            spins=self._spins,
            n_kpoints=len(kpoint_list(self._inputs)),
            gap=self._gap,
        )

    def _open(self, name: str) -> TextIO:
        return (self._folder / name).open("w", encoding="utf-8")

    def _flush(self) -> None:
        for file in (self._outcar, self._oszicar, self._vasprun):
            file.flush()


def poscar_text(cell: Poscar) -> str:
    """Write a cell as a POSCAR in direct coordinates."""
    names = " ".join(symbol for symbol, _ in cell.types)
    counts = " ".join(str(count) for _, count in cell.types)
    vectors = "\n".join(" ".join(f"{x:20.14f}" for x in row) for row in cell.lattice)
    places = "\n".join(" ".join(f"{x:20.14f}" for x in row) for row in cell.fractional)
    return f"{cell.comment}\n1.0\n{vectors}\n{names}\n{counts}\nDirect\n{places}\n"


def _table(title: str, values: NDArray[np.float64]) -> str:
    """Lay out a table of OUTCAR with one line an ion."""
    rule = "-" * 47
    rows = "\n".join(
        f"{number:5d}    {0.0:8.3f}  {0.0:8.3f}  {value:8.3f}  {value:8.3f}"
        for number, value in enumerate(values, start=1)
    )
    total = float(np.sum(values))
    sums = f"tot      {0.0:8.3f}  {0.0:8.3f}  {total:8.3f}  {total:8.3f}"
    head = "# of ion       s       p       d       tot"
    return f"\n {title}\n\n{head}\n{rule}\n{rows}\n{rule}\n{sums}\n\n"


def _density_matrices(inputs: Inputs, moments: NDArray[np.float64]) -> str:
    """Write the occupations of the d shells of atoms with a Hubbard U."""
    with_u = inputs.incar.get("LDAUU", [])
    values = with_u if isinstance(with_u, list) else []
    counts = [count for _, count in inputs.cell.types]
    hubbard = np.repeat(values or [0.0] * len(counts), counts)
    blocks = []
    for number, (moment, value) in enumerate(zip(moments, hubbard, strict=True)):
        if value <= 0:
            continue
        up = np.eye(5) * (0.5 + moment / 10)
        down = np.eye(5) * (0.5 - moment / 10)
        blocks.append(
            f"\natom = {number + 1:3d}  type =   1  l =   2\n\n"
            " onsite density matrix\n\n"
            f"spin component  1\n\n{_matrix(up)}\n\n"
            f"spin component  2\n\n{_matrix(down)}\n\n"
            " occupancies and eigenvectors\n\n"
        )
    return "".join(blocks)


def _matrix(rows: NDArray[np.float64]) -> str:
    return "\n".join("  ".join(f"{value:8.4f}" for value in row) for row in rows)


def _timing(seconds: float) -> str:
    return (
        "\n General timing and accounting for this job:\n"
        f" {'=' * 56}\n\n"
        f"                  Total CPU time used (sec): {seconds:12.3f}\n"
        f"                            User time (sec): {seconds:12.3f}\n"
        "                          System time (sec):        0.000\n"
        f"                         Elapsed time (sec): {seconds:12.3f}\n\n"
        "                   Maximum memory used (kb):       10000.\n"
        "                   Average memory used (kb):          N/A\n"
    )


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
    """One ionic step with its self-consistency steps; energies in eV."""
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
    """Made-up flat bands and their density of states; no gap makes a metal."""
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
