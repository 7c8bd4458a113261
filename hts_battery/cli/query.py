"""hts query: what is stable, why, compared with what, and as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.opening import get_settings, opened_stores
from hts_battery.cli.options import AsJson, DryRun
from hts_battery.errors import CompositionError, ConfigurationError, QueryError
from hts_battery.query.exports import ExportFormat
from hts_battery.query.tables import GroupBy

if TYPE_CHECKING:
    from hts_battery.query import ScreeningDatabase
    from hts_battery.query.explanation import Explanation
    from hts_battery.query.groups import GroupCounts
    from hts_battery.schemas.rows import SummaryRow

Campaign = Annotated[str | None, typer.Option(help="Only this campaign.")]
Filter = Annotated[
    str | None,
    typer.Option(
        "--filter",
        help='Filter in OPTIMADE\'s language: elements HAS "Mn" AND e_hull_1473 <= 0.',
    ),
]
Sort = Annotated[
    str | None,
    typer.Option("--sort", help="Fields, comma between them; -t_mix is falling."),
]
Fields = Annotated[
    str | None, typer.Option("--fields", help="Fields to show, comma between them.")
]
Limit = Annotated[int, typer.Option(min=0, help="How many; 0 is all.")]
Temperature = Annotated[
    float | None,
    typer.Option(help="In K, one that the builders used; the highest if none."),
]

_DEVIATING = ("calculated_formula", "deviation")
"""Fields that are shown where a cell holds another composition than asked for."""


def find(  # noqa: PLR0913, PLR0917 - one parameter per option
    words: Filter = None,
    campaign: Campaign = None,
    sort: Sort = None,
    fields: Fields = None,
    limit: Limit = 20,
    distinct: Annotated[
        str | None, typer.Option(help="Count the values of this field instead.")
    ] = None,
    group_by: Annotated[
        GroupBy | None, typer.Option("--group-by", help="Count groups instead.")
    ] = None,
    temperature: Temperature = None,
    as_json: AsJson = False,
) -> None:
    """Find candidates by a filter, as a table, values or groups."""
    from hts_battery.cli import query_tables
    from hts_battery.query import ScreeningDatabase
    from hts_battery.query.selection import split_names

    with opened_stores() as stores:
        screening = ScreeningDatabase(stores)
        if distinct is not None:
            found = screening.distinct(distinct, words, campaign=campaign)
            _show_values(found, distinct, as_json)
            return
        if group_by is not None:
            kelvin = _temperature(screening, temperature)
            groups = screening.group(
                group_by, words, campaign=campaign, temperature=kelvin
            )
            _show_groups(groups, group_by, kelvin, as_json)
            return
        names = split_names(fields)
        chosen = bool(names)
        if not names and not as_json:
            names = _columns(screening, campaign)
        elif names and campaign is None and _are_several(screening):
            # A number says whose it is.
            names = list(dict.fromkeys(["campaign", "engine", *names]))
        rows = screening.table(
            words,
            campaign=campaign,
            limit=limit,
            sort=split_names(sort) or None,
            fields=names or None,
        )
    if as_json:
        for row in rows:
            formatting.json_line(row)
        return
    if not chosen and not any(row["deviation"] for row in rows):
        names = [name for name in names if name not in _DEVIATING]
    query_tables.selection(rows, names, title=f"{len(rows)} found")


def _are_several(screening: ScreeningDatabase) -> bool:
    """Say whether numbers of several campaigns are known."""
    return len(screening.distinct("campaign")) > 1


def _columns(screening: ScreeningDatabase, campaign: str | None) -> list[str]:
    """Return the fields that a table shows unless others are asked for."""
    hot = [
        f"{name}_{kelvin:g}".replace(".", "_")
        for kelvin in sorted(screening.temperatures())[-1:]
        for name in ("e_hull", "e_hull_upper", "label", "open")
    ]
    several = campaign is None and _are_several(screening)
    whose = ["campaign", "engine"] if several else []
    names = ["formula", *_DEVIATING, *whose, "e_hull", *hot]
    return [*names, "uncertainty", "n_orderings", "t_mix", "flags"]


def _show_values(pairs: list[tuple[object, int]], field: str, as_json: bool) -> None:
    if as_json:
        for value, number in pairs:
            formatting.json_line({"value": value, "n": number})
        return
    formatting.table(
        (field, "candidates"),
        pairs,
        title=f"{len(pairs)} values",
        right=("candidates",),
    )


def _show_groups(
    groups: list[GroupCounts], by: GroupBy, kelvin: float, as_json: bool
) -> None:
    if as_json:
        for group in groups:
            formatting.json_line(group._asdict())
        return
    best = f"lowest E_hull({kelvin:g} K)\nmeV/atom"
    stable, certain = f"stable at\n{kelvin:g} K", "of them\ncertain"
    formatting.table(
        (str(by), "candidates", stable, certain, best, "formula of it"),
        (
            (
                group.name,
                group.n_candidates,
                group.n_stable,
                group.n_certain,
                f"{1000 * group.lowest:.1f}",
                group.best,
            )
            for group in groups
        ),
        right=("candidates", stable, certain, best),
    )


def _temperature(screening: ScreeningDatabase, asked: float | None) -> float:
    """Return the temperature asked for, or the highest; it must be stored."""
    stored = screening.temperatures()
    kelvin = max(stored or get_settings().temperatures) if asked is None else asked
    if stored and kelvin not in stored:
        raise ConfigurationError(
            f"no builder has assessed anything at {kelvin:g} K; name temperatures "
            "in the campaign or in HTS_BATTERY_TEMPERATURES, then `hts build all`"
        )
    return kelvin


def stable(
    temperature: Temperature = None,
    threshold: Annotated[
        float, typer.Option(help="Largest E_hull(T) in meV/atom.")
    ] = 0.0,
    campaign: Campaign = None,
    words: Filter = None,
    limit: Limit = 0,
    as_json: AsJson = False,
) -> None:
    """List candidates at or below the hull at a temperature."""
    from hts_battery.cli.ranking import ranking
    from hts_battery.query import ScreeningDatabase
    from hts_battery.query.tables import count_words
    from hts_battery.schemas.summary import temperature_key

    with opened_stores() as stores:
        screening = ScreeningDatabase(stores)
        kelvin = _temperature(screening, temperature)
        found = list(
            screening.stable(
                temperature=kelvin,
                threshold=threshold / 1000,
                campaign=campaign,
                limit=limit,
                criteria=words,
            )
        )
    if as_json:
        for summary in found:
            formatting.json_line(summary)
        return
    bound = f"with E_hull({kelvin:g} K) <= {threshold:g} meV/atom"
    groups = _by_campaign(found)
    if not groups:
        formatting.line(f"0 {bound}")
    for whose, group in groups.items():
        certain = sum(not doc["open_at"][temperature_key(kelvin)] for doc in group)
        ranking(
            group,
            temperature=kelvin,
            title=f"{whose}: {count_words(len(group), certain)}, {bound}",
        )


def _by_campaign(found: list[SummaryRow]) -> dict[str, list[SummaryRow]]:
    """Group summaries so that a ranking is of one campaign and engine."""
    from hts_battery.cli.query_tables import whose

    groups: dict[str, list[SummaryRow]] = {}
    for doc in found:
        groups.setdefault(whose(doc), []).append(doc)
    return dict(sorted(groups.items()))


def show(
    candidate_id: Annotated[str, typer.Argument(metavar="ID", help="Candidate id.")],
    why: Annotated[
        bool, typer.Option("--why", help="How each E_hull was made, term by term.")
    ] = False,
    left_out: Annotated[
        bool,
        typer.Option(
            "--left-out",
            help="E_hull without each product in turn: which phase would have to go.",
        ),
    ] = False,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="KELVIN,…",
            help="E_hull at these temperatures, or 0:2000:100 (first, last, step), "
            "from the stored terms: nothing is built again.",
        ),
    ] = None,
    campaign: Campaign = None,
    as_json: AsJson = False,
) -> None:
    """Show one candidate with every term, campaign by campaign that screened it."""
    from hts_battery.query import ScreeningDatabase

    if left_out or at is not None:
        if why:
            raise ConfigurationError("--why is a question of its own: leave it out")
        _show_what_if(candidate_id, at, left_out, campaign, as_json)
        return
    with opened_stores() as stores:
        screening = ScreeningDatabase(stores)
        made = screening.why(candidate_id, campaign=campaign) if why else []
        summaries = [] if why else screening.get(candidate_id, campaign=campaign)
    found = made or summaries
    if not found:
        raise _not_assessed(candidate_id, campaign)
    if as_json:
        for document in found:
            formatting.json_line(document)
        return
    _print_shown(made, summaries)


def _print_shown(made: list[Explanation], summaries: list[SummaryRow]) -> None:
    """Print each campaign's terms, or what each says of a candidate."""
    from hts_battery.cli import query_tables

    for explained in made:
        formatting.line(query_tables.whose(explained))
        query_tables.explanation(explained)
    if len(summaries) > 1:
        query_tables.side_by_side(summaries)
    for summary in summaries:
        formatting.line(query_tables.whose(summary))
        formatting.fields(summary)


