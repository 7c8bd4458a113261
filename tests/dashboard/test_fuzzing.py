"""
Random and malicious requests: no traceback, no write, no stall, clear refusals.

``HTS_BATTERY_TEST_REQUESTS`` says how many are sent: 400 where it is not set.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import httpx
import pytest

pytest.importorskip("dash", reason="the extra 'dashboard' is not installed")
pytest.importorskip("schemathesis", reason="schemathesis is not installed")

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from hts_battery.connections.database.content_digests import content_digests
from hts_battery.dashboard.protection import CALLBACK_PATH
from hts_battery.dashboard.server import ServerOptions, create_server

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from hts_battery.connections.database.stores import Stores

pytestmark = [
    pytest.mark.mongo,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Accessing the 'model_fields' attribute"),
    pytest.mark.filterwarnings("ignore::optimade.warnings.OptimadeWarning"),
    pytest.mark.filterwarnings(
        "ignore::starlette.exceptions.StarletteDeprecationWarning"
    ),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:schemathesis"),
]

REQUESTS = int(os.environ.get("HTS_BATTERY_TEST_REQUESTS", "400"))
AT_ONCE = 4
LONGEST_SECONDS = 30.0
ALLOWED = {200, 204, 304, 400, 403, 404, 405, 413, 414, 501}

NAMES = [
    "elements", "nelements", "e_hull", "_hts_e_hull", "e_hull_1473", "_hts_t_mix",
    "formula", "id", "_id", "$where", "flags", "label_1473", "_exmpl_x", "a.b.c",
    "chemical_formula_reduced", "last_modified", "species", "structure_features",
    "lattice_vectors", "__proto__", "constructor", "type", "relationships",
]  # fmt: skip
VALUES = [
    '"Li"', '"Mn","Ti"', "1", "-1e308", "1e999", "0.05", '""', '"(a+)+$"', '"^.*$"',
    '"$gt"', '"\\""', '"\\\\"', '"2025-01-01T00:00:00Z"', '"\u0000"', '"é"', "TRUE",
    "nelements", '"' + "a" * 300 + '"', "99999999999999999999999", '"\U0001f600"',
]  # fmt: skip
OPERATORS = [
    "=", "!=", "<", "<=", ">", ">=", "HAS", "HAS ALL", "HAS ANY", "HAS ONLY",
    "CONTAINS", "STARTS WITH", "ENDS WITH", "IS KNOWN", "IS UNKNOWN", "LENGTH",
    "LENGTH >", "LIKE",
]  # fmt: skip
RAW = [
    '{"$where": "sleep(10000)"}', "'; DROP TABLE summary; --", "{{7*7}}", "${7*7}",
    "<script>alert(1)</script>", "../../etc/passwd", "%00", "\u0000", "(" * 500,
    "NOT " * 400 + "e_hull<1", '"' * 777, "a" * 5000, "\ud7ff",
    "e_hull<1 AND " * 300 + "e_hull<1", "elements HAS " + '"Li",' * 400 + '"Li"',
    '{"$function": {"body": "while(1){}"}}', '{"$lookup": {"from": "locks"}}',
    "__import__('os').system('id')",
]  # fmt: skip


class Requests:
    """
    Make requests that somebody careless or hostile might send; the same every time.

    Parameters
    ----------
    seed
        Decides which.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - not for secrets

    def comparison(self) -> str:
        """One comparison, or what looks like one."""
        choose = self.random.choice
        parts = [choose(NAMES), choose(OPERATORS), choose(VALUES)]
        if self.random.random() < 0.1:
            self.random.shuffle(parts)
        return " ".join(parts)

    def filter(self) -> str:
        """A filter, more often right than wrong."""
        kind = self.random.random()
        if kind < 0.15:
            return self.random.choice(RAW)
        if kind < 0.25:
            letters = 'abE_$.<>=!()"\\ {}[]:;\n\t%éAND OR NOT 0123456789'
            length = self.random.randint(0, 120)
            return "".join(self.random.choice(letters) for _ in range(length))
        text = self.comparison()
        for _ in range(self.random.randint(0, 4)):
            word = self.random.choice(("AND", "OR", "AND NOT"))
            text = f"{text} {word} {self.comparison()}"
            if self.random.random() < 0.3:
                text = f"({text})"
        return text

    def number(self) -> str:
        """Something where a number should stand."""
        return self.random.choice(
            ["0", "1473", "-5", "1e9", "nan", "inf", "5000", "", "x", "[]", "1" * 400]
        )

    def one(self) -> httpx.Request:
        """Make one request."""
        make = self.random.choice(
            (self.api, self.api, self.optimade, self.optimade, self.callback, self.odd)
        )
        return make()

    def api(self) -> httpx.Request:
        """Ask the JSON endpoint."""
        path = self.random.choice(
            [
                *("summaries", "summaries", "aggregates", "changes", "builds"),
                *("campaigns", "structures/a", "health"),
                f"candidates/{self.random.choice(RAW)[:50]}",
            ]
        )
        query = {
            "filter": self.filter(),
            "temperature": self.number(),
            "page_offset": self.number(),
            "page_limit": self.number(),
            "campaign": self.random.choice(["shown", "$ne", "", "a" * 200]),
            "since": self.random.choice(["20250101", "$gt", "\n"]),
        }
        kept = {name: query[name] for name in query if self.random.random() < 0.35}
        return self._get(f"/api/v1/{path}", kept)

    def optimade(self) -> httpx.Request:
        """Ask the OPTIMADE endpoint."""
        path = self.random.choice(
            [
                *("structures", "structures", "structures", "info", "links"),
                *("references", "info/structures"),
                f"structures/{self.random.choice(RAW)[:60]}",
            ]
        )
        query = {
            "filter": self.filter(),
            "sort": self.random.choice(["id", "-_hts_e_hull", "$natural", "a,b", ""]),
            "response_fields": self.random.choice(
                ["id", "_hts_x", "$where", "elements"]
            ),
            "page_limit": self.number(),
            "page_offset": self.number(),
            "page_number": self.number(),
            "include": self.random.choice(["references", "structures", "$"]),
            "response_format": self.random.choice(["json", "xml", "${x}"]),
        }
        kept = {name: query[name] for name in query if self.random.random() < 0.25}
        return self._get(f"/optimade/v1/{path}", kept)

    def callback(self) -> httpx.Request:
        """Ask as the table of the dashboard does, with a filter of one's own."""
        value = self.random.choice(
            [None, 1473, -1, "hot", [], {"$gt": 0}, 1e308, self.filter()]
        )
        grid = self.random.choice(
            [
                {"startRow": 0, "endRow": 50, "sortModel": [], "filterModel": {}},
                {"startRow": 0, "endRow": 10**7},
                {"startRow": -1, "endRow": "x"},
                {"startRow": 0, "endRow": 5, "sortModel": [{"colId": "__proto__"}]},
                None,
            ]
        )
        body = {
            "output": "..table.getRowsResponse...table-count.children..",
            "inputs": [{"id": "table", "property": "getRowsRequest", "value": grid}],
            "state": [
                {"id": "campaign", "property": "value", "value": "*"},
                {"id": "temperature", "property": "value", "value": value},
                {"id": "table-filter", "property": "value", "value": self.filter()},
            ],
            "changedPropIds": ["table.getRowsRequest", "x.y"],
        }
        text = json.dumps(body)
        if self.random.random() < 0.3:
            cut = self.random.randrange(len(text))
            text = text[:cut] + self.random.choice(['"', "}", "\u0000", ""])
        return httpx.Request("POST", f"{BASE}{CALLBACK_PATH}", content=text.encode())

    def odd(self) -> httpx.Request:
        """Use another method, another path, other headers."""
        method = self.random.choice(
            ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "GET"]
        )
        path = self.random.choice(
            [
                *("/", "/api/v1/summaries", "/optimade/v1/structures", "/_dash-layout"),
                *("/_dash-dependencies", "/candidate/x", "/assets/../../settings.py"),
                *("/_dash-component-suites/os/path.py", "/_dash-component-suites/x/y"),
            ]
        )
        return httpx.Request(method, f"{BASE}{path}", headers={"x": "y" * 100})

    def _get(self, path: str, query: dict[str, str]) -> httpx.Request:
        return httpx.Request(
            "GET", httpx.URL(f"{BASE}/").join(_quoted(path)), params=query
        )


