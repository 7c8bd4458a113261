"""Trying again what a database that was away for a moment refused."""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING, TypeVar

from pymongo.errors import AutoReconnect

from hts_battery.errors import DatabaseOutageError

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

ATTEMPTS = 6
FIRST_WAIT = 0.25  # s; doubled each time: 8 s in all
# FireWorks puts the trace of whatever happened into an error without a class.
_REFRESH = re.compile(
    r"(?s)Error refreshing workflow.*pymongo\.errors\."
    r"(AutoReconnect|NetworkTimeout|NotPrimaryError|ServerSelectionTimeoutError)"
)

T = TypeVar("T")


def retried(
    call: Callable[[], T],
    doing: str,
    *,
    attempts: int = ATTEMPTS,
    first_wait: float = FIRST_WAIT,
) -> T:
    """
    Call something that may be repeated until the database answers.

    Parameters
    ----------
    call
        What is done; the same again must do no harm.
    doing
        What it is, for the log and the error.
    attempts
        How often it is tried.
    first_wait
        Time in s before the second attempt; doubled after each.

    Returns
    -------
    object
        What the call returned.

    Raises
    ------
    DatabaseOutageError
        If the last attempt failed too.
    """
    for attempt in range(1, attempts + 1):
        try:
            return call()
        except (AutoReconnect, RuntimeError) as err:
            if isinstance(err, RuntimeError) and not _REFRESH.match(str(err)):
                raise
            words = f"{type(err).__name__}: {str(err).strip().splitlines()[-1]}"
            if attempt == attempts:
                raise DatabaseOutageError(
                    f"the database did not answer {attempts} times while {doing}: "
                    f"{words}"
                ) from None
            logger.warning("%s: %s; trying again", doing, words)
            time.sleep(first_wait * 2 ** (attempt - 1))
    raise AssertionError("unreachable")  # pragma: no cover
