"""
One night of a database: references, builders, difference, snapshot, message.

    python workflows/nightly/nightly.py FOLDER

Exit status: 0 done; 1 something failed, or another night has not ended; 2 wrong usage.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hts_battery.cli.opening import opened_stores
from hts_battery.connections.notifications import notify
from hts_battery.errors import BusyError, HTSBatteryError
from hts_battery.operations.night import failure_alert, night, night_alert
from hts_battery.settings import get_settings


def main(folder: Path) -> int:
    settings = get_settings()
    try:
        with opened_stores() as stores:
            report = night(stores, folder, temperatures=settings.temperatures)
    except BusyError as err:  # the other night tells how it went
        print(f"error: {err}", file=sys.stderr)
        return 1
    except HTSBatteryError as err:
        print(f"error: {err}", file=sys.stderr)
        notify([failure_alert(err)], settings.notify_urls)
        return 1
    print(report.model_dump_json())
    return int(notify([night_alert(report)], settings.notify_urls) > 0)


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004 - the script and its folder
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(main(Path(sys.argv[1])))
