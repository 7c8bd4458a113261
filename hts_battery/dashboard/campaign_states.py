"""The states of every campaign's candidates, read beside the requests."""

from __future__ import annotations

import logging
from threading import Event, Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING

from hts_battery.errors import HTSBatteryError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hts_battery.schemas.status import CampaignStatus

    ReadStatuses = Callable[[], Sequence[CampaignStatus]]

_AGAIN_SECONDS = 10.0
_PAUSE_FACTOR = 10
"""Reading is followed by a pause that is so many times as long."""
_FIRST_SECONDS = 5.0

logger = logging.getLogger(__name__)


class CampaignStates:
    """
    Where each campaign stands, as `hts campaign status` says it.

    Reading that of a large campaign costs the database seconds, so requests share one
    answer, which is renewed in the background.

    Parameters
    ----------
    read
        Reads the statuses of all campaigns; who starts the server has the right to.
    clock
        Seconds, for tests.
    """

    def __init__(
        self, read: ReadStatuses | None, clock: Callable[[], float] = monotonic
    ) -> None:
        self._read = read
        self._clock = clock
        self._lock = Lock()
        self._seen = Event()
        self._under_way = False
        self._due = clock()
        self._known: Mapping[str, CampaignStatus] = {}

    def get(self, *, patience: float = _FIRST_SECONDS) -> Mapping[str, CampaignStatus]:
        """Return what is known by campaign; the first answer is waited for, in s."""
        if self._read is None:
            return {}
        with self._lock:
            begins = not self._under_way and self._clock() >= self._due
            self._under_way = self._under_way or begins
        if begins:
            Thread(target=self.refresh, name="states", daemon=True).start()
        self._seen.wait(patience)
        return self._known

    def refresh(self) -> None:
        """Read now; what cannot be answered leaves what was known."""
        start = self._clock()
        try:
            found = self._read() if self._read else ()
            self._known = {one.campaign: one for one in found}
        except HTSBatteryError as err:
            # The database is away, or its user may not read these collections.
            logger.warning("states of campaigns stay as they were: %s", err)
        finally:
            now = self._clock()
            with self._lock:
                self._under_way = False
                self._due = now + max(_AGAIN_SECONDS, _PAUSE_FACTOR * (now - start))
            self._seen.set()
