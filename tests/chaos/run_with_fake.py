"""Run a campaign on its own embedded server with a fake engine, to be killed."""

from __future__ import annotations

import sys
from pathlib import Path

from fakes import FakeRelaxMaker, fake_reference_energies

from hts_battery.campaign.local_run import Progress
from hts_battery.campaign.references import store_references
from hts_battery.campaign.run import run_campaign
from hts_battery.campaign.spec_file import load_campaign
from hts_battery.connections.database.stores import screening_stores
from hts_battery.query import ScreeningDatabase
from hts_battery.query.exports import write_csv
from hts_battery.settings import get_settings


def tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(campaign_file: Path, seconds: float, table: Path, processes: int) -> None:
    """Run the campaign; say what happens, one line each, as it happens."""
    campaign = load_campaign(campaign_file)
    settings = get_settings()
    tell("loaded")
    with screening_stores(settings) as stores:
        tell("opened")
        store_references(fake_reference_energies(), stores)
        computed, _ = run_campaign(
            campaign,
            stores,
            data_dir=settings.data_dir,
            execution_folder=settings.execution_folder,
            temperatures=settings.temperatures,
            relax_maker=FakeRelaxMaker(seconds=seconds),
            processes=processes,
            progress=Progress(
                total=lambda _stage, total: tell(f"to compute: {total}"),
                advance=lambda _stage, what: tell(f"computed {what}"),
            ),
        )
        ranking = ScreeningDatabase(stores).ranking(
            campaign=campaign.spec.name, temperature=max(settings.temperatures)
        )
        write_csv(list(ranking), table)
    tell(f"done: {computed}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
