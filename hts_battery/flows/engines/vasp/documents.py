"""What is kept of VASP's outputs, in which order of the atoms, and how large it is."""

from __future__ import annotations

import json
import struct
import zlib
from typing import TYPE_CHECKING

from monty.json import jsanitize
from pymatgen.core import Structure
from pymatgen.io.vasp import Incar, Oszicar, Outcar, Poscar

from hts_battery.flows.execution.evidence import CustodianLog, Evidence, Printed
from hts_battery.structures.inputs import MOMENT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from emmet.core.tasks import TaskDoc
    from emmet.core.vasp.calculation import Calculation

LARGEST_DOCUMENT_BYTES = 8_000_000
"""Half of what MongoDB takes; a document above it loses its details."""

_OUTCAR_KEPT = (
    "@module",
    "@class",
    "efermi",
    "run_stats",
    "magnetization",
    "charge",
    "total_magnetization",
    "nelect",
    "is_stopped",
    "drift",
)
_PRINTED = ("vasp.out", "std_err.txt")
_UNREADABLE = (
    *(OSError, EOFError, zlib.error, struct.error),
    *(LookupError, ValueError, TypeError, AttributeError, AssertionError),
)
"""What pymatgen raises for files that a kill cut off."""
_NUMBER = 8  # bytes of a number in the header of a WAVECAR
_LONGEST_RECORD = 2.0**40


def bare_structure(structure: Structure) -> Structure:
    """Return elements and positions, and of the site properties only the moments."""
    moments = structure.site_properties.get(MOMENT)
    return Structure(
        structure.lattice,
        [site.specie.symbol for site in structure],
        structure.frac_coords,
        site_properties={MOMENT: list(moments)} if moments else None,
    )


def site_order(structure: Structure) -> tuple[int, ...]:
    """
    Return the number in a structure of each atom of the POSCAR made of it.

    pymatgen sorts the atoms by electronegativity before it writes a POSCAR.

    Examples
    --------
    >>> from pymatgen.core import Lattice
    >>> places = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0, 0]]
    >>> site_order(Structure(Lattice.cubic(3), ["O", "Li", "O"], places))
    (1, 0, 2)
    """
    numbered = bare_structure(structure)
    numbered.add_site_property("number", list(range(len(structure))))
    ordered = numbered.get_sorted_structure().site_properties["number"]
    return tuple(int(number) for number in ordered)


def in_given_order(
    final: Structure | None, given: Structure, order: Sequence[int]
) -> Structure:
    """
    Put the atoms of VASP's files back into the order in which they were given.

    The moments of the final structure stay with their atoms; other site properties are
    those of the given one. ``order`` is the number in it of each final atom; ValueError
    if the atoms are not the same.
    """
    if final is None:
        raise ValueError("VASP left no structure")
    back = sorted(range(len(order)), key=lambda number: order[number])
    sites = [final[number] for number in back]
    names = [site.specie.symbol for site in sites]
    if names != [site.specie.symbol for site in given]:
        raise ValueError("VASP's files hold other atoms than the structure given")
    properties = {
        name: list(values)
        for name, values in given.site_properties.items()
        if name != MOMENT
    }
    if MOMENT in final.site_properties:
        properties[MOMENT] = [site.properties[MOMENT] for site in sites]
    places = [site.frac_coords for site in sites]
    return Structure(final.lattice, names, places, site_properties=properties)


def changed_moments(
    start: Structure, final: Structure, tolerance: float
) -> tuple[str, ...]:
    """
    Describe each site whose moment, in Bohr magnetons, is another than at the start.

    All moments reversed together are the same state. Empty where either has no moments.
    """
    first = start.site_properties.get(MOMENT)
    last = final.site_properties.get(MOMENT)
    if not first or not last:
        return ()
    sign = -1 if sum(a * b for a, b in zip(first, last, strict=True)) < 0 else 1
    return tuple(
        f"moment of site {number} ({site.specie.symbol}) {a:.2f} became {b:.2f}"
        for number, (site, a, b) in enumerate(zip(final, first, last, strict=True))
        if abs(a - sign * b) > tolerance
    )


def evidence_in(
    folder: Path, error: BaseException | None = None, problems: Sequence[str] = ()
) -> Evidence:
    """Collect what a run of VASP under custodian left in its folder."""
    found = [*problems]
    if error is not None:
        found += unconverged_loops(folder)
    log = CustodianLog.read(folder)
    names = (name + end for name in _PRINTED for end in ("", ".gz"))
    printed = Printed(folder / name for name in names)
    return Evidence(
        error=error,
        corrections=log.corrections,
        last_lines=printed.last,
        problems=tuple(found),
        printed=printed.lines,
        notes=(*printed.notes, *log.notes),
        is_custodians_end=error is not None and log.is_end,
    )


