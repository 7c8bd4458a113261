"""Formulas as papers print them, written so that they can be read exactly."""

from __future__ import annotations

import re
import unicodedata

from hts_battery.errors import CompositionError

ORDINARY = re.compile(r"[A-Za-z0-9./()\[\]\s]*", re.ASCII)
"""A formula that needs no rewriting."""

_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉₍₎\u2024\u2044", "0123456789()./")
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff"))
_MIDDLE_DOTS = "·∙⋅•‧⸱・"
# Between two subscripts, or inside the braces of one, a dot is a decimal point.
_INNER_DOT = re.compile(
    rf"(?<=[₀-₉])[{_MIDDLE_DOTS}](?=[₀-₉])|(?<=_\{{\d)[{_MIDDLE_DOTS}](?=\d+\}})"
)
_SUPERSCRIPTS = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]")
_FRACTION = re.compile(r"\\[td]?frac\{(\d+)\}\{(\d+)\}")
# Braces of a font hold letters together and no group: \mathrm{MnO}_2 is MnO2.
_FONT = re.compile(
    r"(?:\\(?:ce|text|(?:math|text)(?:rm|sf|bf|it|regular))\s*\{|\{\s*\\(?:rm|sf)\b)"
    r"((?:[^{}\\]|\{[^{}]*\}|\\[,;! ])*)\}"
)
_MARKS = (
    (re.compile(r"\\(?:rm|sf|mathrm|left|right|cdot)\b\s*|\\[,;! ]"), ""),
    (
        re.compile(
            r"\\textsubscript(?=\{)|</?(?:sub|i|b|em|span)\b[^>]*>", re.IGNORECASE
        ),
        "",
    ),
    (re.compile(r"[$]|_(?=[\d.{])"), ""),
    (re.compile(r"\{\s*([\d./]+)\s*\}"), r"\1"),
    # What else stands in braces is a group, and a number behind them multiplies it.
    (re.compile(r"\{"), "("),
    (re.compile(r"\}"), ")"),
)
_DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d)")
_PART = re.compile(r"\s*(?P<times>\d+/\d+|\d*\.?\d+)?\s*(?P<formula>\S.*?)\s*")


def plain_formula(text: str) -> str:
    r"""
    Write a printed formula in elements, decimal amounts and round brackets.

    Subscripts, TeX and HTML marks of them, decimal commas, parts joined by a middle
    dot with their numbers are taken as what they mean. Nothing is guessed.

    Raises
    ------
    CompositionError
        If a sign may mean two things: a superscript, or a dot that may be a decimal
        point or join two formulas.

    Examples
    --------
    >>> plain_formula("Li₁.₂Mn₀.₄Ti₀.₄O₂")
    'Li1.2Mn0.4Ti0.4O2'
    >>> plain_formula(r"$\mathrm{Li_{1.3}Al_{0.3}Ti_{1.7}(PO_{4})_{3}}$")
    'Li1.3Al0.3Ti1.7(PO4)3'
    >>> plain_formula("Li1·2Mn0·4Ti0·4O2")
    'Li1.2Mn0.4Ti0.4O2'
    >>> plain_formula("0.5Li2MnO3·0.5LiMnO2")
    '(Li2MnO3)0.5(LiMnO2)0.5'
    """
    if _SUPERSCRIPTS.search(text) or "^" in text or "<sup" in text.lower():
        raise CompositionError(
            f"{text!r} holds a superscript: write the formula without charges"
        )
    found = (
        _INNER_DOT.sub(".", text.replace(r"\cdot", "·"))
        .translate(_INVISIBLE)
        .translate(_SUBSCRIPTS)
    )
    found, fonts = _FRACTION.sub(r"\1/\2", found), 1
    while fonts:
        found, fonts = _FONT.subn(r"\1", found)
    for pattern, plain in _MARKS:
        found = pattern.sub(plain, found)
    found = _DECIMAL_COMMA.sub(".", _plain_characters(found))
    return _joined(found, text)


def _plain_characters(text: str) -> str:
    """Write wide letters and digits, and fractions in one character, plainly."""
    found = ""
    for character in text:
        plain = unicodedata.normalize("NFKC", character)
        is_fraction = "\u2044" in plain and not found[-1:].isdigit()
        is_letter = len(plain) == 1 and bool(ORDINARY.fullmatch(plain))
        found += plain.replace("\u2044", "/") if is_fraction or is_letter else character
    return found


def _joined(text: str, printed: str) -> str:
    """Read middle dots: decimal points, or signs between parts of a formula."""
    dots = f"[{_MIDDLE_DOTS}]"
    between = re.compile(rf"(?<=\d){dots}(?=\d)")
    if not re.search(dots, text):
        return text
    if not between.search(text):
        return _parts(re.split(dots, text))
    if re.search(rf"[A-Za-z)\]]0{dots}\d", text):
        if len(between.findall(text)) == len(re.findall(dots, text)):
            return between.sub(".", text)
    elif re.search(r"\d\.\d", text):
        return _parts(re.split(dots, text))
    raise CompositionError(
        f"the dot in {printed!r} may be a decimal point or join two formulas: write a "
        "point (Li1.2) or a bracket (CuSO4(H2O)5)"
    )


def _parts(parts: list[str]) -> str:
    """Write parts with a number before each as groups with the number behind them."""
    found = ""
    for part in parts:
        match = _PART.fullmatch(part)
        if match is None:
            return "·".join(parts)
        found += f"({match['formula']}){match['times'] or ''}"
    return found
