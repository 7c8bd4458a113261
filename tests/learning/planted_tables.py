"""Tables of labelled rows with a known truth."""

from __future__ import annotations

import numpy as np
import pandas as pd

METALS = (
    *("Mg", "Zn", "Ca", "La", "Ga", "Y", "Sc", "In"),
    *("Al", "Zr", "Ti", "Sn", "Hf", "Ge", "Nb", "Ta"),
)
"""Metals of the published NASICON table."""


def planted(rows: int, seed: int, *, columns: int = 4) -> pd.DataFrame:
    """Columns of noise a, b, c, …, and a label that does not depend on them."""
    random = np.random.default_rng(seed)
    names = [chr(ord("a") + number) for number in range(columns)]
    frame = pd.DataFrame(random.normal(size=(rows, columns)), columns=names)
    frame["stable"] = random.random(rows) < 0.3
    return frame
