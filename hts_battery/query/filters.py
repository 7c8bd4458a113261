"""Filters in OPTIMADE's language, read into expressions on the table of summaries."""

from __future__ import annotations

import re
from functools import cache, reduce
from operator import and_, or_
from typing import TYPE_CHECKING, Any, NamedTuple

from lark import Lark, Token, v_args
from lark.exceptions import UnexpectedInput, VisitError
from optimade.filterparser.lark_parser import AVAILABLE_PARSERS
from optimade.filtertransformers.base_transformer import BaseTransformer

from hts_battery.errors import QueryError
from hts_battery.query.expressions import (
    EVERYTHING,
    NOTHING,
    comparison,
    has,
    known,
    list_length,
    text_part,
)
from hts_battery.query.query_fields import query_field

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pyarrow.compute as pc

    from hts_battery.schemas.field_spec import FieldSpec

LONGEST = 2000
"""Characters of a filter."""
DEEPEST = 20
"""Brackets inside brackets."""

_GRAMMAR = (1, 2, 0)
_NAME = re.compile(r"\nIDENTIFIER:.*")
_EXCERPT = 20
_REVERSED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "!=": "!="}


def read_filter(
    text: str, field_of: Callable[[str], FieldSpec | None] = query_field
) -> pc.Expression:
    """
    Read a filter in OPTIMADE's language.

    Parameters
    ----------
    text
        For example ``elements HAS ALL "Mn","Ti" AND e_hull_1473 <= 0``; the names
        are those of :data:`~hts_battery.schemas.fields.FIELDS`. Nothing but
        spaces is no condition.
    field_of
        Finds a field by its name: none where nothing is known of it, a QueryError
        where there cannot be one.

    Returns
    -------
    pyarrow.compute.Expression
        On the columns of the table of summaries; null where nothing is known.

    Raises
    ------
    QueryError
        If the text is too long, too deep, no filter, names an unknown field or
        compares a field with what it cannot be.

    Examples
    --------
    >>> print(read_filter("n_metals = 5 AND NOT e_hull_1473 > 0.025"))
    ((n_metals == 5) and invert((energy_above_hull_at.1473K > 0.025)))
    """
    _check_size(text)
    if not text.strip():
        return EVERYTHING
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as err:
        raise QueryError(_unreadable(text, err)) from None
    try:
        found: pc.Expression = _Reader(field_of).transform(tree)
    except VisitError as err:
        if isinstance(err.orig_exc, QueryError):
            raise err.orig_exc from None
        raise
    return found


def _check_size(text: str) -> None:
    if len(text) > LONGEST:
        raise QueryError(f"a filter has at most {LONGEST} characters, not {len(text)}")
    if not text.isprintable():
        bad = next(char for char in text if not char.isprintable())
        raise QueryError(f"a filter is one line of plain text, without {bad!r}")
    depth = 0
    quoted = escaped = False
    for char in text:
        if char == '"' and not escaped:
            quoted = not quoted
        elif not quoted:
            depth += (char == "(") - (char == ")")
        escaped = char == "\\" and not escaped
        if depth > DEEPEST:
            raise QueryError(f"a filter has at most {DEEPEST} brackets in brackets")


@cache
def _parser() -> Lark:
    # The library's own parser takes time by the square of the length; its grammar is
    # LALR(1), which takes none worth naming.
    return Lark(optimade_grammar(), parser="lalr", maybe_placeholders=False)


def optimade_grammar() -> str:
    """
    Return OPTIMADE's grammar of filters, with two differences.

    TRUE and FALSE are told apart: its rule of them throws away which of the two was
    written. Names may hold capitals behind their first letter, as alpha_LiM_1 does.
    """
    path: Path = AVAILABLE_PARSERS[_GRAMMAR]["default"]
    text = path.read_text("utf-8").replace("\nbool:", "\n!bool:")
    return _NAME.sub("\nIDENTIFIER: /[a-z_][a-zA-Z_0-9]*/", text)


def _unreadable(text: str, err: UnexpectedInput) -> str:
    at = err.pos_in_stream
    token = getattr(err, "token", None)
    if at is None or at < 0 or (token is not None and token.type == "$END"):
        place = "it ends too early"
    else:
        place = f"character {at + 1}, at {text[at : at + _EXCERPT]!r}"
    return (
        f"cannot read the filter: {place}. Names are in lower case, text in double "
        'quotes, words in capitals: e_hull_1473 <= 0 AND elements HAS ALL "Mn","Ti"'
    )


