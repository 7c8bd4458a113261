"""
Energy of a hop: the activated state held in place, or a climbing band of images.

The band is ASE's, with improved tangents (10.1063/1.1323224), a climbing image
(10.1063/1.1329672) and the image dependent pair potential for its start
(10.1063/1.4878664). What a symmetry of the crystal that swaps the two ends makes equal
is computed once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.constraints import FixedPlane, FixSubsetCom
from ase.mep import NEB
from ase.mep.neb import idpp_interpolate
from ase.optimize import BFGS, FIRE
from pymatgen.io.ase import AseAtomsAdaptor

from hts_battery.errors import HopError
from hts_battery.schemas.barrier import Barrier, BarrierOptions
from hts_battery.structures.neighbours import minimum_image_vectors, nearest_image
from hts_battery.transport.hops import symmetry_operations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ase import Atoms
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from hts_battery.transport.hops import Hop, Move

    Floats = NDArray[np.float64]

_SLID = 0.5  # of the hop: an end that is further from its site is another place
_SAME_PLACE = 0.05  # Å
_MIRRORED = 1e-3  # Å
_NUDGE = 0.01  # Å
_IDPP_FMAX, _IDPP_STEPS = 0.1, 100


def hop_start(structure: Structure, hop: Hop) -> tuple[Structure, tuple[Move, ...]]:
    """Make room for a hop: the cell with its vacancy, and the moves counted anew."""
    if hop.vacancy is None:
        return structure.copy(), hop.moves
    left = structure.copy()
    left.remove_sites([hop.vacancy])
    moves = tuple(
        move._replace(atom=move.atom - (move.atom > hop.vacancy)) for move in hop.moves
    )
    return left, moves


def hop_barrier(
    start: Atoms | Structure,
    moves: Sequence[Move],
    calculator: Calculator,
    *,
    name: str,
    options: BarrierOptions | None = None,
) -> Barrier:
    """
    Compute the energy of a hop in a cell that is kept.

    Parameters
    ----------
    start
        The cell before the hop; where a vacancy made it possible, still with the
        places of the perfect crystal: its symmetry then saves half of the work.
    moves
        Ions that move, each with its ways in Å.
    calculator
        ASE calculator of energies (eV) and forces (eV/Å).
    name
        Of the calculator with its version, for the document.
    options
        Tier, images, convergence.

    Raises
    ------
    HopError
        No move, an atom that there is not, an ion that stays, or a concerted hop whose
        activated state is asked for.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase.calculators.emt import EMT
    >>> from hts_battery.transport.hops import Move
    >>> copper = bulk("Cu", a=3.6, cubic=True) * (2, 2, 2)
    >>> way = copper.positions[0] - copper.positions[1]
    >>> del copper[0]
    >>> moves = [Move(0, way / 2, way)]
    >>> held = BarrierOptions(tier="activated state")
    >>> found = hop_barrier(copper, moves, EMT(), name="EMT", options=held)
    >>> found.verdict, 0.6 < found.forward < 0.9
    ('converged', True)
    """
    from ase import Atoms  # noqa: PLC0415 - told from a structure

    atoms = start if isinstance(start, Atoms) else AseAtomsAdaptor.get_atoms(start)
    bare = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
    for key in ("initial_charges", "initial_magmoms"):
        if key in atoms.arrays:
            bare.set_array(key, atoms.arrays[key])
    options = options or BarrierOptions()
    _check(bare, moves, options)
    return _Search(bare, moves, calculator, name, options).barrier()


def _check(atoms: Atoms, moves: Sequence[Move], options: BarrierOptions) -> None:
    """Refuse what is no hop."""
    if not moves:
        raise HopError("a hop without a move")
    for move in moves:
        if not 0 <= move.atom < len(atoms):
            raise HopError(f"atom {move.atom} of {len(atoms)}: there is none")
        if np.linalg.norm(move.end) < _SAME_PLACE:
            raise HopError(f"atom {move.atom} stays where it is: no hop")
    if len(moves) > 1 and options.tier == "activated state":
        raise HopError(
            "ions that move together have no single narrowest place to be held at: "
            "use the climbing band"
        )


class _Image(Calculator):
    """
    Asks another calculator, remembers the answer and counts.

    An image that stands where a mirror puts its partner takes the partner's answer.
    """

    implemented_properties = ("energy", "free_energy", "forces")  # type: ignore[assignment] # ASE says list

    def __init__(self, inner: Calculator, calls: list[int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # ASE is not typed
        self.inner, self.calls = inner, calls
        self.partner: tuple[Atoms, Mirror] | None = None

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Compute energy and forces."""
        super().calculate(  # type: ignore[no-untyped-call] # as above
            atoms, properties, system_changes
        )
        current: Atoms = self.atoms  # type: ignore[assignment] # set above
        energy, forces = self._reflected(current) or self._computed(current)
        self.results = {"energy": energy, "free_energy": energy, "forces": forces}

    def _computed(self, atoms: Atoms) -> tuple[float, Floats]:
        self.calls.append(1)
        forces = np.asarray(self.inner.get_forces(atoms))
        return float(self.inner.get_potential_energy(atoms)), forces

    def _reflected(self, atoms: Atoms) -> tuple[float, Floats] | None:
        """Return the partner's answer; none where this is not its mirror image."""
        if self.partner is None:
            return None
        partner, mirror = self.partner
        away = atoms.positions - mirror.places(partner.positions)
        if np.abs(away).max() > _MIRRORED:
            return None
        forces = mirror.forces(partner.get_forces(apply_constraint=False))
        return float(partner.get_potential_energy()), forces


