"""hts build: run the builders over everything in the database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.opening import get_settings, opened_stores, stores_if_any
from hts_battery.cli.options import AsJson, DryRun
from hts_battery.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hts_battery.campaign.build_failures import BuildFailure
    from hts_battery.schemas.build import BuildReport

_SHOWN = 10
_BUILDERS = ("entries", "thermo", "summary", "summary_table")
"""Those that make no properties."""
_COUNTS = ("read", "written", "failed", "unchanged", "unmade", "removed", "seconds")


RetryFailed = Annotated[
    bool,
    typer.Option("--retry-failed", help="Try failures again though nothing changed."),
]


Verify = Annotated[
    bool,
    typer.Option("--verify", help="Read again what was written; trust no earlier run."),
]


def _build(
    only: str | None,
    *,
    dry_run: bool,
    as_json: bool,
    retry_failed: bool,
    verify: bool = False,
) -> None:
    from hts_battery.campaign.build import build_all, stored_campaigns
    from hts_battery.campaign.build_failures import build_failures

    if dry_run:
        with stores_if_any() as stores:
            names = [spec.name for spec in stored_campaigns(stores)] if stores else []
        if as_json:
            formatting.json_line({"campaigns": names})
        else:
            formatting.line(
                "would rebuild what has changed of the campaigns: "
                + (", ".join(names) or "none")
            )
        return
    problems: dict[str, str] = {}
    with opened_stores() as stores:
        reports = build_all(
            stores,
            temperatures=get_settings().temperatures,
            only=only,
            retry_failed=retry_failed,
            verify=verify,
            problem=problems.__setitem__,
        )
        failures = build_failures(
            stores, stored_campaigns(stores, problem=lambda _name, _why: None)
        )
    shown = [one for one in failures if one.builder in reports]
    _report(reports, shown, as_json=as_json)
    if problems:
        raise StoreError(
            f"{', '.join(problems)} left as {'it' if len(problems) == 1 else 'they'} "
            f"stood: {'; '.join(problems.values())}"
        )


def _report(
    reports: Mapping[str, BuildReport],
    failures: Sequence[BuildFailure],
    *,
    as_json: bool,
) -> None:
    """Print what each builder did, and why documents of it have no result."""
    if as_json:
        formatting.json_line(
            {
                name: {
                    **report.model_dump(mode="json", include=set(_COUNTS)),
                    **({"skipped": report.skipped} if report.skipped else {}),
                    "failures": [
                        one.model_dump(mode="json", exclude={"builder"})
                        for one in failures
                        if one.builder == name
                    ],
                }
                for name, report in reports.items()
            }
        )
        return
    formatting.table(
        ("builder", *_COUNTS),
        (
            (
                name,
                *(getattr(report, field) for field in _COUNTS[:-1]),
                f"{report.seconds:.3g}",
            )
            for name, report in reports.items()
        ),
        right=_COUNTS,
        least={"builder": max(map(len, reports))},
    )
    for name, report in reports.items():
        if report.skipped:
            formatting.line(f"{name} is skipped: {report.skipped}")
    for one in failures[:_SHOWN]:
        formatting.line(
            f"{one.builder}, {one.subject}: {one.count:,} without a result, such as "
            f"{one.example}: {one.reason}"
        )
    if len(failures) > _SHOWN:
        formatting.line(f"{len(failures) - _SHOWN} more reasons: --json lists all")


def all_builders(
    dry_run: DryRun = False,
    retry_failed: RetryFailed = False,
    verify: Verify = False,
    as_json: AsJson = False,
) -> None:
    """Run every builder for every campaign; what is unchanged is not touched."""
    _build(
        None,
        dry_run=dry_run,
        as_json=as_json,
        retry_failed=retry_failed,
        verify=verify,
    )


def __getattr__(name: str) -> Callable[..., None]:
    """Make the command of one builder, which has its name."""
    file = Path(__file__).parents[1] / "builders" / "properties" / f"{name}.py"
    if name not in _BUILDERS and not file.is_file():
        raise AttributeError(name)

    def command(
        dry_run: DryRun = False,
        retry_failed: RetryFailed = False,
        as_json: AsJson = False,
    ) -> None:
        _build(name, dry_run=dry_run, as_json=as_json, retry_failed=retry_failed)

    return command


def list_runs(
    limit: Annotated[int, typer.Option(min=1, help="How many, latest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the runs of the builders, what each wrote, and on which hulls."""
    from hts_battery.query.builds import runs

    with opened_stores() as stores:
        found = runs(stores, limit=limit)
    if as_json:
        for run in found:
            formatting.json_line(run)
        return
    formatting.table(
        ("run", "state", "s", "written", "failed", "hulls"),
        (
            (
                run["run_id"],
                run["state"],
                "" if run["seconds"] is None else f"{run['seconds']:.1f}",
                sum(report["written"] for report in run["reports"].values()),
                sum(report["failed"] for report in run["reports"].values()),
                ", ".join(
                    f"{hull['hull_version']} ({hull['n_references']})"
                    for hull in run["hulls"]
                ),
            )
            for run in found
        ),
        right=("s", "written", "failed"),
    )


def diff(
    since: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="A run; the one before the latest if none."),
    ] = None,
    campaign: Annotated[str | None, typer.Option(help="Only this campaign.")] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Also changes that flip no label.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say which labels flipped since a run, by how much, and why."""
    from hts_battery.query.builds import differences

    with opened_stores() as stores:
        found = differences(stores, since=since, campaign=campaign)
    shown = [row for row in found.rows if every or row.flipped]
    if as_json:
        for row in shown:
            formatting.json_line(row.as_dict())
        return
    formatting.line(found.headline)
    formatting.table(
        ("candidate", "T (K)", "label", "E_hull", "change", "why"),
        (
            (
                row.formula,
                f"{row.temperature:g}",
                row.labels,
                "" if row.after is None else f"{1000 * row.after:.1f}",
                "" if row.change is None else f"{1000 * row.change:+.1f}",
                "; ".join(row.reasons),
            )
            for row in shown
        ),
        title=f"{len(shown)} since run {found.since} (E_hull in meV/atom)",
        right=("T (K)", "E_hull", "change"),
    )