def unconverged_loops(folder: Path) -> tuple[str, ...]:
    """
    Say which of the two loops used up its steps, read from INCAR and OSZICAR.

    Whether a relaxation converged cannot be read from its number of steps alone where
    it was stopped early: that stands in custodian's log.
    """
    steps = electronic_and_ionic_steps(folder)
    if steps is None:
        return ()
    try:
        incar = Incar.from_file(folder / "INCAR")
        most, limit = int(incar.get("NELM", 60)), int(incar.get("NSW", 0))
    except _UNREADABLE:
        return ()
    electronic, ionic = steps
    found = []
    if electronic >= most:
        found.append(f"electronic loop not converged after {electronic} steps")
    if limit > 1 and ionic >= limit:
        found.append(f"ionic loop not converged after {ionic} steps")
    return tuple(found)


def electronic_and_ionic_steps(folder: Path) -> tuple[int, int] | None:
    """Count the steps of the last electronic loop and the ionic ones, if there are."""
    try:
        oszicar = Oszicar(folder / "OSZICAR")
        return len(oszicar.electronic_steps[-1]), len(oszicar.ionic_steps)
    except _UNREADABLE:
        return None


def last_structure(folder: Path, given: Structure) -> Structure | None:
    """
    Return the last geometry that a run wrote, in the order in which it was given.

    Moments are those at its end where OUTCAR has them, otherwise those at its start.
    None where no whole geometry was written.
    """
    order = site_order(given)
    try:
        final = Poscar.from_file(folder / "CONTCAR", check_for_potcar=False).structure
        found = in_given_order(final, given, order)
    except _UNREADABLE:
        return None
    moments = _final_moments(folder)
    if moments is not None and len(moments) == len(order):
        values = dict(zip(order, moments, strict=True))
        found.add_site_property(MOMENT, [values[n] for n in range(len(order))])
    elif MOMENT in given.site_properties:
        found.add_site_property(MOMENT, list(given.site_properties[MOMENT]))
    return found


def is_cut_off(wavecar: Path) -> bool:
    """
    Say whether wave functions end before their header says: VASP would stop on them.

    A file that is no WAVECAR of VASP is not cut off.
    """
    with wavecar.open("rb") as file:
        header = file.read(2 * _NUMBER)
        if len(header) < 2 * _NUMBER:
            return True
        length, spins = struct.unpack("2d", header)
        if not (length.is_integer() and 0 < length < _LONGEST_RECORD):
            return False
        file.seek(int(length))
        counts = file.read(2 * _NUMBER)
    if len(counts) < 2 * _NUMBER:
        return True
    kpoints, bands = struct.unpack("2d", counts)
    records = 2 + spins * kpoints * (1 + bands)
    return bool(wavecar.stat().st_size < length * records)


def _final_moments(folder: Path) -> list[float] | None:
    try:
        table = Outcar(folder / "OUTCAR").magnetization
    except _UNREADABLE:
        return None
    return [float(row["tot"]) for row in table] or None


def slim(document: TaskDoc) -> tuple[TaskDoc, tuple[str, ...]]:
    """
    Drop what makes documents large and nobody reads; return what was dropped.

    Onsite density matrices of a calculation with Hubbard U and the steps of custodian's
    earlier attempts grow with atoms times steps; MongoDB refuses documents of 16 MB.
    The last step of the last calculation stays: without it nobody can check whether
    that calculation may stand in a hull.
    """
    dropped: set[str] = set()
    calculations: list[Calculation] = []
    for calculation in document.calcs_reversed or ():
        if calculation.output is None:
            continue
        outcar = dict(calculation.output.outcar or {})
        dropped |= {
            f"outcar.{name}"
            for name, value in outcar.items()
            if name not in _OUTCAR_KEPT and value is not None
        }
        kept = {name: outcar[name] for name in _OUTCAR_KEPT if name in outcar}
        steps = calculation.output.ionic_steps or []
        last = [] if calculations else steps[-1:]
        if len(steps) > len(last):
            dropped.add("ionic_steps")
        changes = {"outcar": kept, "ionic_steps": last or None}
        output = calculation.output.model_copy(update=changes)
        calculations.append(calculation.model_copy(update={"output": output}))
    slimmer = document.model_copy(update={"calcs_reversed": calculations})
    if document_bytes(_without_objects(slimmer)) > LARGEST_DOCUMENT_BYTES:
        dropped.add("calcs_reversed")
        slimmer = slimmer.model_copy(update={"calcs_reversed": None})
    return slimmer, tuple(sorted(dropped))


def _without_objects(document: TaskDoc) -> TaskDoc:
    """Leave out what jobflow sends to the store of large objects."""
    return document.model_copy(update={"vasp_objects": None})


def document_bytes(document: object) -> int:
    """Size of a document as JSON, which is near its size in MongoDB."""
    plain = jsanitize(document, strict=True, enum_values=True, allow_bson=True)
    return len(json.dumps(plain, default=str))


def potential_titles(document: TaskDoc) -> tuple[str, ...]:
    """Return the titles of the POTCARs, as VASP wrote them."""
    given = document.input.potcar_spec if document.input else None
    return tuple(str(one.titel) for one in given or ())
