"""
How often a piece of work changes the module: stops and returns along its call tree.

Calls between functions of ``hts_battery`` make a tree; repeated calls by one caller, as
in a loop, are one branch. Walked from caller to callee, each change of module is a
*stop*, and a stop at a module that was passed before is a *return*. Left out are
documents, constructors and properties, what every call to the database passes, and
recovery, a walk of its own that the feeder begins with.

feeder: a pass that collects two candidates and sends two. local: a candidate through a
local run with a fake engine. stability: a batch of four through that builder.
"""

from __future__ import annotations

import argparse
import inspect
import logging
import os
import sys
import tempfile
import warnings
from contextlib import ExitStack
from functools import cached_property, partial
from itertools import pairwise
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
from hts_battery.connections.database.stores import screening_stores
from hts_battery.connections.launchpad.launchpad import open_launchpad
from hts_battery.dispatch.feeder import feed
from hts_battery.dispatch.submission import plan_submission, submit_campaign
from hts_battery.flows.recipes.screen import ScreenMaker
from hts_battery.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores

FORMULAS = "formulas, formulas: [Li1.3Mn0.4Ti0.3O1.7F0.3, Li1.2Mn0.4Ti0.4O2]}"
LEFT_OUT = ("schemas", "errors", "settings", "connections.database")
LEFT_OUT += ("connections.processes", "connections.launchpad.retrying_collections")
Tree = dict[tuple[str, str], "Tree"]
"""Module and function → what it called, in the order of the first calls."""


def call_tree(work: Callable[[], object]) -> Tree:
    """Run some work; return the calls between our functions."""
    root: Tree = {}
    stack: list[tuple[FrameType | None, Tree]] = [(None, root)]

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and not code.co_name.startswith("<"):
            package, _, module = str(frame.f_globals.get("__name__")).partition(".")
            if package == "hts_battery":
                key = (module, code.co_qualname)
                stack.append((frame, stack[-1][1].setdefault(key, {})))
        elif event == "return" and stack[-1][0] is frame:
            stack.pop()

    sys.setprofile(note)
    work()
    sys.setprofile(None)
    return root


def walk(tree: Tree, depth: int = 0) -> Iterator[tuple[int, str, str]]:
    """Go from caller to callee, as somebody who follows the work."""
    for (module, function), calls in tree.items():
        if module == "dispatch.recovery":
            continue
        found: object = sys.modules[f"hts_battery.{module}".rstrip(".")]
        for name in function.split("."):
            found = inspect.getattr_static(found, name, None)
        plain = (
            not isinstance(found, property | cached_property) and ".__" not in function
        )
        if plain and not module.startswith(LEFT_OUT):
            yield depth, module, function
        yield from walk(calls, depth + 1)


def feeder(campaign: Campaign, stores: Stores, stack: ExitStack) -> partial[object]:
    """Prepare a pass of the feeder."""
    launchpad = stack.enter_context(open_launchpad(stores.database))
    maker = partial(ScreenMaker.from_campaign, relax_maker=FakeRelaxMaker())
    plan = plan_submission(campaign.spec, "here", chunk=1, window=2)
    submit_campaign(campaign, stores, plan)
    feed(stores, launchpad, make_maker=maker)
    jobflow.SETTINGS.JOB_STORE = stores.job_store
    rapidfire(launchpad, FWorker(name="here"), m_dir=str(Path.cwd()), strm_lvl="ERROR")
    return partial(feed, stores, launchpad, make_maker=maker)


def local(campaign: Campaign, stores: Stores, _: ExitStack) -> partial[object]:
    """Prepare a local run."""
    register(campaign, stores)
    folders = {f"{name}_folder": Path.cwd() / name for name in ("launch", "execution")}
    return partial(
        run_candidates, campaign, stores, relax_maker=FakeRelaxMaker(), **folders
    )


def stability(campaign: Campaign, stores: Stores, stack: ExitStack) -> partial[object]:
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
        text = SMALL_CAMPAIGN.replace(FORMULAS, f"sample, count: {count}, seed: 1}}")
        text = text.replace("structure: {", "structure: {n_orderings: {random: 1}, ")
        Path("campaign.yaml").write_text(text, encoding="utf-8")
        stores = stack.enter_context(screening_stores(get_settings()))
        work = prepare(load_campaign(Path("campaign.yaml")), stores, stack)
        calls = list(walk(call_tree(work)))
    if options.tree:
        for depth, module, function in calls:
            sys.stdout.write(f"{'  ' * depth}{module} {function}\n")
    modules = ["", *(module for _, module, _ in calls)]
    stops = [one for last, one in pairwise(modules) if one != last]
    show = partial(Printer(), unit="changes of module")
    show(f"{options.name}, stops", len(stops))
    show(f"{options.name}, returns", len(stops) - len(set(stops)))


if __name__ == "__main__":
    main()
