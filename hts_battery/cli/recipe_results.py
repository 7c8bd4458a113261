"""What a recipe other than a screening found out: its properties as a table."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hts_battery.cli import formatting
from hts_battery.errors import SubmissionError
from hts_battery.query.properties import shown_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hts_battery.campaign.status import CandidateStatus
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.property import PropertyDoc


def report_properties(
    spec: CampaignSpec,
    found: Sequence[CandidateStatus],
    properties: Sequence[PropertyDoc],
    *,
    as_json: bool,
) -> None:
    """
    Print what came of the members of a campaign, and why nothing came of some.

    SubmissionError if nothing came of any: says the most frequent reason.
    """
    if as_json:
        for one in properties:
            formatting.json_line(one.model_dump(mode="json"))
    if not properties:
        reasons = Counter(item.reason for item in found if item.reason)
        raise SubmissionError(
            f"no candidate of {spec.name} has a result; most frequent reason: "
            f"{reasons.most_common(1)[0][0] if reasons else 'none given'}"
        )
    if as_json:
        return
    names = {item.candidate.candidate_id: item.candidate.formula for item in found}
    formatting.table(
        ("candidate", "property", "value", "±", "unit", "of", "calculator"),
        (_row(names[one.subject_id], one) for one in properties),
        title=f"campaign {spec.name}, recipe {spec.recipe}",
        right=("value", "±", "of"),
    )
    for note in properties[0].notes:
        if all(note in one.notes for one in properties):
            formatting.line(note)
    _say_states(found)


def _say_states(found: Sequence[CandidateStatus]) -> None:
    """Print where the members stand, those with a reason each."""
    for item in found:
        if item.reason:
            formatting.line(f"{item.candidate.formula}: {item.state}: {item.reason}")
    states = Counter(str(item.state) for item in found)
    formatting.line(
        f"{len(found)} candidates: "
        + ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    )


def _row(formula: str, one: PropertyDoc) -> tuple[object, ...]:
    """Return what a table shows of a property; its reason where it has no value."""
    return (
        formula,
        one.name,
        one.reason if one.value is None else shown_value(one.value, one.unit),
        "" if one.uncertainty is None else shown_value(one.uncertainty, one.unit),
        "" if one.unit == "1" else one.unit,
        "" if one.n is None else one.n,
        one.provenance.calculator or "",
    )
