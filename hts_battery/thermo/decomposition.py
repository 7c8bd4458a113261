"""What a composition decomposes into: the answer of a hull."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Decomposition:
    """The lowest mixture of reference phases at one composition."""

    energy: float
    """Energy of the mixture, eV/atom."""
    amounts: Mapping[str, float]
    """Formula of each phase → atomic fraction of the mixture in it."""
    phases: Mapping[str, float]
    """Id of each phase → atomic fraction of the mixture in it."""
    formulas: Mapping[str, str]
    """Id of each phase → its formula."""
    chemical_potentials: Mapping[str, float]
    """Element → chemical potential, eV/atom, on the scale of the references."""
