"""
Reading stored documents one by one: what cannot be read stops only its own campaign.

A document may be missing, edited by hand, or written by a newer version of this code,
which knows fields that this one does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar, cast

from pydantic import ValidationError

from hts_battery.errors import UnreadableDocumentError

if TYPE_CHECKING:
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.base import Document
    from hts_battery.schemas.rows import RegistrationRow

D = TypeVar("D", bound="Document")
_ADDED = ("_id", "_bt", "last_updated")
"""What maggma and the server add to a document."""


def read_stored(model: type[D], doc: object, what: str) -> D:
    """
    Read a stored document, or say what of it cannot be read.

    Parameters
    ----------
    model
        What it should be.
    doc
        The document as it is stored.
    what
        What it is, for people: ``the submission of drx``.

    Raises
    ------
    UnreadableDocumentError
        Names the first field that is wrong.

    Examples
    --------
    >>> from hts_battery.schemas.launchpad_job import JobFile
    >>> read_stored(JobFile, {"name": "OUTCAR"}, "a file")
    Traceback (most recent call last):
    ...
    hts_battery.errors.UnreadableDocumentError: a file cannot be read: size: Field \
required: it was changed by hand, or by a newer hts_battery
    """
    if not isinstance(doc, Mapping):
        raise unreadable(what, f"{type(doc).__name__} instead of a document")
    plain = {name: doc[name] for name in doc if name not in _ADDED}
    try:
        return model.model_validate(plain)
    except ValidationError as err:
        raise unreadable(what, err) from err


def read_registration(stores: Stores, campaign: str) -> RegistrationRow | None:
    """Read what is registered of a campaign, as it stands; none if nothing is."""
    return cast(
        "RegistrationRow | None", stores.campaigns.query_one({"name": campaign})
    )


@contextmanager
def readable(what: str) -> Iterator[None]:
    """
    Say of a block that reads documents field by field what it could not read.

    Raises
    ------
    UnreadableDocumentError
        If a field is missing or holds something else than it should.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError) as err:
        raise unreadable(what, err) from err


def unreadable(what: str, why: object) -> UnreadableDocumentError:
    """Make the error that says what cannot be read, and why."""
    return UnreadableDocumentError(
        f"{what} cannot be read: {_words(why)}: it was changed by hand, or by a newer "
        "hts_battery"
    )


def _words(why: object) -> str:
    if isinstance(why, ValidationError):
        first = why.errors()[0]
        place = ".".join(map(str, first["loc"]))
        return f"{place}: {first['msg']}" if place else str(first["msg"])
    if isinstance(why, KeyError):
        return f"it has no {why.args[0]}"
    return str(why)
