"""Docstrings as Markdown: roles become code, equations MathML that browsers set."""

from __future__ import annotations

import re
from textwrap import dedent
from typing import Any

from griffe import Extension, Object
from latex2mathml.converter import convert

_ROLE = re.compile(r":(?:func|class|mod|data|attr|meth|exc|doc):`~?(?P<name>[^`]+)`")
_INLINE = re.compile(r":math:`(?P<tex>[^`]+)`")
_MATH = re.compile(
    r"^\.\. math::(?P<line>.*)\n(?P<lines>(?:\n|[ ]+.*\n?)*)", re.MULTILINE
)


class PlainDocstrings(Extension):
    """Replace what reStructuredText has and Markdown has not."""

    def on_instance(self, *, obj: Object, **kwargs: Any) -> None:  # noqa: ANN401 - griffe's own signature
        """Rewrite the docstring of one object, once."""
        del kwargs
        if obj.docstring is not None:
            obj.docstring.value = markdown(obj.docstring.value)


def markdown(text: str) -> str:
    """Return a docstring with roles and equations in Markdown."""
    plain = _ROLE.sub(r"`\g<name>`", text)
    inline = _INLINE.sub(lambda match: convert(match["tex"].replace("\n", " ")), plain)
    return _MATH.sub(_equation, inline)


def _equation(match: re.Match[str]) -> str:
    body = dedent(match["line"].strip() + "\n" + dedent(match["lines"])).strip()
    equations = [one for one in re.split(r"\n\s*\n", body) if one.strip()]
    shown = [convert(" ".join(one.split()), display="block") for one in equations]
    return "".join(f"\n<div class=equation>{one}</div>\n" for one in shown) + "\n"
