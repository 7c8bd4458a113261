"""The campaigns of a database, each in one line: whose, from where, how far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from hts_battery.campaign.status import stored_statuses
from hts_battery.schemas.base import Document
from hts_battery.schemas.state import NEEDS_NOTHING

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.status import CampaignStatus


class CampaignRow(Document):
    """One campaign in a list."""

    campaign: str = Field(description="Its name.")
    owner: str | None = Field(description="User who has it, where that is known.")
    file: str | None = Field(description="Its file, as the owner saw it.")
    engine: str | None = Field(description="Engine that gives its energies.")
    candidates: int = Field(description="Its candidates.")
    done: int = Field(description="Candidates that need nothing more to be computed.")
    states: dict[str, int] = Field(description="State → candidates in it.")
    worker: str | None = Field(description="Worker it was sent to, if to one.")
    hold: str | None = Field(description="Why nothing more of it is sent, if so.")
    node_hours: float = Field(description="Node-hours it has used, running ones too.")
    problem: str | None = Field(description="Why it cannot be read, if so.")


def list_campaigns(stores: Stores, *, execution_folder: Path) -> list[CampaignRow]:
    """
    List every campaign of a database by name; one that cannot be read says why.

    ``execution_folder``: folder of the execution record.
    """
    docs = {
        doc.get("name"): doc
        for doc in stores.campaigns.query(
            {}, properties=["name", "owner", "file", "spec.engine"]
        )
    }
    found = stored_statuses(stores, execution_folder=execution_folder)
    return [_row(one, docs.get(one.campaign) or {}) for one in found]


def _row(status: CampaignStatus, doc: dict[str, object]) -> CampaignRow:
    spec = doc.get("spec")
    engine = spec.get("engine") if isinstance(spec, dict) else None
    dispatch = status.dispatch
    spent = 0.0
    if dispatch is not None:
        spent = dispatch.node_hours + dispatch.node_hours_running
    return CampaignRow(
        campaign=status.campaign,
        owner=_text(doc.get("owner")),
        file=_text(doc.get("file")),
        engine=_text(engine),
        candidates=status.candidates,
        done=sum(status.states.get(state, 0) for state in NEEDS_NOTHING),
        states=status.states,
        worker=None if dispatch is None else dispatch.worker,
        hold=None if dispatch is None else dispatch.hold,
        node_hours=spent,
        problem=status.problem,
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)
