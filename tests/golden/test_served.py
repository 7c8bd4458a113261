"""What `hts serve` answers: OPTIMADE, and the JSON API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from golden.recording import kind

pytest.importorskip("optimade.server", reason="the extra 'dashboard' is not installed")
pytest.importorskip("dash", reason="the extra 'dashboard' is not installed")

import uvicorn
from server_client import ServerClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from golden.recording import Recording
    from golden.world import World

pytestmark = [
    pytest.mark.mongo,
    pytest.mark.slow,
    # optimade 1.5.0 asks instances for what pydantic keeps on the class.
    pytest.mark.filterwarnings("ignore:Accessing the 'model_fields' attribute"),
    # How the library tells a client about its request.
    pytest.mark.filterwarnings("ignore::optimade.warnings.OptimadeWarning"),
]

BASE = "http://127.0.0.1:8050"
FILTERS = (
    'elements HAS "Cr"',
    "nelements = 4",
    "_hts_e_hull_1473 < 0",
    '_hts_campaign = "small" AND nelements > 4',
    'chemical_formula_descriptive CONTAINS "F0.3"',
    "_hts_t_mix IS UNKNOWN",
    "nelements =",
    '_hts_nothing = "a"',
)
WHOLE = ("/optimade/v1/info", "/optimade/v1/info/structures", "/optimade/v1/structures")
_SMALL = {"campaign": "small"}
API = dict.fromkeys(("campaigns", "builds", "health")) | dict.fromkeys(
    ("summaries", "aggregates", "changes"), _SMALL
)
"""Path below /api/v1 → what is asked there."""


@pytest.fixture(scope="module")
def answers(world: World) -> dict[str, Any]:
    """Ask the server everything while it runs; it ends when all is asked."""
    kept: dict[str, Any] = {}

    def ask(server: uvicorn.Server) -> None:
        client = ServerClient(server.config.app, BASE)
        for path in WHOLE:
            kept[path] = client.get(path)
        for words in FILTERS:
            kept[words] = client.get(WHOLE[-1], params={"filter": words})
        kept["openapi"] = client.get("/api/v1/openapi.json")
        for name in API:
            kept[name] = client.get(f"/api/v1/{name}", params=API[name])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uvicorn.Server, "run", ask)
        answer = world.hts("serve", "--open")
    assert answer.status == 0, answer.err
    return kept


@pytest.mark.parametrize("path", WHOLE)
def test_the_keys_and_types_of_optimade(
    recording: Callable[[str], Recording], answers: dict[str, Any], path: str
) -> None:
    assert answers[path].status_code == 200
    recording("optimade").check(path, kind(answers[path].json()))


@pytest.mark.parametrize("words", FILTERS)
def test_filters_of_optimade(
    recording: Callable[[str], Recording],
    world: World,
    answers: dict[str, Any],
    words: str,
) -> None:
    content = answers[words].json()
    entries = content.get("data", ())
    found = {
        "status": answers[words].status_code,
        "returned": content["meta"].get("data_returned"),
        "available": content["meta"].get("data_available"),
        "ids": sorted(one["id"] for one in entries),
        "e_hull": [one["attributes"].get("_hts_e_hull") for one in entries],
    }
    recording("optimade").check(words, world.plain(found))


def test_the_paths_of_the_api(
    recording: Callable[[str], Recording], answers: dict[str, Any]
) -> None:
    content = answers["openapi"].json()
    found = {
        path: sorted(
            f"{one['in']} {one['name']}" for one in what["get"].get("parameters", ())
        )
        for path, what in content["paths"].items()
    }
    recording("api").check("paths", found)


@pytest.mark.parametrize("name", API)
def test_the_keys_and_types_of_the_api(
    recording: Callable[[str], Recording], answers: dict[str, Any], name: str
) -> None:
    answer = answers[name]
    found = {"status": answer.status_code, "content": kind(answer.json())}
    recording("api").check(name, found)
