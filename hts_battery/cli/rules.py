"""hts rules: mined from a campaign or a table, shown, and written as filters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.options import AsJson, DryRun
from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from hts_battery.learning.labelled_frames import DescribedTable
    from hts_battery.schemas.rules import RuleTable

_SHOWN_PAIRS = 10
_SHOWN_LOST = 10

Report = Annotated[
    Path, typer.Argument(metavar="RULES", help="File that `hts rules mine` wrote.")
]


def mine(  # noqa: PLR0913, PLR0917 - options
    campaign: Annotated[
        str | None, typer.Argument(metavar="CAMPAIGN", help="Campaign that was built.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="A CSV file instead: a row a composition.")
    ] = None,
    formula: Annotated[str, typer.Option(help="Its column of formulas.")] = "formula",
    energy: Annotated[
        str, typer.Option(help="Its column of energies; stable is at most 0.")
    ] = "energy_above_hull",
    temperature: Annotated[
        float | None, typer.Option(help="Of a campaign, in K; the highest if none.")
    ] = None,
    false_discovery_rate: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Among what is called supported.")
    ] = 0.05,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the folds.")] = 0,
    save: Annotated[
        Path | None, typer.Option(help="File to keep the rules in, as JSON.")
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Mine rules of stability: each with its interval, adjusted, on rows kept aside."""
    from hts_battery.learning.labelled_frames import METALS, STABLE
    from hts_battery.learning.rules import mine_rules

    if (campaign is None) == (table is None):
        raise ConfigurationError("give a CAMPAIGN or --table FILE, one of both")
    if table is not None:
        described = _of_file(table, formula, energy)
    else:
        described = _of_campaign(str(campaign), temperature)
    report = mine_rules(
        described.frame,
        STABLE,
        groups=METALS,
        elements=described.elements,
        false_discovery_rate=false_discovery_rate,
        seed=seed,
    )
    if save is not None and dry_run:
        formatting.note(f"would write {len(report.rules)} rules to {save}")
    elif save is not None:
        save.write_text(report.model_dump_json(indent=1), encoding="utf-8")
    _show(report, as_json=as_json)
    if not as_json:
        _show_gaps(described)


def show(report: Report, as_json: AsJson = False) -> None:
    """Show rules that were mined before."""
    _show(_read(report), as_json=as_json)


def filters(
    report: Report,
    known: Annotated[
        Path | None,
        typer.Option(
            help="Known compounds to be kept: a table with formula, structure_type and "
            "doi, or formulas, one a line; the package's own table if none."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the supported rules as a block `filters:`; say what it would lose."""
    import yaml

    from hts_battery.learning.labelled_frames import filter_blocks, lost_by

    blocks = filter_blocks(_read(report))
    types = _known(known)
    lost = lost_by(blocks, [one for some in types.values() for one in some])
    if as_json:
        by_type = {
            name: {"known": len(some), "lost": sum(one in lost for one in some)}
            for name, some in types.items()
        }
        number = sum(map(len, types.values()))
        found = {"known": number, "lost": lost, "structure_types": by_type}
        formatting.json_line({"filters": blocks, **found})
        return
    if not blocks:
        formatting.note("no rule is supported: nothing to filter by")
        return
    formatting.raw(yaml.safe_dump({"filters": blocks}, sort_keys=False))
    for name, some in types.items():
        gone = sum(one in lost for one in some)
        words = f"{name} compounds" if name else "compounds"
        formatting.note(f"{gone} of {len(some)} known {words} would be lost")
    for one, reason in list(lost.items())[:_SHOWN_LOST]:
        formatting.note(f"{one}: {reason}")


def _known(file: Path | None) -> dict[str, list[str]]:
    """Read known compounds by their structure type, which a plain list does not say."""
    from hts_battery.compositions.formula_list import read_formula_list
    from hts_battery.compositions.reported import read_reported, reported_compounds

    if file is not None and file.suffix.lower() != ".csv":
        return {"": [one.text for one in read_formula_list(file)]}
    found: dict[str, list[str]] = {}
    for one in reported_compounds() if file is None else read_reported(file):
        found.setdefault(one.structure_type, []).append(one.formula)
    return found


def _of_file(file: Path, formula: str, energy: str) -> DescribedTable:
    from hts_battery.cli.learning_tables import read_csv
    from hts_battery.learning.labelled_frames import described_file

    return described_file(read_csv(file), formula=formula, energy=energy)


def _of_campaign(campaign: str, temperature: float | None) -> DescribedTable:
    from hts_battery.cli.learning_tables import campaign_table
    from hts_battery.cli.opening import campaign_name
    from hts_battery.learning.labelled_frames import described_campaign

    rows = campaign_table(campaign_name(campaign), temperature=temperature)
    return described_campaign(rows, energy="energy")


def _read(file: Path) -> RuleTable:
    from pydantic import ValidationError

    from hts_battery.schemas.rules import RuleTable

    try:
        return RuleTable.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as err:
        raise ConfigurationError(
            f"{file} holds no rules: write it with `hts rules mine --save {file}`"
        ) from err


def _show(report: RuleTable, *, as_json: bool) -> None:
    if as_json:
        for rule in report.rules:
            formatting.json_line(rule.model_dump(mode="json"))
        return
    low, high = report.base_rate_interval or (0.0, 1.0)
    share = "none" if report.base_rate is None else f"{report.base_rate:.3f}"
    formatting.line(
        f"{report.used} rows, stable share {share} ({low:.3f} to {high:.3f}); "
        f"false-discovery rate {report.false_discovery_rate:g}"
    )
    for reason, rows in report.left_out.items():
        formatting.note(f"{rows} rows left out: {reason}")
    columns = ("rule", "verdict", "inside", "outside", "odds ratio", "adjusted", "AUC")
    formatting.table(
        columns,
        [
            (
                rule.statement,
                rule.verdict,
                _share(rule.share_inside, rule.share_inside_interval),
                _share(rule.share_outside, rule.share_outside_interval),
                _ratio(rule.odds_ratio, rule.interval),
                _ratio(rule.adjusted_odds_ratio, rule.adjusted_interval),
                "" if rule.auc is None else f"{rule.auc:.2f}",
            )
            for rule in report.rules
        ],
        right=["AUC"],
    )
    for rule in report.rules:
        if rule.reason:
            formatting.note(f"{rule.columns[0]}: {rule.reason}")
    found = [pair for pair in report.pairs if pair.verdict == "supported"]
    tested = sum(pair.p_value is not None for pair in report.pairs)
    formatting.line(f"{len(found)} of {tested} pairs of elements beyond single ones")
    for pair in found[:_SHOWN_PAIRS]:
        ratio = _ratio(pair.odds_ratio, pair.interval)
        formatting.line(f"  {'-'.join(pair.elements)}: n {pair.n}, odds ratio {ratio}")


def _share(share: float | None, interval: tuple[float, float] | None) -> str:
    if share is None or interval is None:
        return ""
    return f"{100 * share:.1f} % ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})"


def _ratio(ratio: float | None, interval: tuple[float, float] | None) -> str:
    if ratio is None or interval is None:
        return ""
    return f"{ratio:.2f} ({interval[0]:.2f} to {interval[1]:.2f})"


def _show_gaps(described: DescribedTable) -> None:
    for species, rows in described.without_radius.items():
        formatting.note(f"{species} has no octahedral radius: {rows} rows")
    for formula, reason in list(described.unreadable.items())[:_SHOWN_LOST]:
        formatting.note(f"{formula}: {reason}")
