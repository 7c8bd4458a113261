"""The OPTIMADE endpoint: the optimade library's server on our collections."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

# The library makes a log folder under /var on import, unless its logger is set up.
logging.getLogger("optimade").addHandler(logging.NullHandler())

# ruff: noqa: E402 - nothing of the library may be imported before that
from fastapi import HTTPException
from fastapi.exceptions import RequestValidationError
from lark import Lark
from optimade.exceptions import BadRequest, VersionNotSupported
from optimade.filtertransformers.mongo import MongoTransformer, recursive_postprocessing
from optimade.models import StructureResource
from optimade.server.config import ServerConfig, SupportedBackend
from optimade.server.create_app import create_app
from optimade.server.entry_collections import EntryCollection
from optimade.server.exception_handlers import general_exception
from optimade.server.mappers import StructureMapper
from starlette.requests import Request
from starlette.responses import JSONResponse

from hts_battery.dashboard.candidate_data import final_structures
from hts_battery.dashboard.summaries import check_filter
from hts_battery.errors import ForeignClassError, QueryLimitError, StoreError
from hts_battery.query.filters import optimade_grammar
from hts_battery.schemas.decoding import read_structure
from hts_battery.schemas.optimade import PREFIX, provider_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastapi import FastAPI
    from optimade.server.query_params import (
        EntryListingQueryParams,
        SingleEntryQueryParams,
    )
    from starlette.types import ASGIApp, Receive, Scope, Send

    from hts_battery.connections.database.bounded_reader import BoundedReader

COLLECTION = "optimade_structures"
PAGE_LIMIT = 20
LARGEST_PAGE = 100
LARGEST_OFFSET = 1_000_000
_CHANGED = "last_modified"

_OF_THE_CELL = (
    "lattice_vectors",
    "cartesian_site_positions",
    "species",
    "species_at_sites",
)
"""Properties that are read from the task: they can be had, not asked for."""


def optimade_app(
    reader: BoundedReader, *, temperatures: Iterable[str], base_url: str
) -> FastAPI:
    """
    Make the application that answers below ``/v1``.

    ``temperatures``: names of the temperatures of the summaries, like ``1473K``.
    ``base_url``: address under which the application is reached.
    """
    config = ServerConfig(
        debug=False,
        # The library's own collections stay empty, in memory; ours take their place.
        database_backend=SupportedBackend.MONGOMOCK,
        insert_test_data=False,
        insert_from_jsonl=None,
        page_limit=PAGE_LIMIT,
        page_limit_max=LARGEST_PAGE,
        base_url=base_url,
        provider={
            "prefix": PREFIX,
            "name": "hts_battery",
            "description": "High-entropy battery materials: ordered cells that stand "
            "for disordered compositions, with stabilities at temperature.",
        },
        implementation={"name": "hts_battery", "version": version("hts_battery")},
        provider_fields={"structures": provider_fields(temperatures)},
        length_aliases={"structures": {"elements": "nelements"}},
    )
    app = create_app(config)
    # The library calls a wrong parameter an error of the server, and tells a client
    # what went wrong inside.
    app.add_exception_handler(RequestValidationError, _wrong)
    app.add_exception_handler(Exception, _broken)
    app.add_middleware(_RefusedVersions)
    app.state.entry_collections["structures"] = SummaryStructures(reader, config)
    return app


class _RefusedVersions:
    """
    Answers for a version that is not there.

    The library raises from a middleware, where no handler of the application sees it,
    and a server would log it as an error of its own.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        try:
            await self._app(scope, receive, send)
        except VersionNotSupported as err:
            answer = general_exception(Request(scope), err)
            await answer(scope, receive, send)


def _wrong(request: Request, error: Exception) -> JSONResponse:
    """Answer for a parameter that cannot be."""
    words = error.errors() if isinstance(error, RequestValidationError) else ()
    detail = "; ".join(f"{one['loc'][-1]}: {one['msg']}" for one in words)
    return general_exception(request, BadRequest(detail=detail))


def _broken(_request: Request, _error: Exception) -> JSONResponse:
    """Answer for an error of ours; the server writes it to its log."""
    error = {"status": "500", "title": "Internal server error"}
    return JSONResponse({"errors": [error]}, 500)


