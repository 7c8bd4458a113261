"""Training results with energies of a known model, and what can go wrong with them."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from hts_battery.disorder import LatticeModel
from hts_battery.disorder.training_cells import training_cells
from hts_battery.schemas.lattice import LatticeTraining, TrainingCell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TENTH = Fraction(1, 10)
TRUE = LatticeModel.from_pairs(
    "rocksalt",
    {
        ("Li+", "Mn3+"): [-0.012, 0.004],
        ("Li+", "Ti4+"): [-0.02, 0.01],
        ("Mn3+", "Ti4+"): [0.006, 0.0],
    },
)
"""What gave the energies."""


def composition(lithium: int) -> dict[str, dict[str, Fraction]]:
    """Li(x)Mn(y)Ti(z)O2, neutral; ``lithium`` in tenths of two cation sites."""
    li = lithium * TENTH
    manganese = 4 - 3 * li
    cations = {"Li+": li, "Mn3+": manganese, "Ti4+": 2 - li - manganese}
    kept = {name: n for name, n in cations.items() if n}
    return {"cation": kept, "anion": {"O2-": Fraction(2)}}


def training(
    lithium: int,
    cells: int = 8,
    *,
    noise: float = 0.0,
    model: LatticeModel | None = None,
    predicted_by: str | None = None,
) -> LatticeTraining:
    """Pretend that an engine relaxed cells of a composition."""
    assignment = composition(lithium)
    planned = training_cells(
        assignment,
        cells,
        seed=lithium,
        model=model,
        temperature=None if model is None else 1273.0,
    )
    random = np.random.default_rng(lithium)
    made = []
    for number, one in enumerate(planned, 1):
        energy = TRUE.energy(one.structure) - 4.0 * len(one.structure)
        energy += noise * len(one.structure) * random.normal()
        made.append(
            TrainingCell(
                name=f"cell {number}",
                kind=one.kind,
                supercell=one.supercell,
                seed=one.seed,
                structure=one.structure.as_dict(),
                energy=energy,
                calculator="planted 1",
            )
        )
    return LatticeTraining(
        candidate_id=f"c{lithium}",
        formula=f"Li{float(lithium) / 10:g}",
        calculator="planted 1",
        cells=tuple(made),
        predicted_by=predicted_by,
    )


def trainings(noise: float = 0.0) -> Mapping[str, Sequence[LatticeTraining]]:
    """One campaign of four compositions."""
    return {"first": [training(n, 8, noise=noise) for n in (10, 11, 12, 13)]}