BASE = "http://127.0.0.1"


def _quoted(path: str) -> str:
    head, _, tail = path.rpartition("/")
    return f"{head}/{httpx.QueryParams({'p': tail})}".replace("/p=", "/")


def contents(stores: Stores) -> dict[str, list[Any]]:
    """Digest every document of every collection."""
    return {
        store.collection_name: sorted(
            digest for _, digest in content_digests(store, {}, ())
        )
        for store in stores.all
    }


async def send_all(
    server: ASGIApp, count: int
) -> tuple[Counter[int], float, list[str]]:
    """Send requests, some at a time; return statuses, the slowest and what is wrong."""
    made = Requests(seed=8)
    waiting = iter([made.one() for _ in range(count)])
    statuses: Counter[int] = Counter()
    slowest = 0.0
    wrong: list[str] = []

    async def worker(client: httpx.AsyncClient) -> None:
        nonlocal slowest
        for request in waiting:
            start = time.perf_counter()
            response = await client.send(request)
            slowest = max(slowest, time.perf_counter() - start)
            statuses[response.status_code] += 1
            if response.status_code not in ALLOWED or "Traceback" in response.text:
                wrong.append(
                    f"{response.status_code} {request.method} {request.url}: "
                    f"{request.content[:300]!r} {response.text[:300]}"
                )

    transport = httpx.ASGITransport(server, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport) as client:
        await asyncio.gather(*(worker(client) for _ in range(AT_ONCE)))
    return statuses, slowest, wrong


