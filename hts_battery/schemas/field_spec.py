"""How a quantity that can be asked for is declared."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

PROPERTY = "property"
"""Map of a row that holds the properties of a candidate, by name."""


class Kind(StrEnum):
    """What a field holds, which decides how it can be compared."""

    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    TEXT = "text"
    LIST = "list"
    TIME = "time"


class Spelling(StrEnum):
    """What a text names, so that any spelling of it is found."""

    FORMULA = "formula"
    SYSTEM = "chemical system"
    SPECIES = "species"
    ELEMENT = "element"


@dataclass(frozen=True)
class FieldSpec:
    """
    One quantity that can be asked for.

    The filter language, OPTIMADE properties, columns of the table, of CSV and Parquet
    files and of the command line, axes of the dashboard and the documentation's table
    of fields are made from it.
    """

    name: str
    """By which filters, orders and tables call it; case does not matter there."""
    description: str
    unit: str | None = None
    """None or ``1`` where there is none."""
    kind: Kind = Kind.NUMBER
    path: str = ""
    """Column of the table of summaries: where it stands in a row, dotted; its name if
    not given."""
    at_temperature: bool = False
    """Whether it has a value at each of some temperatures: ``e_hull_1473``."""
    uncertainty: str = ""
    """What the uncertainty of a property is, which is then a field, too."""
    shown: bool = False
    """Whether it stands in a table for which no fields are asked for."""
    choices: tuple[str, ...] = ()
    """The only values there are; any if empty."""
    spelling: Spelling | None = None
    """What a text names, where that has several spellings."""
    equal_path: str | None = None
    """Column that is compared for equality, where that is another."""
    constant: str | None = None
    """What every row has, where that is no column."""

    @property
    def column(self) -> str:
        """Column of the table of summaries."""
        return self.path or self.name

    @property
    def is_property(self) -> bool:
        """Whether a builder of properties makes it."""
        return self.column.startswith(f"{PROPERTY}.")

    @property
    def is_axis(self) -> bool:
        """Whether it can be drawn: a number, of any kind."""
        return self.kind in (Kind.NUMBER, Kind.INTEGER)

    @property
    def unit_words(self) -> str:
        """Write the unit for people; empty where there is none."""
        return "" if self.unit in (None, "1") else str(self.unit)
