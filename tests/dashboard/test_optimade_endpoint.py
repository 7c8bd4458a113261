"""The OPTIMADE endpoint, by the library's own validator and by what it says."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("optimade.server", reason="the extra 'dashboard' is not installed")
pytest.importorskip("dash", reason="the extra 'dashboard' is not installed")

from optimade.adapters import Structure
from optimade.validator import ImplementationValidator
from planted import PlantedModule
from server_client import ServerClient

from hts_battery.connections.database.bounded_reader import BoundedReader
from hts_battery.dashboard.candidate_data import final_structures
from hts_battery.dashboard.server import READABLE
from hts_battery.errors import ForeignClassError
from hts_battery.schemas.decoding import read_structure

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import ASGIApp

    from hts_battery.connections.database.stores import Stores

pytestmark = [
    pytest.mark.mongo,
    # optimade 1.5.0 asks instances for what pydantic keeps on the class.
    pytest.mark.filterwarnings("ignore:Accessing the 'model_fields' attribute"),
    # How the library tells a client about its request.
    pytest.mark.filterwarnings("ignore::optimade.warnings.OptimadeWarning"),
]

BASE = "http://127.0.0.1:8050/optimade"


@pytest.fixture(scope="module")
def optimade(server: ASGIApp) -> ServerClient:
    return ServerClient(server, f"{BASE}/v1")


class ValidatorsClient:
    """What the validator asks of a client, in this process."""

    def __init__(self, app: ASGIApp) -> None:
        self.base_url = BASE
        self._client = ServerClient(app, BASE)
        self.last_request = ""

    def get(self, request: str) -> Any:  # noqa: ANN401 - a response
        path = request.removeprefix(BASE).lstrip("/")
        self.last_request = f"{BASE}/{path}"
        return self._client.get(self.last_request)


@pytest.mark.slow
def test_the_librarys_validator_is_content(
    server: ASGIApp, capsys: pytest.CaptureFixture[str]
) -> None:
    validator = ImplementationValidator(
        client=ValidatorsClient(server), respond_json=True, page_limit=2
    )
    validator.validate_implementation()
    results = validator.results
    assert validator.valid, capsys.readouterr().out
    assert results.failure_count == 0
    assert results.internal_failure_count == 0
    # Optional: references are not served, a version that does not exist is a 404, and
    # what is read from the task can be had but not asked for.
    known = ("v123123", "_test_if_data_empty", "species_at_sites")
    for where, _ in results.optional_failure_messages:
        assert any(words in where for words in known), where
    assert results.success_count > 40


def test_structures_carry_our_properties(optimade: ServerClient, shown: Stores) -> None:
    found = optimade.get(
        "structures", params={"filter": 'elements HAS "Cr"', "response_format": "json"}
    ).json()
    (entry,) = found["data"]
    attributes = entry["attributes"]
    summary = shown.summary.query_one({"formula": "Li1.2Cr0.2Mn0.2Ti0.4O2"})
    assert entry["id"] == f"shown-{summary['candidate_id']}"
    assert attributes["_hts_e_hull"] == summary["energy_above_hull"]
    stored = summary["energy_above_hull_at"]["1473K"]
    assert attributes["_hts_e_hull_1473"] == stored
    assert attributes["_hts_campaign"] == "shown"
    assert attributes["nsites"] == 40
    assert attributes["chemical_formula_reduced"] == "CrLi6MnO10Ti2"
    assert attributes["chemical_formula_anonymous"] == "A10B6C2DE"
    cell = Structure(entry).as_pymatgen
    assert len(cell) == 40
    assert cell.composition["Li"] == 12


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ("_hts_e_hull_1473 < 100", 3),
        ("_hts_e_hull > 100", 0),
        ("_hts_t_mix > 99999999999999999999999", 0),
        ("nelements = 4", 1),
        ('chemical_formula_descriptive CONTAINS "F0.3"', 1),
        ('chemical_formula_descriptive CONTAINS "F0.*"', 0),
        ("_hts_t_mix > 0 OR _hts_t_mix IS UNKNOWN", 3),
        ('last_modified > "2020-01-01T00:00:00Z"', 3),
        ('NOT last_modified > "2020-01-01T00:00:00Z"', 0),
        ("last_modified IS KNOWN", 3),
        # P34
        ("_mp_band_gap > 1", 0),
        ("_mp_band_gap > 1 OR nelements >= 1", 3),
        ('elements HAS ONLY "Li","Mn","Ti","O"', 1),
        ("elements LENGTH 4", 1),
        # of the same kinds
        ("NOT _mp_band_gap > 1", 0),
        ("_mp_band_gap IS UNKNOWN", 3),
        ("NOT (_mp_band_gap > 1 AND nelements > 100)", 3),
        ('NOT _mp_tags HAS ONLY "a"', 0),
        ("_mp_tags LENGTH < 3", 0),
        ("NOT _mp_tags LENGTH 3", 0),
        ("1 < _mp_band_gap", 0),
        ('elements HAS ONLY "Li","Mn","Ti","O","F"', 2),
        ('NOT elements HAS ONLY "Li","Mn","Ti","O"', 2),
        ('NOT (elements HAS ONLY "Li","Mn","Ti","O" OR elements LENGTH > 4)', 0),
        ("elements LENGTH != 4", 2),
        ("NOT elements LENGTH 4", 2),
        ("elements LENGTH > 4", 2),
        ("NOT elements LENGTH > 4", 1),
        ("elements_ratios LENGTH 4", 1),
        ("elements_ratios LENGTH != 4", 2),
        ("NOT elements_ratios LENGTH >= 5", 1),
        ("dimension_types LENGTH > 3", 0),
        ("structure_features LENGTH 0", 3),
        ("structure_features LENGTH >= 0", 3),
        ("structure_features LENGTH < 0", 0),
        ('type = "structures"', 3),
        ('type = "references"', 0),
        ("type IS KNOWN AND elements LENGTH 4", 1),
        ('NOT type STARTS WITH "struct"', 0),
        (" ", 3),
        ("\t \n", 3),
        ("", 3),
    ],
)
def test_filters_on_our_properties(
    optimade: ServerClient, wanted: str, count: int
) -> None:
    found = optimade.get("structures", params={"filter": wanted}).json()
    assert found["meta"]["data_returned"] == count, found
    assert found["meta"]["data_available"] == 3


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        ('elements = "Li"', 400),
        ('elements CONTAINS "Li"', 400),
        ('elements LENGTH "4"', 400),
        ("_hts_no_such_thing = 1", 400),
        ("no_such_thing = 1", 400),
    ],
)
def test_what_cannot_be_asked_is_said(
    optimade: ServerClient, wanted: str, status: int
) -> None:
    answer = optimade.get("structures", params={"filter": wanted})
    assert answer.status_code == status
    assert answer.json()["errors"]


@pytest.mark.parametrize(
    "path", ["structures", "info", "info/structures", "links", "no", "structures?bad=1"]
)
def test_times_have_a_zone(optimade: ServerClient, path: str) -> None:
    answer = optimade.get(path).json()
    times = [answer["meta"]["time_stamp"]]
    if path == "structures":
        times += [one["attributes"]["last_modified"] for one in answer["data"]]
        assert len(times) == 4
    for time in times:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", time)
    asked = datetime.fromisoformat(times[0])
    assert abs(datetime.now(UTC) - asked) < timedelta(minutes=5)


@pytest.mark.parametrize(
    "text",
    [
        "lattice_vectors IS KNOWN",
        'species_at_sites HAS "Li"',
        "NOT cartesian_site_positions LENGTH 40",
        'elements HAS "Li" AND species.name = "Li"',
    ],
)
def test_what_can_be_had_but_not_asked_for_is_said(
    optimade: ServerClient, text: str
) -> None:
    answer = optimade.get("structures", params={"filter": text})
    assert answer.status_code == 501
    assert "can be had, but not asked for" in answer.json()["errors"][0]["detail"]


def test_the_links_hold_this_database_as_their_root(optimade: ServerClient) -> None:
    links = optimade.get("links").json()["data"]
    (root,) = [one for one in links if one["attributes"]["link_type"] == "root"]
    assert root["attributes"]["base_url"] == BASE


def test_a_cell_that_names_a_foreign_module_is_not_served_and_imports_nothing(
    optimade: ServerClient,
    shown: Stores,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    planted = PlantedModule(tmp_path, monkeypatch)
    before = shown.tasks.query_one(
        {"output.structure": {"$exists": True}, "metadata.step": "relax"}
    )
    entry = before["uuid"]
    try:
        shown.tasks.collection.update_one(
            {"uuid": entry, "index": before["index"]},
            {"$set": {"output.structure.sites.0.properties.x": planted.naming()}},
        )
        everything = optimade.get("structures").json()["data"]
        cells = [doc["attributes"]["lattice_vectors"] for doc in everything]
        assert len(everything) == 3
        found = final_structures(BoundedReader(shown.database, READABLE), [entry])
        with pytest.raises(ForeignClassError, match=planted.name):
            read_structure(found[entry])
    finally:
        shown.tasks.update(before, key=["uuid", "index"])
    assert not planted.was_imported
    lowest = shown.summary.query_one({"entry_id": entry})
    assert (None in cells) == (lowest is not None)


def test_pages_lead_to_each_other(optimade: ServerClient) -> None:
    seen = []
    address: str | None = f"{BASE}/v1/structures?page_limit=2"
    while address:
        found = optimade.get(address).json()
        seen += [entry["id"] for entry in found["data"]]
        address = found["links"]["next"]
    assert len(seen) == len(set(seen)) == 3


@pytest.mark.parametrize(
    "query",
    [
        {"filter": "(" * 20 + "nelements=1" + ")" * 20},
        {"filter": "nelements=1 OR " * 100 + "nelements=1"},
        {"filter": "nelements ="},
        {"filter": '_hts_nothing = "a"'},
        {"page_offset": 10**9},
        {"page_above": "x"},
        {"filter": 'last_modified < "yesterday"'},
        {"filter": 'last_modified < "0001-01-01T00:00:00+14:00"'},
        {"filter": "last_modified < 1e999"},
        {"filter": "nelements > 99999999999999999999999"},
    ],
)
def test_what_costs_too_much_is_a_400(
    optimade: ServerClient, query: dict[str, Any]
) -> None:
    response = optimade.get("structures", params=query)
    assert response.status_code == 400, response.text
    assert response.json()["errors"][0]["detail"]


def test_the_landing_page_is_the_description(optimade: ServerClient) -> None:
    found = optimade.get(BASE).json()
    assert found["data"]["type"] == "info"
    properties = optimade.get("info/structures").json()["data"]["properties"]
    assert properties["_hts_e_hull_1473"]["unit"] == "eV/atom"


def test_open_labels_are_asked_for_as_booleans(optimade: ServerClient) -> None:
    everything = optimade.get("structures").json()["data"]
    for word, wanted in (("TRUE", True), ("FALSE", False)):
        asked = {"filter": f"_hts_open_1473 = {word}"}
        found = optimade.get("structures", params=asked).json()
        assert {one["id"] for one in found["data"]} == {
            one["id"]
            for one in everything
            if one["attributes"]["_hts_open_1473"] is wanted
        }, word
