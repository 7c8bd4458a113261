"""Batches proposed for a campaign: what they learn from, and their campaign files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

import yaml

from hts_battery.compositions.filters import load_filters
from hts_battery.compositions.loader import load_space
from hts_battery.connections.durable_files import make_folders, write_whole
from hts_battery.errors import ConfigurationError
from hts_battery.learning.proposals import Computed, ProposalRules, propose
from hts_battery.query.screening_database import ScreeningDatabase
from hts_battery.query.what_if import stored_hull
from hts_battery.schemas.campaign import CampaignSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hts_battery.compositions.space import CompositionSpace
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.proposal import Proposal

_BATCH = "-batch-"


def campaign_and_batches(stores: Stores, campaign: str) -> list[str]:
    """Return a campaign and its batches, those of the database, by number."""
    pattern = re.compile(rf"{re.escape(campaign)}(?:{_BATCH}(\d+))?")
    names = [doc["name"] for doc in stores.campaigns.query({}, properties=["name"])]
    found = [match for name in names if (match := pattern.fullmatch(str(name)))]
    if not found:
        raise ConfigurationError(
            f"there is no campaign {campaign!r} in this database: run it first"
        )
    return [one[0] for one in sorted(found, key=lambda one: int(one[1] or 0))]


def proposed_batch(
    stores: Stores,
    campaign: str,
    *,
    space: Path | None,
    temperature: float | None,
    batch: int,
    element_share: float = 0.5,
) -> Proposal:
    """
    Propose what a campaign should compute next.

    It learns from the candidates of the campaign and of its earlier batches; what any
    of them holds, computed, failed or waiting, is not proposed again.

    Parameters
    ----------
    campaign
        Name of a campaign that was built.
    space
        File of the space; that of the campaign if none.
    temperature
        K; the highest that was built if none.

    Raises
    ------
    ConfigurationError
        If nothing was built, or too little to learn from.
    """
    screening = ScreeningDatabase(stores)
    known = screening.temperatures()
    if not known:
        raise ConfigurationError("nothing has been built: run `hts build all`")
    kelvin = max(known) if temperature is None else temperature
    if kelvin not in known:
        listed = ", ".join(f"{one:g}" for one in known)
        raise ConfigurationError(f"{kelvin:g} K was not built; there are {listed} K")
    names = campaign_and_batches(stores, campaign)
    labels = computed_candidates(stores, names, kelvin)
    if not labels:
        raise ConfigurationError(f"no candidate of {campaign} has an energy yet")
    spec = _spec(stores, campaign)
    rules = ProposalRules(
        temperature=kelvin,
        batch=batch,
        filters=load_filters(spec.filters),
        entropy=spec.entropy,
        element_share=element_share,
        left_out=frozenset(_members(stores, names)),
    )
    hull = stored_hull(stores, labels[0].hull_version)
    return propose(_space(stores, campaign, space), labels, hull, rules)


def computed_candidates(
    stores: Stores, names: Sequence[str], kelvin: float
) -> list[Computed]:
    """Return candidates with energies, each once, at 0 K and a temperature."""
    screening = ScreeningDatabase(stores)
    at = f"e_hull_{kelvin:g}".replace(".", "_")
    fields = [
        *("candidate_id", "formula", "energy_per_atom", "e_hull"),
        *(at, "calculator", "hull_version"),
    ]
    found: dict[str, Computed] = {}
    for name in names:
        frame = screening.to_frame(campaign=name, fields=fields)
        for row in frame.itertuples(index=False):
            found[str(row[0])] = Computed(
                candidate_id=str(row[0]),
                formula=str(row[1]),
                energy=float(row[2]),
                e_hull_0=float(row[3]),
                e_hull=float(row[4]),
                calculator=str(row[5]),
                hull_version=str(row[6]),
            )
    return list(found.values())


def _members(stores: Stores, names: Sequence[str]) -> list[str]:
    wanted = {"campaign": {"$in": list(names)}}
    found = stores.members.query(wanted, properties=["candidate_id"])
    return [str(one["candidate_id"]) for one in found]


def _document(stores: Stores, campaign: str) -> Mapping[str, object]:
    found = stores.campaigns.query_one({"name": campaign})
    if found is None:  # pragma: no cover - its name was read a moment ago
        raise ConfigurationError(f"campaign {campaign!r} is gone")
    return cast("Mapping[str, object]", found)


def _spec(stores: Stores, campaign: str) -> CampaignSpec:
    return CampaignSpec.model_validate(_document(stores, campaign)["spec"])


def _space(stores: Stores, campaign: str, file: Path | None) -> CompositionSpace:
    if file is not None:
        return load_space(file)
    return load_space(_own_space(stores, campaign))


def _own_space(stores: Stores, campaign: str) -> Mapping[str, object]:
    found = _document(stores, campaign).get("space")
    if not isinstance(found, dict):
        raise ConfigurationError(f"{campaign} has no space of its own: give --space")
    return found


def batch_files(folder: Path, campaign: str) -> list[Path]:
    """Campaign files of the batches of a campaign in a folder, by number."""
    found = [
        (int(tail), path)
        for path in folder.glob(f"{campaign}{_BATCH}*.yaml")
        if (tail := path.stem.rpartition(_BATCH)[2]).isdigit()
    ]
    return [path for _, path in sorted(found)]


def next_batch_name(stores: Stores, campaign: str, folder: Path) -> str:
    """Name the next batch: after those of the database and of a folder."""
    names = campaign_and_batches(stores, campaign)[1:]
    names += [path.stem for path in batch_files(folder, campaign)]
    numbers = [int(one.rpartition(_BATCH)[2]) for one in names]
    return f"{campaign}{_BATCH}{max(numbers, default=0) + 1}"


def write_batch(
    stores: Stores, campaign: str, proposal: Proposal, path: Path, space: Path | None
) -> None:
    """
    Write the campaign file of a batch: the campaign's settings, the batch's members.

    The file stands whole or not at all, and one that stands is not written again: it
    is what says that the batch was proposed.

    Raises
    ------
    ConfigurationError
        If the file is there already, or nothing was proposed.
    """
    if path.exists():
        raise ConfigurationError(f"{path} is there: run or submit it, or remove it")
    if not proposal.members:
        raise ConfigurationError("nothing was proposed: there is no batch to write")
    spec = _spec(stores, campaign).model_dump(mode="json", exclude_unset=True)
    for name in ("source", "filters"):
        spec.pop(name, None)
    spec |= {
        "name": path.stem,
        "description": f"Proposed after {proposal.rows} candidates of {campaign}.",
        "space": dict(_own_space(stores, campaign))
        if space is None
        else str(space.resolve()),
        "selection": {
            "method": "formulas",
            "formulas": [one.formula for one in proposal.members],
        },
    }
    make_folders(path.parent, mode=0o777)
    write_whole(path, yaml.safe_dump(spec, sort_keys=False, allow_unicode=True))
