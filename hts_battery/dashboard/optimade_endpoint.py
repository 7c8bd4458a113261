"""The OPTIMADE endpoint: the optimade library's server on our collections."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4
from warnings import warn

# The library makes a log folder under /var on import, unless its logger is set up.
logging.getLogger("optimade").addHandler(logging.NullHandler())

# ruff: noqa: E402 - nothing of the library may be imported before that
import pyarrow.compute as pc
from fastapi import HTTPException
from fastapi.exceptions import RequestValidationError
from optimade.exceptions import (
    BadRequest,
    NotImplementedResponse,
    VersionNotSupported,
)
from optimade.models import StructureResource
from optimade.server.config import ServerConfig, SupportedBackend
from optimade.server.create_app import create_app
from optimade.server.entry_collections import EntryCollection
from optimade.server.exception_handlers import general_exception
from optimade.server.mappers import StructureMapper
from optimade.warnings import UnknownProviderProperty
from starlette.requests import Request
from starlette.responses import JSONResponse

from hts_battery.dashboard.candidate_data import final_structures
from hts_battery.dashboard.summaries import check_filter
from hts_battery.errors import (
    ForeignClassError,
    QueryError,
    QueryLimitError,
    StoreError,
    UnsearchableFieldError,
)
from hts_battery.query.expressions import EVERYTHING, one_of
from hts_battery.query.filters import read_filter
from hts_battery.query.summary_table import in_order
from hts_battery.schemas.decoding import read_structure
from hts_battery.schemas.field_spec import FieldSpec, Kind
from hts_battery.schemas.summary_table import CELL, column_type, column_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastapi import FastAPI
    from optimade.server.query_params import (
        EntryListingQueryParams,
        SingleEntryQueryParams,
    )
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from hts_battery.connections.database.bounded_reader import BoundedReader
    from hts_battery.dashboard.latest_build import LatestBuildCache

PREFIX = "hts"
"""Our prefix of property names, between underscores."""
PAGE_LIMIT = 20
LARGEST_PAGE = 100
LARGEST_OFFSET = 1_000_000
_TIME_STAMP = re.compile(
    rb'(?P<name>"time_stamp": ?)"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?)"'
)
_ID = f"{CELL}id"
_STANDARD = (
    *("id", "elements", "nelements", "elements_ratios", "chemical_formula_reduced"),
    *("chemical_formula_hill", "chemical_formula_anonymous", "nsites"),
    *("nperiodic_dimensions", "dimension_types", "structure_features"),
    "last_modified",
)
_ENTRY = f"_{PREFIX}_entry_id"
_TYPES = {Kind.TEXT: "string", Kind.NUMBER: "float"}
"""OPTIMADE's words for what a field holds, where they are others."""

_OF_THE_CELL = (
    "lattice_vectors",
    "cartesian_site_positions",
    "species",
    "species_at_sites",
)
"""Properties that are read from the task: they can be had, not asked for."""

_TYPE = FieldSpec("type", "", kind=Kind.TEXT, constant="structures")
"""What every entry of this endpoint is."""


def own_fields(fields: Iterable[FieldSpec]) -> dict[str, FieldSpec]:
    """
    Return the fields of `hts query` that are properties of ours, in lower case.

    Elements and species are OPTIMADE's own: those of the calculated cell.
    """
    taken = ("elements", "species")
    return {field.name.lower(): field for field in fields if field.name not in taken}


def optimade_fields(fields: Iterable[FieldSpec]) -> dict[str, FieldSpec]:
    """Return what can be asked for by its OPTIMADE name."""
    paths = {name: f"{CELL}{name}" for name in _STANDARD}
    paths["chemical_formula_descriptive"] = "formula"
    standard = {
        name: FieldSpec(name, "", kind=column_type(path), path=path)
        for name, path in paths.items()
    }
    return standard | {
        f"_{PREFIX}_{name}": field for name, field in own_fields(fields).items()
    }


