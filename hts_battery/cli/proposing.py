"""hts campaign propose, iterate: what to compute next, out of a whole space."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.opening import campaign_name, get_settings, opened_stores
from hts_battery.cli.options import AsJson, DryRun, NameOrSpec

if TYPE_CHECKING:
    from hts_battery.schemas.proposal import Proposal, ProposalRound


def propose(  # noqa: PLR0913, PLR0917 - options
    campaign: NameOrSpec,
    space: Annotated[
        Path | None,
        typer.Option(help="File of the space to rank; the campaign's own if none."),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Compositions wanted.")] = 50,
    temperature: Annotated[
        float | None, typer.Option(help="In K; the highest that was built if none.")
    ] = None,
    element_share: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Largest share that may hold one metal."),
    ] = 0.5,
    out: Annotated[
        Path, typer.Option(help="Folder of the campaign file that is written.")
    ] = Path(),
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Rank a whole space by what was computed, and write a batch to compute next."""
    from hts_battery.campaign.proposals import (
        next_batch_name,
        proposed_batch,
        write_batch,
    )

    name = campaign_name(campaign)
    with opened_stores() as stores:
        found = proposed_batch(
            stores,
            name,
            space=space,
            temperature=temperature,
            batch=batch,
            element_share=element_share,
        )
        path = out / f"{next_batch_name(stores, name, out)}.yaml"
        if not dry_run and found.members:
            write_batch(stores, name, found, path, space)
    if as_json:
        formatting.json_line(found.model_dump(mode="json"))
    else:
        _show(found)
    if not found.members:
        formatting.note("nothing is proposed, so nothing is written")
    elif dry_run:
        formatting.note(f"would write {len(found.members)} compositions to {path}")
    else:
        formatting.note(f"{path}: run it with `hts campaign run {path}`")


def iterate(  # noqa: PLR0913, PLR0917 - options
    campaign: NameOrSpec,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds at most.")],
    temperature: Annotated[float, typer.Option(help="In K, one that is built.")],
    least_probability: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="End when the best is less likely stable."),
    ],
    batch: Annotated[int, typer.Option(min=1, help="Compositions a round.")] = 50,
    node_hours: Annotated[
        float | None, typer.Option(min=0.0, help="End before the plan exceeds it.")
    ] = None,
    space: Annotated[
        Path | None,
        typer.Option(help="File of the space to rank; the campaign's own if none."),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder of the batches and of their ledger.")
    ] = Path(),
    processes: Annotated[
        int, typer.Option(min=1, help="Candidates computed at once.")
    ] = 1,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Propose, compute here, build and fit again, round by round; it resumes."""
    from hts_battery.campaign import iteration
    from hts_battery.campaign.run import run_campaign
    from hts_battery.campaign.spec_file import load_campaign
    from hts_battery.schemas.proposal import IterationTerms

    settings = get_settings()
    terms = IterationTerms(
        campaign=campaign_name(campaign),
        temperature=temperature,
        batch=batch,
        least_probability=least_probability,
        node_hours=node_hours,
    )
    if dry_run:
        if as_json:
            formatting.json_line({"rounds": rounds, "compositions": rounds * batch})
        else:
            formatting.line(f"would compute up to {rounds * batch:,} compositions")
        return
    out.mkdir(parents=True, exist_ok=True)
    with opened_stores() as stores:

        def compute(path: Path) -> None:
            run_campaign(
                load_campaign(path),
                stores,
                data_dir=settings.data_dir,
                execution_folder=settings.execution_folder,
                temperatures=settings.temperatures,
                processes=processes,
            )

        for one in iteration.iterate(
            stores,
            iteration.Ledger(out, terms),
            rounds=rounds,
            space=space,
            execution_folder=settings.execution_folder,
            compute=compute,
        ):
            _show_round(one, as_json=as_json)


def _show_round(one: ProposalRound | str, *, as_json: bool) -> None:
    if isinstance(one, str):
        formatting.note(f"no further round: {one}")
    elif as_json:
        formatting.json_line(one.model_dump(mode="json"))
    else:
        wrong = "" if one.error is None else f", off by {1000 * one.error:.0f} meV/atom"
        formatting.line(
            f"{one.batch}: {one.stable} of {one.members} stable, "
            f"{one.expected_stable:.1f} expected{wrong}; {one.failed} failed"
        )


def _show(found: Proposal) -> None:
    formatting.line(
        f"{found.visited:,} compositions ranked by {found.rows} computed with "
        f"{found.calculator}; {1000 * found.error:.1f} meV/atom about the fit"
    )
    for element, reason in found.outside.items():
        formatting.note(f"{element} is outside: {reason}")
    for reason, members in found.removed.items():
        formatting.note(f"{members:,} of the best removed: {reason}")
    if found.capped:
        formatting.note(f"reached their share of the batch: {', '.join(found.capped)}")
    poor = [one for one in found.coverage if one.interval[1] < 0.9]  # noqa: PLR2004 - level
    for one in poor:
        formatting.note(
            f"intervals held {one.covered} of {one.rows} compositions with "
            f"{one.element} when it was left out, not 90 %"
        )
    formatting.table(
        ("formula", "E_hull", "90 %", "P", "depth", "nearest computed", "apart"),
        [
            (
                one.formula,
                f"{1000 * one.e_hull:.0f}",
                f"{1000 * one.interval[0]:.0f} to {1000 * one.interval[1]:.0f}",
                f"{one.probability:.2f}",
                ""
                if one.hull_depth_risk is None
                else f"{1000 * one.hull_depth_risk:.0f}",
                f"{one.nearest} ({1000 * one.nearest_e_hull:.0f})",
                f"{one.nearest_distance:.3f}",
            )
            for one in found.members
        ],
        right=("E_hull", "90 %", "P", "depth", "apart"),
        least={"formula": max((len(one.formula) for one in found.members), default=0)},
    )
    formatting.line(
        f"E_hull at {found.temperature:g} K in meV/atom, of the model; the intervals "
        "do not hold what the references lack (depth)"
    )