@dataclass(frozen=True)
class Mirror:
    """
    A symmetry of the crystal that swaps the two ends of a hop.

    Parameters
    ----------
    order
        Atom → atom that it becomes.
    turn
        Cartesian rotation, acting on rows from the right.
    before, after
        Places of the crystal before the hop and after it, Å.
    """

    order: NDArray[np.intp]
    turn: Floats
    before: Floats
    after: Floats

    def places(self, positions: Floats) -> Floats:
        """Reflect the positions of an image."""
        found = np.empty_like(positions)
        found[self.order] = (positions - self.before) @ self.turn
        return found + self.after

    def forces(self, forces: Floats) -> Floats:
        """Reflect forces."""
        found = np.empty_like(forces)
        found[self.order] = forces @ self.turn
        return found


def mirror_of(start: Atoms, moves: Sequence[Move]) -> Mirror | None:
    """
    Find a symmetry that swaps the ends of a hop; None where there is none.

    The atoms that stay must stand on their places in the crystal.
    """
    moving = [move.atom for move in moves]
    rest = np.setdiff1d(np.arange(len(start)), moving)
    if not len(rest):
        return None
    cell = start.cell.array
    inverse = np.linalg.inv(cell)
    before, after = start.positions.copy(), start.positions.copy()
    for move in moves:
        after[move.atom] += move.end
    vias = np.array([before[move.atom] + move.via for move in moves])
    for operation in symmetry_operations(AseAtomsAdaptor.get_structure(start[rest])):
        turned = operation.operate_multi(before @ inverse)
        order = _matched(turned, after @ inverse, start.numbers, cell)
        back = operation.operate_multi(after @ inverse)
        again = _matched(back, before @ inverse, start.numbers, cell)
        if order is None or again is None or (order != again).any():
            continue
        ways = operation.operate_multi(vias @ inverse)
        target = vias[[moving.index(order[atom]) for atom in moving]] @ inverse
        if np.abs(nearest_image(ways - target) @ cell).max() < _SAME_PLACE:
            rotation = operation.rotation_matrix
            turn = inverse @ rotation.T @ cell
            return Mirror(order, np.asarray(turn), before, after)
    return None


