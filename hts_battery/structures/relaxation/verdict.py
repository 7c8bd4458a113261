"""What a relaxed cell is: its prototype, distorted, other valences, another phase."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment

from hts_battery.errors import OrderingError
from hts_battery.schemas.relaxed import (
    ChargeTransfer,
    RelaxationThresholds,
    RelaxedCell,
    Verdict,
)
from hts_battery.schemas.species import VACANCY, parse_species
from hts_battery.structures.descriptors import describe, topology
from hts_battery.structures.relaxation.contacts import (
    anion_pairs,
    cations_past_half_way,
    contacts_kept,
    coordination,
)
from hts_battery.structures.relaxation.parent_map import map_to_parent
from hts_battery.structures.site_labels import site_occupancies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from hts_battery.schemas.structure import OrderedCell
    from hts_battery.structures.relaxation.contacts import AnionPairs
    from hts_battery.structures.relaxation.parent_map import ParentMap
    from hts_battery.structures.site_labels import NasiconSites

_MOMENT_DECIMALS = 3
# Cost of giving an ion a species whose moment it does not show.
_MISFIT = 1.0


def moment_bounds(assigned: float, limits: RelaxationThresholds) -> tuple[float, float]:
    r"""
    Between which moments an ion is taken to be in the state that it was given.

    .. math:: m - \max(f m, \delta) \le |m_\mathrm{found}| \le m + g

    with m the spin-only moment. A calculation counts the spin inside a sphere round
    the ion, and covalency puts part of it on the anions, so what is missing grows
    with m; hardly anything can be too much.

    Parameters
    ----------
    assigned
        Spin-only moment in Bohr magnetons, unsigned.
    limits
        ``moment_lost_share`` f, ``moment_lost_least`` :math:`\delta` and
        ``moment_gained`` g.

    Returns
    -------
    tuple[float, float]
        Least and largest moment in Bohr magnetons.

    Examples
    --------
    >>> from hts_battery.schemas.relaxed import RelaxationThresholds
    >>> moment_bounds(5.0, RelaxationThresholds())
    (4.1, 5.4)
    >>> moment_bounds(1.0, RelaxationThresholds())
    (0.5, 1.4)
    """
    lost = max(limits.moment_lost_share * assigned, limits.moment_lost_least)
    return (
        round(max(assigned - lost, 0.0), _MOMENT_DECIMALS),
        round(assigned + limits.moment_gained, _MOMENT_DECIMALS),
    )


def charge_transfers(
    mapped: ParentMap,
    decoration: Sequence[str],
    moments: Sequence[float],
    limits: RelaxationThresholds,
) -> tuple[ChargeTransfer, ...]:
    """
    Find the ions whose final moment is not that of the species they were given.

    Signs are left out: a program may report magnitudes only, and a reversed ion has
    the same valence. The moment that was given is the one in the starting structure.
    """
    if len(moments) != len(mapped.relaxed):
        raise ValueError(
            f"{len(moments)} moments for {len(mapped.relaxed)} atoms: give one for "
            f"each, in the order of the relaxed structure"
        )
    given = mapped.start.site_properties["magmom"]
    found = []
    for atom, (site, assigned) in enumerate(zip(mapped.own, given, strict=True)):
        expected = abs(float(assigned))
        moment = abs(float(moments[mapped.matched[atom]]))
        least, largest = moment_bounds(expected, limits)
        if not least <= moment <= largest:
            found.append(
                ChargeTransfer(
                    site=int(site),
                    species=decoration[site],
                    moment_assigned=expected,
                    moment_found=round(moment, _MOMENT_DECIMALS),
                )
            )
    return tuple(found)


def states_exchanged(
    mapped: ParentMap, moments: Sequence[float], limits: RelaxationThresholds
) -> bool:
    """
    Whether ions of an element only exchanged the states that they were given.

    True if the states of each element can be dealt out to its ions in some order so
    that every moment fits: the cell then holds the valences that it was given, on
    other sites.
    """
    given = np.abs(np.array(mapped.start.site_properties["magmom"], dtype=float))
    found = np.abs(np.asarray(moments, dtype=float))[mapped.matched]
    elements = np.array([site.specie.symbol for site in mapped.start])
    for element in np.unique(elements):
        ions = np.flatnonzero(elements == element)
        bounds = np.array([moment_bounds(float(m), limits) for m in given[ions]])
        shown = found[ions][:, None]
        misfits = np.where(
            (bounds[:, 0] <= shown) & (shown <= bounds[:, 1]), 0, _MISFIT
        )
        rows, columns = linear_sum_assignment(misfits)
        if misfits[rows, columns].any():
            return False
    return True


_DECIMALS = 6


def compare_relaxed(
    ordered: OrderedCell,
    relaxed: Structure,
    *,
    moments: Sequence[float] | None = None,
    thresholds: RelaxationThresholds | None = None,
) -> RelaxedCell:
    """
    Say whether a relaxed structure is still the prototype it started on.

    Atoms are matched to the starting ones by their order, or, where a program sorted
    them, by element and distance; the rigid shift of all atoms is removed; the cell
    may have rotated. The questions: how far are atoms from their sites, in a lattice
    strained with the cell? How far is the cell from the starting shape? How many of
    the parent's nearest contacts survive, and how many neighbours do cations have? Is
    the network of NASICON still there? Two oxygen atoms at a bonding distance mean
    another chemistry, whatever the lattice does. Are ions in the states that they
    were given? The worst answer is the verdict: transformed, charge transfer,
    distorted, kept; the reasons name every threshold that was exceeded.

    Parameters
    ----------
    ordered
        The cell that was relaxed.
    relaxed
        The outcome, with the same atoms in the same supercell basis.
    moments
        Final moment of each relaxed atom in Bohr magnetons, in the order of the
        relaxed structure; signs do not matter. Without them nothing is said about
        charge transfer.
    thresholds
        Limits of the verdict; stored with it.

    Returns
    -------
    RelaxedCell
        Measures, verdict and reasons, site occupancies and descriptors.

    Raises
    ------
    OrderingError
        If the relaxed structure holds other atoms than the ordered cell.
    ValueError
        If there is not one moment for each atom.

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
    >>> found = compare_relaxed(ordered, ordered.to_structure())
    >>> str(found.verdict), found.site_occupancies
    ('kept', {'4a': {'Mg': 4}, '4b': {'O': 4}})
    """
    limits = thresholds or RelaxationThresholds()
    mapped = map_to_parent(ordered, relaxed)
    transfers, exchanged = None, None
    if moments is not None:
        transfers = charge_transfers(mapped, ordered.decoration, moments, limits)
        exchanged = states_exchanged(mapped, moments, limits) if transfers else None
    sites, lost = _topology(mapped)
    neighbours = coordination(mapped)
    measures = _measures(mapped, limits)
    measures["coordination_changed"] = neighbours.changed
    pairs = anion_pairs(relaxed, _anions(ordered, mapped), limits)
    measures["oxygen_contacts"] = pairs.bonds.get("O-O", 0)
    past_half_way = cations_past_half_way(mapped)
    measures["cations_past_half_way"] = past_half_way or 0
    verdict, reasons = _verdict(
        measures,
        ordered.minimum_distance,
        limits,
        network=lost,
        transfers=transfers or (),
        pairs=pairs,
    )
    if sites is None:
        occupancies = {} if lost else _parent_occupancies(ordered, mapped)
    else:
        occupancies = site_occupancies(sites, relaxed)
    return RelaxedCell.model_validate(
        {name: _rounded(value) for name, value in measures.items()}
        | {
            "ordering_id": ordered.ordering_id,
            "candidate_id": ordered.candidate_id,
            "verdict": verdict,
            "reasons": reasons,
            "site_map": mapped.site_map,
            "site_occupancies": occupancies,
            "relabelled_atoms": None if sites is None else _relabelled(mapped, sites),
            "coordination": neighbours.numbers,
            "anion_bonds": pairs.bonds,
            "anion_contacts": pairs.contacts,
            "cations_past_half_way": past_half_way,
            "charge_transfers": transfers,
            "states_exchanged": exchanged,
            "descriptors": describe(ordered, mapped, sites),
            "thresholds": limits,
        }
    )


def _measures(
    mapped: ParentMap, limits: RelaxationThresholds
) -> dict[str, float | int]:
    """Displacements, strains and contacts."""
    start, relaxed, lengths = mapped.start, mapped.relaxed, mapped.displacements
    return {
        "moved_atoms": int(np.sum(mapped.nearest != mapped.own)),
        "displacement_rms": float(np.sqrt(np.mean(lengths**2))),
        "displacement_max": float(lengths.max()),
        "off_lattice_max": float(mapped.off_lattice.max()),
        "volume_change": float(relaxed.volume / start.volume - 1),
        "shear_strain": shear_strain(start.lattice.matrix, relaxed.lattice.matrix),
        "contacts_kept": contacts_kept(mapped, stretch=limits.contact_stretch),
    }


def _anions(ordered: OrderedCell, mapped: ParentMap) -> list[bool]:
    """Whether each relaxed atom was given a negative charge."""
    charges = np.empty(len(mapped.own))
    charges[mapped.matched] = [
        parse_species(ordered.decoration[site]).charge for site in mapped.own
    ]
    return [bool(charge < 0) for charge in charges]


def _pair(name: str) -> str:
    return "oxygen-oxygen" if name == "O-O" else name


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


def _topology(mapped: ParentMap) -> tuple[NasiconSites | None, tuple[str, ...]]:
    """Sites of a NASICON cell by topology, or why its network is lost."""
    try:
        return topology(mapped), ()
    except OrderingError as err:
        return None, (str(err),)


def _parent_labels(mapped: ParentMap) -> list[str]:
    """Label of each parent site, with its sublattice where that is not the first."""
    cell = mapped.cell
    owners: dict[str, str] = {}
    for label, name in zip(cell.labels, cell.sublattices, strict=True):
        owners.setdefault(label, name)
    return [
        label if owners[label] == name else f"{name} {label}"
        for label, name in zip(cell.labels, cell.sublattices, strict=True)
    ]


def _parent_occupancies(
    ordered: OrderedCell, mapped: ParentMap
) -> dict[str, dict[str, int]]:
    """Elements and vacancies on each label of the parent; empty if not one to one."""
    decoration = mapped.decoration(ordered)
    if decoration is None:
        return {}
    counts: dict[str, dict[str, int]] = {}
    for label, species in zip(_parent_labels(mapped), decoration, strict=True):
        here = counts.setdefault(label, {})
        element = VACANCY if species == VACANCY else parse_species(species).element
        here[element] = here.get(element, 0) + 1
    return counts


def _relabelled(mapped: ParentMap, sites: NasiconSites) -> int:
    """Atoms whose label by topology is not that of the nearest parent site."""
    labels = _parent_labels(mapped)
    return sum(
        labels[site] != label
        for site, label in zip(mapped.site_map, sites.labels, strict=True)
    )


def _verdict(
    measures: dict[str, float | int],
    shortest: float,
    limits: RelaxationThresholds,
    *,
    network: tuple[str, ...],
    transfers: tuple[ChargeTransfer, ...],
    pairs: AnionPairs,
) -> tuple[Verdict, tuple[str, ...]]:
    """Compare the measures with the limits; the worst decides."""
    lost = 1 - measures["contacts_kept"]
    changed = measures["coordination_changed"]
    transformed = _exceeded(
        (
            "atom off the lattice",
            measures["off_lattice_max"] / shortest,
            limits.displacement_transformed,
        ),
        ("shear strain", measures["shear_strain"], limits.strain_transformed),
        ("volume change", abs(measures["volume_change"]), limits.volume_transformed),
        ("contacts lost", lost, 1 - limits.contacts_transformed),
        ("coordination changed", changed, limits.coordination_transformed),
        *((f"{_pair(name)} bonds", n, 0) for name, n in pairs.bonds.items()),
    )
    distorted = _exceeded(
        (
            "root mean square displacement",
            measures["displacement_rms"] / shortest,
            limits.displacement_kept,
        ),
        ("shear strain", measures["shear_strain"], limits.strain_kept),
        ("volume change", abs(measures["volume_change"]), limits.volume_kept),
        ("contacts lost", lost, 1 - limits.contacts_kept),
        ("coordination changed", changed, limits.coordination_kept),
        ("atoms on another site", measures["moved_atoms"], 0),
        (
            "cations past half way to another polyhedron",
            measures["cations_past_half_way"],
            0,
        ),
        *(
            (f"{_pair(name)} contacts", n, 0)
            for name, n in pairs.contacts.items()
            if name not in pairs.bonds
        ),
    )
    severities = (
        (Verdict.TRANSFORMED, (*transformed.values(), *network)),
        (Verdict.CHARGE_TRANSFER, _transfer_reasons(transfers)),
        (
            Verdict.DISTORTED,
            # What is already too much for the lattice is not said a second time.
            tuple(v for name, v in distorted.items() if name not in transformed),
        ),
    )
    reasons = tuple(reason for _, found in severities for reason in found)
    worst = next((verdict for verdict, found in severities if found), Verdict.KEPT)
    return worst, reasons


def _exceeded(*checks: tuple[str, float, float]) -> dict[str, str]:
    """Reason of each measure that is above its limit."""
    return {
        name: f"{name}: {value:.3g} above {limit:.3g}"
        for name, value, limit in checks
        if value > limit
    }


def _transfer_reasons(transfers: tuple[ChargeTransfer, ...]) -> tuple[str, ...]:
    """One sentence for each species that is not in its state, with the moments."""
    counts = Counter((t.species, t.moment_assigned) for t in transfers)
    return tuple(
        f"{number} {species} with moment "
        + ", ".join(f"{t.moment_found:.2f}" for t in transfers if t.species == species)
        + f" instead of {assigned:g}"
        for (species, assigned), number in sorted(counts.items())
    )


def _rounded(value: float) -> float:
    return round(value, _DECIMALS) if isinstance(value, float) else value
