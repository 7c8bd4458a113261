"""The Materials Project, as its client answers: a fake that is named as one."""

from __future__ import annotations

import inspect
import json
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.entries.computed_entries import ComputedStructureEntry

from hts_battery.campaign.reference_import import import_rules
from hts_battery.connections.materials_project import (
    THERMO_TYPE_GGA,
    THERMO_TYPE_R2SCAN,
    MaterialsProject,
    connect,
)
from hts_battery.errors import ConfigurationError, StoreError
from hts_battery.thermo.imported_entries import imported_energies

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "k" * 32
R2SCAN_LABEL = "vasp mp24 r2SCAN PBE_64"


class FakeRestError(Exception):
    """As mp-api's error: a sentence with the status."""


class FakeRester:
    """Remembers what it was asked and answers with one entry a system."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[tuple[list[str], dict[str, Any]]] = []
        self.error = error

    def get_entries(
        self,
        chemsys_formula_mpids: str | list[str],
        **options: Any,  # noqa: ANN401 - as its model
    ) -> list[Any]:
        if self.error is not None:
            raise self.error
        systems = list(chemsys_formula_mpids)
        self.asked.append((systems, options))
        return [{"entry_id": f"mp-{system}"} for system in systems]


class FakeService(ThreadingHTTPServer):
    """Answers as api.materialsproject.org does, with one entry of r2SCAN."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), FakeAnswers)
        self.asked: list[dict[str, list[str]]] = []
        self.status = 200

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class FakeAnswers(BaseHTTPRequestHandler):
    """The heartbeat, and documents of thermodynamics."""

    server: FakeService

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path.strip("/") == "heartbeat":
            refused = self.server.status in {401, 403}
            release = {"version": "0.87.3", "db_version": "2026.1.1"}
            known = {**release, "access_controlled_batch_ids": []}
            self._answer(403 if refused else 200, known)
            return
        self.server.asked.append(parse_qs(parts.query))
        document = {"thermo_type": "R2SCAN", "entries": {"R2SCAN": lithia()}}
        found = {"data": [document], "meta": {"total_doc": 1}}
        if self.server.status != 200:
            found = {"detail": f"status {self.server.status}, key {KEY}"}
        self._answer(self.server.status, found)

    def _answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def lithia() -> dict[str, Any]:
    """Return the entry of Li2O as the service stores one."""
    structure = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.62), ["Li", "O"], [[0.25] * 3, [0, 0, 0]]
    ).get_primitive_structure()
    titles = ("PAW_PBE Li_sv 10Sep2004", "PAW_PBE O 08Apr2002")
    entry = ComputedStructureEntry(
        structure,
        -14.4,
        parameters={
            "run_type": "r2SCAN",
            "is_hubbard": False,
            "hubbards": {},
            "potcar_spec": [
                {"titel": title, "hash": "0" * 32, "summary_stats": None}
                for title in titles
            ],
        },
        data={"oxidation_states": {}, "oxide_type": "oxide"},
        entry_id="mp-1960-r2SCAN",
    )
    return dict(entry.as_dict())


def test_uncorrected_entries_of_one_thermo_type_are_asked_for_in_batches() -> None:
    rester = FakeRester()
    systems = [f"system {number}" for number in range(250)]
    found = MaterialsProject(rester).entries(systems, thermo_type="GGA_GGA+U")
    assert [one["entry_id"] for one in found] == [f"mp-{one}" for one in systems]
    assert [len(asked) for asked, _ in rester.asked] == [100, 100, 50]
    assert {str(options) for _, options in rester.asked} == {
        str(
            {
                "compatible_only": False,
                "additional_criteria": {"thermo_types": ["GGA_GGA+U"]},
            }
        )
    }


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_said_in_one_sentence(status: int) -> None:
    error = FakeRestError(
        f"REST query returned with error status code {status}: SECRET"
    )
    connection = MaterialsProject(FakeRester(error), (FakeRestError,))
    with pytest.raises(ConfigurationError, match="refuses the key") as caught:
        connection.entries(["Li-O"], thermo_type="R2SCAN")
    assert "SECRET" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_service_that_is_away_is_no_wrong_key() -> None:
    error = FakeRestError("REST query returned with error status code 503\ntrace")
    connection = MaterialsProject(FakeRester(error), (FakeRestError,))
    with pytest.raises(StoreError, match="503; try again later"):
        connection.entries(["Li-O"], thermo_type="R2SCAN")


