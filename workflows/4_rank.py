"""Stage 4: print the ranking of a campaign at the highest of its temperatures."""

from __future__ import annotations

import sys

from hts_battery.campaign.spec_file import load_campaign
from hts_battery.cli import formatting
from hts_battery.cli.opening import opened_stores
from hts_battery.query import ScreeningDatabase
from hts_battery.settings import get_settings


def main(path: str) -> None:
    spec = load_campaign(path).spec
    temperature = max(spec.temperatures or get_settings().temperatures)
    with opened_stores() as stores:
        summaries = list(
            ScreeningDatabase(stores).ranking(
                campaign=spec.name, temperature=temperature
            )
        )
    formatting.ranking(summaries, temperature=temperature, title=spec.name)


if __name__ == "__main__":
    main(sys.argv[1])
