"""Exact chemical formulas: text to rational amounts and back."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from math import gcd, inf, lcm
from typing import TYPE_CHECKING

from hts_battery.errors import CompositionError
from hts_battery.schemas.printed_formula import ORDINARY, plain_formula

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    Formula = str | Mapping[str, Fraction | float]
    """Text such as ``Li1.3Mn0.4Ti0.3O1.7F0.3``, or element → amount."""

_SYMBOLS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu "
    "Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs "
    "Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl "
    "Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh "
    "Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og"
)
ELEMENTS = frozenset(_SYMBOLS.split())

# Formulas for people put the charge carrier first and the anions last; this
# order is part of the text that users see and never of an id.
_FIRST = {symbol: rank for rank, symbol in enumerate(("Cs", "Rb", "K", "Na", "Li"))}
_LAST = {
    symbol: rank
    for rank, symbol in enumerate(
        ("B", "Si", "P", "C", "H", "I", "Br", "Se", "S", "N", "Cl", "O", "F")
    )
}
_TOKEN = re.compile(
    r"(?P<element>[A-Z][a-z]?)|(?P<open>[(\[])|(?P<close>[)\]])|"
    r"(?P<amount>\d+/\d+|\d+\.\d+|\.\d+|\d+)|(?P<space>\s+)"
)
_MAX_DECIMALS = 4

# Formulas without brackets are nearly all there are, and are read by short ways.
_PLAIN = re.compile(r"(?:[A-Z][a-z]?(?:\d+(?:\.\d+)?)?)+", re.ASCII)
_REMEMBERED = 2**16  # formulas; each is asked for several times in a row
_PART = re.compile(r"([A-Z][a-z]?)(\d+(?:\.\d+)?)?", re.ASCII)


def _tokens(formula: str) -> Iterable[tuple[str, str]]:
    """Split a formula into kinds and texts; refuse what is neither."""
    position = 0
    while position < len(formula):
        match = _TOKEN.match(formula, position)
        if match is None or match.lastgroup is None:
            raise CompositionError(
                f"cannot read {formula[position:]!r} in the formula {formula!r}"
                + _hint(formula[position:])
            )
        position = match.end()
        if match.lastgroup != "space":
            yield match.lastgroup, match.group()


def _hint(rest: str) -> str:
    """Say what is wrong with a formula that goes on so, where that is known."""
    if re.match(r"[+\u2212\u2013-]?\s*[xyzδ]", rest):
        return ": write each amount as a number"
    if rest[:1].islower():
        return ": an element begins with a capital letter, like Li"
    return ""


def parse_formula(formula: str) -> dict[str, Fraction]:
    """
    Read a chemical formula exactly, as people and papers write it.

    Parameters
    ----------
    formula
        Elements with amounts that are integers, decimals or fractions; groups in
        round or square brackets; subscripts, TeX and HTML as in
        :func:`~hts_battery.schemas.printed_formula.plain_formula`.

    Returns
    -------
    dict[str, Fraction]
        Amount of each element, as written (not reduced); zero amounts left out.

    Raises
    ------
    CompositionError
        If the text is not a formula, names no element or an unknown one.

    Examples
    --------
    >>> parse_formula("Na3Zr2(SiO4)2PO4")["O"]
    Fraction(12, 1)
    >>> parse_formula("Li4/3Ti2/3O2")["Li"]
    Fraction(4, 3)
    >>> parse_formula("Li_{1.2}Mn₀.₄ Ti0.4 O2")["Li"]
    Fraction(6, 5)
    """
    total = _plain_amounts(formula)
    if total is None:
        if not ORDINARY.fullmatch(formula):
            formula = plain_formula(formula)
        total = _read_group(iter(_tokens(formula)), formula, depth=0)
    amounts = {element: amount for element, amount in total.items() if amount}
    if not amounts:
        raise CompositionError(f"{formula!r} names no element")
    return amounts


def _plain_amounts(formula: str) -> dict[str, Fraction] | None:
    """Read a formula without brackets and fractions, ten times faster; else None."""
    if not _PLAIN.fullmatch(formula):
        return None
    total: dict[str, Fraction] = {}
    for symbol, text in _PART.findall(formula):
        amount = _decimal_amount(text or "1")
        element = _element(symbol, formula)
        total[element] = total[element] + amount if element in total else amount
    return total


@lru_cache(maxsize=4096)
def _decimal_amount(text: str) -> Fraction:
    return Fraction(text)


def _read_group(
    tokens: Iterator[tuple[str, str]], formula: str, *, depth: int
) -> dict[str, Fraction]:
    """Add up the elements until the bracket closes or the formula ends."""
    total: dict[str, Fraction] = {}
    last: dict[str, Fraction] = {}  # what a following amount multiplies
    for kind, text in tokens:
        if kind == "close":
            break
        if kind == "amount":
            if not last:
                raise CompositionError(f"misplaced amount {text!r} in {formula!r}")
            _add(total, last, _amount(text, formula) - 1)
            last = {}
            continue
        if kind == "open":
            last = _read_group(tokens, formula, depth=depth + 1)
        else:
            last = {_element(text, formula): Fraction(1)}
        _add(total, last, Fraction(1))
    else:
        kind = "end"
    if (kind == "close") != (depth > 0):
        raise CompositionError(f"unbalanced bracket in {formula!r}")
    return total


def _add(
    total: dict[str, Fraction], amounts: Mapping[str, Fraction], factor: Fraction
) -> None:
    for element, amount in amounts.items():
        total[element] = total.get(element, Fraction(0)) + amount * factor


def _element(text: str, formula: str) -> str:
    if text not in ELEMENTS:
        raise CompositionError(f"{text!r} in {formula!r} is not an element")
    return text


def _amount(text: str, formula: str) -> Fraction:
    try:
        return Fraction(text)
    except ZeroDivisionError as err:
        raise CompositionError(f"{text!r} in {formula!r} divides by zero") from err


def integer_amounts(amounts: Mapping[str, Fraction]) -> dict[str, int]:
    """
    Reduce amounts to the smallest integers in the same ratio.

    Parameters
    ----------
    amounts
        Amount of each element, none negative, at least one above zero.

    Returns
    -------
    dict[str, int]
        Symbols in alphabetical order, greatest common divisor 1.

    Examples
    --------
    >>> integer_amounts(parse_formula("Li1.3Mn0.4Ti0.3O1.7F0.3"))
    {'F': 3, 'Li': 13, 'Mn': 4, 'O': 17, 'Ti': 3}
    """
    kept = {
        symbol: Fraction(amounts[symbol])
        for symbol in sorted(amounts)
        if amounts[symbol]
    }
    if not kept or min(kept.values()) < 0:
        raise CompositionError(f"amounts must be positive: {dict(amounts)}")
    denominator = lcm(*(amount.denominator for amount in kept.values()))
    integers = {symbol: int(amount * denominator) for symbol, amount in kept.items()}
    divisor = gcd(*integers.values())
    return {symbol: amount // divisor for symbol, amount in integers.items()}


def common_divisor(amounts: Iterable[Fraction]) -> Fraction:
    """
    Greatest rational of which every amount is a whole multiple.

    Examples
    --------
    >>> common_divisor([Fraction(1, 2), Fraction(4, 3)])
    Fraction(1, 6)
    """
    listed = list(amounts)
    denominator = lcm(*(amount.denominator for amount in listed))
    return Fraction(gcd(*(int(amount * denominator) for amount in listed)), denominator)


def canonical_formula(amounts: Mapping[str, Fraction]) -> str:
    """
    Write the one spelling of a composition that ids are made from.

    Symbols alphabetical, smallest integers, 1 written.

    Examples
    --------
    >>> canonical_formula(parse_formula("NaCaAl(SO4)3"))
    'Al1Ca1Na1O12S3'
    """
    return "".join(f"{el}{n}" for el, n in integer_amounts(amounts).items())


def display_order(symbol: str) -> tuple[int, int, str]:
    """Sort key of an element in a formula for people: carriers first, anions last."""
    if symbol in _FIRST:
        return (0, _FIRST[symbol], symbol)
    if symbol in _LAST:
        return (2, _LAST[symbol], symbol)
    return (1, 0, symbol)


def _decimal(amount: Fraction) -> str | None:
    """Write an amount as a short exact decimal, or nothing where it has none."""
    scaled = amount * 10**_MAX_DECIMALS
    if scaled.denominator != 1:
        return None
    if amount == 1:
        return ""
    if amount.denominator == 1:
        return str(amount.numerator)
    whole, part = divmod(int(scaled), 10**_MAX_DECIMALS)
    return f"{whole}." + f"{part:0{_MAX_DECIMALS}d}".rstrip("0")


def display_formula(amounts: Mapping[str, Fraction]) -> str:
    """
    Write a formula for people, exact and readable by any formula parser.

    Amounts as given where each is a decimal of at most four places, otherwise
    the smallest integers in the same ratio (``Li4/3Ti2/3O2`` is ``Li2TiO3``).

    Examples
    --------
    >>> display_formula(parse_formula("O1.7F0.3Mn0.4Li1.3Ti0.3"))
    'Li1.3Mn0.4Ti0.3O1.7F0.3'
    >>> display_formula(parse_formula("Li4/3Ti2/3O2"))
    'Li2TiO3'
    """
    symbols = sorted((el for el in amounts if amounts[el]), key=display_order)
    texts = [_decimal(amounts[el]) for el in symbols]
    if None in texts:
        integers = integer_amounts(amounts)
        texts = [str(integers[el]) if integers[el] > 1 else "" for el in symbols]
    return "".join(f"{el}{text}" for el, text in zip(symbols, texts, strict=True))


def _amounts(formula: Formula) -> Mapping[str, float | Fraction]:
    """Read the amount of each element, refusing what is not an element."""
    if isinstance(formula, str):
        if not _PLAIN.fullmatch(formula):
            return parse_formula(formula)
        amounts: dict[str, float] = {}
        for element, amount in _PART.findall(formula):
            amounts[element] = amounts.get(element, 0.0) + float(amount or 1)
        if not ELEMENTS.issuperset(amounts):
            return parse_formula(formula)  # for its error message
        return amounts
    unknown = [symbol for symbol in formula if symbol not in ELEMENTS]
    if unknown:
        raise CompositionError(f"{unknown[0]!r} in {dict(formula)} is not an element")
    return formula


def atomic_fractions(formula: Formula) -> dict[str, float]:
    """
    Atomic fraction of each element present.

    Parameters
    ----------
    formula
        Text, or element → amount; only ratios matter.

    Returns
    -------
    dict[str, float]
        Fractions that add up to one; elements with amount zero left out.

    Raises
    ------
    CompositionError
        If the formula cannot be read, has a negative or non-finite amount, or no
        atoms at all.

    Examples
    --------
    >>> atomic_fractions("LiCoO2")
    {'Li': 0.25, 'Co': 0.25, 'O': 0.5}
    """
    return dict(_of_text(formula) if isinstance(formula, str) else _of(formula))


@lru_cache(maxsize=_REMEMBERED)
def _of_text(formula: str) -> Mapping[str, float]:
    return _of(formula)


def _of(formula: Formula) -> Mapping[str, float]:
    amounts = {symbol: float(amount) for symbol, amount in _amounts(formula).items()}
    total = sum(amounts.values())
    if not (amounts and min(amounts.values()) >= 0.0 and 0.0 < total < inf):
        raise CompositionError(
            f"amounts in {formula!r} must be finite, not negative and not all zero"
        )
    return {symbol: amount / total for symbol, amount in amounts.items() if amount}
