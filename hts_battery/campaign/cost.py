"""What candidates cost: laws fitted to finished jobs, and prices that follow."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from math import exp, log, sqrt
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import yaml
from scipy.optimize import least_squares

from hts_battery.schemas.cost import (
    CampaignPlan,
    CostDefaults,
    CostLaw,
    GateShare,
    StepPrice,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from hts_battery.schemas.cost import (
        CampaignWork,
        FinishedJob,
        Overhead,
        PlannedStep,
    )

ANY = "*"
"""Engine or step of a law for whatever has none of its own."""
LEAST_JOBS = 5
"""Finished jobs below which a stated default is better than a fit."""
_SECONDS_PER_HOUR = 3600.0
_DISTINCT_SIZES = 3
_WIDTH_OF_SIZES = 1.5  # largest over smallest cell that can tell an exponent
_MARGIN = 1.25  # cells this much beyond the finished ones are no extrapolation
_Z = 1.645  # of the 5th and 95th percentile of a normal distribution
_SIGMA_OVER_MAD = 1.4826


@lru_cache(maxsize=1)
def cost_defaults() -> CostDefaults:
    """Read what is assumed before anything has finished."""
    source = files("hts_battery.campaign") / "data" / "cost_defaults.yaml"
    return CostDefaults.model_validate(yaml.safe_load(source.read_text("utf-8")))


def default_law(engine: str, step: str) -> CostLaw:
    """Return the stated law of a step or of the nearest kind, like ``forcefield:*``."""
    laws = {(law.engine, law.step): law for law in cost_defaults().laws}
    kind = f"{engine.split(':', maxsplit=1)[0]}:{ANY}"
    for key in (
        (engine, step),
        (kind, step),
        (engine, ANY),
        (kind, ANY),
        (ANY, step),
        (ANY, ANY),
    ):
        if key in laws:
            return laws[key].model_copy(update={"engine": engine, "step": step})
    raise ValueError(f"no law for {engine} {step}, not even one for anything")


def fit_law(jobs: Sequence[FinishedJob], prior: CostLaw) -> CostLaw:
    """
    Fit a law to finished jobs of one engine and step.

    Least squares in ln(wall time) and ln(atoms) with a loss that large residuals do
    not dominate. The exponent is the stated one where the sizes of the cells are too
    alike to tell it; fewer than five jobs leave the stated law as it is.

    ``jobs``: finished jobs. ``prior``: the stated law, whose storage is kept.

    Examples
    --------
    >>> from hts_battery.schemas.cost import FinishedJob
    >>> jobs = [
    ...     FinishedJob(engine="chgnet", step="relax", atoms=n, seconds=0.5 * n)
    ...     for n in (20, 24, 30, 36, 40)
    ... ]
    >>> law = fit_law(jobs, default_law("chgnet", "relax"))
    >>> round(law.exponent, 3), law.n_jobs, (law.smallest, law.largest)
    (1.0, 5, (20, 40))
    """
    if len(jobs) < LEAST_JOBS:
        return prior
    sizes = np.log([job.atoms for job in jobs])
    times = np.log([job.seconds for job in jobs])
    centre = float(sizes.mean())
    line = _Line.through(sizes - centre, times, prior)
    spread = float(np.std(line.residuals, ddof=1))
    # The mean of what is left, so that a sum over many jobs comes out right.
    mean = float(np.mean(np.exp(line.residuals)))
    scale = exp(centre) / prior.atoms
    n = len(jobs)
    return prior.model_copy(
        update={
            "atoms": exp(centre),
            "seconds": exp(line.level) * mean,
            "exponent": line.exponent,
            "level_error": spread / sqrt(n),
            "exponent_error": line.exponent_error,
            "spread": spread,
            "document_bytes": prior.document_bytes * scale,
            "folder_bytes": prior.folder_bytes * scale,
            "n_jobs": n,
            "smallest": min(job.atoms for job in jobs),
            "largest": max(job.atoms for job in jobs),
            "source": _described(jobs, line.exponent, spread),
        }
    )


def _described(jobs: Sequence[FinishedJob], exponent: float, spread: float) -> str:
    sizes = [job.atoms for job in jobs]
    return (
        f"{len(jobs)} finished jobs of {min(sizes)} to {max(sizes)} atoms: N^"
        f"{exponent:.2f}, single jobs within a factor of {exp(spread):.2f}"
    )


class _Line(NamedTuple):
    """A line through ln(wall time) over ln(atoms), centred."""

    level: float
    exponent: float
    exponent_error: float
    residuals: NDArray[np.float64]

    @classmethod
    def through(
        cls, sizes: NDArray[np.float64], times: NDArray[np.float64], prior: CostLaw
    ) -> _Line:
        """Fit level and, where the sizes differ enough, exponent."""
        tells = (
            len(np.unique(sizes)) >= _DISTINCT_SIZES
            and np.ptp(sizes) >= np.log(_WIDTH_OF_SIZES)
            and len(sizes) > LEAST_JOBS - 1
        )
        if not tells:
            rest = times - prior.exponent * sizes
            level = float(np.median(rest))
            return cls(level, prior.exponent, prior.exponent_error, rest - level)

        def misfit(line: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.asarray(line[0] + line[1] * sizes - times)

        slope = max(0.0, float(np.polyfit(sizes, times, 1)[0]))
        start = np.array([float(np.median(times - slope * sizes)), slope])
        first = misfit(start)
        width = _SIGMA_OVER_MAD * float(np.median(np.abs(first - np.median(first))))
        found = least_squares(
            misfit,
            start,
            bounds=([-np.inf, 0.0], [np.inf, np.inf]),
            loss="soft_l1",
            f_scale=max(width, 1e-3),
        )
        level, exponent = (float(value) for value in found.x)
        residuals = -misfit(found.x)
        scatter = float(np.std(residuals, ddof=2))
        error = scatter / float(np.sqrt(np.sum(sizes**2)))
        return cls(level, exponent, error, residuals)


def fitted_laws(
    steps: Iterable[tuple[str, str]], jobs: Iterable[FinishedJob]
) -> dict[tuple[str, str], CostLaw]:
    """Return the best law of each engine and step: fitted where enough has finished."""
    found: dict[tuple[str, str], list[FinishedJob]] = {}
    for job in jobs:
        found.setdefault((job.engine, job.step), []).append(job)
    return {
        key: fit_law(found.get(key, []), default_law(*key))
        for key in dict.fromkeys(steps)
    }


def wall_seconds(law: CostLaw, atoms: Sequence[int]) -> float:
    """Mean wall time of one job over a sample of cells, in s."""
    ratios = np.array(atoms, dtype=float) / law.atoms
    return law.seconds * float(np.mean(ratios**law.exponent))


def gate_share(stopped: int, verdicts: int) -> GateShare:
    """
    Estimate which share of candidates a gate stops.

    The mean of what is known before any verdict, nothing, and after: (k + 1)/(n + 2).

    ``stopped``: verdicts that stop a candidate. ``verdicts``: all verdicts.

    Examples
    --------
    >>> gate_share(0, 0).share, gate_share(9, 18).share
    (0.5, 0.5)
    """
    share = (stopped + 1) / (verdicts + 2)
    source = (
        f"{stopped} of {verdicts} stored verdicts"
        if verdicts
        else "assumption: nothing is known, so half of them, give or take"
    )
    return GateShare(
        share=share,
        error=sqrt(share * (1 - share) / (verdicts + 3)),
        verdicts=verdicts,
        source=source,
    )


def assumed_share(share: float) -> GateShare:
    """Return the share that somebody assumes a gate to stop."""
    return GateShare(share=share, error=0.0, verdicts=0, source="as you assume")


def price(
    work: CampaignWork,
    laws: Mapping[tuple[str, str], CostLaw],
    overhead: Overhead,
    gate: GateShare | None,
    *,
    candidate_bytes: float,
) -> CampaignPlan:
    """
    Price a campaign.

    ``work``: what is to be computed. ``laws``: engine and step → law. ``overhead``:
    what is added for start-up and failures. ``gate``: what the gate stops; none without
    a gate. ``candidate_bytes``: bytes of a candidate in the database beside its jobs.
    Returns: without what only a database knows: spent, budget.
    """
    steps = tuple(
        _price_step(step, work, laws[step.engine, step.step], overhead, gate)
        for step in work.steps
    )
    of_steps = list(zip(work.steps, steps, strict=True))
    sizes = [
        [one.jobs * size for size in _bytes(laws[step.engine, step.step], work)]
        for step, one in of_steps
    ]
    documents, folders = (sum(column) for column in zip(*sizes, strict=True))
    database = round(documents + work.candidates * candidate_bytes)
    total = sum(one.node_hours for one in steps)
    left = sum(one.node_hours_left for one in steps)
    return CampaignPlan(
        campaign=work.campaign,
        engine=next((s.engine for s in reversed(work.steps) if s.engine), ""),
        candidates=work.candidates,
        computed=work.candidates - work.left,
        jobs=sum(one.jobs for one in steps),
        jobs_left=sum(one.jobs_left for one in steps),
        node_hours=total,
        node_hours_interval=_interval(
            total, _variance(of_steps, work, laws, gate, left=False)
        ),
        node_hours_left=left,
        node_hours_left_interval=_interval(
            left, _variance(of_steps, work, laws, gate, left=True)
        ),
        node_hours_spent=None,
        budget=None,
        bytes=database + round(folders),
        bytes_database=database,
        bytes_folders=round(folders),
        atoms=(min(work.atoms), max(work.atoms)),
        overhead=overhead,
        gate=gate,
        steps=steps,
        notes=tuple(_notes(steps)),
    )


def _price_step(
    step: PlannedStep,
    work: CampaignWork,
    law: CostLaw,
    overhead: Overhead,
    gate: GateShare | None,
) -> StepPrice:
    passing = 1.0 - gate.share if gate is not None and step.behind_gate else 1.0
    each = wall_seconds(law, work.atoms) * step.length * work.nodes * overhead.factor
    hours = each / _SECONDS_PER_HOUR
    jobs = work.candidates * step.for_each * passing
    left = work.left * step.for_each * passing
    return StepPrice(
        engine=step.engine,
        step=step.step,
        jobs=round(jobs),
        jobs_left=round(left),
        node_hours=jobs * hours,
        node_hours_left=left * hours,
        bytes=round(jobs * sum(_bytes(law, work))),
        n_jobs=law.n_jobs,
        spread=law.spread,
        source=law.source,
        extrapolated=_is_beyond(law, work),
    )


def _bytes(law: CostLaw, work: CampaignWork) -> tuple[float, float]:
    """Bytes of one job in the database and in its launch folder."""
    scale = sum(work.atoms) / len(work.atoms) / law.atoms
    return law.document_bytes * scale, law.folder_bytes * scale


def _is_beyond(law: CostLaw, work: CampaignWork) -> bool:
    if law.smallest is None or law.largest is None:
        return False
    return (
        max(work.atoms) > _MARGIN * law.largest
        or min(work.atoms) < law.smallest / _MARGIN
    )


def _variance(
    steps: Sequence[tuple[PlannedStep, StepPrice]],
    work: CampaignWork,
    laws: Mapping[tuple[str, str], CostLaw],
    gate: GateShare | None,
    *,
    left: bool,
) -> float:
    """Variance of the price in node-hours²."""
    # The error of a law is common to all its jobs, their spread is not; the error of
    # the gate is common to everything behind it.
    total, behind = 0.0, 0.0
    for step, one in steps:
        law = laws[step.engine, step.step]
        hours = one.node_hours_left if left else one.node_hours
        jobs = one.jobs_left if left else one.jobs
        if not jobs:
            continue
        distance = log(sum(work.atoms) / len(work.atoms) / law.atoms)
        of_law = law.level_error**2 + (law.exponent_error * distance) ** 2
        total += hours**2 * (_relative(of_law) + _relative(law.spread**2) / jobs)
        if step.behind_gate:
            behind += hours
    if gate is not None and gate.share < 1:
        total += (behind * gate.error / (1.0 - gate.share)) ** 2
    return total


def _relative(variance_of_log: float) -> float:
    """Relative variance of a log-normal value."""
    return exp(variance_of_log) - 1.0


def _interval(value: float, variance: float) -> tuple[float, float]:
    """5th and 95th percentile of a log-normal value."""
    if value <= 0:
        return (0.0, 0.0)
    width = exp(_Z * sqrt(log(1.0 + variance / value**2)))
    return value / width, value * width


def _notes(steps: Iterable[StepPrice]) -> Iterable[str]:
    for one in steps:
        name = f"{one.step} ({one.engine})" if one.engine else one.step
        if one.extrapolated:
            yield (
                f"{name}: the cells are larger or smaller than those that have "
                "finished; the price is extrapolated"
            )