def provider_fields(fields: Iterable[FieldSpec]) -> list[dict[str, object]]:
    """Describe our own properties: name without prefix, type, unit, description."""
    return [
        {
            "name": name,
            "type": _TYPES.get(field.kind, str(field.kind)),
            "description": field.description,
            **({"unit": field.unit} if field.unit else {}),
        }
        for name, field in own_fields(fields).items()
    ]


def optimade_app(
    reader: BoundedReader, cache: LatestBuildCache, *, base_url: str
) -> FastAPI:
    """
    Make the application that answers below ``/v1``.

    ``base_url``: address under which the application is reached.
    """
    fields = cache.get().table.fields
    config = ServerConfig(
        debug=False,
        # The library's own collections stay empty, in memory; ours take their place.
        database_backend=SupportedBackend.MONGOMOCK,
        insert_test_data=False,
        insert_from_jsonl=None,
        # In memory they are one for all applications of a process.
        links_collection=f"links_{uuid4().hex}",
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
        provider_fields={"structures": provider_fields(fields)},
        length_aliases={"structures": {"elements": "nelements"}},
    )
    app = create_app(config)
    # The library calls a wrong parameter an error of the server, and tells a client
    # what went wrong inside.
    app.add_exception_handler(RequestValidationError, _wrong)
    app.add_exception_handler(Exception, _broken)
    app.add_middleware(_RefusedVersions)
    app.add_middleware(_TimesWithZone)
    app.state.entry_collections["structures"] = SummaryStructures(reader, cache, config)
    # The one link that every database has: itself.
    app.state.entry_collections["links"].insert(
        [
            {
                "id": "root",
                "type": "links",
                "name": "hts_battery",
                "description": "This database.",
                "base_url": base_url,
                "homepage": None,
                "link_type": "root",
            }
        ]
    )
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


