"""Whether the database holds what a campaign file says, without listing its members."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hts_battery.campaign.campaign_file import read_spec
from hts_battery.errors import SpecError
from hts_battery.schemas.campaign import KEY_SCHEME
from hts_battery.schemas.files import load_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hts_battery.connections.stores import Stores
    from hts_battery.schemas.campaign import CampaignSpec

_MODULUS = 1 << 96


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
        """
        Say whether a verdict was given by today's gate.

        Parameters
        ----------
        campaign
            Campaign for which it was given.
        time
            When.
        """
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
    """
    Return when the gate of a campaign was last changed, as it is stored.

    Parameters
    ----------
    known
        The registration before, if there is one.
    spec
        The campaign.
    """
    gate = spec.model_dump(mode="json")["gate"]
    if known is not None and "gate_since" in known and known["spec"]["gate"] == gate:
        return str(known["gate_since"])
    return datetime.now(UTC).isoformat()


def registered(path: str | Path, stores: Stores) -> Registered | None:
    """
    Return the registration of a campaign file, if it is current.

    Parameters
    ----------
    path
        The campaign file.
    stores
        Open stores.

    Returns
    -------
    Registered or None
        None if the campaign was never registered, or its file has changed since.

    Raises
    ------
    SpecError
        If the file is wrong.
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

    Parameters
    ----------
    spec
        The campaign.
    path
        Its file, beside which the files that it names stand.
    limit
        Largest number of members, if there is one.
    """
    content = [
        KEY_SCHEME,
        spec.model_dump(mode="json"),
        _space(spec.space, path.parent),
        limit,
    ]
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
    try:
        return [space, (folder / table).read_text(encoding="utf-8")]
    except OSError as err:
        raise SpecError(
            f"cannot use the species table {table}: {err.strerror}",
            file=str(folder / table),
        ) from err
