"""hts references gaps: what the competing phases of a campaign lack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.opening import read_campaign, stores_if_any
from hts_battery.cli.options import AsJson, SpecFile
from hts_battery.query.tables import MEV_PER_EV

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hts_battery.campaign.reference_gaps import CampaignGaps, ReferenceGap

_ROWS = 40


def gaps(
    spec: SpecFile,
    engine: Annotated[
        str | None, typer.Option("--engine", help="Another engine than the campaign's.")
    ] = None,
    largest: Annotated[
        int,
        typer.Option(
            min=1,
            max=3,
            help="Every system of so many elements; larger ones where compositions of "
            "them are known and candidates decompose into them.",
        ),
    ] = 2,
    fewer_than: Annotated[
        int, typer.Option(min=1, help="List systems with fewer phases than this.")
    ] = 1,
    alloys: Annotated[
        bool, typer.Option("--alloys", help="Systems without an anion, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List what a campaign's competing phases lack, and how much E_hull may fall."""
    from hts_battery.campaign.reference_gaps import campaign_gaps, usable_formulas
    from hts_battery.flows.engines.registry import engine as engine_of

    campaign = read_campaign(spec, skip_bad=True)
    name = engine_of(engine or campaign.spec.engine).name
    with stores_if_any() as stores:
        formulas = usable_formulas(name, stores)
    found = campaign_gaps(
        (candidate for _, candidate in campaign.kept()),
        formulas,
        largest=largest,
        fewer_than=fewer_than,
    )
    # Alloys seldom limit an oxide or fluoride, and there are hundreds; elements do.
    shown = [
        gap
        for gap in found.systems
        if alloys or gap.has_anion or "-" not in gap.chemical_system
    ]
    if as_json:
        _gaps_as_json(found, shown)
        return
    _show_gaps(shown[:_ROWS], f"{name} phases")
    formatting.line(
        f"{len(shown):,} systems of at most {largest} elements, or larger and asked "
        f"for, have fewer than {fewer_than} phases of {name}, which has "
        f"{len(formulas):,}"
        + (f"; {_ROWS} shown, --json has all" if len(shown) > _ROWS else "")
    )
    _report_missing(found)


def _show_gaps(shown: Iterable[ReferenceGap], phases: str) -> None:
    """Print the systems with few phases, counted under a heading."""
    formatting.table(
        ("system", "candidates", phases, "weight"),
        (
            (
                gap.chemical_system,
                f"{gap.n_candidates:,}",
                gap.n_references,
                _weight(gap.weight),
            )
            for gap in shown
        ),
        right=("candidates", phases, "weight"),
    )


def _gaps_as_json(found: CampaignGaps, shown: Iterable[ReferenceGap]) -> None:
    """Print one object a line: systems, compositions, then the campaign."""
    for gap in shown:
        formatting.json_line({"kind": "system", **gap.model_dump(mode="json")})
    for one in found.compositions:
        formatting.json_line({"kind": "composition", **one.model_dump(mode="json")})
    whole = found.model_dump(mode="json", exclude={"systems", "compositions"})
    formatting.json_line({"kind": "campaign", **whole})


def _report_missing(found: CampaignGaps) -> None:
    """Print the compositions that are missing, and how much E_hull may fall."""
    below = "below the hull\nmeV/atom"
    right = ("candidates", "mean fraction", "weight", below)
    formatting.table(
        ("composition", *right, "reported"),
        (
            (
                one.formula,
                f"{one.n_candidates:,}",
                f"{one.mean_atomic_fraction:.3f}",
                _weight(one.weight),
                f"{MEV_PER_EV * one.below_hull:.0f}",
                "yes" if one.reported else "-",
            )
            for one in found.compositions[:_ROWS]
        ),
        title="known compositions without a reference, into which candidates decompose",
        right=right,
    )
    formatting.line(
        f"{len(found.compositions):,} known compositions are missing"
        + (
            f", {_ROWS} shown, --json has all"
            if len(found.compositions) > _ROWS
            else ""
        )
        + f"; {found.n_complete:,} of {found.n_candidates:,} candidates lack none"
    )
    for words, depth in (
        ("all known compositions", found.depth),
        ("reported compounds only", found.depth_reported),
    ):
        if depth is not None:
            formatting.line(
                f"E_hull may fall by (median, 90 %, most; {words}): "
                f"{MEV_PER_EV * depth.median:.1f}, {MEV_PER_EV * depth.ninety:.1f}, "
                f"{MEV_PER_EV * depth.largest:.1f} meV/atom"
            )
    if found.n_unknown:
        formatting.line(
            f"not known of {found.n_unknown:,} candidates: no known composition holds "
            "one of their elements"
        )


def _weight(value: float) -> str:
    return f"{value:,.1f}" if value >= 1 else f"{value:.3f}"
