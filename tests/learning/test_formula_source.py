from __future__ import annotations

import numpy as np
import pytest

from hts_battery.errors import ConfigurationError
from hts_battery.learning.formula_source import evaluate_source


def source(body: str) -> str:
    return f"import numpy as np\n\n\ndef score(columns):\n    {body}\n"


def test_arithmetic_functions_and_branches() -> None:
    columns = {"a": np.array([1.0, 4.0])}
    body = "f0 = np.sqrt(columns['a'])\n    return np.where(f0 <= 1.5, -2.0, f0 / 2)"
    assert evaluate_source(source(body), columns).tolist() == [-2.0, 1.0]


@pytest.mark.parametrize(
    "body",
    [
        "return __import__('os').getcwd()",
        "return np.load('x')",
        "return np.exp(columns['a'], out=columns['a'])",
        "return columns['a'].T",
        "return other['a']",
        "return 'text'",
        "print(1)",
        "x = 1",
        "return columns['b']",
        "return (lambda x: x)(1)",
        "return 1 < 2",
    ],
)
def test_nothing_else_is_run(body: str) -> None:
    with pytest.raises(ConfigurationError):
        evaluate_source(source(body), {"a": np.ones(2)})


def test_what_is_no_source() -> None:
    for text in ("def", "1 + 1", "x\0"):
        with pytest.raises(ConfigurationError, match="no formula"):
            evaluate_source(text, {})
