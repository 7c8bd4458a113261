"""What a relaxed cell is: still its prototype, distorted, or another phase."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from hts_battery.errors import OrderingError
from hts_battery.schemas.relaxed import RelaxationThresholds, RelaxedCell, Verdict
from hts_battery.structures.cells import build_cell
from hts_battery.structures.prototypes import load_prototype

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from hts_battery.schemas.structure import OrderedCell

# A contact as long as the shortest of its kind, to this fraction, is a nearest one.
_FIRST_SHELL = 1.25
_DECIMALS = 6


class _Displacements(NamedTuple):
    """Relaxed atoms against the parent's sites, in the relaxed lattice."""

    own: NDArray[np.float64]
    """Vector of each atom from its own site, angstrom."""
    nearest: NDArray[np.intp]
    """Parent site nearest to each atom."""
    distances: NDArray[np.float64]
    """Distance of each atom from that site, angstrom."""


def compare_relaxed(
    ordered: OrderedCell,
    relaxed: Structure,
    *,
    thresholds: RelaxationThresholds | None = None,
) -> RelaxedCell:
    """
    Judge whether a relaxed structure is still the prototype it started on.

    Atoms are matched to the starting ones by their order, or, where a program sorted
    them, by element and distance; the rigid shift of all atoms is removed; the cell
    may have rotated. Three questions follow. How far are atoms from their sites, in a
    lattice strained with the cell? How far is the cell from the starting shape? How
    many of the parent's nearest contacts survive? Two oxygen atoms at a bonding
    distance mean another chemistry, whatever the lattice does.

    Parameters
    ----------
    ordered
        The cell that was relaxed.
    relaxed
        The outcome, with the same atoms in the same supercell basis.
    thresholds
        Limits of the verdict; stored with it.

    Returns
    -------
    RelaxedCell
        Measures, verdict and reasons.

    Raises
    ------
    OrderingError
        If the relaxed structure holds other atoms than the ordered cell.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from hts_battery.schemas.candidate import Candidate
    >>> from hts_battery.structures import order_candidate
    >>> two = Fraction(2)
    >>> magnesia = Candidate("hedrx", {"Mg": two, "O": two},
    ...     sites={"cation": two, "anion": two},
    ...     assignments=({"cation": {"Mg2+": two}, "anion": {"O2-": two}},))
    >>> ordered = order_candidate(magnesia, atoms=8)
    >>> str(compare_relaxed(ordered, ordered.to_structure()).verdict)
    'kept'
    """
    limits = thresholds or RelaxationThresholds()
    start = ordered.to_structure()
    matched = _matched(start, relaxed)
    moves = _displacements(ordered, start, relaxed, matched)
    own_sites = np.array(start.site_properties["parent_site"])
    lengths = np.linalg.norm(moves.own, axis=1)
    volume_change = relaxed.volume / start.volume - 1
    measures = {
        "moved_atoms": int(np.sum(moves.nearest != own_sites)),
        "displacement_rms": float(np.sqrt(np.mean(lengths**2))),
        "displacement_max": float(lengths.max()),
        "off_lattice_max": float(moves.distances.max()),
        "volume_change": float(volume_change),
        "shear_strain": shear_strain(start.lattice.matrix, relaxed.lattice.matrix),
        "contacts_kept": _contacts_kept(
            ordered, start, relaxed, matched, stretch=limits.contact_stretch
        ),
        "oxygen_contacts": oxygen_contacts(relaxed, cutoff=limits.oxygen_contact),
    }
    verdict, reasons = _verdict(measures, ordered.minimum_distance, limits)
    # One entry per atom in the order of the relaxed structure.
    nearest = np.empty_like(moves.nearest)
    nearest[matched] = moves.nearest
    return RelaxedCell.model_validate(
        {name: _rounded(value) for name, value in measures.items()}
        | {
            "ordering_id": ordered.ordering_id,
            "candidate_id": ordered.candidate_id,
            "verdict": verdict,
            "reasons": reasons,
            "site_map": tuple(int(site) for site in nearest),
            "thresholds": limits,
        }
    )


