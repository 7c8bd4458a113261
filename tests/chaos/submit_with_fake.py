"""Submit a campaign and feed it once, with a fake engine, to be killed."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from fakes import FakeRelaxMaker

from hts_battery.campaign.spec_file import load_campaign
from hts_battery.connections.database.database import database
from hts_battery.connections.database.stores import open_stores
from hts_battery.connections.launchpad.launchpad import open_launchpad
from hts_battery.dispatch.feeder import feed
from hts_battery.dispatch.submission import plan_submission, submit_campaign
from hts_battery.flows.recipes.screen import ScreenMaker


def main(spec: Path, uri: str, name: str, chunk: int, window: int) -> None:
    campaign = load_campaign(spec)
    maker = partial(ScreenMaker.from_campaign, relax_maker=FakeRelaxMaker(seconds=0.2))
    with (
        database(uri, name=name, data_dir=spec.parent) as opened,
        open_stores(opened) as stores,
        open_launchpad(opened) as launchpad,
    ):
        print("ready", flush=True)  # noqa: T201 - the one who kills waits for it
        submission = plan_submission(campaign.spec, "slurm", chunk=chunk, window=window)
        submit_campaign(campaign, stores, submission)
        feed(stores, launchpad, make_maker=maker)


if __name__ == "__main__":
    main(
        Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
    )
