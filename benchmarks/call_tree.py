"""
How often a piece of work changes the module: stops and returns along its call tree.

Calls between functions of ``hts_battery`` make a tree; repeated calls by one caller, as
in a loop, are one branch. Walked from caller to callee, each change of module is a
*stop*, and a stop at a module that was passed before is a *return*.

feeder: a pass that collects two candidates and sends two. local: a candidate through a
local run with a fake engine. stability: a batch of four through that builder.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import warnings
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import jobflow
from figures import Printer
from fireworks import FWorker
from fireworks.core.rocket_launcher import rapidfire

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from conftest import SMALL_CAMPAIGN
from fakes import FakeRelaxMaker, fake_reference_energies

from hts_battery.campaign.build import build
from hts_battery.campaign.local_run import run_candidates
from hts_battery.campaign.references import store_references
from hts_battery.campaign.registration import register
from hts_battery.campaign.spec_file import load_campaign
from hts_battery.connections.database.database import database
from hts_battery.connections.database.indexes import ensure_indexes
from hts_battery.connections.database.stores import open_stores
from hts_battery.connections.launchpad.launchpad import open_launchpad
from hts_battery.dispatch.feeder import feed
from hts_battery.dispatch.submission import plan_submission, submit_campaign
from hts_battery.flows.recipes.screen import ScreenMaker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores

SELECTION = "formulas, formulas: [Li1.3Mn0.4Ti0.3O1.7F0.3, Li1.2Mn0.4Ti0.4O2]}"
STRUCTURE = "structure: {n_orderings: {random: 1}, "


@dataclass
class Call:
    """A function, and what it called in the order of the first calls."""

    module: str
    function: str = ""
    calls: dict[tuple[str, str], Call] = field(default_factory=dict)

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Call]]:
        """Go from caller to callee."""
        for call in self.calls.values():
            yield depth, call
            yield from call.walk(depth + 1)


def call_tree(work: Callable[[], object], package: str = "hts_battery") -> Call:
    """Run some work; return the calls between the functions of a package."""
    root = Call("")
    stack: list[tuple[FrameType | None, Call]] = [(None, root)]

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            module, name = str(frame.f_globals.get("__name__")), frame.f_code.co_name
            # Comprehensions and lambdas belong to the function that holds them.
            if module.partition(".")[0] == package and not name.startswith("<"):
                key = (module, frame.f_code.co_qualname)
                call = stack[-1][1].calls.setdefault(key, Call(*key))
                stack.append((frame, call))
        elif event == "return" and stack[-1][0] is frame:
            stack.pop()

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return root


def feeder(
    campaign: Campaign, stores: Stores, stack: ExitStack
) -> Callable[[], object]:
    """Prepare a pass of the feeder."""
    launchpad = stack.enter_context(open_launchpad(stores.database))
    maker = partial(ScreenMaker.from_campaign, relax_maker=FakeRelaxMaker())
    plan = plan_submission(campaign.spec, "here", chunk=1, window=2)
    submit_campaign(campaign, stores, plan)
    feed(stores, launchpad, make_maker=maker)
    jobflow.SETTINGS.JOB_STORE = stores.job_store
    rapidfire(launchpad, FWorker(name="here"), m_dir=os.getcwd(), strm_lvl="CRITICAL")  # noqa: PTH109 - a text
    return partial(feed, stores, launchpad, make_maker=maker)


def local(campaign: Campaign, stores: Stores, _: ExitStack) -> Callable[[], object]:
    """Prepare a local run."""
    register(campaign, stores)
    return partial(
        run_candidates,
        campaign,
        stores,
        launch_folder=Path("launches").absolute(),
        execution_folder=Path("executions").absolute(),
        relax_maker=FakeRelaxMaker(),
    )


def stability(
    campaign: Campaign, stores: Stores, stack: ExitStack
) -> Callable[[], object]:
    """Prepare a batch of stabilities."""
    local(campaign, stores, stack)()
    store_references(fake_reference_energies(), stores)
    build(campaign.spec, stores, temperatures=(0.0,), only="entries")
    return partial(build, campaign.spec, stores, temperatures=(0.0,), only="thermo")


def main() -> None:
    """Count one piece of work."""
    pieces = {"feeder": (feeder, 4), "local": (local, 1), "stability": (stability, 4)}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=pieces)
    parser.add_argument("--tree", action="store_true", help="print the calls as well")
    options = parser.parse_args()
    logging.disable(logging.INFO)
    warnings.filterwarnings("ignore")
    prepare, count = pieces[options.name]
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        os.chdir(name)
        os.environ["HTS_BATTERY_DATA_DIR"] = name
        file = Path(name) / "campaign.yaml"
        text = SMALL_CAMPAIGN.replace(SELECTION, f"sample, count: {count}, seed: 1}}")
        file.write_text(text.replace("structure: {", STRUCTURE))
        opened = stack.enter_context(database(None, name="tree", data_dir=Path(name)))
        stores = stack.enter_context(open_stores(opened))
        ensure_indexes(stores)
        calls = list(call_tree(prepare(load_campaign(file), stores, stack)).walk())
    modules = [call.module for _, call in calls]
    stops = [
        one for number, one in enumerate(modules) if [one] != modules[:number][-1:]
    ]
    if options.tree:
        for depth, call in calls:
            sys.stdout.write(f"{'  ' * depth}{call.module} {call.function}\n")
    show = Printer()
    show(f"{options.name}, stops", len(stops), "changes of module")
    show(f"{options.name}, returns", len(stops) - len(set(stops)), "changes of module")


if __name__ == "__main__":
    main()