class _Reader(BaseTransformer):
    """Turns the tree of a filter into an expression; one method per rule."""

    def __init__(self, field_of: Callable[[str], FieldSpec | None]) -> None:
        super().__init__()
        self._field_of = field_of

    def __default__(
        self, data: Token, children: list[Any], meta: object
    ) -> pc.Expression:
        del children, meta
        raise QueryError(f"{data.replace('_', ' ')}: not supported in a filter")

    @v_args(inline=True)
    def filter(self, found: pc.Expression) -> pc.Expression:
        return found

    def expression(self, parts: list[pc.Expression]) -> pc.Expression:
        return reduce(or_, parts)

    def expression_clause(self, parts: list[pc.Expression]) -> pc.Expression:
        return reduce(and_, parts)

    def expression_phrase(self, parts: list[Any]) -> pc.Expression:
        found: pc.Expression = parts[-1]
        return found if len(parts) == 1 else ~found

    def property(self, parts: list[Token]) -> _Named:
        name = ".".join(parts)
        return _Named(self._field_of(name))

    @v_args(inline=True)
    def string(self, text: Token) -> str:
        return text[1:-1].replace('\\"', '"').replace("\\\\", "\\")

    @v_args(inline=True)
    def number(self, text: Token) -> float:
        return _number(text)

    @v_args(inline=True)
    def signed_int(self, text: Token) -> float:
        return _number(text)

    @v_args(inline=True)
    def not_implemented_string(self, text: str) -> str:
        return text

    @v_args(inline=True)
    def bool(self, text: Token) -> bool:
        return str(text) == "TRUE"

    def value_zip(self, parts: list[Any]) -> pc.Expression:
        del parts
        raise QueryError("lists cannot be compared side by side (with colons)")

    value_zip_list = set_zip_op_rhs = property_zip_addon = value_zip

    @v_args(inline=True)
    def property_first_comparison(
        self, named: _Named, right: tuple[Any, ...]
    ) -> pc.Expression:
        make, *arguments = right
        return named.asked(make, *arguments)

    def constant_first_comparison(self, parts: list[Any]) -> pc.Expression:
        value, operator, named = parts
        if not isinstance(named, _Named):
            raise QueryError("a comparison needs the name of a field on one side")
        return named.asked(comparison, _REVERSED[operator], value)

    def value_op_rhs(self, parts: list[Any]) -> tuple[Any, ...]:
        operator, value = parts
        return comparison, str(operator), _constant(value)

    def known_op_rhs(self, parts: list[Token]) -> tuple[Any, ...]:
        return (known if parts[1] == "KNOWN" else _unknown,)

    def fuzzy_string_op_rhs(self, parts: list[Any]) -> tuple[Any, ...]:
        return text_part, str(parts[0]), _constant(parts[-1])

    def set_op_rhs(self, parts: list[Any]) -> tuple[Any, ...]:
        if isinstance(parts[1], Token) and parts[1].type == "OPERATOR":
            raise QueryError("HAS takes values, no comparisons")
        if isinstance(parts[1], Token):
            return has, str(parts[1]), parts[2]
        return has, "ANY", [_constant(parts[1])]

    def value_list(self, parts: list[Any]) -> Sequence[Any]:
        if any(isinstance(part, Token) for part in parts):
            raise QueryError("HAS takes values, no comparisons")
        return [_constant(part) for part in parts]

    def length_op_rhs(self, parts: list[Any]) -> tuple[Any, ...]:
        operator = str(parts[1]) if isinstance(parts[1], Token) else "="
        return list_length, operator, parts[-1]


class _Named(NamedTuple):
    """What a name in a filter stands for."""

    field: FieldSpec | None

    def asked(
        self, make: Callable[..., pc.Expression], *arguments: object
    ) -> pc.Expression:
        """Make a condition; nothing but *unknown* is known of what is no field."""
        if self.field is not None:
            return make(self.field, *arguments)
        answers = {known: ~EVERYTHING, _unknown: EVERYTHING}
        return answers.get(make, NOTHING)


def _number(text: Token) -> float:
    value = float(text)
    return int(value) if text.type == "SIGNED_INT" and abs(value) < 2**53 else value


def _unknown(field: FieldSpec) -> pc.Expression:
    return ~known(field)


def _constant(value: object) -> object:
    """Refuse another field where a value must stand."""
    if isinstance(value, _Named):
        name = value.field.name if value.field else "a name"
        raise QueryError(
            f"two fields cannot be compared; {name} stands where a value must: "
            "text is written in double quotes"
        )
    return value