class _LiteralTransformer(MongoTransformer):
    """Takes texts as they stand, not as patterns, and refuses what is no time."""

    def fuzzy_string_op_rhs(self, arg: list[Any]) -> dict[str, Any]:
        """Escape what is compared with CONTAINS, STARTS and ENDS."""
        *words, text = arg
        found: dict[str, Any] = super().fuzzy_string_op_rhs(  # type: ignore[no-untyped-call]
            [*words, re.escape(str(text))]
        )
        return found

    def bool(self, words: list[Any]) -> bool:
        """Read TRUE and FALSE, which the library does not."""
        return str(words[0]) == "TRUE"

    def _apply_mongo_date_filter(self, filter_: dict[str, Any]) -> dict[str, Any]:
        """Read times: the library fails on what is none, and on IS KNOWN."""
        found: dict[str, Any] = recursive_postprocessing(
            filter_,
            lambda name, _: name == _CHANGED,
            lambda part, name, _: {**part, name: _times(part[name])},
        )
        return found


def _times(compared: object) -> object:
    """Read the times that a property is compared with, below any operator."""
    if isinstance(compared, dict):
        return {name: _times(value) for name, value in compared.items()}
    if compared is None or isinstance(compared, bool):
        return compared
    try:
        found = datetime.fromisoformat(str(compared))
        return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRequest(
            detail=f"{_CHANGED} is compared with a time like 2026-01-31T12:00:00Z"
        ) from None


class SummaryStructures(EntryCollection):
    """The lowest ordering of each summary as an OPTIMADE structure."""

    def __init__(self, reader: BoundedReader, config: ServerConfig) -> None:
        mapper = StructureMapper(config)
        super().__init__(
            StructureResource, mapper, _LiteralTransformer(mapper=mapper), config
        )
        self.parser.lark = Lark(optimade_grammar(), maybe_placeholders=False)
        self._reader = reader

    def __len__(self) -> int:
        return self._count({})

    def insert(self, data: list[Any]) -> None:
        """Refuse: nothing is written here."""
        raise NotImplementedError(f"{len(data)} structures: this server only reads")

    def count(self, **kwargs: Any) -> int:  # noqa: ANN401 - signature of the base class
        """Count the structures that a filter matches."""
        return self._count(kwargs.get("filter") or {})

    def handle_query_params(
        self, params: EntryListingQueryParams | SingleEntryQueryParams
    ) -> dict[str, Any]:
        """Read the parameters of a request, and refuse what would cost too much."""
        try:
            check_filter(getattr(params, "filter", None) or "")
        except QueryLimitError as err:
            raise BadRequest(detail=str(err)) from None
        criteria: dict[str, Any] = super().handle_query_params(params)
        if "page_above" in criteria:
            raise BadRequest(detail="page_above is not supported: use page_offset")
        if criteria.get("skip", 0) > LARGEST_OFFSET:
            raise BadRequest(detail=f"page_offset may be {LARGEST_OFFSET} at most")
        return criteria

    def _run_db_query(
        self, criteria: dict[str, Any], single_entry: bool = False
    ) -> tuple[list[dict[str, object]], int, bool]:
        """Read one page: documents, number of all matches, whether there are more."""
        wanted = criteria["filter"]
        skip = criteria.get("skip", 0)
        try:
            docs = self._reader.find(
                COLLECTION,
                wanted,
                sort=dict(criteria.get("sort", ())) or {"id": 1},
                skip=skip,
                limit=criteria["limit"],
            )
            cells = final_structures(self._reader, (doc["entry_id"] for doc in docs))
        except StoreError as err:
            raise _refused(err) from None
        found = [{**_shown(doc), **_cell(cells.get(doc["entry_id"]))} for doc in docs]
        total = len(docs) if single_entry else self._count(wanted)
        return found, total, skip + len(docs) < total

    def _count(self, wanted: Mapping[str, object]) -> int:
        try:
            return self._reader.count(COLLECTION, wanted)
        except StoreError as err:
            raise _refused(err) from None


def _shown(doc: Mapping[str, object]) -> dict[str, object]:
    """Leave out what only the builder needs."""
    return {name: doc[name] for name in doc if name != "input_digest"}


def _refused(err: StoreError) -> Exception:
    """Say that a query costs too much, or that the database is not there."""
    if isinstance(err, QueryLimitError):
        return BadRequest(detail=str(err))
    return HTTPException(503, "the database does not answer")


def _cell(structure: Mapping[str, object] | None) -> dict[str, object]:
    """Write a relaxed cell in OPTIMADE's words; nulls where it cannot be read."""
    try:
        cell = None if structure is None else read_structure(structure)
    except ForeignClassError:
        cell = None
    if cell is None:
        return dict.fromkeys(_OF_THE_CELL)
    names = [site.specie.symbol for site in cell]
    return {
        "lattice_vectors": cell.lattice.matrix.tolist(),
        "cartesian_site_positions": cell.cart_coords.tolist(),
        "species_at_sites": names,
        "species": [
            {"name": name, "chemical_symbols": [name], "concentration": [1.0]}
            for name in sorted(set(names))
        ],
    }
