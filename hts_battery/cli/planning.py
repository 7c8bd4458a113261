"""hts campaign plan: what a campaign costs before it is paid for."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.opening import database_exists, get_settings, opened_stores
from hts_battery.cli.options import AsJson, SkipBad, SpecFile

if TYPE_CHECKING:
    from hts_battery.schemas.cost import CampaignPlan, StepPrice

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_STEP = 1000.0


def plan(
    spec: SpecFile,
    worker: Annotated[
        str | None,
        typer.Option(help="Learn only from campaigns that were sent to this worker."),
    ] = None,
    nodes: Annotated[
        int | None,
        typer.Option(
            min=1, help="Nodes of one queue job; those of the submission if not given."
        ),
    ] = None,
    gated: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Share of the candidates that the gate is to stop."
        ),
    ] = None,
    skip_bad: SkipBad = False,
    as_json: AsJson = False,
) -> None:
    """Price a campaign in node-hours and bytes; write nothing."""
    from hts_battery.campaign.plan import Assumptions, plan_campaign

    with ExitStack() as stack:
        stores = (
            stack.enter_context(opened_stores(make_indexes=False))
            if database_exists()
            else None
        )
        found = plan_campaign(
            spec,
            stores,
            Assumptions(worker, nodes, gated),
            execution_folder=get_settings().execution_folder,
            skip_bad=skip_bad,
        )
    if as_json:
        formatting.json_line(found.model_dump(mode="json"))
        return
    _show(found)


def _show(plan: CampaignPlan) -> None:
    smallest, largest = plan.atoms
    cells = f"{smallest}" if smallest == largest else f"{smallest} to {largest}"
    formatting.line(
        f"{plan.campaign} with {plan.engine}: {plan.candidates:,} candidates in cells "
        f"of {cells} atoms, {plan.computed:,} need nothing more"
    )
    formatting.table(
        ("", "whole campaign", "still to do"),
        (
            (
                "node-hours",
                formatting.amount(plan.node_hours),
                formatting.amount(plan.node_hours_left),
            ),
            (
                "  9 times in 10 between",
                _range(plan.node_hours_interval),
                _range(plan.node_hours_left_interval),
            ),
            ("jobs", f"{plan.jobs:,}", f"{plan.jobs_left:,}"),
            ("database", _bytes(plan.bytes_database), ""),
            ("launch folders", _bytes(plan.bytes_folders), ""),
        ),
        right=("whole campaign", "still to do"),
    )
    formatting.table(
        ("step", "engine", "jobs", "left", "node-hours", "storage", "from"),
        (
            (
                step.step,
                step.engine,
                f"{step.jobs:,}",
                f"{step.jobs_left:,}",
                formatting.amount(step.node_hours),
                _bytes(step.bytes),
                f"{step.n_jobs} jobs" if step.n_jobs else "default",
            )
            for step in plan.steps
        ),
        right=("jobs", "left", "node-hours", "storage"),
    )
    if plan.gate is not None:
        formatting.line(
            f"the gate is expected to stop {plan.gate.share:.0%} of the candidates "
            f"({plan.gate.source})"
        )
    formatting.line(
        f"start-up, repeated and failed jobs: a factor of {plan.overhead.factor:.2f} "
        f"({plan.overhead.source})"
    )
    _show_budget(plan)
    for step in plan.steps:
        if not step.n_jobs:
            formatting.line(f"default of {_name(step)}: {step.source}")
    for note in plan.notes:
        formatting.line(note)


def _show_budget(plan: CampaignPlan) -> None:
    if plan.node_hours_spent is not None:
        formatting.line(
            f"spent so far: {formatting.amount(plan.node_hours_spent)} node-hours"
        )
    if plan.budget is None:
        return
    expected = (plan.node_hours_spent or 0.0) + plan.node_hours_left
    share = expected / plan.budget if plan.budget else float("inf")
    verdict = "enough" if share <= 1 else "not enough"
    formatting.line(
        f"budget: {formatting.amount(plan.budget)} node-hours, {verdict}: "
        f"{formatting.amount(expected)} expected in all, {share:.0%} of it"
    )


def _name(step: StepPrice) -> str:
    return f"{step.step} ({step.engine})" if step.engine else step.step


def _range(interval: tuple[float, float]) -> str:
    low, high = interval
    return f"{formatting.amount(low)} and {formatting.amount(high)}"


def _bytes(number: float) -> str:
    """Write a number of bytes for people, in powers of a thousand."""
    power = 0
    while number >= _STEP and power < len(_UNITS) - 1:
        number, power = number / _STEP, power + 1
    return f"{formatting.amount(number)} {_UNITS[power]}"
