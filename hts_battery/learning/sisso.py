"""Input files of SISSO (v3.5) for the same search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hts_battery.learning.units import read_units

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

_KEYS = """\
ptype=1
ntask=1
nsample={rows}
nsf={columns}
desc_dim=2
funit={units}
fcomplexity=3
ops='(+)(-)(*)(/)(exp)(log)(^-1)(^2)(^3)(sqrt)(cbrt)(|-|)'
fmax_min=1e-3
fmax_max=1e5
nf_sis=1000
method_so='L0'
fit_intercept=.true.
metric='RMSE'
nmodels=100
"""


def sisso_files(
    columns: pd.DataFrame,
    target: NDArray[np.float64],
    *,
    units: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """
    Return ``train.dat`` and ``SISSO.in``: columns of one unit side by side.

    Names become letters and digits, since SISSO reads them as part of formulas.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> frame = pd.DataFrame({"a b": [1.0, 2.0], "c": [3.0, 4.0]})
    >>> files = sisso_files(frame, np.array([0.5, 1.5]), units={"c": "eV"})
    >>> files["train.dat"].splitlines()[0], "funit=(1:1)" in files["SISSO.in"]
    ('sample target c a_b', True)
    """
    powers = read_units(units or {})
    keys = {name: tuple(sorted(powers.get(str(name), {}).items())) for name in columns}
    order = sorted(columns, key=lambda name: (not keys[name], keys[name], str(name)))
    classes: list[str] = []
    start = 0
    while start < len(order):
        stop = start
        while stop < len(order) and keys[order[stop]] == keys[order[start]]:
            stop += 1
        if keys[order[start]]:
            classes.append(f"({start + 1}:{stop})")
        start = stop
    names = ["".join(c if c.isalnum() else "_" for c in str(one)) for one in order]
    lines = [" ".join(["sample", "target", *names])]
    for number, row in enumerate(columns[order].to_numpy(dtype=float), start=1):
        values = " ".join(repr(float(one)) for one in (target[number - 1], *row))
        lines.append(f"r{number} {values}")
    keywords = _KEYS.format(
        rows=len(columns), columns=len(order), units="".join(classes)
    )
    return {"train.dat": "\n".join(lines) + "\n", "SISSO.in": keywords}
