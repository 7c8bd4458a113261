"""Writing a campaign and its candidates into the database, each exactly once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hts_battery.campaign.ownership import claim, refuse_other_file
from hts_battery.campaign.source import resolved
from hts_battery.campaign.spec_file import listed_formulas, read_spec
from hts_battery.errors import ConfigurationError
from hts_battery.schemas.campaign import KEY_SCHEME
from hts_battery.schemas.files import load_yaml
from hts_battery.schemas.text_files import read_text
from hts_battery.structures.prototypes import (
    own_prototype_digest,
    prototype_of_family,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import CandidateDoc

_MODULUS = 1 << 96

_BATCH = 100
_LEFT_OUT = 1000
"""Formulas of a list that are stored as left out; their number is, too."""
_MEMBER = ["candidate_id", "content_key", "space_index", "released"]


@dataclass(frozen=True)
class Registered:
    """A campaign as it stands in the database, equal to its file."""

    spec: CampaignSpec
    members: int
    """Number of its candidates."""
    key_sum: str
    """Sum of their content keys: equal to that of the same keys in any order."""
    gate_since: datetime
    """When its gate was last changed, UTC."""

    def gate_stood(self, campaign: str, time: datetime) -> bool:
        """Say whether a verdict was given by today's gate."""
        return campaign == self.spec.name and time >= self.gate_since


def key_sum(keys: Iterable[str]) -> str:
    """
    Add up content keys, so that two sets can be compared in any order.

    Examples
    --------
    >>> key_sum(["0a", "01"]) == key_sum(["01", "0a"]) == "b"
    True
    """
    return f"{sum(int(key, 16) for key in keys) % _MODULUS:x}"


def gate_since(known: Mapping[str, Any] | None, spec: CampaignSpec) -> str:
    """Return when the gate of a campaign was last changed, as it is stored."""
    gate = spec.model_dump(mode="json")["gate"]
    if known is not None and "gate_since" in known and known["spec"]["gate"] == gate:
        return str(known["gate_since"])
    return datetime.now(UTC).isoformat()


def registered(path: str | Path, stores: Stores) -> Registered | None:
    """
    Return the registration of a campaign file, if it is current.

    ``path``: the campaign file. Returns: none if the campaign was never registered, or
    its file has changed since. Raises SpecError if the file is wrong.
    """
    spec = read_spec(path)
    doc = stores.campaigns.query_one({"name": spec.name})
    if doc is None or doc.get("digest") != registration_digest(spec, Path(path)):
        return None
    return Registered(
        spec, doc["members"], doc["key_sum"], datetime.fromisoformat(doc["gate_since"])
    )


def registration_digest(
    spec: CampaignSpec, path: Path, *, limit: int | None = None
) -> str:
    """
    Digest everything that decides which candidates a campaign has, and their keys.

    ``path``: its file, beside which the files that it names stand. ``limit``: largest
    number of members, if there is one.
    """
    content = [
        KEY_SCHEME,
        spec.model_dump(mode="json"),
        _space(spec.space, path.parent),
        limit,
    ]
    if spec.selection is not None and spec.selection.file is not None:
        content.append([one.text for one in listed_formulas(spec.selection, path)])
    text = json.dumps(content, sort_keys=True, default=str)
    return sha256(text.encode()).hexdigest()[:24]


def _space(space: Any, folder: Path) -> list[Any]:  # noqa: ANN401 - what YAML holds
    """Return what a space block says, with the texts of the files that it names."""
    if isinstance(space, str):
        path = folder / space
        data, _ = load_yaml(path)
        inner = data.get("space", data) if isinstance(data, dict) else data
        return _space(inner, path.parent)
    table = space.get("species_table") if isinstance(space, dict) else None
    if not isinstance(table, str):
        return [space]
    return [space, read_text(folder / table)]


def refuse_other(campaign: Campaign, stores: Stores, *, replace: bool = False) -> None:
    """Refuse a file whose name another file has, see :mod:`.ownership`."""
    digest = registration_digest(campaign.spec, campaign.path, limit=campaign.limit)
    refuse_other_file(campaign, stores, digest=digest, replace=replace)


def register(campaign: Campaign, stores: Stores, *, replace: bool = True) -> int:
    """
    Write the campaign and its candidates into the database; known ones are kept.

    ``replace``: whether it takes the place of another file of the same name. Returns:
    number of candidates that were new to the database.
    """
    campaign = resolved(campaign, stores)
    return register_members(campaign, stores, list(campaign.members()), replace=replace)


