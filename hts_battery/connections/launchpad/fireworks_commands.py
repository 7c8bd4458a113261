"""
FireWorks' own ``rlaunch`` and ``qlaunch``, on a launchpad that outlives its database.

Used as ``python -m hts_battery.connections.launchpad.fireworks_commands rlaunch …``;
the arguments are those of the command. See
:class:`hts_battery.connections.launchpad.launchpad.ExactLaunchPad` for why.
"""

from __future__ import annotations

import logging
import sys
from typing import IO, TYPE_CHECKING, Any

from fireworks.core import rocket
from fireworks.scripts import qlaunch_run, rlaunch_run
from monty.io import zopen

from hts_battery.connections.launchpad.launchpad import ExactLaunchPad
from hts_battery.errors import StoreError
from hts_battery.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

_COMMANDS = {
    "rlaunch": (rlaunch_run, "rlaunch"),
    "qlaunch": (qlaunch_run, "qlaunch"),
}


class WorkerLaunchPad(ExactLaunchPad):
    """A launchpad that waits for its database as long as this worker is told to."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - FireWorks'
        seconds = get_settings().outage_patience
        super().__init__(*args, outage_seconds=seconds, **kwargs)


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run a FireWorks command on an exact launchpad; return its exit status.

    The status is 1 if the database stayed away, 2 if there is no such command.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] not in _COMMANDS:
        names = " or ".join(_COMMANDS)
        sys.stderr.write(f"say which command to run: {names}\n")
        return 2
    module, name = _COMMANDS[given[0]]
    # The commands take the class from their own module and offer no other way in.
    vars(module)["LaunchPad"] = WorkerLaunchPad
    vars(rocket)["zopen"] = _open
    # What we have to say of a launch stands in the job's own file, too.
    handler = logging.StreamHandler()
    logging.getLogger("hts_battery").addHandler(handler)
    try:
        return int(getattr(module, name)(given[1:]) or 0)
    except StoreError as err:
        # The rocket has said on disk what it could not tell: nothing is lost.
        sys.stderr.write(f"{err}\n")
        return 1
    finally:
        logging.getLogger("hts_battery").removeHandler(handler)


def _open(path: str, mode: str = "rt") -> IO[Any]:
    """
    Open a file as FireWorks expects.

    Its offline rocket leaves the mode out (fireworks 2.1.4, rocket.py), which monty's
    function has not allowed since 2026: without this no offline launch would start.
    """
    return zopen(path, mode)


if __name__ == "__main__":
    sys.exit(main())
