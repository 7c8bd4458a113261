"""
What docs/chgnet_campaign.md says of its table: the numbers between its marks.

``chgnet_campaign.py --rebuild`` writes them; nothing here reads or writes a file.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
from chgnet_campaign import (
    FEWEST,
    FOUR,
    MEV,
    NOT_KEPT,
    ONE,
    assignment_of,
    candidates_of,
    certain,
    composition_fits,
    pairs_of,
)

from hts_battery.query.regression import LinearFit, chemistry_terms, least_squares
from hts_battery.schemas.formula import parse_formula

if TYPE_CHECKING:
    from collections.abc import Mapping

DESCRIPTORS = {
    "Li": "Li, +0.1 a formula unit",
    "F": "F, +0.1 a formula unit",
    "metals": "one metal more",
    "redox": "redox centres in the place of other closed shells, +0.1 a formula unit",
    "d0": "d⁰ compensators (Ti4+ Zr4+ Hf4+ V5+ Nb5+ Ta5+ Mo6+ W6+) likewise",
    "mismatch": "mismatch of the metals' radii, +1 %",
    "radius": "mean radius of the metals, +0.01 Å",
    "incompatible": "an incompatible redox pair among the assumed species",
}
"""Terms of the second regression, and what a unit of each is."""
MOST = 8
"""Phases that are named."""
FAR, CHANCE = 3, 0.0027
"""Standard errors from zero, and how often a normal error is as large."""


def chemistry_both(one: pd.DataFrame) -> Both:
    """Fit both energies to what the chemistry says of a composition."""
    terms = _chemistry_terms(one)
    return Both(*(least_squares(terms, one[column]) for column in ("cold", "hot")))


def _chemistry_terms(one: pd.DataFrame) -> dict[str, list[float]]:
    return chemistry_terms(
        one.formula, [assignment_of(text) for text in one.assignment]
    )


@dataclass(frozen=True)
class Both:
    """Regressions of E_hull and of E_hull(1473 K), energies in meV/atom."""

    cold: LinearFit
    hot: LinearFit

    def row(self, name: str, scale: float = 1.0) -> str:
        """Write both coefficients of a term with their standard errors."""
        return " | ".join(
            f"{scale * fit.coefficients[name]:+.1f} ± {scale * fit.errors[name]:.1f}"
            for fit in (self.cold, self.hot)
        )

    @property
    def quality(self) -> str:
        """Say how much they explain."""
        return "; ".join(
            f"{name}: n = {fit.n}, R² = {fit.r_squared:.2f}, error of a candidate left "
            f"out {fit.cross_validated_error:.0f} meV/atom (scatter of all "
            f"{scatter:.0f})"
            for name, fit, scatter in (
                ("E_hull", self.cold, self.scatter(self.cold)),
                ("E_hull(1473 K)", self.hot, self.scatter(self.hot)),
            )
        )

    @staticmethod
    def scatter(fit: LinearFit) -> float:
        """Return the standard deviation of what was fitted."""
        return float(fit.residuals.std() / max(1.0 - fit.r_squared, 1e-12) ** 0.5)


def composition_both(one: pd.DataFrame) -> tuple[Both, list[str]]:
    """Fit both energies to the composition; metals, the best at 1473 K first."""
    cold, hot, symbols = composition_fits(one)
    return Both(cold, hot), symbols


def numbers(table: pd.DataFrame, before: pd.DataFrame) -> dict[str, str]:
    """
    Write what the page says of the table, block by block.

    Parameters
    ----------
    table
        As :func:`judged` made it.
    before
        The same with the library of :data:`BEFORE`.
    """
    one, four = candidates_of(table, ONE), candidates_of(table, FOUR)
    return {
        "headline": _headline(one),
        "metals": _by_number(one),
        "fluorine": _fluorine(one),
        "composition": _composition(one),
        "chemistry": _chemistry(one),
        "pairs": _pairs(one),
        "orderings": _orderings_said(table, four),
        "changed": _changed(candidates_of(before, ONE), one),
        "charges": _charges(table, one),
    }


def whole(value: float) -> str:
    """Round to whole numbers, without a negative zero."""
    return f"{round(value) + 0:.0f}"


def mean(values: pd.Series) -> str:
    """Round the mean to whole numbers."""
    return f"{values.astype(float).mean():.0f}"


def table_of(heading: str, lines: list[str]) -> str:
    """Put lines of a table under their heading."""
    return "\n".join([heading, "|---" * (heading.count("|") - 1) + "|", *lines])


def _headline(one: pd.DataFrame) -> str:
    return (
        f"At 1473 K {(one.hot <= 0).sum()} of {len(one)} candidates lie at or below "
        f"the hull, {certain(one)} of them certain; without entropy "
        f"{(one.cold <= 0).sum()}. Median E_hull {whole(one.cold.median())}, at 1473 K "
        f"{whole(one.hot.median())}; T·S is {one.entropic.min():.0f} to "
        f"{one.entropic.max():.0f}. *Certain* are those that are not `open`: both "
        "bounds on one side of the hull, and E_hull(1473 K) further from it than one "
        "standard deviation of its uncertainty, "
        f"{MEV * one.uncertainty.max():.0f} meV/atom for CHGNet ([several orderings]"
        "(thermodynamics.md#several-orderings)). A candidate is compared with "
        f"{mean(one.n_references)} competing phases in the mean (hull "
        f"`{one.hull_version.iloc[0]}`)."
    )


def _by_number(one: pd.DataFrame) -> str:
    return table_of(
        f"| metals {_MEDIANS} of them certain | median T·S |",
        [
            f"| {number} | {_medians(group)} | {certain(group)} | "
            f"{whole(group.entropic.median())} |"
            for number, group in one.groupby("n_metals")
        ],
    )


_MEDIANS = (
    "| candidates | median E_hull | median E_hull(1473 K) | "
    "% at or below the hull at 1473 K |"
)


def _medians(group: pd.DataFrame) -> str:
    share = 100 * (group.hot <= 0).mean()
    return (
        f"{len(group)} | {whole(group.cold.median())} | {whole(group.hot.median())} | "
        f"{share:.0f}"
    )


def _fluorine(one: pd.DataFrame) -> str:
    amounts = [parse_formula(formula) for formula in one.formula]
    keys = [(float(a["Li"]), float(a.get("F", 0))) for a in amounts]
    lines = []
    for (lithium, fluorine), group in one.groupby(pd.Series(keys, index=one.index)):
        anions = f"O{2 - fluorine:g}F{fluorine:g}" if fluorine else "O2"
        lines.append(f"| Li{lithium:g}, {anions} | {_medians(group)} |")
    return table_of(f"| {_MEDIANS}", lines)


def _composition(one: pd.DataFrame) -> str:
    fits, symbols = composition_both(one)
    held = [text.split("-") for text in one.metals]
    lines = [
        f"| Li, +0.1 a formula unit | {len(one)} | {fits.row('Li')} |",
        f"| F, +0.1 a formula unit | {len(one)} | {fits.row('F')} |",
        f"| one metal more | {len(one)} | {fits.row('metals')} |",
    ]
    lines += [
        f"| {symbol} | {sum(symbol in found for found in held)} | "
        f"{fits.row(symbol, 0.1)} |"
        for symbol in symbols
    ]
    heading = "| | candidates | E_hull | E_hull(1473 K) |"
    return f"{table_of(heading, lines)}\n\n{fits.quality}."


def _chemistry(one: pd.DataFrame) -> str:
    fits = chemistry_both(one)
    lines = [f"| {text} | {fits.row(name)} |" for name, text in DESCRIPTORS.items()]
    pair = {"incompatible": _chemistry_terms(one)["incompatible"]}
    apart = Both(*composition_fits(one, pair)[:2])
    return (
        f"{table_of('| | E_hull | E_hull(1473 K) |', lines)}\n\n{fits.quality}.\n\n"
        "With every metal told apart, as in the regression above, an incompatible pair "
        f"adds {apart.row('incompatible').replace(' |', ', at 1473 K')}."
    )


def _pairs(one: pd.DataFrame) -> str:
    _, hot, _ = composition_fits(one)
    found = pairs_of(one, hot.residuals)
    found["z"] = found["mean"] / found.error
    beyond = int((found.z.abs() > FAR).sum())
    worst = found.sort_values("mean")

    def named(rows: pd.DataFrame) -> str:
        return ", ".join(
            f"{row.first}-{row.second} {row.mean:+.0f} ± {row.error:.0f}"
            for row in rows.itertuples(index=False)
        )

    return (
        f"Of {len(found)} pairs in {FEWEST} candidates or more the mean residual of "
        f"E_hull(1473 K) is {found['mean'].abs().median():.0f} meV/atom in the median "
        f"of its absolute value. Further than three standard errors from zero: "
        f"{beyond}; chance alone gives {CHANCE * len(found):.1f}. Lowest "
        f"{named(worst.head(3))}; highest {named(worst.tail(3)[::-1])}."
    )


def _orderings_said(table: pd.DataFrame, four: pd.DataFrame) -> str:
    used = table[(table.campaign == FOUR) & (table.state == "used")]
    by = used.groupby("index")
    lowest = used.loc[by.energy_per_atom.idxmin()]
    electrostatic = int((lowest.method == "electrostatic").sum())
    gap = four.upper - four.hot
    random = used[used.method == "sqs"].groupby("index").energy_per_atom
    spread = MEV * (random.max() - random.min())
    both, either = (four.upper <= 0).sum(), (four.hot <= 0).sum()
    return (
        f"The lowest of the four is an electrostatic one in {electrostatic} of "
        f"{len(four)}, {whole(gap.median())} meV/atom below the mean of the random "
        f"ones ({gap.min():.0f} to {gap.max():.0f}). {either} have the lower bound at "
        f"or below the hull at 1473 K, {certain(four)} of them certain, {both} the "
        f"upper one as well; for {either - both} the ordering decides. Two random "
        f"cells of one composition differ by {spread.median():.0f} in the median and "
        f"by {spread.max():.0f} at most."
    )


def _changed(before: pd.DataFrame, now: pd.DataFrame) -> str:
    lines = []
    for name, one in (("of the campaign", before), ("today", now)):
        *_, symbols = composition_fits(one)
        lines.append(
            f"| {name} | {mean(one.n_references)} | {(one.hot <= 0).sum()} | "
            f"{certain(one)} | {(one.cold <= 0).sum()} | {whole(one.cold.median())} | "
            f"{whole(one.hot.median())} | {', '.join(symbols[:5])} |"
        )
    moved = now.set_index("index").cold - before.set_index("index").cold
    news = _phases(now)
    news.subtract(_phases(before))
    heading = (
        "| library | its phases inside a candidate's elements | at or below the hull "
        "at 1473 K | of them certain | at 0 K | median E_hull | "
        "median E_hull(1473 K) | lowest five metals |"
    )
    return (
        f"{table_of(heading, lines)}\n\nE_hull is {whole(moved.median())} meV/atom "
        f"higher in the median, {whole(moved.quantile(0.9))} or more in a tenth of the "
        f"candidates. By the regression W is number {symbols.index('W') + 1} of "
        f"{len(symbols)} metals. Products of decomposition that win most candidates: "
        f"{_counted(news.most_common(MOST))}; that lose most: "
        f"{_counted(news.most_common()[: -MOST - 1 : -1])}."
    )


def _phases(one: pd.DataFrame) -> Counter[str]:
    """Count the candidates that decompose into each phase."""
    parts = [text.split(" + ") for text in one.decomposition]
    return Counter(part.split(" ")[1] for found in parts for part in found)


def _counted(found: list[tuple[str, int]]) -> str:
    return ", ".join(f"{formula} {count:+d}" for formula, count in found)


def _charges(table: pd.DataFrame, one: pd.DataFrame) -> str:
    known = one[one["flags"] != NOT_KEPT]
    flagged = known["flags"].str.contains("charge transfer").sum()
    wrong = sum(_chemistry_terms(one)["incompatible"])
    lost = len(one) - len(known)
    rejected = ((table.campaign == ONE) & (table.state == "rejected")).sum()
    return (
        f"{flagged} of {len(known)} are flagged *charge transfer* (of {lost} more the "
        f"flag was not kept, {rejected} were rejected): the moments at the end are not "
        f"those of the species that the space assumed then. {wrong:.0f} of {len(one)} "
        "were made of an incompatible redox pair."
    )


def filled(page: str, blocks: Mapping[str, str]) -> str:
    """
    Put the blocks between their marks in the page.

    Raises
    ------
    ValueError
        If the page lacks the marks of a block.
    """
    for name, text in blocks.items():
        marks = re.compile(rf"(<!-- numbers: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        page, count = marks.subn(lambda m, text=text: f"{m[1]}\n{text}\n\n{m[2]}", page)  # type: ignore[misc]
        if count != 1:
            raise ValueError(f"the page has {count} blocks 'numbers: {name}', not one")
    return page