def test_hostile_requests_are_answered_and_change_nothing(
    server: ASGIApp,
    shown: Stores,
    record_property: Any,  # noqa: ANN401 - pytest's
) -> None:
    before = contents(shown)
    start = time.perf_counter()
    statuses, slowest, wrong = asyncio.run(send_all(server, REQUESTS))
    seconds = time.perf_counter() - start
    sys.stderr.write(
        f"{REQUESTS} requests in {seconds:.0f} s, slowest {slowest:.2f} s: {statuses}\n"
    )
    record_property("statuses", dict(statuses))
    assert wrong == []
    assert slowest < LONGEST_SECONDS
    assert contents(shown) == before
    assert statuses[200] > REQUESTS / 10
    assert statuses[400] > REQUESTS / 10


@pytest.fixture(scope="module")
def api_schema(shown: Stores) -> Any:  # noqa: ANN401 - schemathesis' own
    app = create_server(shown.database, ServerOptions(host="testserver"))
    return schemathesis.openapi.from_asgi("/api/v1/openapi.json", app)


def test_the_endpoint_does_what_its_description_says(api_schema: Any) -> None:  # noqa: ANN401 - as above
    sent = 0
    for result in api_schema.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=max(5, REQUESTS // 40),
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
            database=None,
        )
        @given(case=operation.as_strategy())
        def conforms(case: Any) -> None:  # noqa: ANN401 - schemathesis' own
            nonlocal sent
            sent += 1
            # No schema can say which texts are filters.
            case.call_and_validate(excluded_checks=[positive_data_acceptance])

        conforms()
    sys.stderr.write(f"{sent} requests from the description\n")
    assert sent >= 20
