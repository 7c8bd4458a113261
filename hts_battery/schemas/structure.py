"""Ordered cells: the structures that calculations start from."""

from __future__ import annotations

from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, model_validator

from hts_battery.schemas.base import Document, Rational
from hts_battery.schemas.decoding import StructureDict, read_structure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pymatgen.core import Structure

    from hts_battery.schemas.rows import OrderedCellRow

    Series = Mapping[str, Sequence[str]]
    """Method → ids of the orderings that it gives, in the order in which it does."""

IntMatrix = tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int]]
_ID_SCHEME = "hts_battery ordering 1"
_ID_LENGTH = 20


class OrderingMethod(StrEnum):
    """How the species were put on the sites of a cell."""

    SQS = "sqs"
    """Special quasirandom structure: pair correlations near those of a random alloy."""
    ELECTROSTATIC = "electrostatic"
    """Lowest Ewald energy of the formal charges that the search found."""
    RANDOM = "random"
    """A random shuffle."""


class MagneticOrder(StrEnum):
    """How the moments of a starting structure stand to each other."""

    FERROMAGNETIC = "ferromagnetic"
    """All parallel."""
    FERRIMAGNETIC = "ferrimagnetic"
    """Some reversed, by a rule that is the same for every ordering."""


def ordering_id(
    candidate_id: str,
    *,
    prototype: str,
    supercell: Sequence[Sequence[int]],
    decoration: Sequence[str],
) -> str:
    """
    Digest what makes an ordering: candidate, cell and the species of every site.

    Method and seed do not enter: two searches that end in the same decoration found
    the same ordering.

    Examples
    --------
    >>> ordering_id("bc6f833a1ab682dccbc6", prototype="rocksalt",
    ...             supercell=((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    ...             decoration=("Li+", "F-"))
    'a4bc9cf627978cee4c42'
    """
    cell = ";".join(",".join(str(x) for x in row) for row in supercell)
    text = "\n".join((_ID_SCHEME, candidate_id, prototype, cell, " ".join(decoration)))
    return sha256(text.encode("ascii")).hexdigest()[:_ID_LENGTH]


class OrderedCell(Document):
    """One ordering of one candidate: every site of a supercell has a species."""

    ordering_id: str = Field(description="Digest of candidate, cell and decoration.")
    candidate_id: str = Field(description="Candidate that it is an ordering of.")
    family: str = Field(description="Family of the candidate.")
    formula: str = Field(description="The candidate's formula, for people.")
    amounts: dict[str, Rational] = Field(
        description="Amount of each element per formula unit in this cell, exact."
    )
    deviation: dict[str, Rational] = Field(
        description="Cell minus candidate, elements per formula unit, where not zero; "
        "empty if the cell has exactly the candidate's composition."
    )
    is_exact: bool = Field(
        description="Flag: whether the cell has exactly the candidate's composition; "
        "if not, energy and entropy belong to amounts and assignment, not to formula."
    )
    assignment: dict[str, dict[str, Rational]] = Field(
        description="Sublattice → species → amount per formula unit that the cell "
        "really holds, exact, vacancies (Vac) included; the candidate's chosen "
        "assignment unless the cell deviates."
    )
    prototype: str = Field(description="Parent lattice.")
    supercell: IntMatrix = Field(
        description="Cell vectors in units of the parent's primitive vectors, one a "
        "row."
    )
    formula_units: Rational = Field(description="Formula units in the cell.")
    n_atoms: int = Field(ge=1, description="Atoms in the cell; vacancies not counted.")
    decoration: tuple[str, ...] = Field(
        description="Species of every site of the parent cell in its order, "
        "vacancies (Vac) included."
    )
    method: OrderingMethod = Field(description="How the species were placed.")
    score: float = Field(
        description="What the method minimised: for sqs and random the weighted sum "
        "of pair-correlation errors (dimensionless); for electrostatic the Ewald "
        "energy in eV/atom."
    )
    correlation_errors: dict[str, tuple[float, ...]] = Field(
        description="Pair-correlation error of each neighbour shell, for each pair of "
        "mixed sublattices 'first/second': half the sum over species pairs of "
        "|probability - random|, dimensionless, 0 is random."
    )
    electrostatic_energy: float = Field(
        description="Ewald energy of the formal charges in eV/atom at the starting "
        "lattice."
    )
    seed: int = Field(description="Seed of the search.")
    iterations: int = Field(ge=0, description="Configurations tried by the search.")
    generator: str = Field(description="Program that searched, with its version.")
    minimum_distance: float = Field(
        gt=0, description="Shortest distance between two atoms in angstrom."
    )
    magnetic_order: MagneticOrder = Field(
        description="How the starting moments of the structure stand to each other."
    )
    series: dict[OrderingMethod, Annotated[int, Field(ge=0)]] = Field(
        default_factory=dict,
        description="Method → number, from 0, in the series of orderings that the "
        "method gives from the first seed on; two methods may come to one ordering. "
        "Empty where it was not written down.",
    )
    structure: StructureDict = Field(
        description="The decorated cell as a dictionary of pymatgen's Structure: "
        "species with oxidation states, site properties sublattice, site_label and "
        "magmom (Bohr magnetons)."
    )

    def to_structure(self) -> Structure:
        """Build the pymatgen structure, oxidation states and moments included."""
        return read_structure(self.structure)

    @model_validator(mode="after")
    def _flag_agrees(self) -> Self:
        if self.is_exact == bool(self.deviation):
            raise ValueError(
                f"is_exact {self.is_exact} contradicts the deviation {self.deviation}"
            )
        return self


