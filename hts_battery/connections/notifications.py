"""Messages to people through apprise: mail, chat, or any address that takes JSON."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydantic import SecretStr

    from hts_battery.schemas.alert import Alert

logger = logging.getLogger(__name__)


def notify(alerts: Iterable[Alert], urls: Sequence[SecretStr]) -> int:
    """
    Send messages to every address; an address that fails stops nothing.

    Addresses are as apprise writes them: they hold tokens and are never printed.
    Returns how many messages, counted once for each address, could not be sent.

    Raises
    ------
    ConfigurationError
        If apprise is not installed, or an address is none.
    """
    messages = list(alerts)
    if not messages or not urls:
        return 0
    failed = 0
    for number, target in enumerate(_targets(urls), start=1):
        lost = sum(
            not target.notify(title=message.title, body=message.body)
            for message in messages
        )
        if lost:
            logger.warning(
                "%d of %d messages could not be sent to address %d of notify_urls",
                lost,
                len(messages),
                number,
            )
        failed += lost
    return failed


def check_urls(urls: Sequence[SecretStr]) -> int:
    """Count addresses, and refuse those that apprise does not know."""
    return len(_targets(urls))


def _targets(urls: Sequence[SecretStr]) -> list[Any]:
    try:
        import apprise  # noqa: PLC0415 - an optional extra, and takes a second
    except ImportError as err:
        raise ConfigurationError(
            "notify_urls need the package apprise: pip install 'hts_battery[notify]'"
        ) from err
    # It logs addresses, which hold tokens.
    logging.getLogger("apprise").disabled = True
    found = []
    for number, url in enumerate(urls, start=1):
        target = apprise.Apprise()
        if not target.add(url.get_secret_value()):
            raise ConfigurationError(
                f"address {number} of notify_urls is none that apprise knows; "
                "json://HOST/PATH and mailto://USER:PASSWORD@HOST are examples"
            )
        found.append(target)
    return found
