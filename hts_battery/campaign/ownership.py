"""Whose campaign a name is: one file and one owner, until somebody takes it over."""

from __future__ import annotations

import getpass
import json
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.connections.records.stored_documents import read_registration
from hts_battery.errors import ConfigurationError, SubmissionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.rows import RegistrationRow

_SHOWN = 5
_LONGEST = 60
_MISSING = "nothing"


class Claim(NamedTuple):
    """Who has a name in the database, and with which file."""

    owner: str | None
    """User who registered it; none where nobody wrote it down."""
    file: str | None
    """Its file, as that user saw it."""

    @classmethod
    def read(cls, doc: RegistrationRow | None) -> Claim:
        """Read who has a campaign; nobody where there is none."""
        return (
            cls(None, None) if doc is None else cls(doc.get("owner"), doc.get("file"))
        )

    def __str__(self) -> str:
        """Say it in words."""
        return f"{self.file or 'another file'} of {self.owner or 'somebody'}"


def user_name() -> str:
    """Return the user that this process belongs to."""
    return getpass.getuser()


def refuse_other_file(
    campaign: Campaign, stores: Stores, *, digest: str, replace: bool = False
) -> list[str]:
    """
    Refuse a campaign file whose name another file has; say in what they differ.

    A file is the same as long as its owner changes it where it lies, and where it says
    the same, wherever it lies and whoever sends it.

    Parameters
    ----------
    campaign, stores
        The campaign as its file says, and open stores.
    digest
        Digest of all that decides which candidates it has.
    replace
        Whether to go on all the same.

    Returns
    -------
    list of str
        In what the file differs from what is registered; empty if in nothing.

    Raises
    ------
    ConfigurationError
        If it is another file, and is not to replace the one that is known.
    """
    spec = campaign.spec
    doc = read_registration(stores, spec.name)
    if doc is None or doc.get("digest") == digest:
        return []
    found = list(differences(doc.get("spec") or {}, spec.model_dump(mode="json")))
    if not found and doc.get("digest") is None:
        return []  # whoever took the name was killed before there was more
    found = found or ["a file that it names, or the code that reads it"]
    known = Claim.read(doc)
    if replace or known.file is None or _is_same(known, campaign.path):
        return found
    listed = "; ".join(found[:_SHOWN])
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    raise ConfigurationError(
        f"{campaign.path}: the campaign {spec.name} is {known}, and differs: {listed}"
        f"{more}. Give this file another name, or add --replace to let it take the "
        "place of the other"
    )


def _is_same(known: Claim, path: Path) -> bool:
    return known == Claim(user_name(), str(path.absolute()))


def differences(
    before: Mapping[str, object], now: Mapping[str, object], place: str = ""
) -> Iterator[str]:
    """
    Yield in what two campaign files differ, field by field: there → here.

    Examples
    --------
    >>> there = {"engine": "chgnet", "selection": {"count": 6, "seed": 1}}
    >>> here = {"engine": "chgnet", "selection": {"count": 9, "seed": 1}}
    >>> list(differences(there, here))
    ['selection.count: 6 there, 9 here']
    """
    for name in sorted({*before, *now}):
        old, new = before.get(name, _MISSING), now.get(name, _MISSING)
        if old == new:
            continue
        field = f"{place}.{name}".lstrip(".")
        if isinstance(old, dict) and isinstance(new, dict):
            yield from differences(old, new, field)
        else:
            yield f"{field}: {_short(old)} there, {_short(new)} here"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def claim(
    campaign: Campaign, known: RegistrationRow | None, *, replace: bool = False
) -> dict[str, str]:
    """
    Return who has the name of a campaign from now on, and with which file.

    Whoever sends a file that says the same does not take it over.
    """
    mine = Claim(user_name(), str(campaign.path.absolute()))
    there = Claim.read(known)
    if there.owner not in {None, mine.owner} and not replace:
        return {"owner": str(there.owner), "file": str(there.file)}
    return {"owner": str(mine.owner), "file": str(mine.file)}


def owner_of(stores: Stores, name: str) -> Claim:
    """
    Return who has a campaign.

    Raises
    ------
    SubmissionError
        If there is none of that name.
    """
    doc = read_registration(stores, name)
    if doc is None:
        known = sorted(stores.campaigns.distinct("name"))
        raise SubmissionError(
            f"there is no campaign {name} in the database; there are: "
            f"{', '.join(map(str, known)) or 'none'}"
        )
    return Claim.read(doc)


def take_over(stores: Stores, name: str, *, dry_run: bool = False) -> Claim:
    """
    Make the user of this process the owner of a campaign; return who was before.

    Its file stays the one that it was registered with, until another is submitted
    with ``replace``.
    """
    before = owner_of(stores, name)
    if not dry_run:
        stores.campaigns.update_fields({"name": name}, {"owner": user_name()})
    return before


def require_ownership(stores: Stores, name: str) -> None:
    """
    Refuse to touch what is another user's.

    Raises
    ------
    SubmissionError
        If it is; says how to take it over.
    """
    owner = owner_of(stores, name).owner
    if owner not in {None, user_name()}:
        raise SubmissionError(
            f"the campaign {name} is {owner}'s: `hts campaign own {name}` takes it over"
        )