def series_of(cells: Iterable[OrderedCellRow]) -> dict[str, list[str]]:
    """
    Read the series of each method from the cells of one ordering job.

    ``cells``: :class:`~hts_battery.schemas.structure.OrderedCell` as stored, or of it
    ``ordering_id``, ``method`` and ``series``. Where the series is missing, the cells
    of a method count in the order given.

    Examples
    --------
    >>> series_of([
    ...     {"ordering_id": "b", "method": "sqs", "series": {"sqs": 1}},
    ...     {"ordering_id": "a", "method": "sqs", "series": {"sqs": 0, "random": 0}},
    ... ])
    {'random': ['a'], 'sqs': ['a', 'b']}
    """
    places: list[tuple[str, int, str]] = []
    for number, cell in enumerate(cells):
        found = cell.get("series") or {cell["method"]: number}
        places += [(str(m), n, cell["ordering_id"]) for m, n in found.items()]
    series: dict[str, list[str]] = {}
    for method, _, name in sorted(places):
        series.setdefault(method, []).append(name)
    return series


def joined(series: Iterable[Series]) -> dict[str, list[str]]:
    """
    Join what several ordering jobs of one candidate say, the latest last.

    Series of one method begin alike, however many were asked for; where another
    release of the search has found others, the latest holds.

    Examples
    --------
    >>> joined([{"sqs": ["a", "b"]}, {"sqs": ["a"], "random": ["c"]}])
    {'sqs': ['a', 'b'], 'random': ['c']}
    """
    found: dict[str, list[str]] = {}
    for one in series:
        for method, names in one.items():
            rest = found.get(method, [])[len(names) :]
            found[method] = [*names, *(name for name in rest if name not in names)]
    return found


def chosen(series: Series, wanted: Mapping[Any, int]) -> dict[str, str]:
    """
    Return the orderings that a campaign asks for, with the method that gives each.

    The rule of :func:`hts_battery.structures.ordering.generate_orderings`: method by
    method, each goes on along its series until it has given as many new ones as are
    asked for.

    ``series``: what is known of the candidate. ``wanted``: method → number asked for.
    Returns: ordering id → method. Fewer than asked for where not all are known.

    Examples
    --------
    >>> series = {"sqs": ["a", "b"], "electrostatic": ["b", "c"]}
    >>> chosen(series, {"sqs": 1, "electrostatic": 1})
    {'a': 'sqs', 'b': 'electrostatic'}
    >>> chosen(series, {"electrostatic": 1, "sqs": 2})
    {'a': 'sqs', 'b': 'sqs', 'c': 'electrostatic'}
    """
    counts = {str(method): number for method, number in wanted.items()}
    found: dict[str, str] = {}
    for method in map(str, OrderingMethod):
        new = [name for name in series.get(method, ()) if name not in found]
        found |= dict.fromkeys(new[: counts.get(method, 0)], method)
    return found


def covers(asked: Mapping[Any, int], wanted: Mapping[Any, int]) -> bool:
    """
    Say whether whoever made the orderings asked for at least as many by each method.

    Examples
    --------
    >>> covers({"sqs": 2}, {"sqs": 1}), covers({"sqs": 2}, {"electrostatic": 1})
    (True, False)
    """
    counts = {str(method): number for method, number in asked.items()}
    return all(counts.get(str(m), 0) >= number for m, number in wanted.items())