def test_without_a_key_it_says_where_to_get_one() -> None:
    for environment in ({}, {"MP_API_KEY": ""}):
        with pytest.raises(ConfigurationError, match="set MP_API_KEY or PMG_MAPI_KEY"):
            connect(environment)


@pytest.mark.skipif(find_spec("mp_api") is not None, reason="mp-api is installed")
def test_without_its_client_it_names_the_extra() -> None:
    with pytest.raises(ConfigurationError, match=r"hts_battery\[mp\]"):
        connect({"PMG_MAPI_KEY": "x" * 32})


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeService]:
    """Serve the two addresses that the real client asks, on this machine only."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = FakeService()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


class TestTheRealClient:
    """mp-api itself, asking a fake of the service on loopback."""

    pytestmark = pytest.mark.skipif(
        find_spec("mp_api") is None, reason="mp-api is not installed"
    )

    def test_it_has_what_we_call(self) -> None:
        from mp_api.client import MPRester  # noqa: PLC0415 - an optional extra
        from mp_api.client.routes.materials.thermo import (  # noqa: PLC0415 - likewise
            ThermoRester,
        )

        asked = inspect.signature(MPRester.get_entries).parameters
        assert {
            "chemsys_formula_mpids",
            "compatible_only",
            "additional_criteria",
        } <= set(asked)
        made = inspect.signature(MPRester.__init__).parameters
        assert {"endpoint", "mute_progress_bars"} <= set(made)
        # Additional criteria are handed on as keywords of this one.
        searched = inspect.signature(ThermoRester.search).parameters
        assert {"thermo_types", "chemsys", "formula"} <= set(searched)

    def test_our_thermo_types_are_those_of_the_service(self) -> None:
        from emmet.core.types.enums import ThermoType  # noqa: PLC0415 - seconds

        assert ThermoType(THERMO_TYPE_GGA) is ThermoType.GGA_GGA_U
        assert ThermoType(THERMO_TYPE_R2SCAN) is ThermoType.R2SCAN

    def test_entries_come_back_with_what_an_import_reads(
        self, service: FakeService
    ) -> None:
        connection = connect({"MP_API_KEY": KEY}, endpoint=service.address)
        (found,) = connection.entries(["Li", "Li-O"], thermo_type=THERMO_TYPE_R2SCAN)
        assert found["parameters"]["run_type"] == "r2SCAN"
        assert found["energy"] == pytest.approx(-14.4)
        assert found["correction"] == 0
        asked = service.asked[-1]
        # The client spells it as the service's tables do.
        assert asked["thermo_types"][0].casefold() == "r2scan"
        assert asked["chemsys"] == ["Li,Li-O"]
        assert set(asked["_fields"][0].split(",")) >= {"entries", "thermo_type"}
        rules = import_rules("vasp-mp24", R2SCAN_LABEL, source="test")
        (energy,), rejected = imported_energies([found], rules)
        assert rejected == ()
        assert energy.phase_id == "Li2O-mp-1960-r2SCAN"
        assert energy.comparable is not None
        assert energy.comparable.checks["pseudopotentials"] == "PBE_64 by titles"

    @pytest.mark.parametrize("key", ["too short", KEY])
    def test_a_wrong_key_is_refused(self, service: FakeService, key: str) -> None:
        service.status = 403

        def ask() -> None:
            with warnings.catch_warnings():
                # The client warns when the service refuses the key at the door.
                warnings.simplefilter("ignore")
                connection = connect({"MP_API_KEY": key}, endpoint=service.address)
                connection.entries(["Li-O"], thermo_type=THERMO_TYPE_R2SCAN)

        with pytest.raises(ConfigurationError, match="refuses the key") as caught:
            ask()
        assert key not in str(caught.value)

    def test_a_service_that_is_away_is_said_to_be_away(
        self, service: FakeService
    ) -> None:
        service.status = 500
        connection = connect({"MP_API_KEY": KEY}, endpoint=service.address)
        with pytest.raises(StoreError, match="does not answer"):
            connection.entries(["Li-O"], thermo_type=THERMO_TYPE_GGA)
        nowhere = "http://127.0.0.1:9/"  # the port of discard: nobody listens
        with pytest.raises(StoreError, match="does not answer: ConnectionError"):
            connect({"MP_API_KEY": KEY}, endpoint=nowhere)
