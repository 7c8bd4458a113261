"""
How long the dashboard takes on 18,810 summaries: start, first view, slider, table.

``python benchmarks/dashboard.py --json`` makes 18,810 invented summaries on a server of
its own (``--data-dir FOLDER`` takes the database of a folder instead), serves them and
drives headless Chromium. The peer of each figure is what the same answer costs without
a browser, or a plain read of the same documents.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from figures import Printer
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

from hts_battery.connections.database.bounded_reader import BoundedReader
from hts_battery.connections.database.database import database
from hts_battery.connections.database.indexes import ensure_indexes
from hts_battery.connections.database.stores import open_stores
from hts_battery.dashboard.campaign_numbers import pair_counts, read_numbers
from hts_battery.dashboard.latest_build import read_latest_build
from hts_battery.dashboard.server import (
    READABLE,
    ServerOptions,
    create_server,
    server_of,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from synthetic_summaries import fill

if TYPE_CHECKING:
    from collections.abc import Callable

    from selenium.webdriver.remote.webdriver import WebDriver

    from hts_battery.connections.database.database import Database

SUMMARIES = 18_810
"""Of the campaign that is made where none is given."""

REPEATS = 5
SECONDS = 120
show = Printer()


def timed(call: Callable[[], Any]) -> float:
    """Return the median time of some calls in s."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def chromium() -> WebDriver:
    """Start a browser without a window."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    return webdriver.Chrome(
        options=options, service=Service(shutil.which("chromedriver"))
    )


def view(driver: WebDriver, address: str, ready: str) -> float:
    """Open a page; return the time until a script says that it is there."""
    driver.get("about:blank")
    start = time.perf_counter()
    driver.get(address)
    WebDriverWait(driver, SECONDS, 0.01).until(
        lambda found: found.execute_script(f"return {ready}")
    )
    return time.perf_counter() - start


VIEWS = {
    "first view": ("/", "document.querySelector('#overview .cards') !== null"),
    "stability page": (
        "/stability",
        "document.querySelector('#distribution .main-svg .bars') !== null",
    ),
    "first page of the table": (
        "/candidates",
        "document.querySelectorAll('.ag-row a').length > 5",
    ),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, help="database to take instead")
    parser.add_argument("--json", action="store_true", help="the only format")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data_dir = arguments.data_dir or Path(folder)
        with database(None, name="hts_battery", data_dir=data_dir) as opened:
            if arguments.data_dir is None:
                with open_stores(opened) as stores:
                    ensure_indexes(stores)
                    fill(stores, SUMMARIES)
            in_memory(BoundedReader(opened, READABLE, seconds=600))
            in_browser(opened)


def in_memory(reader: BoundedReader) -> None:
    """Measure what happens without a browser."""
    start = time.perf_counter()
    plain = reader.find("summary", {})
    plain_seconds = time.perf_counter() - start
    start = time.perf_counter()
    table = read_latest_build(reader).table
    loading = time.perf_counter() - start
    count = f"{len(plain):,} summaries"
    show(
        f"table of {count} read at the start",
        loading,
        "s",
        "plain read of the same documents",
        plain_seconds / loading,
    )
    campaign = next(iter(table.campaigns))
    slider = timed(lambda: read_numbers(table, campaign).stable(1234.5))
    pairs = timed(lambda: pair_counts(table, campaign=campaign, temperature=1234.5))
    show(f"stable set of {count} at any temperature", slider, "s")
    show(f"pairs of elements of campaign {campaign} of {count}", pairs, "s")


def in_browser(opened: Database) -> None:
    """Measure pages from the address to what they show."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        options = ServerOptions(port=free.getsockname()[1])
    server = server_of(create_server(opened, options), options)
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    driver = chromium()
    try:
        for name, (path, ready) in VIEWS.items():
            address = f"http://127.0.0.1:{options.port}{path}"
            times = [view(driver, address, ready) for _ in range(REPEATS)]
            later = statistics.median(times[1:])
            show(f"{name}, empty cache", times[0], "s")
            peer = "the same with an empty cache"
            show(f"{name}, later", later, "s", peer, times[0] / later)
    finally:
        driver.quit()
        server.should_exit = True
        thread.join(SECONDS)


if __name__ == "__main__":
    main()