def _matched(
    points: Floats, places: Floats, numbers: NDArray[np.int_], cell: Floats
) -> NDArray[np.intp] | None:
    """Return which place each point is, of the same element; None if one is none."""
    away = nearest_image(points[:, None] - places) @ cell
    near = np.square(away).sum(axis=2)
    order = near.argmin(axis=1)
    is_one_to_one = len(set(order.tolist())) == len(order)
    far = near[np.arange(len(order)), order].max() > _SAME_PLACE**2
    if far or not is_one_to_one or (numbers[order] != numbers).any():
        return None
    return np.asarray(order)


class _End(NamedTuple):
    """A relaxed end of a hop."""

    atoms: Atoms
    slid: str
    """Where an ion of it went instead; empty where it stayed."""


@dataclass
class _Search:
    """One barrier on its way to a document."""

    start: Atoms
    moves: Sequence[Move]
    calculator: Calculator
    name: str
    options: BarrierOptions
    calls: list[int] = field(default_factory=list)

    def barrier(self) -> Barrier:
        """Relax the ends, then find what is between them."""
        options = self.options
        mirror = mirror_of(self.start, self.moves) if options.mirror else None
        first = self._relaxed(0.0, "start")
        if first.slid:
            return self._write("no minimum there", first.slid)
        if mirror is None:
            last = self._relaxed(1.0, "end")
            if last.slid:
                return self._write("no minimum there", last.slid)
        else:
            last = _End(self._with(first.atoms.copy()), "")
            self._reflect(first.atoms, last.atoms, mirror)
        if options.tier == "activated state":
            return self._held(first.atoms, last.atoms)
        return self._band(first.atoms, last.atoms, mirror)

    def _with(self, atoms: Atoms) -> Atoms:
        """Give atoms a calculator that counts."""
        atoms.calc = _Image(self.calculator, self.calls)
        return atoms

    def _relaxed(self, share: float, end: str) -> _End:
        """Relax an end, and see whether its ions are still where they belong."""
        atoms, options = self._with(self.start.copy()), self.options
        for move in self.moves:
            atoms.positions[move.atom] += share * move.end
        ideal = atoms.positions.copy()
        # Where symmetry holds atoms on a hill, no force says so.
        atoms.rattle(_NUDGE, seed=0)
        run = BFGS(atoms, logfile=None)
        if not run.run(fmax=options.end_fmax, steps=options.steps):
            return _End(atoms, f"the {end} did not relax in {options.steps} steps")
        cell = atoms.cell.array
        away = (atoms.positions - ideal) @ np.linalg.inv(cell)
        moving = [move.atom for move in self.moves]
        away -= (
            np.delete(away, moving, axis=0).mean(axis=0)
            if len(away) > len(moving)
            else 0
        )
        lengths = np.linalg.norm(
            minimum_image_vectors(cell, np.zeros_like(away), away), axis=1
        )
        for move in self.moves:
            if lengths[move.atom] > _SLID * np.linalg.norm(move.end):
                return _End(
                    atoms,
                    f"atom {move.atom} slid {lengths[move.atom]:.2f} Å from the {end} "
                    "of its hop",
                )
        return _End(atoms, "")

    def _held(self, first: Atoms, last: Atoms) -> Barrier:
        """Hold the ion in the plane of its narrowest place, and relax the others."""
        (move,), options = self.moves, self.options
        atoms = self._with(first.copy())
        middle = (first.positions + last.positions) / 2
        atoms.positions = middle
        atoms.positions[move.atom] = self.start.positions[move.atom] + move.via
        others = [n for n in range(len(atoms)) if n != move.atom]
        # Without the second the crystal would slide until the ion is in a valley.
        atoms.set_constraint([FixedPlane(move.atom, move.end), FixSubsetCom(others)])
        run = BFGS(atoms, logfile=None)
        done = bool(run.run(fmax=options.fmax, steps=options.steps))
        energies = [float(one.get_potential_energy()) for one in (first, atoms, last)]
        residual = float(np.linalg.norm(atoms.get_forces(), axis=1).max())
        reason = "held half way; the others are relaxed"
        if not done:
            reason = f"not relaxed in {options.steps} steps"
        return self._found([first, atoms, last], energies, residual, reason, done=done)

    def _band(self, first: Atoms, last: Atoms, mirror: Mirror | None) -> Barrier:
        """Let the highest image climb."""
        options = self.options
        between = range(1, options.images + 1)
        inner = [self._with(self._between(first, last, number)) for number in between]
        images = [first, *inner, last]
        first_band = NEB(images, method="improvedtangent")
        idpp_interpolate(
            first_band, None, None, fmax=_IDPP_FMAX, steps=_IDPP_STEPS, mic=True
        )
        if mirror is not None:
            for number in range(1, (len(images) - 1) // 2 + (len(images) % 2 == 0)):
                self._reflect(images[number], images[-1 - number], mirror)
        band = NEB(images, k=options.spring, climb=True, method="improvedtangent")
        run = FIRE(band, logfile=None)
        residual, done = np.inf, False
        for _ in run.irun(fmax=options.fmax, steps=options.steps):
            residual = _at_saddle(band)
            # The other images hold the tangent; only the climbing one is a number.
            if done := residual < options.fmax:
                break
        energies = [float(one.get_potential_energy()) for one in images]
        reason = f"largest force at the climbing image {residual:.3f} eV/Å"
        if not done:
            reason += f" after {options.steps} steps, {options.fmax:g} asked for"
        return self._found(images, energies, residual, reason, done=done)

    def _between(self, first: Atoms, last: Atoms, number: int) -> Atoms:
        """Begin an image on the way through the narrowest place."""
        share = number / (self.options.images + 1)
        atoms: Atoms = first.copy()
        atoms.positions += share * (last.positions - first.positions)
        for move in self.moves:
            bow = move.via - move.end / 2
            atoms.positions[move.atom] += bow * (1 - abs(2 * share - 1))
        return atoms

    @staticmethod
    def _reflect(one: Atoms, other: Atoms, mirror: Mirror) -> None:
        """Make an image the mirror image of another."""
        other.positions = mirror.places(one.positions)
        other.calc.partner = (one, mirror)

    def _found(
        self,
        images: Sequence[Atoms],
        energies: Sequence[float],
        residual: float,
        reason: str,
        *,
        done: bool,
    ) -> Barrier:
        """Write what a band or an activated state says."""
        heights = np.array(energies) - energies[0]
        top = int(heights.argmax())
        between = 0 < top < len(heights) - 1
        if done and not between:
            reason, done = "no image between the ends is above both: no saddle", False
        steps = np.diff([one.positions for one in images], axis=0)
        ways = np.sqrt(np.square(steps).sum(axis=(1, 2)))
        return self._write(
            "converged" if done else "not converged",
            reason,
            forward=float(heights[top]) if done else None,
            backward=float(heights[top] - heights[-1]) if done else None,
            interval=None
            if done
            else (max(0.0, float(heights[-1])), max(float(heights[top]), 0.0)),
            energies=tuple(heights.tolist()),
            distances=(0.0, *np.cumsum(ways).tolist()),
            saddle=top,
            residual=float(residual),
            mirrored=images[-1].calc.partner is not None,
        )

    def _write(self, verdict: str, reason: str, **found: object) -> Barrier:
        """Write the document."""
        empty = {
            "forward": None, "backward": None, "interval": None, "energies": (),
            "distances": (), "saddle": None, "residual": None, "mirrored": False,
        }  # fmt: skip
        return Barrier.model_validate(
            {
                **empty,
                **found,
                "verdict": verdict,
                "reason": reason,
                "tier": self.options.tier,
                "force_calls": len(self.calls),
                "calculator": self.name,
                "options": self.options,
            }
        )


def _at_saddle(band: NEB) -> float:
    """Return the largest force at the climbing image, along the band reversed."""
    forces = band.get_forces().reshape(band.nimages - 2, -1, 3)
    return float(np.linalg.norm(forces[band.imax - 1], axis=1).max())
