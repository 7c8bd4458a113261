"""Every page and interaction of the dashboard in headless Chromium."""

from __future__ import annotations

import json
import shutil
import socket
import time
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("dash", reason="the extra 'dashboard' is not installed")
pytest.importorskip("selenium", reason="selenium is not installed")

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from hts_battery.dashboard.server import ServerOptions, create_server, server_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selenium.webdriver.remote.webdriver import WebDriver
    from selenium.webdriver.remote.webelement import WebElement

    from hts_battery.connections.database.stores import Stores

pytestmark = [pytest.mark.mongo, pytest.mark.browser, pytest.mark.slow]

SECONDS = 120
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
PAGES = [
    *(
        "/",
        "/stability",
        "/elements",
        "/rules",
        "/descriptors",
        "/compositions",
        "/disorder",
        "/candidates",
    ),
    "/changes",
]


@pytest.fixture(scope="module")
def address(shown: Stores) -> Iterator[str]:
    """Serve the small database on a free port of loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ServerOptions(port=port)
    server = server_of(create_server(shown.database, options), options)
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + SECONDS
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(SECONDS)


@pytest.fixture(scope="module")
def browser() -> Iterator[WebDriver]:
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader",
        "--window-size=1280,900",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_page_load_timeout(SECONDS)
    yield driver
    driver.quit()


class Reader:
    """Somebody who looks at the dashboard."""

    def __init__(self, browser: WebDriver, address: str) -> None:
        self.browser = browser
        self.address = address

    def until(self, script: str) -> Any:  # noqa: ANN401 - whatever the script returns
        """Wait until a script returns something true."""
        return WebDriverWait(self.browser, SECONDS, 0.1).until(
            lambda driver: driver.execute_script(f"return {script}"),
            message=script,
        )

    def open(self, path: str) -> str:
        """Open a page; return its heading."""
        self.browser.get(f"{self.address}{path}")
        return str(self.until("document.querySelector('#page h1')?.textContent"))

    def text(self, selector: str) -> str:
        """Wait for the text of an element."""
        return str(
            self.until(f"document.querySelector({json.dumps(selector)})?.textContent")
        )

    def find(self, selector: str) -> WebElement:
        """Wait for an element."""
        self.until(f"document.querySelector({json.dumps(selector)})")
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def set_temperature(self, kelvin: int) -> None:
        """Type a temperature beside the slider."""
        field = self.find(
            ".controls input[type=number], .controls .dash-range-slider-input"
        )
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(str(kelvin), Keys.ENTER, Keys.TAB)

    def choose(self, name: str, label: str) -> None:
        """Choose an entry of a list."""
        self.find(f"#{name}").click()
        self.until(
            "[...document.querySelectorAll('[role=option], .dash-options-list-option')]"
            f".some(e => e.textContent === {json.dumps(label)})"
        )
        self.browser.execute_script(
            "[...document.querySelectorAll('[role=option], .dash-options-list-option')]"
            f".find(e => e.textContent === {json.dumps(label)}).click()"
        )

    def errors(self) -> list[str]:
        """Return what the browser complained about."""
        return [
            entry["message"]
            for entry in self.browser.get_log("browser")
            if entry["level"] == "SEVERE"
        ]


@pytest.fixture
def reader(browser: WebDriver, address: str) -> Iterator[Reader]:
    found = Reader(browser, address)
    found.errors()
    yield found
    assert found.errors() == []


@pytest.mark.parametrize("path", PAGES)
def test_every_page_has_a_name_landmarks_and_no_error(
    reader: Reader, path: str
) -> None:
    heading = reader.open(path)
    assert heading
    reader.until(f"document.title.startsWith({heading!r})")
    for landmark in ("header", "nav[aria-label]", "main"):
        assert reader.find(landmark)
    assert reader.text('nav a[aria-current="page"]')
    unnamed = reader.browser.execute_script(
        "return [...document.querySelectorAll('figure, [role=img], table, input')]"
        ".filter("
        "e => e.offsetParent !== null && !e.closest('.ag-root-wrapper') &&"
        " !(e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') ||"
        " e.querySelector('figcaption, caption') || e.labels?.length ||"
        " e.closest('.control'))).map(e => e.outerHTML.slice(0, 200))"
    )
    assert unnamed == []


def test_the_overview_counts_and_ranks(reader: Reader) -> None:
    reader.open("/")
    assert "candidates3" in reader.text("#overview .cards")
    assert "shown" in reader.text("#overview table")
    assert reader.find('#overview a[href^="/candidate/"]')


def test_the_page_of_disorder_says_what_percolates(reader: Reader) -> None:
    reader.open("/disorder")
    said = reader.text("#percolation-count")
    assert said.startswith("3 of 3 candidates percolate with carriers at random")
    assert "every cluster ends somewhere" in reader.text(".lead")
    drawn = "document.querySelectorAll('#{} .main-svg .{}').length"
    reader.until(f"{drawn.format('percolation', 'point')} == 6")
    reader.until(f"{drawn.format('accessible-maps', 'hm')} == 2")
    reader.until(f"{drawn.format('tetrahedra', 'point')} == 3")
    assert "Tetrahedra of four carriers alone mislead" in reader.text(
        "#tetrahedra-words"
    )


def test_the_slider_moves_the_stable_set(reader: Reader, shown: Stores) -> None:
    reader.open("/stability")
    reader.until("document.querySelector('#distribution .main-svg .bars')")
    reader.set_temperature(0)
    stable = {"energy_above_hull": {"$lte": 0}}
    cold = shown.summary.count(stable)
    certain = shown.summary.count({**stable, "open_at.0K": False})
    reader.until(
        "document.querySelector('#stable-count').textContent"
        f".startsWith('{cold} of 3 candidates, of them {certain} certain, are on or "
        "below the hull at 0 K')"
    )
    reader.set_temperature(2500)
    reader.until(
        "document.querySelector('#stable-count').textContent.includes('at 2500 K')"
    )
    hot = sum(
        doc["energy_above_hull"] - 2500 * doc["entropy"] <= 0
        for doc in shown.summary.query({})
    )
    assert reader.text("#stable-count").startswith(f"{hot} of 3")
    reader.set_temperature(1473)


def test_pairs_have_a_map_chords_and_a_table(reader: Reader) -> None:
    assert reader.open("/elements") == "Element compatibility"
    reader.until("document.querySelector('#pair-map .main-svg .hm')")
    reader.until("document.querySelector('#chords .main-svg')")
    words = "document.querySelector('#reported-chords-words').textContent"
    reader.until(f"{words}.includes('disordered rocksalt')")
    reader.choose("reported-types", "NASICON")
    reader.until(f"{words}.includes('32 compounds (NASICON)')")
    reader.until(
        "document.querySelector('#element-effects-words').textContent"
        ".includes('too few rows')"
    )
    reader.find("#pair-tables summary").click()
    assert "Mn-Ti" in reader.text("#pair-tables")


def test_the_map_of_pairs_shows_numbers_too(reader: Reader) -> None:
    reader.open("/elements")
    words = "document.querySelector('#pair-map-words').textContent"
    reader.until(f"{words}.includes('colour: share')")
    reader.choose("pair-colour", "number of candidates")
    reader.until(f"{words}.includes('colour: number')")


def test_three_candidates_are_too_few_to_learn_from(reader: Reader) -> None:
    assert reader.open("/rules") == "Rules"
    assert reader.text("#rules-count").startswith("3 candidates")
    assert "too few rows" in reader.text("#rules-table table")
    assert reader.open("/descriptors") == "Descriptors"
    reader.find("#formula-search").click()
    reader.until(
        "document.querySelector('#formula-words').textContent.startsWith('too few')"
    )


def test_a_map_of_composition(reader: Reader) -> None:
    reader.open("/compositions")
    reader.until("document.querySelector('#composition-map .main-svg .hm')")
    assert "3 candidates" in reader.text("#composition-map-words")
    reader.choose("element-x", "F")
    reader.until(
        "document.querySelector('#composition-map-words').textContent"
        ".includes('squares of F and')"
    )


def test_a_campaign_is_chosen_for_every_page(reader: Reader) -> None:
    reader.open("/")
    reader.choose("campaign", "shown")
    reader.until("document.querySelectorAll('#overview tbody tr').length > 1")
    reader.find("#to-stability").click()
    assert "of 3 candidates" in reader.text("#stable-count")
    reader.choose("campaign", "all campaigns")


def test_the_table_filters_sorts_and_leads_to_a_candidate(reader: Reader) -> None:
    reader.open("/candidates")
    reader.until("document.querySelectorAll('.ag-row a').length === 3")
    field = reader.find("#table-filter")
    field.send_keys('elements HAS "Cr"', Keys.ENTER)
    reader.until("document.querySelectorAll('.ag-row a').length === 1")
    assert reader.text("#table-count").startswith("1 candidates")
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys("elements HAS", Keys.ENTER)
    reader.until(
        "document.querySelector('#table-count').textContent.includes('refused')"
    )
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(Keys.DELETE, Keys.ENTER)
    reader.until("document.querySelectorAll('.ag-row a').length === 3")
    before = reader.text(".ag-row[row-index='0'] a")
    reader.find(".ag-header-cell[col-id=hot]").click()
    reader.find(".ag-header-cell[col-id=hot]").click()
    reader.until(
        "document.querySelector('.ag-row[row-index=\"0\"] a')?.textContent"
        f" !== {json.dumps(before)}"
        " && document.querySelectorAll('.ag-row a').length === 3"
    )
    reader.find(".ag-row[row-index='0'] a").click()
    reader.until("location.pathname.startsWith('/candidate/')")
    assert reader.text("#page h1")


def test_a_candidate_has_its_cell_terms_orderings_and_query(
    reader: Reader, shown: Stores
) -> None:
    summary = shown.summary.query_one({"formula": "Li1.2Cr0.2Mn0.2Ti0.4O2"})
    heading = reader.open(f"/candidate/{summary['candidate_id']}")
    assert heading == summary["formula"]
    atoms = "#structure .main-svg .point"
    reader.until(f"document.querySelectorAll('{atoms}').length >= 40")
    assert "40 atoms" in reader.until(
        "document.querySelector('#structure-words').textContent.includes('40 atoms')"
        " && document.querySelector('#structure-words').textContent"
    )
    places = (
        "document.querySelector('#structure .points path').getAttribute('transform')"
    )
    before = reader.until(places)
    turn = reader.find(".panel input[type=number], .panel .dash-range-slider-input")
    turn.send_keys(Keys.CONTROL, "a")
    turn.send_keys("90", Keys.ENTER, Keys.TAB)
    reader.until(f"{places} !== {json.dumps(before)}")
    page = reader.text("#page")
    asked = "How much of it from oxygen?"
    for words in ("-T·S", "sublattice", "Decomposition", "sqs", "relax", asked):
        assert words in page
    assert f"hts query show {summary['candidate_id']}" in page
    assert f"/api/v1/candidates/{summary['candidate_id']}" in page


def test_a_candidate_that_is_not_there(reader: Reader) -> None:
    assert reader.open("/candidate/abc") == "No such candidate"


def test_changes_since_the_last_build_have_reasons(reader: Reader) -> None:
    reader.open("/changes")
    assert "labels flipped" in reader.text("#changes .headline")
    assert "changed reference" in reader.text("#changes table")
    reader.choose("since", "the beginning")
    reader.until(
        "document.querySelector('#changes .headline').textContent"
        ".includes('beginning') || document.querySelectorAll('#changes tbody tr')"
        ".length >= 6"
    )


def test_navigation_moves_the_focus_to_the_heading(reader: Reader) -> None:
    reader.open("/")
    reader.find("#to-changes").click()
    reader.until("document.activeElement?.tagName === 'H1'")
    assert reader.until("document.activeElement.textContent") == "Changes"
    skip = reader.browser.execute_script(
        "return document.querySelector('.skip').getAttribute('href')"
    )
    assert reader.find(skip).tag_name == "main"


def test_the_table_is_reached_from_anywhere_and_by_going_back(reader: Reader) -> None:
    rows = "document.querySelectorAll('.ag-row a').length === 3"
    reader.open("/")
    assert reader.until("window.dash_ag_grid === undefined")
    reader.find("#to-candidates").click()
    reader.until(rows)
    reader.find("#to-changes").click()
    reader.text("#changes .headline")
    reader.browser.refresh()
    reader.text("#changes .headline")
    reader.browser.back()
    reader.until(rows)


def test_dark_is_a_switch_and_is_kept(reader: Reader) -> None:
    reader.open("/")
    colour = "getComputedStyle(document.body).backgroundColor"
    before = reader.until(colour)
    reader.find("#theme").click()
    assert reader.until(colour) != before
    reader.open("/stability")
    assert reader.until("document.documentElement.dataset.theme") == "dark"
    reader.find("#theme").click()
    assert reader.until(colour) == before


@pytest.mark.parametrize("path", PAGES)
def test_no_page_is_wider_than_a_phone(reader: Reader, path: str) -> None:
    reader.browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True},
    )
    try:
        reader.open(path)
        width = reader.until("document.documentElement.scrollWidth")
    finally:
        reader.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert width <= 390
