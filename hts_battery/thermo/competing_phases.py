"""Which phases a candidate competes with, at each temperature."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING

from hts_battery.schemas.thermo import LeftOutReferences
from hts_battery.thermo.decomposition import CANDIDATE, ORDERING
from hts_battery.thermo.hull import Hull

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from hts_battery.thermo.atomic_fractions import Formula
    from hts_battery.thermo.decomposition import Decomposition


def left_out_references(
    hull: Hull,
    formula: Formula,
    *,
    rule: LeftOutReferences = LeftOutReferences.OWN_COMPOSITION,
    family: Collection[str] = (),
) -> tuple[str, ...]:
    """
    Ids of the references that a composition is not compared with.

    A candidate competes with everything but itself. This is the one place that says
    what itself is: builders, gate and workflows ask here.

    Parameters
    ----------
    hull
        The references.
    formula
        What the cell of the candidate holds.
    rule
        What is left out.
    family
        Ids of the references that are members of the candidate's family; the default
        rule needs none.

    Returns
    -------
    tuple of str
        Only references inside the elements of the composition, in their order.

    Examples
    --------
    >>> hull = Hull(["Li", "Mn", "O2", "LiMnO2", "Li2MnO3"], [0, 0, 0, -2, -2.1])
    >>> left_out_references(hull, "Li0.5Mn0.5O")
    ('LiMnO2',)
    """
    here = hull.ids_at(formula)
    match rule:
        case LeftOutReferences.OWN_COMPOSITION:
            return here
        case LeftOutReferences.OWN_PHASE:
            return tuple(name for name in here if name in family)
        case LeftOutReferences.OWN_FAMILY:
            return tuple(
                name
                for name in hull.ids_within(formula)
                if name in family or name in here
            )


@dataclass(frozen=True)
class OtherCandidate:
    """A candidate as a competing phase of the others."""

    candidate_id: str
    """Key of the candidate."""
    formula: str
    """Formula of what was calculated."""
    energy_per_atom: float
    """Energy without entropy, eV/atom, on the scale of the references."""
    entropy: float
    """Ideal mixing entropy, eV/K per atom."""
    volume_per_atom: float | None = None
    """Relaxed volume in Å³/atom; used by Gibbs energies only."""

    @property
    def phase_id(self) -> str:
        """Id in a hull, which no reference has."""
        return f"{CANDIDATE}{self.candidate_id}"

    def energy_at(self, temperature: float) -> float:
        """Energy minus T·S, eV/atom."""
        return self.energy_per_atom - temperature * self.entropy


@dataclass(frozen=True)
class HullQuery:
    """What is compared: a composition, and what it is not compared with."""

    candidate_id: str
    """Key of the candidate."""
    formula: str
    """Its composition."""
    exclude: tuple[str, ...] = ()
    """Ids of references that it is not compared with."""
    own_orderings: Mapping[str, float] | None = None
    """Id of each ordering that takes part → energy, eV/atom."""


class CompetingPhases:
    """
    References and, where asked, other candidates with their own entropy.

    A candidate never competes with itself, nor with its other orderings unless
    they are given.

    Parameters
    ----------
    hull
        References, the same at every temperature.
    others
        Candidates that take part, each once; None where they take no part.

    Raises
    ------
    ValueError
        If a candidate is given twice.
    """

    def __init__(
        self, hull: Hull, others: Sequence[OtherCandidate] | None = None
    ) -> None:
        self.references = hull
        self.others = None if others is None else tuple(others)
        self._by_id = {other.candidate_id: other for other in self.others or ()}
        if len(self._by_id) != len(self.others or ()):
            raise ValueError("a candidate is given twice as a competing phase")
        self._hulls: dict[float, Hull] = {}

    @cached_property
    def digest(self) -> str | None:
        """SHA-256 of what the other candidates are, 16 digits; None without any."""
        if self.others is None:
            return None
        lines = sorted(
            f"{other.candidate_id} {other.formula} {other.energy_per_atom!r} "
            f"{other.entropy!r}"
            for other in self.others
        )
        return sha256("\n".join(lines).encode()).hexdigest()[:16]

    def at(self, temperature: float) -> Hull:
        """
        Hull at one temperature, all candidates in it.

        Parameters
        ----------
        temperature
            In K.
        """
        if not self.others:
            return self.references
        if temperature not in self._hulls:
            self._hulls[temperature] = self.references.joined_by(
                [other.formula for other in self.others],
                [other.energy_at(temperature) for other in self.others],
                ids=[other.phase_id for other in self.others],
            )
        return self._hulls[temperature]

    def excluded(self, query: HullQuery) -> tuple[str, ...]:
        """Ids of the phases that a candidate is not compared with."""
        itself = self._by_id.get(query.candidate_id)
        if itself is None:
            return query.exclude
        return (*query.exclude, itself.phase_id)

    def mixtures(
        self, queries: Sequence[HullQuery], temperature: float
    ) -> list[Decomposition | None]:
        """
        Lowest mixture that each candidate competes with; None where there is none.

        Parameters
        ----------
        queries
            The candidates.
        temperature
            In K.
        """
        found = self.at(temperature).decompositions(
            [query.formula for query in queries],
            exclude=[self.excluded(query) for query in queries],
        )
        return [
            None if mixture is None else _with_orderings(mixture, query)
            for mixture, query in zip(found, queries, strict=True)
        ]

    def n_others(self, query: HullQuery) -> int | None:
        """Count the other candidates inside a candidate's elements."""
        if not self.others:
            return None if self.others is None else 0
        itself = self._by_id.get(query.candidate_id)
        return self._others_alone.n_references(
            query.formula, exclude=() if itself is None else (itself.phase_id,)
        )

    @cached_property
    def _others_alone(self) -> Hull:
        """Hull of the other candidates, for counting."""
        others = self.others or ()
        return Hull(
            [other.formula for other in others],
            [other.energy_per_atom for other in others],
            ids=[other.phase_id for other in others],
        )


def _with_orderings(mixture: Decomposition, query: HullQuery) -> Decomposition:
    """
    Let orderings of the same composition take part.

    A phase of the very composition is the whole mixture or nothing. The potentials,
    per atom, fall with it: all phases stay above their plane.
    """
    if not query.own_orderings:
        return mixture
    name = min(
        query.own_orderings,
        key=lambda ordering: (query.own_orderings or {})[ordering],
    )
    energy = query.own_orderings[name]
    if energy >= mixture.energy:
        return mixture
    lower = mixture.energy - energy
    phase_id = f"{ORDERING}{name}"
    return replace(
        mixture,
        energy=energy,
        amounts={query.formula: 1.0},
        phases={phase_id: 1.0},
        formulas={phase_id: query.formula},
        chemical_potentials={
            element: potential - lower
            for element, potential in mixture.chemical_potentials.items()
        },
    )