def register_members(
    campaign: Campaign,
    stores: Stores,
    chosen: Sequence[tuple[int, CandidateDoc]],
    *,
    replace: bool = True,
) -> int:
    """As :func:`register`, with the members of the campaign listed already."""
    prototype = _prototype(campaign, stores)
    _claim(campaign, stores, replace=replace)
    spec = campaign.spec
    known = {
        doc["candidate_id"]: doc
        for doc in stores.members.query({"campaign": spec.name}, properties=_MEMBER)
    }
    # A member's candidate is there; one of another campaign is left as it is.
    added = [
        candidate.model_dump(mode="json", exclude={"start"})
        for _, candidate in chosen
        if candidate.candidate_id not in known
    ]
    new = len(added) - len(stores.candidates.insert_new(added))
    # An index may exceed the 64 bits of a BSON integer, so it is stored as text.
    members: list[dict[str, object]] = [
        {
            "campaign": spec.name,
            "candidate_id": candidate.candidate_id,
            "content_key": campaign.key(candidate),
            "space_index": str(index),
            "released": bool(
                known.get(candidate.candidate_id, {}).get("released", False)
            ),
            **_start(candidate),
        }
        for index, candidate in chosen
    ]
    stores.members.insert_new(
        one for one in members if one["candidate_id"] not in known
    )
    changed = [
        one
        for one in members
        if one["candidate_id"] in known
        and any(known[one["candidate_id"]].get(name) != one[name] for name in _MEMBER)
    ]
    for start in range(0, len(changed), _BATCH):
        stores.members.update(
            changed[start : start + _BATCH], key=["campaign", "candidate_id"]
        )
    gone = sorted(set(known) - {one["candidate_id"] for one in members})
    for start in range(0, len(gone), _BATCH):
        ids = {"$in": gone[start : start + _BATCH]}
        stores.members.remove_docs({"campaign": spec.name, "candidate_id": ids})
    known_campaign = stores.campaigns.query_one({"name": spec.name})
    stores.campaigns.update(
        {
            "name": spec.name,
            **claim(campaign, known_campaign, replace=replace),
            "spec": spec.model_dump(mode="json"),
            "space": _space(spec.space, campaign.path.parent)[0],
            "listed": _listed(campaign),
            "prototype": prototype,
            "members": len(members),
            "digest": registration_digest(spec, campaign.path, limit=campaign.limit),
            "key_sum": key_sum(str(member["content_key"]) for member in members),
            "gate_since": gate_since(known_campaign, spec),
            # Written last: a choice that was cut off is made again.
            "source_build": campaign.build,
        },
        key="name",
    )
    return new


def _prototype(campaign: Campaign, stores: Stores) -> dict[str, str | None] | None:
    """
    Name the parent lattice of a campaign, with the digest of one of the user's own.

    ConfigurationError if cells of one name have been made with other numbers: keys
    hold the name, so cells of both would be taken for the same.
    """
    if campaign.space is None:
        return None
    name = prototype_of_family(campaign.space.family).name
    digest = own_prototype_digest(name)
    for doc in stores.campaigns.query(
        {"prototype.name": name}, properties=["name", "prototype"]
    ):
        if doc["prototype"]["digest"] != digest:
            raise ConfigurationError(
                f"the prototype {name} has other numbers than when the campaign "
                f"{doc['name']} was registered: give the changed one another name and "
                "family, or take back the change"
            )
    return {"name": name, "digest": digest}


def _listed(campaign: Campaign) -> dict[str, object] | None:
    """Say which list a campaign's members were taken from, and what it left out."""
    selection = campaign.spec.selection
    if selection is None or selection.method != "formulas":
        return None
    texts = [one.text for one in listed_formulas(selection, campaign.path)]
    return {
        "file": selection.file,
        "formulas": len(texts),
        "sha256": sha256("\n".join(texts).encode()).hexdigest(),
        "left_out": [str(one) for one in campaign.listed.bad[:_LEFT_OUT]],
        "n_left_out": len(campaign.listed.bad),
    }


def _start(candidate: CandidateDoc) -> dict[str, object]:
    """Return what is stored with a member of the cell that it starts from."""
    start = candidate.start
    return {} if start is None else {"start": start.model_dump(mode="json")}


def _claim(campaign: Campaign, stores: Stores, *, replace: bool) -> None:
    """Take a name before anything is written under it: of two at once, one does."""
    spec = campaign.spec
    refused = stores.campaigns.insert_new(
        [
            {
                "name": spec.name,
                **claim(campaign, None),
                "spec": spec.model_dump(mode="json"),
                "members": 0,
                "digest": None,
                "key_sum": key_sum(()),
                "gate_since": gate_since(None, spec),
            }
        ]
    )
    if refused:
        refuse_other(campaign, stores, replace=replace)


def release(campaign: Campaign, stores: Stores, candidate_ids: Sequence[str]) -> int:
    """
    Let gated candidates of a campaign pass; the next run computes them.

    ``campaign``: the campaign, registered. ``candidate_ids``: candidates to release.
    Returns: number of candidates that were not released before.
    """
    docs = list(
        stores.members.query(
            {
                "campaign": campaign.spec.name,
                "candidate_id": {"$in": list(candidate_ids)},
                "released": {"$ne": True},
            }
        )
    )
    for doc in docs:
        doc.pop("_id", None)
        doc["released"] = True
    if docs:
        stores.members.update(docs, key=["campaign", "candidate_id"])
    return len(docs)
