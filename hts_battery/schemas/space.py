"""A composition space and a selection of its members, as they stand in a file."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from hts_battery.errors import CompositionError
from hts_battery.schemas.base import Document, FieldError, Rational, Whole
from hts_battery.schemas.formula import ELEMENTS
from hts_battery.schemas.species import VACANCY, parse_species
from hts_battery.schemas.species_table import Role, Spin

if TYPE_CHECKING:
    from collections.abc import Sequence

Basis = Literal["formula-unit", "sublattice-fraction", "metal-fraction"]


class AmountBounds(Document):
    """Least and greatest amount, in atoms per formula unit."""

    minimum: Rational = Field(Fraction(0), ge=0, description="Atoms per formula unit.")
    maximum: Rational | None = Field(
        None, ge=0, description="Atoms per formula unit; none means no bound."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.maximum is not None and self.maximum < self.minimum:
            raise ValueError(
                f"the maximum {self.maximum} is below the minimum {self.minimum}"
            )
        return self


class SpeciesSpec(AmountBounds):
    """What a space says of one species on one sublattice."""

    role: Role | None = Field(
        None, description="Role, where it differs from the species table."
    )
    spin: Spin | None = Field(
        None, description="Spin state, where it differs from the species table."
    )


class MetalsSpec(Document):
    """How many different metals share a sublattice, and how much of each."""

    minimum: int = Field(0, ge=0, description="Least number of different metals.")
    maximum: int | None = Field(
        None, ge=0, description="Greatest number of different metals; none: no bound."
    )
    amount: AmountBounds = Field(
        default_factory=AmountBounds,
        description="Bounds of each metal that is present, per formula unit.",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.maximum is not None and self.maximum < self.minimum:
            raise ValueError(
                f"the maximum {self.maximum} is below the minimum {self.minimum}"
            )
        return self


def _checked_species(text: str) -> str:
    """Return the one spelling of a species."""
    try:
        return str(parse_species(text))
    except CompositionError as err:
        raise ValueError(str(err)) from err


def _species_mapping(value: object) -> object:
    """Read a list of species as a mapping without bounds; refuse doubles."""
    pairs: list[tuple[object, object]]
    if isinstance(value, list | tuple):
        pairs = [(species, {}) for species in value]
    elif isinstance(value, dict):
        pairs = [(species, said or {}) for species, said in value.items()]
    else:
        raise ValueError(  # noqa: TRY004 - pydantic reports only ValueError
            "write a list of species, like [Li+, Mn3+], or a mapping with bounds, like "
            "{Li+: {minimum: 1.1}, Mn3+: {}}"
        )
    read: dict[str, object] = {}
    for species, said in pairs:
        if not isinstance(species, str):
            raise ValueError(  # noqa: TRY004 - pydantic reports only ValueError
                f"{species!r} is not a species; write text like Mn3+"
            )
        try:
            name = str(parse_species(species))
        except CompositionError as err:
            # A place in a list, the name itself in a mapping.
            field = str(len(read)) if isinstance(value, list | tuple) else species
            raise FieldError(str(err), field) from err
        if name in read:
            raise ValueError(f"species {name} stands twice on this sublattice")
        read[name] = said
    if not read:
        raise ValueError("a sublattice needs at least one species")
    return read


class SublatticeSpec(Document):
    """One set of equivalent sites."""

    sites: Rational = Field(gt=0, description="Sites per formula unit.")
    species: Annotated[dict[str, SpeciesSpec], BeforeValidator(_species_mapping)] = (
        Field(
            examples=[{"Mn3+": {"minimum": 0.1, "maximum": 0.4}}],
            description="Species that may sit here, with bounds where wanted.",
        )
    )
    metals: MetalsSpec = Field(
        default_factory=MetalsSpec,
        examples=[{"minimum": 3, "maximum": 6}],
        description="Number of different metals on this sublattice and their amounts.",
    )


class AmountRange(Document):
    """Amounts from the first to the last, in equal steps."""

    first: Rational = Field(ge=0, description="Atoms per formula unit.")
    last: Rational = Field(ge=0, description="Atoms per formula unit.")
    step: Rational = Field(gt=0, description="Atoms per formula unit.")

    @model_validator(mode="after")
    def _reaches(self) -> Self:
        if self.last < self.first or (self.last - self.first) % self.step:
            raise ValueError(
                f"steps of {self.step} from {self.first} do not reach {self.last}"
            )
        return self

    @property
    def amounts(self) -> tuple[Rational, ...]:
        """Every amount, ascending."""
        count = int((self.last - self.first) / self.step) + 1
        return tuple(self.first + index * self.step for index in range(count))


def _checked_element(symbol: str) -> str:
    if not isinstance(symbol, str) or symbol not in ELEMENTS:
        raise ValueError(f"{symbol!r} is not an element: write its symbol, like Li")
    return symbol


ElementSymbol = Annotated[str, BeforeValidator(_checked_element)]
Amount = Annotated[Rational, Field(ge=0)]


class SpaceSpec(Document):
    """
    A composition space: every charge-neutral filling of some sublattices.

    The sublattices of a formula unit are filled with species in whole steps.
    Elements named in ``contents`` or ``stoichiometries`` take the amounts given
    there; the element named in ``balance`` takes what neutrality leaves.
    """

    name: str | None = Field(None, description="Short name.")
    description: str = Field("", description="What the space is, and after whom.")
    family: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]*$",
        description="Family of the candidates; part of their id.",
    )
    basis: Basis = Field(
        description="What the step is a share of: the formula unit, the sites of the "
        "sublattice, or the sites that fixed amounts leave on it (the metal content)."
    )
    step: Rational = Field(gt=0, le=1, description="Grid step in units of the basis.")
    sublattices: dict[str, SublatticeSpec] = Field(
        min_length=1,
        examples=[{"anion": {"sites": 2, "species": ["O2-", "F-"]}}],
        description="Name → sublattice.",
    )
    elements: dict[ElementSymbol, AmountBounds] = Field(
        default_factory=dict,
        examples=[{"Li": {"minimum": 1.1, "maximum": 1.3}}],
        description="Bounds of an element over all its species and sublattices.",
    )
    contents: dict[ElementSymbol, tuple[Amount, ...] | AmountRange] = Field(
        default_factory=dict,
        examples=[{"F": [0, 0.2]}, {"F": {"first": 0, "last": 0.4, "step": 0.1}}],
        description="Element → the amounts per formula unit that it may take; every "
        "combination of several elements is in the space.",
    )
    stoichiometries: tuple[dict[ElementSymbol, Amount], ...] = Field(
        (),
        examples=[[{"Li": 1.2, "F": 0.2}]],
        description="Instead of contents: the combinations themselves.",
    )
    balance: ElementSymbol | None = Field(
        None,
        description="Element whose amount charge neutrality decides, off the grid.",
    )
    exclusions: tuple[tuple[str, ...], ...] = Field(
        (),
        examples=[[["Mn3+", "Cr3+"]]],
        description="Sets of species or elements that may not all be present.",
    )
    state_limit: int = Field(
        2_000_000,
        gt=0,
        description="Table entries that exact counting may use before it gives up.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.contents and self.stoichiometries:
            raise FieldError(
                "give either contents or stoichiometries, not both", "stoichiometries"
            )
        if len({frozenset(one) for one in self.stoichiometries}) > 1:
            raise FieldError(
                "every stoichiometry must name the same elements", "stoichiometries"
            )
        if self.balance in self.fixed_elements:
            raise FieldError(
                f"{self.balance} cannot be both fixed and the balance", "balance"
            )
        fixed = "stoichiometries" if self.stoichiometries else "contents"
        for field, names in (
            (fixed, self.fixed_elements),
            ("elements", self.elements),
            ("balance", (self.balance,)),
        ):
            for name in names:
                if name is not None and name not in self.symbols:
                    raise FieldError(f"{name} has no species on any sublattice", field)
        for number, exclusion in enumerate(self.exclusions):
            self._check_exclusion(exclusion, f"exclusions.{number}")
        return self

    def _check_exclusion(self, exclusion: tuple[str, ...], field: str) -> None:
        if len(set(exclusion)) < 2:  # noqa: PLR2004 - one member excludes nothing but itself
            raise FieldError(
                "an exclusion needs at least two different members: to leave one out, "
                "take it from the species",
                field,
            )
        for name in exclusion:
            if name in self.symbols:
                continue
            try:
                known = str(parse_species(name)) in self.species
            except CompositionError as err:
                raise FieldError(f"{err}, or an element like Mn", field) from err
            if not known:
                raise FieldError(
                    f"{name} is on no sublattice: there are "
                    f"{', '.join(sorted(self.species))}",
                    field,
                )

    @property
    def fixed_elements(self) -> tuple[str, ...]:
        """Elements whose amounts the contents or stoichiometries give."""
        if self.stoichiometries:
            return tuple(self.stoichiometries[0])
        return tuple(self.contents)

    @property
    def species(self) -> frozenset[str]:
        """Every species of every sublattice."""
        return frozenset(
            species for one in self.sublattices.values() for species in one.species
        )

    @property
    def symbols(self) -> frozenset[str]:
        """Every element of every sublattice; a vacancy is none."""
        return frozenset(parse_species(text).element for text in self.species) - {
            VACANCY
        }


CheckedSpecies = Annotated[str, BeforeValidator(_checked_species)]


class NasiconPairsSpec(Document):
    """The pair rule of the published NASICON screening, its chemistry as data."""

    rule: Literal["nasicon-pairs"] = Field(description="Name of the rule.")
    name: str | None = Field(None, description="Short name.")
    description: str = Field("", description="What the space is, and after whom.")
    family: str = Field(
        "nasicon",
        pattern=r"^[a-z0-9][a-z0-9_-]*$",
        description="Family of the candidates; part of their id.",
    )
    carrier: CheckedSpecies = Field("Na+", description="Mobile species.")
    carrier_amounts: AmountRange = Field(
        description="Amounts of the carrier per formula unit, at most 4."
    )
    metals: tuple[CheckedSpecies, ...] = Field(
        min_length=1, description="Species of the two M sites."
    )
    polyanion_centres: tuple[CheckedSpecies, ...] = Field(
        min_length=1, description="Species X of the three XO4 groups."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for names in (self.metals, self.polyanion_centres):
            if len(set(names)) < len(names):
                raise ValueError("a species stands twice")
        if self.carrier_amounts.last > 4:  # noqa: PLR2004 - one 6b and three 18e sites
            raise ValueError("NASICON has 4 sites for the carrier per formula unit")
        return self


Stratification = Literal["metals", "stoichiometry"]


def divisions(
    stratify: Stratification | Sequence[Stratification] | None,
) -> tuple[Stratification, ...]:
    """
    Write down what a sample is stratified by as a tuple, the outer division first.

    Examples
    --------
    >>> divisions("metals"), divisions(["stoichiometry", "metals"]), divisions(None)
    (('metals',), ('stoichiometry', 'metals'), ())
    """
    if stratify is None:
        return ()
    if isinstance(stratify, str):
        return (stratify,)
    return tuple(stratify)


class Selection(Document):
    """Which members of a space a campaign screens."""

    method: Literal["all", "range", "sample", "formulas"] = Field(
        description="Every member, a range of indices, a random sample, or a list."
    )
    start: Whole | None = Field(
        None, ge=0, examples=[0], description="First index of a range."
    )
    stop: Whole | None = Field(
        None, ge=0, examples=[100], description="First index after a range."
    )
    count: Whole | None = Field(
        None, gt=0, examples=[8], description="Size of a sample."
    )
    seed: Whole | None = Field(
        None, ge=0, examples=[1], description="Seed of a sample."
    )
    stratify: (
        Stratification
        | Annotated[tuple[Stratification, ...], Field(min_length=1)]
        | None
    ) = Field(
        None,
        examples=["metals", ["stoichiometry", "metals"]],
        description="Draw the same number from each number of metals, from each "
        "stoichiometry (combination of fixed amounts), or from each of the first and "
        "within it from each of the second.",
    )
    formulas: tuple[str, ...] | None = Field(None, description="The members wanted.")
    file: str | None = Field(
        None,
        min_length=1,
        examples=["mine.csv"],
        description="Instead of formulas: the CSV or text file that holds them, "
        "relative to this one.",
    )
    column: str | None = Field(
        None,
        min_length=1,
        examples=["formula"],
        description="Heading of its column that holds the formulas.",
    )

    @model_validator(mode="after")
    def _fields_of_method(self) -> Self:
        needed: set[str] = {
            "all": set[str](),
            "range": {"start", "stop"},
            "sample": {"count", "seed"},
            "formulas": {"file" if self.file is not None else "formulas"},
        }[self.method]
        optional = {"sample": {"stratify"}, "formulas": {"column"}}.get(
            self.method if self.method == "sample" or self.file is not None else "",
            set[str](),
        )
        given = {
            name
            for name in type(self).model_fields
            if name != "method" and getattr(self, name) is not None
        }
        if missing := needed - given:
            ways = " or file" if missing == {"formulas"} else ""
            raise ValueError(
                f"method {self.method} needs {', '.join(sorted(missing))}{ways}"
            )
        if extra := given - needed - optional:
            raise FieldError(
                f"method {self.method} takes no {', '.join(sorted(extra))}"
                + (" beside a file" if "formulas" in extra else ""),
                min(extra),
            )
        if len(set(self.strata)) < len(self.strata):
            raise ValueError("stratify names the same thing twice")
        if self.method == "range" and (self.stop or 0) <= (self.start or 0):
            raise FieldError("a range must stop after it starts", "stop")
        if self.formulas == ():
            raise FieldError("at least one formula must stand here", "formulas")
        return self

    @property
    def strata(self) -> tuple[Stratification, ...]:
        """What a sample is stratified by, the outer one first; empty if by nothing."""
        return divisions(self.stratify)
