"""Evaluation of the Python source of a formula, and of nothing else."""

from __future__ import annotations

import ast
import operator
from typing import TYPE_CHECKING

import numpy as np

from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_FUNCTIONS: dict[str, Callable[..., Array]] = {
    name: getattr(np, name)
    for name in ("exp", "log", "reciprocal", "square", "power", "sqrt", "cbrt", "abs")
} | {"where": np.where}
_OPERATORS: dict[type[ast.operator], Callable[..., Array]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def evaluate_source(source: str, columns: Mapping[str, Array]) -> Array:
    r"""
    Evaluate ``score(columns)`` as :meth:`DescriptorSearch.to_python` writes it.

    The source may come from a file of somebody else: it is read, not run. Only
    arithmetic, the functions of formulas, and columns are known.

    Raises
    ------
    ConfigurationError
        If the source holds anything else, or a column is missing.

    Examples
    --------
    >>> source = "def score(columns):\n    return 1 + np.exp(columns['x'])"
    >>> evaluate_source(source, {"x": np.array([0.0])}).tolist()
    [2.0]
    """
    try:
        [function] = [
            one for one in ast.parse(source).body if isinstance(one, ast.FunctionDef)
        ]
    except (SyntaxError, ValueError) as err:
        raise ConfigurationError(f"this is no formula: {source[:60]!r}") from err
    names: dict[str, Array] = {}
    with np.errstate(all="ignore"):  # what is not defined is no number
        for line in function.body:
            if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
                names[line.targets[0].id] = _value(line.value, columns, names)
            elif isinstance(line, ast.Return) and line.value is not None:
                return _value(line.value, columns, names)
            else:
                raise _unknown(line)
    raise ConfigurationError("the formula returns nothing")


def _value(
    node: ast.expr, columns: Mapping[str, Array], names: Mapping[str, Array]
) -> Array:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return np.asarray(node.value)
    if isinstance(node, ast.Name) and node.id in names:
        return names[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, columns, names)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        sides = (_value(one, columns, names) for one in (node.left, node.right))
        return _OPERATORS[type(node.op)](*sides)
    if isinstance(node, ast.Subscript):
        return _column(node, columns)
    return _called(node, columns, names)


def _called(
    node: ast.expr, columns: Mapping[str, Array], names: Mapping[str, Array]
) -> Array:
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.LtE):
        sides = (_value(one, columns, names) for one in (node.left, *node.comparators))
        return np.asarray(operator.le(*sides))
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "np"
        and node.func.attr in _FUNCTIONS
        and not node.keywords
    ):
        values = [_value(one, columns, names) for one in node.args]
        return np.asarray(_FUNCTIONS[node.func.attr](*values))
    raise _unknown(node)


def _column(node: ast.Subscript, columns: Mapping[str, Array]) -> Array:
    name = node.slice.value if isinstance(node.slice, ast.Constant) else None
    if not isinstance(node.value, ast.Name) or node.value.id != "columns":
        raise _unknown(node)
    if name not in columns:
        raise ConfigurationError(f"the table has no column {name!r}")
    return columns[str(name)]


def _unknown(node: ast.AST) -> ConfigurationError:
    return ConfigurationError(f"no formula holds this: {ast.unparse(node)[:60]!r}")