def _not_assessed(candidate_id: str, campaign: str | None) -> CompositionError:
    place = "" if campaign is None else f" by campaign {campaign}"
    return CompositionError(
        f"no candidate {candidate_id} has been assessed{place}; `hts campaign "
        "status SPEC` says where it stands"
    )


def _show_what_if(
    candidate_id: str,
    at: str | None,
    left_out: bool,
    campaign: str | None,
    as_json: bool,
) -> None:
    """Show a candidate at other temperatures, or with one competing phase less."""
    from hts_battery.cli import what_if
    from hts_battery.query.what_if import left_out_tables, stability_curve

    kelvin = what_if.temperatures(at)
    if left_out and len(kelvin) > 1:
        raise ConfigurationError("--left-out is asked at one temperature: --at 1473")
    with opened_stores() as stores:
        if left_out:
            tables = left_out_tables(
                stores,
                candidate_id,
                temperature=kelvin[0] if kelvin else None,
                campaign=campaign,
            )
            if tables:
                what_if.show_left_out(tables, as_json=as_json)
                return
        else:
            points = stability_curve(stores, candidate_id, kelvin, campaign=campaign)
            if points:
                what_if.show_curve(points, as_json=as_json)
                return
    raise _not_assessed(candidate_id, campaign)


def compare(
    first: Annotated[str, typer.Argument(help="Campaign or engine.")],
    second: Annotated[str, typer.Argument(help="Campaign or engine.")],
    temperature: Temperature = None,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """Compare two campaigns or engines for the candidates that both assessed."""
    from hts_battery.cli import query_tables
    from hts_battery.query import ScreeningDatabase
    from hts_battery.query.tables import marked_formula

    with opened_stores() as stores:
        screening = ScreeningDatabase(stores)
        kelvin = _temperature(screening, temperature)
        found = screening.compare(first, second, temperature=kelvin)
        pairs = found.pairs[: limit or None]
        if as_json:
            formatting.json_line(
                {**found.as_dict(), "pairs": [pair._asdict() for pair in pairs]}
            )
            return
        formulas = {
            doc["candidate_id"]: marked_formula(doc)
            for pair in pairs
            for doc in screening.get(pair.candidate_id)
        }
    query_tables.comparison(found, pairs, formulas)


def export(  # noqa: PLR0913, PLR0917 - one parameter per option
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File; printed if none.")
    ] = None,
    file_format: Annotated[
        ExportFormat, typer.Option("--format", help="Format of the file.")
    ] = ExportFormat.CSV,
    words: Filter = None,
    campaign: Campaign = None,
    sort: Sort = None,
    fields: Fields = None,
    limit: Limit = 0,
    dry_run: DryRun = False,
) -> None:
    """Export summaries, one row each, with a manifest that can be cited."""
    from hts_battery.query import ScreeningDatabase
    from hts_battery.query.exports import printed
    from hts_battery.query.selection import split_names
    from hts_battery.query.snapshots import Asked, exported

    with opened_stores() as stores:
        screening = ScreeningDatabase(stores)
        if dry_run:
            place = "printed" if output is None else f"written to {output}"
            count = screening.count(words, campaign=campaign)
            formatting.line(f"{count} summaries would be {place}")
            return
        asked = Asked(_written(words, campaign), tuple(split_names(sort)), limit)
        content, save = exported(
            stores,
            words,
            campaign=campaign,
            file_format=file_format,
            asked=asked,
            fields=split_names(fields),
        )
        if output is None:
            formatting.raw(printed(content, file_format))
            return
        manifest = save(output)
    formatting.line(f"{len(content.rows)} summaries written to {output}")
    formatting.line(manifest.citation)


def _written(words: str | None, campaign: str | None) -> str | None:
    """Write down how rows were chosen, for the manifest."""
    parts = [words, campaign and f'campaign = "{campaign}"']
    return " AND ".join(f"({part})" for part in parts if part) or None


def snapshot(
    file: Annotated[Path, typer.Argument(help="An export.")], as_json: AsJson = False
) -> None:
    """Read an export again: its manifest, and whether its digest is right."""
    from hts_battery.query.snapshots import read_snapshot

    found = read_snapshot(file)
    if not found.verified:
        raise QueryError(
            f"{file} was changed: its {len(found.rows)} rows do not have the digest "
            f"of its manifest, {found.manifest.digest}"
        )
    manifest = found.manifest.model_dump(mode="json")
    if as_json:
        formatting.json_line(manifest)
        return
    formatting.line(found.manifest.citation)
    formatting.fields(manifest)
