"""
Named rules that remove members before they cost anything, each with its reason.

Radii are octahedral Shannon radii and electronegativities Pauling's, both as pymatgen
tabulates them (R. D. Shannon, 10.1107/S0567739476001551).
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from functools import cache
from math import isnan
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import (
    Field,
    PrivateAttr,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from hts_battery.compositions.descriptors import (
    DescriptorName,
    composition_descriptors,
    species_amounts,
)
from hts_battery.compositions.radii import octahedral_radius, size_mismatch
from hts_battery.compositions.redox import RedoxScale, package_scale
from hts_battery.compositions.reported import nearest_reported, reported_species
from hts_battery.errors import SpecError
from hts_battery.schemas.base import Document, Rational
from hts_battery.schemas.files import spec_error
from hts_battery.schemas.space import CheckedSpecies
from hts_battery.schemas.species import parse_species
from hts_battery.schemas.species_table import METAL_ROLES, species_properties

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hts_battery.schemas.candidate import Assignment, Candidate

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
        return _with_radii(reference)

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


class DescriptorWindow(Document):
    """A descriptor of the composition must lie in a window, such as a mined rule's."""

    rule: Literal["descriptor-window"] = Field(description="Name of the rule.")
    descriptor: DescriptorName = Field(
        description="Mean, spread or range of radius, electronegativity or charge over "
        "the metals, spreads over the polyanions, or the amount of carrier."
    )
    minimum: float | None = Field(None, description="Least value, if there is one.")
    maximum: float | None = Field(None, description="Greatest value, if there is one.")

    @model_validator(mode="after")
    def _has_a_bound(self) -> Self:
        low, high = self.minimum, self.maximum
        if low is None and high is None:
            raise ValueError("a window needs minimum, maximum or both")
        if low is not None and high is not None and low > high:
            raise ValueError(f"minimum {low} is above maximum {high}")
        return self

    def invalid_reason(self, candidate: Candidate) -> str | None:
        """Say the value if it lies outside, or that there is none."""
        species = species_amounts(candidate.assignment)
        value = composition_descriptors(species)[self.descriptor]
        if isnan(value):
            return f"{self.descriptor} has no value, or there are no metals"
        if self.minimum is not None and value < self.minimum - _MARGIN:
            return f"{self.descriptor} {value:.4g} is below {self.minimum:g}"
        if self.maximum is not None and value > self.maximum + _MARGIN:
            return f"{self.descriptor} {value:.4g} is above {self.maximum:g}"
        return None


class ReportedRadius(Document):
    """Metals of one role must be about as large as one in a reported compound."""

    rule: Literal["reported-radius"] = Field(description="Name of the rule.")
    role: Literal["redox centre", "charge compensator"] = Field(
        description="Metals that the rule is about."
    )
    reported: tuple[CheckedSpecies, ...] | None = Field(
        None,
        min_length=1,
        description="Species of that role in reported compounds; those of the "
        "package's table of reported compounds if none are given.",
    )
    tolerance: float = Field(
        ge=0, description="Greatest difference to the nearest of them, in angstrom."
    )

    @field_validator("reported")
    @classmethod
    def _has_radii(cls, reported: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if reported is None else _with_radii(reported)

    def invalid_reason(self, candidate: Candidate) -> str | None:
        """Name the first metal of the role that is like none of them."""
        reported = self.reported or reported_species(self.role)
        for species in sorted(metals(candidate.assignment)):
            if species_properties(species).role != self.role:
                continue
            found = nearest_reported(species, reported)
            if found is None:
                return f"{species} has no octahedral Shannon radius"
            nearest, apart = found
            if apart > self.tolerance + _MARGIN:
                return (
                    f"{species} has a radius of {octahedral_radius(species):.3f} "
                    f"angstrom, {apart:.3f} from {nearest}, the nearest reported "
                    f"{self.role}"
                )
        return None


def _with_radii(reference: tuple[str, ...]) -> tuple[str, ...]:
    for species in reference:
        if octahedral_radius(species) is None:
            raise ValueError(f"{species} has no octahedral Shannon radius")
    return reference


Filter = Annotated[
    RedoxCompatibility
    | RedoxCentres
    | RadiusWindow
    | SizeMismatch
    | ElectronegativityWindow
    | DescriptorWindow
    | ReportedRadius,
    Field(discriminator="rule"),
]
_FILTERS: TypeAdapter[tuple[Filter, ...]] = TypeAdapter(tuple[Filter, ...])


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


def metals(assignment: Assignment) -> dict[str, Fraction]:
    """Metals of an assignment over all sublattices: species → amount."""
    found: dict[str, Fraction] = {}
    for here in assignment.values():
        for species, amount in here.items():
            if species_properties(species).role in METAL_ROLES:
                found[species] = found[species] + amount if species in found else amount
    return found


@cache
def _electronegativity(symbol: str) -> float:
    from pymatgen.core import Element  # noqa: PLC0415 - a second to import

    value = float(Element(symbol).X)
    if value != value:  # noqa: PLR0124 - not a number is pymatgen's word for unknown
        raise SpecError(f"{symbol} has no Pauling electronegativity", field="filters")
    return value