class _TimesWithZone:
    """
    Writes the time of each answer with its zone, as the standard asks.

    The library takes this host's local time and leaves the zone out.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer when it is whole."""
        start: Message = {}
        body = bytearray()

        async def hold(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            body.extend(message.get("body", b""))
            if message.get("more_body"):
                return
            content = _TIME_STAMP.sub(_with_zone, bytes(body))
            length = (b"content-length", str(len(content)).encode())
            headers = [one for one in start["headers"] if one[0] != length[0]]
            await send({**start, "headers": [*headers, length]})
            await send({"type": "http.response.body", "body": content})

        await self._app(scope, receive, hold if scope["type"] == "http" else send)


def _with_zone(found: re.Match[bytes]) -> bytes:
    """Add the zone of this host to a time without one, in UTC."""
    time = datetime.fromisoformat(found["time"].decode()).astimezone(UTC)
    return found["name"] + f'"{time:%Y-%m-%dT%H:%M:%SZ}"'.encode()


def _wrong(request: Request, error: Exception) -> JSONResponse:
    """Answer for a parameter that cannot be."""
    words = error.errors() if isinstance(error, RequestValidationError) else ()
    detail = "; ".join(f"{one['loc'][-1]}: {one['msg']}" for one in words)
    return general_exception(request, BadRequest(detail=detail))


def _broken(_request: Request, _error: Exception) -> JSONResponse:
    """Answer for an error of ours; the server writes it to its log."""
    error = {"status": "500", "title": "Internal server error"}
    return JSONResponse({"errors": [error]}, 500)


class _Filters:
    """Reads filters as `hts query` does, on OPTIMADE's names."""

    def __init__(
        self, mapper: StructureMapper, fields: Mapping[str, FieldSpec]
    ) -> None:
        self._mapper = mapper
        self._fields = fields

    def parse(self, text: str) -> str:
        """Leave the text: it is read with the fields."""
        return text

    def transform(self, text: str) -> pc.Expression:
        """Make an expression on the table of summaries."""
        return read_filter(text, self._field_of)

    def _field_of(self, name: str) -> FieldSpec | None:
        if name in self._fields:
            return self._fields[name]
        if name == "type":
            return _TYPE
        if name.partition(".")[0] in _OF_THE_CELL:
            raise UnsearchableFieldError(f"{name!r} can be had, but not asked for")
        known = self._mapper.RELATIONSHIP_ENTRY_TYPES, self._mapper.ALL_ATTRIBUTES
        if any(name.partition(".")[0] in names for names in known):
            return None
        prefix = name[1:].partition("_")[0] if name.startswith("_") else PREFIX
        if prefix in self._mapper.SUPPORTED_PREFIXES:
            raise QueryError(f"{name!r} is not a known or searchable quantity")
        if prefix not in self._mapper.KNOWN_PROVIDER_PREFIXES:
            words = f"{name!r} has an unknown prefix: it was taken as unknown"
            warn(UnknownProviderProperty(words), stacklevel=2)
        return None


class SummaryStructures(EntryCollection):
    """The lowest ordering of each summary as an OPTIMADE structure."""

    def __init__(
        self, reader: BoundedReader, cache: LatestBuildCache, config: ServerConfig
    ) -> None:
        mapper = StructureMapper(config)
        self._fields = optimade_fields(cache.get().table.fields)
        filters = _Filters(mapper, self._fields)
        # Its parser and transformer in one.
        super().__init__(StructureResource, mapper, cast("Any", filters), config)
        self.parser = cast("Any", filters)
        self._reader = reader
        self._cache = cache

    def __len__(self) -> int:
        return self.count()

    def insert(self, data: list[Any]) -> None:
        """Refuse: nothing is written here."""
        raise NotImplementedError(f"{len(data)} structures: this server only reads")

    def count(self, **kwargs: Any) -> int:  # noqa: ANN401 - signature of the base class
        """Count the structures that a filter matches."""
        wanted = kwargs.get("filter")
        return self._cache.get().table.count(_described(wanted))

    def handle_query_params(
        self, params: EntryListingQueryParams | SingleEntryQueryParams
    ) -> dict[str, Any]:
        """Read the parameters of a request, and refuse what would cost too much."""
        if not (getattr(params, "filter", None) or "").strip():
            vars(params)["filter"] = ""  # blanks alone are no condition
        try:
            check_filter(getattr(params, "filter", None) or "")
            criteria: dict[str, Any] = super().handle_query_params(params)
        except UnsearchableFieldError as err:
            raise NotImplementedResponse(detail=str(err)) from None
        except (QueryLimitError, QueryError) as err:
            raise BadRequest(detail=str(err)) from None
        if "page_above" in criteria:
            raise BadRequest(detail="page_above is not supported: use page_offset")
        if criteria.get("skip", 0) > LARGEST_OFFSET:
            raise BadRequest(detail=f"page_offset may be {LARGEST_OFFSET} at most")
        return criteria

    def _run_db_query(
        self, criteria: dict[str, Any], single_entry: bool = False
    ) -> tuple[list[dict[str, object]], int, bool]:
        """Read one page: documents, number of all matches, whether there are more."""
        skip, table = criteria.get("skip", 0), self._cache.get().table
        where = _described(criteria["filter"])
        name_of = self.resource_mapper.get_optimade_field
        order = {
            self._fields[name_of(name)].column: direction
            for name, direction in criteria.get("sort", ())
            if name_of(name) in self._fields
        }
        rows = in_order(table.rows(where, [_ID, *order]), order or {_ID: 1})
        ids = rows[_ID].slice(skip, criteria["limit"]).to_pylist()
        names = {field.column for field in self._fields.values()}
        found = in_order(table.rows(one_of(_ID, ids), sorted(names)), order or {_ID: 1})
        columns = {path: column_values(path, found[path].to_pylist()) for path in names}
        docs = [
            {name: columns[field.column][row] for name, field in self._fields.items()}
            for row in range(len(found))
        ]
        try:
            cells = final_structures(self._reader, (str(doc[_ENTRY]) for doc in docs))
        except StoreError as err:
            raise _refused(err) from None
        whole = [{**doc, **_cell(cells.get(str(doc[_ENTRY])))} for doc in docs]
        total = len(docs) if single_entry else len(rows)
        return whole, total, skip + len(docs) < total


def _described(wanted: object) -> pc.Expression:
    """Leave out summaries of whose cell nothing is known."""
    where = wanted if isinstance(wanted, pc.Expression) else EVERYTHING
    return where & pc.field(_ID).is_valid()


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
