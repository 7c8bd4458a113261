"""The ranking in a terminal: every number with its bounds, its doubt and its mark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hts_battery.cli import formatting

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hts_battery.schemas.rows import SummaryRow as Summary

_NARROWEST, _NUMBERS, _LABEL = 16, 46, 6
"""Characters of the candidates at least, of all numbers, and of a label."""
_CANDIDATE = "candidate\n  decomposes into (atomic fractions)"


def ranking(summaries: Sequence[Summary], *, temperature: float, title: str) -> None:
    """
    Print summaries as a ranked table, energies in meV/atom, and what is behind them.

    ``summaries``: documents of the ``summary`` collection, already in order.
    ``temperature`` in K, of the second energy column. ``title``: line above the table.
    """
    from hts_battery.schemas.summary import temperature_key

    key = temperature_key(temperature)
    bounds = ("E_hull\nT_mix", f"{temperature:g} K\n±", "random\nmean")
    other = "other\nmixing"
    longest = max((len(doc["formula"]) for doc in summaries), default=0)
    formatting.table(
        ("", _CANDIDATE, *bounds, "label", other),
        (
            (rank, candidate_lines(doc), *_numbers(doc, key))
            for rank, doc in enumerate(summaries, start=1)
        ),
        title=f"{title} (E_hull in meV/atom: lowest of n orderings, mean of the random "
        "ones)",
        right=("", *bounds, other),
        # Formulas fold sooner than a number disappears.
        least={
            _CANDIDATE: min(longest, max(_NARROWEST, formatting.width() - _NUMBERS)),
            "label": _LABEL,
        },
        padding=0,
    )
    for line in footer(summaries, key):
        formatting.line(line)


def _numbers(doc: Summary, key: str) -> tuple[str, ...]:
    mixing, unsure = doc["mixing_temperature"], doc["uncertainty"]
    chance = doc["probability_stable_at"].get(key)
    label = [doc["label_at"][key], *(["open"] if doc["open_at"].get(key) else [])]
    return (
        _lines(
            millis(doc["energy_above_hull"]),
            "" if mixing is None else f"{mixing:.0f} K",
        ),
        _lines(
            millis(doc["energy_above_hull_at"][key]),
            "± ?" if unsure is None else f"±{millis(unsure)}",
        ),
        _lines(
            millis(doc["energy_above_hull_upper_at"].get(key)) or "-",
            f"{doc['n_random_orderings']} of {doc['n_orderings']}",
        ),
        _lines(*label, "" if chance is None else f"P {chance:.2f}"),
        millis(doc["energy_above_hull_other_at"].get(key)),
    )


def _lines(*parts: str) -> str:
    return "\n".join(part for part in parts if part)


def candidate_lines(doc: Summary) -> str:
    """
    Write a candidate with what was calculated instead, its products and its flags.

    ``doc``: document of the ``summary`` collection.
    """
    from hts_battery.query.tables import decomposition_text

    lines = [doc["formula"]]
    if doc["deviation"]:
        lines.append(f"  ≈ {doc['calculated_formula']} (off {doc['deviation']:g})")
    lines.append(f"  {decomposition_text(doc['decomposition'])}")
    if doc["hull_depth_risk"]:
        reported = millis(doc["hull_depth_risk_reported"])
        lines.append(
            f"  may fall by {millis(doc['hull_depth_risk'])} ({reported} reported)"
        )
    if doc["flags"]:
        lines.append(f"  ! {'; '.join(doc['flags'])}")
    return "\n".join(lines)


def footer(summaries: Sequence[Summary], key: str) -> Iterator[str]:
    """
    Say what stands behind the numbers of a ranking, a line each.

    ``summaries``: documents of the ``summary`` collection. ``key``: temperature like
    ``1473K``.
    """
    from hts_battery.query.tables import (
        campaigns_text,
        count_words,
        mixing_notes,
        stable_counts,
    )

    if not summaries:
        return
    stable, certain = stable_counts(summaries, key)
    kelvin = key.removesuffix("K").replace("_", ".")
    yield f"{count_words(stable, certain)}: at or below the hull at {kelvin} K"
    yield from mixing_notes(summaries)
    for doc in summaries:
        numbers = doc["orderings_by_campaign"]
        if numbers.keys() - {doc["campaign"]}:
            yield f"{doc['formula']}: orderings of {campaigns_text(numbers)}"
    for source in dict.fromkeys(doc["uncertainty_source"] for doc in summaries):
        yield f"±: {source}"
    if any(doc["open_at"].get(key) for doc in summaries):
        yield (
            "open: bounds of different signs, or E_hull(T) within one ± of 0; "
            "P: probability that E_hull(T) <= 0, normal error of ±"
        )
    if any(doc["hull_depth_risk"] for doc in summaries):
        yield (
            "may fall by: what known compositions without a competing phase could take "
            "from E_hull, and the reported compounds among them, meV/atom"
        )
    if any(doc["deviation"] for doc in summaries):
        yield (
            "≈: the numbers are those of the calculated formula; off by: largest "
            "difference of an element, atoms per formula unit"
        )


def millis(value: float | None) -> str:
    """
    Write an energy in eV as meV.

    Examples
    --------
    >>> millis(0.01234), millis(None)
    ('12.3', '')
    """
    return "" if value is None else f"{1000 * value:.1f}"
