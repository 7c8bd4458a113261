"""Stage 3: competing phases into the database, then entries, thermo and summary."""

from __future__ import annotations

import sys

from hts_battery.campaign.build import build
from hts_battery.campaign.run import ensure_references
from hts_battery.campaign.spec_file import load_campaign
from hts_battery.cli.opening import opened_stores
from hts_battery.settings import get_settings


def main(path: str) -> None:
    spec = load_campaign(path).spec
    with opened_stores() as stores:
        ensure_references(spec.engine, stores)
        reports = build(spec, stores, temperatures=get_settings().temperatures)
        for name, report in reports.items():
            print(f"{name}: {report}")


if __name__ == "__main__":
    main(sys.argv[1])
