"""Hops of ions, and how much energy they take."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hts_battery.schemas.base import Document

HopKind = Literal["single", "concerted"]
"""One ion moves; or two together, so that as many of each site stay taken."""
BarrierTier = Literal["activated state", "climbing band"]
BarrierVerdict = Literal["converged", "not converged", "no minimum there"]
"""
What came of a barrier.

``not converged``: there is an interval and no value. ``no minimum there``: an end of
the hop slides elsewhere; the reason says which, and how far.
"""


class BarrierOptions(Document):
    """How barriers are computed."""

    tier: BarrierTier = Field(
        "climbing band",
        description="`activated state` holds the ion half way (25 to 65 force calls, "
        "single hops only); `climbing band` finds the saddle.",
    )
    images: int = Field(5, ge=1, le=15, description="Between the ends of a band.")
    fmax: float = Field(
        0.05, gt=0, description="Largest force at the climbing image, eV/angstrom."
    )
    end_fmax: float = Field(
        0.05, gt=0, description="Largest force at the ends, eV/angstrom."
    )
    steps: int = Field(300, gt=0, description="Of each relaxation and of the band.")
    spring: float = Field(0.1, gt=0, description="Between images, eV/angstrom^2.")
    mirror: bool = Field(
        default=True,
        description="Whether a symmetry that swaps the ends saves half the work.",
    )


class Barrier(Document):
    """
    Energy that one hop takes, in a cell that is kept.

    Notes
    -----
    At 0 K, without zero-point motion and the entropy of the saddle; of one arrangement
    of the other ions; with periodic images of the hop.
    """

    verdict: BarrierVerdict = Field(description="What can be said.")
    reason: str = Field(description="Why, in a sentence.")
    tier: BarrierTier = Field(description="How it was computed.")
    forward: float | None = Field(
        description="From the start, eV: energy of the climbing image or the activated "
        "state less that of the start; no spline is in it."
    )
    backward: float | None = Field(description="From the end, eV.")
    interval: tuple[float, float] | None = Field(
        description="Of the forward barrier where the band did not converge, eV: the "
        "higher end and the highest image."
    )
    energies: tuple[float, ...] = Field(
        description="Along the band less the start, eV, ends included."
    )
    distances: tuple[float, ...] = Field(
        description="Along the band from the start, Å, in all coordinates."
    )
    saddle: int | None = Field(description="Number of the highest image; the start 0.")
    residual: float | None = Field(description="Largest force there, eV/angstrom.")
    force_calls: int = Field(ge=0, description="Evaluations of energy and forces.")
    mirrored: bool = Field(description="Whether a symmetry gave half of the band.")
    calculator: str = Field(description="Calculator with its version.")
    options: BarrierOptions = Field(description="As it was asked for.")


class HopBarrier(Barrier):
    """A barrier with the hop that it belongs to."""

    hop: str = Field(description="Sites of the hop: o-t-o 1-TM, 6b-18e.")
    kind: HopKind = Field(description="Of one ion, or of two together.")
    equal: int = Field(ge=1, description="Hops of the cell that symmetry makes equal.")
    length: float = Field(description="From start to end of the longest move, Å.")
    metals: int | None = Field(
        description="Other cations on the tetrahedron of a hop in a rock salt."
    )
