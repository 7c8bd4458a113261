"""Submit, feed and cancel a campaign over and over with a fake engine, to be killed."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from fakes import FakeRelaxMaker

from hts_battery.campaign.spec_file import load_campaign
from hts_battery.connections.database.stores import screening_stores
from hts_battery.connections.launchpad.launchpad import open_launchpad
from hts_battery.dispatch.feeder import cancel, feed
from hts_battery.dispatch.submission import plan_submission, submit_campaign
from hts_battery.flows.recipes.screen import ScreenMaker
from hts_battery.settings import get_settings


def main(campaign_file: Path) -> None:
    """Go on until somebody ends it; say when it begins."""
    campaign = load_campaign(campaign_file)
    make_maker = partial(ScreenMaker.from_campaign, relax_maker=FakeRelaxMaker())
    submission = plan_submission(campaign.spec, "here", chunk=2)
    with (
        screening_stores(get_settings()) as stores,
        open_launchpad(stores.database) as launchpad,
    ):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            submit_campaign(campaign, stores, submission)
            feed(stores, launchpad, make_maker=make_maker)
            cancel(stores, launchpad, campaign.spec.name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
