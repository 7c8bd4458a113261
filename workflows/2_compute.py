"""Stage 2: compute, in this process, every candidate that has no result yet."""

from __future__ import annotations

import sys

from hts_battery.campaign.local_run import run_candidates
from hts_battery.campaign.run import ensure_references
from hts_battery.campaign.spec_file import load_campaign
from hts_battery.cli.opening import opened_stores
from hts_battery.settings import get_settings


def main(path: str) -> None:
    campaign = load_campaign(path)
    settings = get_settings()
    with opened_stores() as stores:
        if campaign.spec.gate and campaign.spec.prerelax:
            # What the gate compares with travels with each candidate.
            ensure_references(campaign.spec.prerelax.engine, stores)
        computed = run_candidates(
            campaign,
            stores,
            launch_folder=settings.data_dir / "launches",
            execution_folder=settings.execution_folder,
        )
        print(f"{campaign.spec.name}: {computed} computed")


if __name__ == "__main__":
    main(sys.argv[1])
