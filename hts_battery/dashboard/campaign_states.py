"""The states of every campaign's candidates, looked up beside the requests."""

from __future__ import annotations

import logging
from threading import Event, Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING

from hts_battery.errors import HTSBatteryError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hts_battery.schemas.status import CampaignStatus

    Look = Callable[[], Sequence[CampaignStatus]]

_AGAIN_SECONDS = 10.0
_SHARE = 10
"""A look is followed by a pause that is so many times as long."""
_FIRST_SECONDS = 5.0

logger = logging.getLogger(__name__)


class CampaignStates:
    """
    Where each campaign stands, as `hts campaign status` says it.

    One look at a large campaign costs the database seconds, so requests share one,
    which is made again in the background.

    Parameters
    ----------
    look
        Looks at every campaign; the one who starts the server has the right to.
    clock
        Seconds, for tests.
    """

    def __init__(
        self, look: Look | None, clock: Callable[[], float] = monotonic
    ) -> None:
        self._look = look
        self._clock = clock
        self._lock = Lock()
        self._seen = Event()
        self._under_way = False
        self._due = clock()
        self._known: Mapping[str, CampaignStatus] = {}

    def get(self, *, patience: float = _FIRST_SECONDS) -> Mapping[str, CampaignStatus]:
        """
        Return what is known by the name of the campaign; absent where it is not.

        Parameters
        ----------
        patience
            Longest time in s to wait for the first look.
        """
        if self._look is None:
            return {}
        with self._lock:
            begins = not self._under_way and self._clock() >= self._due
            self._under_way = self._under_way or begins
        if begins:
            Thread(target=self.refresh, name="states", daemon=True).start()
        self._seen.wait(patience)
        return self._known

    def refresh(self) -> None:
        """Look now; what cannot be answered leaves what was known."""
        start = self._clock()
        try:
            found = self._look() if self._look else ()
            self._known = {one.campaign: one for one in found}
        except HTSBatteryError as err:
            # The database is away, or its user may not read these collections.
            logger.warning("states of campaigns stay as they were: %s", err)
        finally:
            seconds = self._clock() - start
            with self._lock:
                self._under_way = False
                self._due = self._clock() + max(_AGAIN_SECONDS, _SHARE * seconds)
            self._seen.set()
