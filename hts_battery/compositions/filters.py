"""
Named rules that remove members before they cost anything, each with its reason.

Radii are octahedral Shannon radii and electronegativities Pauling's, both as pymatgen
tabulates them (R. D. Shannon, 10.1107/S0567739476001551).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import islice
from math import sqrt
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import (
    Field,
    PrivateAttr,
    TypeAdapter,
    ValidationError,
    field_validator,
)

from hts_battery.compositions.redox import RedoxScale, package_scale
from hts_battery.compositions.sampling import in_turns
from hts_battery.errors import SpecError
from hts_battery.schemas.base import Document, Rational
from hts_battery.schemas.files import spec_error
from hts_battery.schemas.space import CheckedSpecies
from hts_battery.schemas.species import parse_species
from hts_battery.schemas.species_table import METAL_ROLES, species_properties

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hts_battery.compositions.sampling import Stratum
    from hts_battery.compositions.space import CompositionSpace
    from hts_battery.schemas.candidate import Assignment, Candidate
    from hts_battery.schemas.space import Selection

_OCTAHEDRAL = "VI"
_SPIN_NAMES = {"high": "High Spin", "low": "Low Spin"}
_MARGIN = 1e-9  # radii are tabulated to 0.005 angstrom: this only absorbs rounding


class RedoxCompatibility(Document):
    """Species that would oxidise and reduce one another may not coexist."""

    rule: Literal["redox-compatibility"] = Field(description="Name of the rule.")
    pairs: tuple[tuple[CheckedSpecies, CheckedSpecies], ...] | None = Field(
        None,
        min_length=1,
        examples=[[["Mn3+", "Cr3+"]]],
        description="Pairs of species that react with each other; if none are given, "
        "those of which the redox potentials of the species table say so.",
    )
    _scale: RedoxScale = PrivateAttr(default_factory=package_scale)

    def with_scale(self, scale: RedoxScale) -> Self:
        """Use the redox couples of a space, which may have its own table."""
        rule = self.model_copy()
        rule._scale = scale  # noqa: SLF001 - of our own copy
        return rule

    def invalid_reason(self, candidate: Candidate) -> str | None:
        """Name a pair in every assignment, or nothing if one assignment has none."""
        found: str | None = None
        for assignment in candidate.assignments:
            clash = self._clash({text for here in assignment.values() for text in here})
            if clash is None:
                return None
            found = found or f"{clash[0]} and {clash[1]} react with each other"
        return found

    def _clash(self, present: set[str]) -> tuple[str, str] | None:
        if self.pairs is None:
            return self._scale.reacting(present)
        return next((one for one in self.pairs if present.issuperset(one)), None)


class RedoxCentres(Document):
    """A cathode needs metals that give electrons away when lithium leaves."""

    rule: Literal["redox-centres"] = Field(description="Name of the rule.")
    minimum: Rational = Field(
        gt=0, description="Least amount of redox centres, atoms per formula unit."
    )

    def invalid_reason(self, candidate: Candidate) -> str | None:
        """Say how much of its metals are redox centres if that is too little."""
        amount = sum(
            (
                amount
                for species, amount in metals(candidate.assignment).items()
                if species_properties(species).role == "redox centre"
            ),
            Fraction(0),
        )
        if amount >= self.minimum:
            return None
        return (
            f"{float(amount):g} redox centres per formula unit, fewer than "
            f"{float(self.minimum):g}"
        )


class RadiusWindow(Document):
    """Every metal must be about as large as those of a reference set."""

    rule: Literal["radius-window"] = Field(description="Name of the rule.")
    reference: tuple[CheckedSpecies, ...] = Field(
        min_length=1,
        examples=[["Mn4+", "Y3+"]],
        description="Species whose radii span the window.",
    )
    tolerance: float = Field(
        0.0,
        ge=0,
        description="Widening of the window on both sides, in angstrom.",
        json_schema_extra={"unit": "angstrom"},
    )

    @field_validator("reference")
    @classmethod
    def _has_radii(cls, reference: tuple[str, ...]) -> tuple[str, ...]:
        for species in reference:
            if octahedral_radius(species) is None:
                raise ValueError(f"{species} has no octahedral Shannon radius")
        return reference

    def invalid_reason(self, candidate: Candidate) -> str | None:
        """Name the first metal outside the window, or one without a radius."""
        radii = [radius for s in self.reference if (radius := octahedral_radius(s))]
        low, high = min(radii) - self.tolerance, max(radii) + self.tolerance
        for species in sorted(metals(candidate.assignment)):
            radius = octahedral_radius(species)
            if radius is None:
                return f"{species} has no octahedral Shannon radius"
            if not low - _MARGIN <= radius <= high + _MARGIN:
                return (
                    f"{species} has a radius of {radius:.3f} angstrom, outside "
                    f"{low:.3f} to {high:.3f}"
                )
        return None


class SizeMismatch(Document):
    r"""
    Metals must not differ too much in size.

    .. math:: \delta = \sqrt{\sum_i x_i (1 - r_i / \bar r)^2}

    over the metals, with fractions :math:`x_i` and mean radius :math:`\bar r`.
    """

    rule: Literal["size-mismatch"] = Field(description="Name of the rule.")
    maximum: float = Field(
        ge=0, examples=[0.1], description="Greatest mismatch allowed, a fraction."
    )

    def invalid_reason(self, candidate: Candidate) -> str | None:
        """Say the mismatch if it is too large, or which metal has no radius."""
        here = metals(candidate.assignment)
        radii = {species: octahedral_radius(species) for species in here}
        unknown = sorted(species for species, radius in radii.items() if radius is None)
        if unknown:
            return f"{unknown[0]} has no octahedral Shannon radius"
        mismatch = size_mismatch(
            [float(amount) for amount in here.values()],
            [radius for radius in radii.values() if radius is not None],
        )
        if mismatch > self.maximum + _MARGIN:
            return f"size mismatch {mismatch:.4f} is above {self.maximum}"
        return None


class ElectronegativityWindow(Document):
    """Electronegativities of the metals must not spread too far."""

    rule: Literal["electronegativity-window"] = Field(description="Name of the rule.")
    maximum: float = Field(
        gt=0, description="Greatest difference between two metals, Pauling scale."
    )

    def invalid_reason(self, candidate: Candidate) -> str | None:
        """Name the two extremes if they are too far apart."""
        values = {
            symbol: _electronegativity(symbol)
            for symbol in {
                parse_species(s).element for s in metals(candidate.assignment)
            }
        }
        if not values:
            return None
        low = min(values, key=lambda symbol: (values[symbol], symbol))
        high = max(values, key=lambda symbol: (values[symbol], symbol))
        spread = values[high] - values[low]
        if spread > self.maximum + _MARGIN:
            return (
                f"electronegativities of {low} and {high} differ by {spread:.2f}, more "
                f"than {self.maximum}"
            )
        return None


Filter = Annotated[
    RedoxCompatibility
    | RedoxCentres
    | RadiusWindow
    | SizeMismatch
    | ElectronegativityWindow,
    Field(discriminator="rule"),
]
_FILTERS: TypeAdapter[tuple[Filter, ...]] = TypeAdapter(tuple[Filter, ...])


@dataclass(frozen=True)
class Filtered:
    """One member and, if a rule removes it, that rule and its reason."""

    index: int
    candidate: Candidate
    rule: str | None
    reason: str | None


class FilterReport:
    """How many members were examined, kept, and removed by each rule, with examples."""

    def __init__(self) -> None:
        self.examined = 0
        self.removed: Counter[str] = Counter()
        self.examples: dict[str, str] = {}
        self.short: dict[str, int] = {}
        """Stratum → members kept, where it has no more to give to a sample."""

    @property
    def kept(self) -> int:
        """Number of members that no rule removed."""
        return self.examined - self.removed.total()


def load_filters(
    blocks: Sequence[Mapping[str, object]],
    *,
    file: str | None = None,
    lines: Mapping[str, int] | None = None,
    redox: RedoxScale | None = None,
) -> tuple[Filter, ...]:
    """
    Read the filters of a campaign: one mapping each, ``rule`` and what the rule needs.

    Raises
    ------
    SpecError
        If a rule is unknown or lacks something.

    Examples
    --------
    >>> load_filters([{"rule": "size-mismatch", "maximum": 0.1}])[0].maximum
    0.1
    """
    try:
        found = _FILTERS.validate_python(tuple(blocks))
    except ValidationError as err:
        raise spec_error(
            err, file=file, lines=lines, prefix="filters", shape=tuple[Filter, ...]
        ) from err
    if redox is None:
        return found
    return tuple(
        one.with_scale(redox) if isinstance(one, RedoxCompatibility) else one
        for one in found
    )


def filtered(
    members: Iterable[tuple[int, Candidate]],
    filters: Sequence[Filter],
    report: FilterReport,
) -> Iterator[Filtered]:
    """Pass a stream of members through every rule in turn; the first reason counts."""
    for index, candidate in members:
        report.examined += 1
        reasons = ((rule.rule, rule.invalid_reason(candidate)) for rule in filters)
        rule, reason = next((one for one in reasons if one[1]), (None, None))
        if rule is not None:
            report.removed[rule] += 1
            report.examples.setdefault(rule, f"{candidate.formula}: {reason}")
        yield Filtered(index, candidate, rule, reason)


def metals(assignment: Assignment) -> dict[str, Fraction]:
    """Metals of an assignment over all sublattices: species → amount."""
    found: dict[str, Fraction] = {}
    for here in assignment.values():
        for species, amount in here.items():
            if species_properties(species).role in METAL_ROLES:
                found[species] = found[species] + amount if species in found else amount
    return found


def size_mismatch(amounts: Sequence[float], radii: Sequence[float]) -> float:
    """
    Root mean square deviation of radii from their mean, relative to the mean.

    Examples
    --------
    >>> size_mismatch([1, 1], [0.9, 1.1])  # doctest: +ELLIPSIS
    0.1...
    """
    total = sum(amounts)
    if not total:
        return 0.0
    mean = sum(n * r for n, r in zip(amounts, radii, strict=True)) / total
    return sqrt(
        sum(
            n / total * (1 - r / mean) ** 2 for n, r in zip(amounts, radii, strict=True)
        )
    )


@cache
def octahedral_radius(species: str) -> float | None:
    """
    Octahedral Shannon radius of a species in its spin state, in angstrom, if tabulated.

    Examples
    --------
    >>> octahedral_radius("Mn3+"), octahedral_radius("Co3+")
    (0.645, 0.545)
    """
    from pymatgen.core import Element  # noqa: PLC0415 - a second to import

    parsed = parse_species(species)
    radii = Element(parsed.element).data.get("Shannon radii", {})
    entries = radii.get(str(parsed.charge), {}).get(_OCTAHEDRAL, {})
    spin = species_properties(species).spin
    for name in (_SPIN_NAMES.get(spin or ""), "", "High Spin"):
        if name in entries:
            return float(entries[name]["ionic_radius"])
    return None


@cache
def _electronegativity(symbol: str) -> float:
    from pymatgen.core import Element  # noqa: PLC0415 - a second to import

    value = float(Element(symbol).X)
    if value != value:  # noqa: PLR0124 - not a number is pymatgen's word for unknown
        raise SpecError(f"{symbol} has no Pauling electronegativity", field="filters")
    return value


EMPTY_AFTER = 10_000
"""Members of a stratum that filters may remove in a row before it counts as empty."""


def selected(
    space: CompositionSpace,
    selection: Selection,
    filters: Sequence[Filter] = (),
    report: FilterReport | None = None,
    *,
    listed: Sequence[int] = (),
) -> Iterator[tuple[int, Candidate]]:
    """
    Stream the selected members that no filter removes, with their indices.

    A sample is drawn until it holds as many as were asked for: what a filter removes
    is replaced by the next of its stratum. A stratum that has no more, or whose last
    :data:`EMPTY_AFTER` members were all removed, is left out from then on and named in
    the report.

    Parameters
    ----------
    space
        The space.
    selection
        All members, a range of indices, a random sample, or a list of formulas.
    listed
        Indices of the members of a list of formulas, see
        :func:`~hts_battery.compositions.formula_list.listed_members`.
    filters
        Rules that remove members.
    report
        Told of what is removed.

    Yields
    ------
    tuple
        Index in the space and candidate.

    Raises
    ------
    CompositionError
        If the space has no such strata.
    IndexError
        If a range leaves the space.
    ValueError
        If a sample is larger than the space.
    """
    report = report if report is not None else FilterReport()
    if selection.method != "sample":
        members = _named(space, selection, listed)
        for one in filtered(members, filters, report):
            if one.rule is None:
                yield one.index, one.candidate
        return
    seed, count = selection.seed or 0, selection.count or 0
    space.check_size(count)

    def draw(stratum: Stratum) -> Iterator[tuple[int, Candidate]]:
        kept = removed = 0
        members = ((index, space[index]) for index in stratum.draw(seed))
        for one in filtered(members, filters, report):
            if one.rule is None:
                kept, removed = kept + 1, 0
                yield one.index, one.candidate
                continue
            removed += 1
            if removed == EMPTY_AFTER:
                break
        report.short[stratum.name] = kept

    yield from islice(in_turns(space.strata(selection.strata), draw), count)


def _named(
    space: CompositionSpace, selection: Selection, listed: Sequence[int]
) -> Iterator[tuple[int, Candidate]]:
    """Members that stand one after the other, or are named one by one."""
    if selection.method == "all":
        yield from enumerate(space)
    elif selection.method == "range":
        start = selection.start or 0
        yield from enumerate(space.iterate(start, selection.stop), start)
    else:
        for index in listed:
            yield index, space[index]
