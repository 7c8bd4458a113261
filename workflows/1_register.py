"""Stage 1: write a campaign's candidates into the database; known ones are kept."""

from __future__ import annotations

import sys

from hts_battery.campaign.registration import register
from hts_battery.campaign.spec_file import load_campaign
from hts_battery.cli.opening import opened_stores


def main(path: str) -> None:
    campaign = load_campaign(path)
    with opened_stores() as stores:
        new = register(campaign, stores)
        print(f"{campaign.spec.name}: {new} new candidates in {stores.database.name}")


if __name__ == "__main__":
    main(sys.argv[1])