def shear_strain(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    r"""
    Von Mises strain between two cells, rotation and volume change removed.

    With the deformation :math:`F`, its stretch :math:`U = (F^T F)^{1/2}` and
    :math:`e = U / (\det U)^{1/3} - 1`, the strain is
    :math:`(\tfrac23\, e_{ij} e_{ij})^{1/2}` of the deviatoric part of e.

    Parameters
    ----------
    before, after
        Lattice vectors, one a row, in the same basis.

    Returns
    -------
    float
        Dimensionless; 0 for cells of the same shape.

    Examples
    --------
    >>> shear_strain(np.eye(3), 1.1 * np.eye(3))
    0.0
    >>> round(shear_strain(np.eye(3), np.diag([1.05, 1.0, 1.0])), 3)
    0.033
    """
    deformation = np.linalg.solve(before, after)
    _, stretches, _ = np.linalg.svd(deformation)
    strains = stretches / np.prod(stretches) ** (1 / 3) - 1
    strains -= strains.mean()
    return float(np.round(np.sqrt(2 / 3 * np.sum(strains**2)), 12))


def oxygen_contacts(structure: Structure, *, cutoff: float) -> int:
    """
    Count pairs of oxygen atoms closer than a cut-off in angstrom.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> molecule = Structure(Lattice.cubic(10), ["O", "O"], [[0, 0, 0], [0.12, 0, 0]])
    >>> oxygen_contacts(molecule, cutoff=1.6)
    1
    """
    oxygen = np.array([site.specie.symbol == "O" for site in structure])
    first, second, _, _ = structure.get_neighbor_list(cutoff)
    return int(np.sum(oxygen[first] & oxygen[second])) // 2


def _matched(start: Structure, relaxed: Structure) -> NDArray[np.intp]:
    """For each starting atom the index of the relaxed atom that it became."""
    before = [site.specie.symbol for site in start]
    after = [site.specie.symbol for site in relaxed]
    if sorted(before) != sorted(after):
        raise OrderingError(
            f"the relaxed structure holds {relaxed.composition.formula}, the ordered "
            f"cell {start.composition.formula}: not the same atoms"
        )
    if before == after:
        return np.arange(len(before))
    distances = relaxed.lattice.get_all_distances(
        start.frac_coords, relaxed.frac_coords
    )
    other = np.array(before)[:, None] != np.array(after)[None, :]
    # An assignment across elements must cost more than any within.
    distances[other] = 10 * distances.max() * len(before)
    return np.asarray(linear_sum_assignment(distances)[1])


def _fractional_moves(
    start: Structure, relaxed: Structure, matched: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Fractional displacement of each starting atom, the common shift removed."""
    moves = relaxed.frac_coords[matched] - start.frac_coords
    # Relative to one atom first, so that a common shift near half a cell does not
    # wrap some atoms and not others.
    moves -= moves[0]
    moves -= np.round(moves)
    moves -= np.median(moves, axis=0)
    moves -= np.round(moves)
    return np.asarray(moves - moves.mean(axis=0))


def _displacements(
    ordered: OrderedCell,
    start: Structure,
    relaxed: Structure,
    matched: NDArray[np.intp],
) -> _Displacements:
    moves = _fractional_moves(start, relaxed, matched)
    sites = build_cell(ordered.prototype, ordered.supercell).coordinates
    distances = relaxed.lattice.get_all_distances(start.frac_coords + moves, sites)
    nearest = distances.argmin(axis=1)
    return _Displacements(
        moves @ relaxed.lattice.matrix,
        np.asarray(nearest),
        distances[np.arange(len(nearest)), nearest],
    )


def _contacts_kept(
    ordered: OrderedCell,
    start: Structure,
    relaxed: Structure,
    matched: NDArray[np.intp],
    *,
    stretch: float,
) -> float:
    """Share of the parent's nearest contacts that are not stretched too far."""
    names = np.array(start.site_properties["sublattice"])
    moves = _fractional_moves(start, relaxed, matched)
    # Scaled to the starting volume, so that swelling alone breaks nothing.
    lattice = relaxed.lattice.matrix * (start.volume / relaxed.volume) ** (1 / 3)
    kept = total = 0
    for first, second in load_prototype(ordered.prototype).bonds:
        reach = _first_shell(start, names, first, second)
        i, j, images, lengths = start.get_neighbor_list(reach)
        bonded = (names[i] == first) & (names[j] == second)
        i, j, images, lengths = i[bonded], j[bonded], images[bonded], lengths[bonded]
        vectors = (
            start.frac_coords[j] + moves[j] + images - start.frac_coords[i] - moves[i]
        )
        kept += int(
            np.sum(np.linalg.norm(vectors @ lattice, axis=1) < stretch * lengths)
        )
        total += len(lengths)
    return kept / total if total else 1.0


def _first_shell(
    start: Structure, names: NDArray[np.str_], first: str, second: str
) -> float:
    """Length up to which a contact between two sublattices is a nearest one."""
    distances = start.distance_matrix[names == first][:, names == second]
    return float(distances[distances > 0].min()) * _FIRST_SHELL


def _verdict(
    measures: dict[str, float | int],
    shortest: float,
    limits: RelaxationThresholds,
) -> tuple[Verdict, tuple[str, ...]]:
    """Compare the measures with the limits; the worst decides."""
    off_lattice = measures["off_lattice_max"] / shortest
    displacement = measures["displacement_rms"] / shortest
    transformed = _exceeded(
        ("atom off the lattice", off_lattice, limits.displacement_transformed),
        ("shear strain", measures["shear_strain"], limits.strain_transformed),
        ("volume change", abs(measures["volume_change"]), limits.volume_transformed),
        (
            "contacts lost",
            1 - measures["contacts_kept"],
            1 - limits.contacts_transformed,
        ),
        ("oxygen-oxygen contacts", measures["oxygen_contacts"], 0),
    )
    if transformed:
        return Verdict.TRANSFORMED, transformed
    distorted = _exceeded(
        ("root mean square displacement", displacement, limits.displacement_kept),
        ("shear strain", measures["shear_strain"], limits.strain_kept),
        ("contacts lost", 1 - measures["contacts_kept"], 1 - limits.contacts_kept),
        ("atoms on another site", measures["moved_atoms"], 0),
    )
    return (Verdict.DISTORTED if distorted else Verdict.KEPT), distorted


def _exceeded(*checks: tuple[str, float, float]) -> tuple[str, ...]:
    return tuple(
        f"{name}: {value:.3g} above {limit:.3g}"
        for name, value, limit in checks
        if value > limit
    )


def _rounded(value: float) -> float:
    return round(value, _DECIMALS) if isinstance(value, float) else value
