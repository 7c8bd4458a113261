"""The JSON endpoint: what is stored of candidates, campaigns and builds, read-only."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, NoReturn

from fastapi import FastAPI, HTTPException, Path, Query
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from hts_battery.dashboard.api_answers import (
    AggregatesDoc,
    BuildsAnswer,
    CampaignsAnswer,
    CandidateAnswer,
    ChangesAnswer,
    ErrorDoc,
    FieldsAnswer,
    HealthDoc,
    StructureAnswer,
    SummaryPage,
    ValuesAnswer,
)
from hts_battery.dashboard.campaign_numbers import pair_counts
from hts_battery.dashboard.candidate_data import final_structures, read_candidate
from hts_battery.dashboard.summaries import checked_filter, find_summaries
from hts_battery.errors import ConfigurationError, QueryLimitError, StoreError
from hts_battery.query.builds import read_builds, read_changes
from hts_battery.query.expressions import one_of
from hts_battery.query.selection import fields_of, selected_rows, split_names

if TYPE_CHECKING:
    from starlette.requests import Request

    from hts_battery.connections.database.bounded_reader import BoundedReader
    from hts_battery.dashboard.campaign_states import CampaignStates
    from hts_battery.dashboard.latest_build import LatestBuildCache


LARGEST_PAGE = 500
_NAME = r"^[a-z0-9][a-z0-9_-]*$"
AnyCampaign = Annotated[
    str | None,
    Query(
        max_length=100,
        pattern=_NAME,
        description="Name of a campaign; all side by side if not given.",
    ),
]
Campaign = Annotated[
    str | None,
    Query(
        max_length=100,
        pattern=_NAME,
        description="Name of a campaign; that of the newest build if not given. "
        "Numbers of two campaigns are never ranked or counted together.",
    ),
]
Temperature = Annotated[
    float,
    Query(
        ge=0,
        le=5000,
        description="In K, any; E_hull - T·S where the builders did not use it.",
    ),
]
FilterText = Annotated[
    str | None,
    Query(
        alias="filter",
        description="In OPTIMADE's filter language, on fields of a summary.",
    ),
]
FieldNames = Annotated[
    str, Query(max_length=1000, description="Names of fields, comma between them.")
]
Key = Annotated[str, Path(max_length=200, pattern=r"^[A-Za-z0-9_.:-]+$")]
Offset = Annotated[int, Query(ge=0, le=10_000_000, description="First row.")]
Limit = Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="Rows of a page.")]
_ERRORS: dict[int | str, dict[str, object]] = {
    400: {"model": ErrorDoc, "description": "The request asks for what cannot be."},
    503: {"model": ErrorDoc, "description": "The database does not answer."},
}
_NOT_FOUND: dict[int | str, dict[str, object]] = {
    404: {"model": ErrorDoc, "description": "There is no such document."}
}


def api_app(
    reader: BoundedReader, cache: LatestBuildCache, states: CampaignStates
) -> FastAPI:
    """Make the application that answers below ``/api/v1``."""
    app = FastAPI(
        title="hts_battery",
        version=version("hts_battery"),
        description="Stabilities of high-entropy battery materials. Energies in "
        "eV/atom, entropies in eV/K per atom, temperatures in K.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        responses=_ERRORS,
    )
    _answer_errors(app)
    _add_summaries(app, reader, cache)
    _add_candidates(app, reader)
    _add_campaigns(app, reader, cache, states)
    _add_builds(app, reader, cache)

    @app.get("/openapi.json", include_in_schema=False)
    def description() -> JSONResponse:
        """Describe this endpoint; what is wrong with a request is a 400 here."""
        return JSONResponse(openapi(app))

    return app


def openapi(app: FastAPI) -> dict[str, object]:
    """Describe an application as it is: it answers 400 where the library says 422."""
    schema = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        servers=[{"url": "/api/v1"}],
    )
    for path in schema["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(name, None)
    return schema


def _answer_errors(app: FastAPI) -> None:
    @app.exception_handler(RequestValidationError)
    def wrong(_request: Request, err: RequestValidationError) -> JSONResponse:
        words = "; ".join(
            f"{'.'.join(str(part) for part in one['loc'][1:])}: {one['msg']}"
            for one in err.errors()
        )
        return JSONResponse({"error": words}, 400)

    @app.exception_handler(StarletteHTTPException)
    def said(_request: Request, err: StarletteHTTPException) -> JSONResponse:
        return JSONResponse({"error": str(err.detail)}, err.status_code)

    @app.exception_handler(ConfigurationError)
    @app.exception_handler(QueryLimitError)
    def refused(_request: Request, err: Exception) -> JSONResponse:
        return JSONResponse({"error": str(err)}, 400)

    @app.exception_handler(StoreError)
    def away(_request: Request, _err: StoreError) -> JSONResponse:
        # The message of the driver may name servers; it stands in no answer.
        return JSONResponse({"error": "the database does not answer"}, 503)


def _add_summaries(
    app: FastAPI, reader: BoundedReader, cache: LatestBuildCache
) -> None:
    @app.get("/summaries", responses={200: {"model": SummaryPage}})
    def summaries(
        campaign: Campaign = None,
        temperature: Temperature = 0.0,
        filter_text: FilterText = None,
        page_offset: Offset = 0,
        page_limit: Limit = 50,
    ) -> JSONResponse:
        """Rank summaries of a campaign by E_hull at a temperature, page by page."""
        latest = cache.get()
        name = latest.asked_or_newest(campaign)
        total, found = find_summaries(
            reader,
            latest.table,
            filter_text=filter_text,
            campaign=name,
            temperature=temperature,
            rows=slice(page_offset, page_offset + page_limit),
        )
        return _json(
            {
                "campaign": name,
                "engine": latest.engine(name),
                "total": total,
                "page_offset": page_offset,
                "data": found,
            }
        )

    _add_fields(app, cache)

    @app.get("/aggregates", responses={200: {"model": AggregatesDoc}})
    def aggregates(
        campaign: Campaign = None, temperature: Temperature = 0.0
    ) -> JSONResponse:
        """Count pairs of elements in a campaign: all, and in what is stable."""
        latest = cache.get()
        name = latest.asked_or_newest(campaign)
        counts = pair_counts(latest.table, campaign=name, temperature=temperature)
        return _json(
            {
                "campaign": name,
                "engine": latest.engine(name),
                "temperature": temperature,
                "elements": counts.elements,
                "candidates": counts.present.tolist(),
                "stable": counts.stable.tolist(),
                "certain": counts.certain.tolist(),
            }
        )


def _add_fields(app: FastAPI, cache: LatestBuildCache) -> None:
    @app.get("/fields", responses={200: {"model": FieldsAnswer}})
    def fields() -> JSONResponse:
        """List everything that can be asked for, with units."""
        table = cache.get().table
        return _json(
            {
                "data": [
                    {
                        "name": one.name,
                        "description": one.description,
                        "unit": one.unit,
                        "kind": one.kind,
                        "property": one.is_property,
                        "stored": one.column in table.stored_columns,
                    }
                    for one in table.fields
                ]
            }
        )

    @app.get("/values", responses={200: {"model": ValuesAnswer}})
    def values(
        fields: FieldNames,
        campaign: Campaign = None,
        filter_text: FilterText = None,
        page_offset: Offset = 0,
        page_limit: Limit = 50,
    ) -> JSONResponse:
        """Return chosen fields of the candidates of a campaign, page by page."""
        latest = cache.get()
        name, table = latest.asked_or_newest(campaign), latest.table
        chosen = fields_of(split_names(fields), table.field)
        where = checked_filter(table, filter_text) & one_of("campaign", [name])
        rows = table.sorted_rows(where, [one.column for one in chosen])
        page = rows.slice(page_offset, page_limit).to_pydict()
        return _json(
            {
                "campaign": name,
                "engine": latest.engine(name),
                "total": len(rows),
                "page_offset": page_offset,
                "units": {one.name: one.unit for one in chosen if one.unit},
                "data": selected_rows(page, chosen),
            }
        )


def _add_candidates(app: FastAPI, reader: BoundedReader) -> None:
    @app.get(
        "/candidates/{candidate_id}",
        responses={200: {"model": CandidateAnswer}, **_NOT_FOUND},
    )
    def candidate(candidate_id: Key, campaign: AnyCampaign = None) -> JSONResponse:
        """Show one candidate, of one campaign or of all side by side."""
        found = read_candidate(reader, candidate_id)
        if campaign is not None:
            found = found.of(campaign)
        if not (found.summaries or found.thermo or found.entries or found.tasks):
            place = "" if campaign is None else f" in campaign {campaign}"
            _not_found(f"candidate {candidate_id}{place}")
        return _json({**vars(found), "orderings": found.orderings})

    @app.get(
        "/structures/{entry_id}",
        responses={200: {"model": StructureAnswer}, **_NOT_FOUND},
    )
    def structure(entry_id: Key) -> JSONResponse:
        """Show the relaxed cell of an entry, as pymatgen writes a structure."""
        cells = final_structures(reader, [entry_id])
        if entry_id not in cells:
            _not_found(f"structure of entry {entry_id}")
        return _json({"entry_id": entry_id, "structure": cells[entry_id]})


def _add_campaigns(
    app: FastAPI, reader: BoundedReader, cache: LatestBuildCache, states: CampaignStates
) -> None:
    @app.get("/campaigns", responses={200: {"model": CampaignsAnswer}})
    def campaigns() -> JSONResponse:
        """Say where every campaign stands, as `hts campaign status` does."""
        latest, known = cache.get(), states.get()
        return _json(
            {
                "run_id": latest.run_id,
                "data": [
                    {**vars(one), "open": one.open, "status": known.get(one.campaign)}
                    for one in latest.progress
                ],
            }
        )

    @app.get("/health", responses={200: {"model": HealthDoc}})
    def health() -> JSONResponse:
        """Say whether the database answers."""
        count = reader.count("summary")
        return _json(
            {
                "status": "ok",
                "version": version("hts_battery"),
                "summaries": count,
                "run_id": cache.get().run_id,
            }
        )


def _add_builds(app: FastAPI, reader: BoundedReader, cache: LatestBuildCache) -> None:
    @app.get("/builds", responses={200: {"model": BuildsAnswer}})
    def builds(page_limit: Limit = 20) -> JSONResponse:
        """List the runs of the builders, the latest first."""
        return _json({"data": read_builds(reader, limit=page_limit)})

    @app.get("/changes", responses={200: {"model": ChangesAnswer}, **_NOT_FOUND})
    def changes(
        since: Annotated[
            str | None,
            Query(
                max_length=60,
                pattern=r"^[A-Za-z0-9-]+$",
                description="Id of a run; the one before the latest if not given.",
            ),
        ] = None,
        campaign: Campaign = None,
        page_offset: Offset = 0,
        page_limit: Limit = 50,
    ) -> JSONResponse:
        """Say what changed in a campaign after a build, flipped labels first."""
        latest = cache.get()
        name = latest.asked_or_newest(campaign)
        found = read_changes(reader, since=since, campaign=name)
        if found is None:
            _not_found("build" if since is None else f"build {since}")
        rows = found.rows[page_offset : page_offset + page_limit]
        return _json(
            {
                "campaign": name,
                "engine": latest.engine(name),
                "since": found.since,
                "total": len(found.rows),
                "headline": found.headline,
                "data": [row.as_dict() for row in rows],
            }
        )


def _not_found(what: str) -> NoReturn:
    raise HTTPException(404, f"there is no {what}")


def _json(content: object) -> JSONResponse:
    return JSONResponse(jsonable_encoder(content))
