"""Addresses of servers: refused in one line, shown without secrets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from pymongo.errors import PyMongoError
from pymongo.uri_parser import split_options

from hts_battery.errors import ConfigurationError
from hts_battery.settings import ENV_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

_SETTING = f"{ENV_PREFIX}MONGO_URI"
_SCHEMES = ("mongodb://", "mongodb+srv://")
# Up to the last at sign: a password may hold every other mark, and people forget to
# encode them.
_CREDENTIALS = re.compile(r"(?s)(?<=://)(?P<credentials>.*)@")
_SECRET_OPTION = re.compile(
    r"(?i)((?:password|token)[^=&\s]*=|authMechanismProperties=)[^&\s]+"
)
_UNENCODED = re.compile(r"[/?#\[\]@\s]|%(?![0-9A-Fa-f]{2})|:.*:")
# Shorter parts of a password stand in too many other words to be hidden in them.
_SHORTEST_PART = 3


def redact(text: str, uri: str = "") -> str:
    """
    Remove credentials from a text, those of the URI in either spelling.

    Examples
    --------
    >>> redact("mongodb://me:secret@host:27017/?tls=true")
    'mongodb://***@host:27017/?tls=true'
    >>> redact("mongodb://me:se/cr?e@t@host:27017/")
    'mongodb://***@host:27017/'
    >>> redact("wrong password 'secret'", "mongodb://me:secret@host")
    "wrong password '***'"
    """
    for secret in sorted(_secrets(uri), key=len, reverse=True):
        text = text.replace(secret, "***")
    return _SECRET_OPTION.sub(r"\1***", _CREDENTIALS.sub("***@", text))


def _secrets(uri: str) -> set[str]:
    """Return the password of a URI, and the parts of it that errors cite."""
    match = _CREDENTIALS.search(uri)
    if match is None:
        return set()
    password = match["credentials"].partition(":")[2]
    parts = re.split(r"[/?#\[\]@:&]", password) if _UNENCODED.search(password) else []
    found = {password, *(part for part in parts if len(part) >= _SHORTEST_PART)}
    return (found | {unquote_plus(secret) for secret in found}) - {""}


def check_uri(uri: str) -> None:
    """
    Refuse an address that the driver would refuse, misread or take with a warning.

    Raises
    ------
    ConfigurationError
        Names the setting and what is wrong with it; never repeats a password.
    """
    for problem in _problems(uri):
        # Where the scheme was forgotten too, what precedes the host is nobody's.
        shown = redact(uri) if "://" in uri else redact(f"://{uri}")[3:]
        raise ConfigurationError(f"{_SETTING} ({shown}): {problem}")


def refused(uri: str, error: Exception) -> ConfigurationError:
    """Return the refusal of an address of which the driver makes no client."""
    return ConfigurationError(f"{_SETTING} ({redact(uri)}): {_words(uri, error)}")


def _words(uri: str, error: Exception) -> str:
    """Return what the driver said of an address, in one line without secrets."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return redact(str(error).partition("\n")[0], uri)


def _problems(uri: str) -> Iterator[str]:
    scheme = next((one for one in _SCHEMES if uri.startswith(one)), None)
    if scheme is None:
        yield "an address begins with mongodb:// or mongodb+srv://"
        return
    if not uri.isprintable():
        yield "it holds a line break or another character that cannot be printed"
    match = _CREDENTIALS.search(uri)
    user, _, password = (match["credentials"] if match else "").partition(":")
    if _UNENCODED.search(user) or _UNENCODED.search(password) or ":" in password:
        yield (
            "what stands before the last @ is user name and password: write / ? # [ ] "
            "@ : % and blanks in them percent-encoded, for example %2F for /"
        )
    hosts = uri[match.end() if match else len(scheme) :]
    options = hosts.partition("?")[2]
    if not options:
        return
    try:
        # Made into a client, a wrong option is only warned of, tls=yes too.
        split_options(options, validate=True, warn=False)
    except (PyMongoError, ValueError, TypeError, OSError) as err:
        yield f"options: {_words(uri, err)}"
