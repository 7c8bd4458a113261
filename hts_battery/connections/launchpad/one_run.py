"""
A launchpad on which one Firework is one run, whatever queue jobs there are of it.

What FireWorks reads, changes and writes back as a whole is written here under the
condition that nobody else has changed it.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from fireworks import LaunchPad

from hts_battery.connections.launchpad.checkout import (
    NUMBER,
    Rocket,
    Taken,
    is_due,
    is_of,
    reservation_place,
    take_ready,
    take_reserved,
    unless_changed,
)
from hts_battery.connections.launchpad.offline_runs import withdraw_offline
from hts_battery.connections.queue_job import is_another_job, own_queue_job

if TYPE_CHECKING:
    from fireworks import Firework, FWorker

    from hts_battery.schemas.launchpad_rows import SpecRow

logger = logging.getLogger(__name__)


class Held(NamedTuple):
    """A launch that this process has taken."""

    token: str
    states: set[str]
    """Those in which it is this process's: RUNNING, and what it told of its end."""


class OneRunLaunchPad(LaunchPad):
    """
    A launchpad that gives each Firework to one rocket, and each launch to its own.

    Where a reservation names a queue job no other one runs it; where none is written
    yet the first rocket writes its own. Whoever comes too late ends in words.
    """

    fireworks: Any
    launches: Any
    fw_id_assigner: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - FireWorks'
        super().__init__(*args, **kwargs)
        self._held: dict[int, Held] = {}

    @property
    def epoch(self) -> str | None:
        """After which restoration of a backup this is; none before the first."""
        counters = self.fw_id_assigner.find_one({}, ["epoch"]) or {}
        found: str | None = counters.get("epoch")
        return found

    def checkout_fw(
        self,
        fworker: FWorker,
        launch_dir: str,
        fw_id: int | None = None,
        host: str | None = None,
        ip: str | None = None,
        state: str = "RUNNING",
    ) -> tuple[Firework | None, int | None]:
        """
        Take a Firework, alone: RUNNING in this process or RESERVED for a queue job.

        Nobody and no launch where there is none, or it is another queue job's.
        """
        rocket = Rocket(fworker, launch_dir, host, ip, own_queue_job(), state)
        taken = self._taken(rocket, fw_id)
        if taken is None:
            return None, None
        number, launch_id, token = taken
        if state == "RUNNING":
            self._held[launch_id] = Held(token, {"RUNNING"})
        self._refresh_wf(number)
        firework = self.get_fw_by_id(number)  # type: ignore[no-untyped-call]
        launch = next(one for one in firework.launches if one.launch_id == launch_id)
        self.backup_launch_data[launch_id] = launch.to_db_dict()
        self.backup_fw_data[number] = firework.to_db_dict()
        return firework, launch_id

    def _taken(self, rocket: Rocket, fw_id: int | None) -> Taken | None:
        if fw_id is None or rocket.state != "RUNNING":
            return take_ready(self, rocket, fw_id)
        found = self.fireworks.find_one({"fw_id": fw_id}, ["state"])
        state = found["state"] if found else "not in this launchpad"
        if state == "READY":
            return take_ready(self, rocket, fw_id)
        if state != "RESERVED":
            logger.warning("Firework %d is %s: it is not run here", fw_id, state)
            return None
        try:
            firework = self.get_fw_by_id(fw_id)  # type: ignore[no-untyped-call]
        except Exception:  # noqa: BLE001 - whatever its tasks raise as they are made
            # FireWorks lets a Firework fail whose tasks cannot be imported here.
            super()._get_a_fw_to_run(fw_id=fw_id)  # type: ignore[no-untyped-call]
            return None
        return take_reserved(self, rocket, firework) if self._is_due(firework) else None

    def _get_a_fw_to_run(
        self,
        query: dict[str, object] | None = None,
        fw_id: int | None = None,
        checkout: bool = True,
    ) -> Firework | None:
        """Find a Firework that is READY, whichever way it is asked for."""
        if fw_id is not None:
            query = {"fw_id": fw_id}
        found: Firework | None = super()._get_a_fw_to_run(  # type: ignore[no-untyped-call]
            query, checkout=checkout
        )
        return found

    def is_held(self, launch_id: int) -> bool:
        """Say whether a launch that this process took is still its own."""
        held = self._held.get(launch_id)
        return held is None or is_of(self, launch_id, held.token, held.states)

    def tells(self, launch_id: int, state: str) -> None:
        """Note that a launch of this process is about to be in a state."""
        if launch_id in self._held:
            self._held[launch_id].states.add(state)

    def _check_fw_for_uniqueness(self, m_fw: Firework) -> bool:
        """Pass a Firework over that its dispatch does not name: it is a second one."""
        return self._is_due(m_fw) and bool(super()._check_fw_for_uniqueness(m_fw))

    def _is_due(self, firework: Firework) -> bool:
        """Say whether a RESERVED Firework is to be run; stop it for good if not."""
        if is_due(self, cast("SpecRow", firework.spec)):
            return True
        logger.warning(
            "Firework %d is not run: what it computes was sent as another one, or has "
            "ended",
            firework.fw_id,
        )
        self.fireworks.update_one(
            # READY where FireWorks only looks whether there is something to run.
            {"fw_id": firework.fw_id, "state": {"$in": ["READY", "RESERVED"]}},
            {"$set": {"state": "DEFUSED"}},
        )
        return False

    def set_reservation_id(self, launch_id: int, reservation_id: int | str) -> None:
        """Write down which queue job a launch is reserved for, unless one took it."""
        number = str(reservation_id)
        found = self.launches.find_one({"launch_id": launch_id}, ["state_history"])
        place = reservation_place(found["state_history"]) if found else None
        if place is not None:
            self.launches.update_one(
                {"launch_id": launch_id, **unless_changed(place, None)},
                {"$set": {f"state_history.{place}.{NUMBER}": number}},
            )
        found = self.launches.find_one({"launch_id": launch_id}, ["state_history"])
        history = found["state_history"] if found else ()
        there = next((one[NUMBER] for one in history if one.get(NUMBER)), None)
        if there is None or is_another_job(there, number):
            logger.warning(
                "launch %d is run by queue job %s: queue job %s is one too many and "
                "ends by itself, without computing",
                launch_id,
                there,
                number,
            )

    def cancel_reservation(self, launch_id: int) -> None:
        """Give a reserved Firework back, unless a queue job has taken it already."""
        launch = self.get_launch_by_id(launch_id)  # type: ignore[no-untyped-call]
        launch.state = "READY"
        given = self.launches.find_one_and_update(
            {"launch_id": launch_id, "state": "RESERVED"}, {"$set": launch.to_db_dict()}
        )
        if given is None:
            logger.warning(
                "launch %d has begun although its submission failed: it runs on",
                launch_id,
            )
            return
        withdraw_offline(Path(launch.launch_dir))
        here = {"launches": launch_id, "state": "RESERVED"}
        for one in self.fireworks.find(here, {"fw_id": 1}):
            self.rerun_fw(one["fw_id"], rerun_duplicates=False)  # type: ignore[no-untyped-call]

    def change_launch_dir(self, launch_id: int, launch_dir: str) -> None:
        """Write down where a launch runs, as long as it is this process's."""
        mine = launch_id in self._held and self.is_held(launch_id)
        state = "RUNNING" if mine else "RESERVED"
        self.launches.update_one(
            {"launch_id": launch_id, "state": state},
            {"$set": {"launch_dir": launch_dir}},
        )
