"""Running the builders in their order: one run at a time, each with its manifest."""

from __future__ import annotations

import logging
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, TypedDict, Unpack

from hts_battery.builders.entries import EntriesBuilder
from hts_battery.builders.screening_builder import (
    BATCH_SIZE,
    CODE_VERSION,
    input_digest,
    new_run_id,
    run_builder,
)
from hts_battery.builders.summary import SummaryBuilder
from hts_battery.builders.summary_table import SummaryTableBuilder
from hts_battery.builders.thermo import ThermoBuilder
from hts_battery.builders.unchanged import ChainInputs, LastRun, document_counts
from hts_battery.campaign.built_states import forget_built_states, note_built_states
from hts_battery.connections.database.indexes import ensure_index
from hts_battery.connections.database.locks import exclusive
from hts_battery.connections.processes import host_name
from hts_battery.connections.records.stored_documents import read_stored, readable
from hts_battery.errors import ConfigurationError, UnreadableDocumentError
from hts_battery.schemas.build import (
    BuildManifest,
    BuildState,
    HullSummary,
    total_report,
)
from hts_battery.schemas.campaign import CampaignSpec
from hts_battery.schemas.summary import temperature_key
from hts_battery.schemas.uncertainty import CalculatorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from hts_battery.builders.screening_builder import Options, ScreeningBuilder
    from hts_battery.connections.database.locks import Lease
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.build import BuildReport

BUILDERS = ("entries", "thermo", "summary", "summary_table")
"""Names of the builders in the order in which they are run."""

_TABLE = "summary_table"
"""The one builder that reads and writes all campaigns of a run at once."""

LOCK = "build"
"""Name of the lock that a run of the builders holds."""

logger = logging.getLogger(__name__)

_NAMED = ("space", "listed", "prototype")
"""Of a stored campaign: what stands in files that its file names."""

_PACKAGES = ("hts_battery", "numpy", "pymatgen", "maggma", "emmet-core")


class BuildOptions(TypedDict, total=False):
    """What a caller may ask of a run."""

    only: str | None
    """Name of a single builder to run."""
    retry_failed: bool
    """Whether failures are tried again though nothing changed."""
    batch_size: int
    """Documents made and written together."""
    verify: bool
    """Whether what earlier runs wrote is read again although they can be trusted: finds
    documents of the builders that were edited by hand."""


def build(
    spec: CampaignSpec,
    stores: Stores,
    *,
    temperatures: Sequence[float],
    **options: Unpack[BuildOptions],
) -> dict[str, BuildReport]:
    """
    Run the builders of one campaign: in the order of :data:`BUILDERS`.

    ``temperatures``: in K, where the campaign names none. Returns what each builder
    did; StoreError if another process is building.
    """
    return _run([spec], stores, _Asked(tuple(temperatures), **options))


def build_all(
    stores: Stores,
    *,
    temperatures: Sequence[float],
    problem: Callable[[str, str], None] | None = None,
    **options: Unpack[BuildOptions],
) -> dict[str, BuildReport]:
    """
    Run the builders of every campaign of the database.

    Entries belong to no campaign and are made once; the counts of the other builders
    are added up. A campaign whose documents cannot be read is left as it stands, and
    stops no other.

    Parameters are those of :func:`build`; ``problem`` is told campaign and reason of
    what could not be built. Raises UnreadableDocumentError, once the others are built,
    if there is such a campaign and nobody is to be told.
    """
    problems: dict[str, str] = {}
    specs = stored_campaigns(stores, problem=problems.__setitem__)
    reports = _run(specs, stores, _Asked(tuple(temperatures), **options), problems)
    for name, why in problems.items():
        if problem is not None:
            problem(name, why)
    if problems and problem is None:
        raise UnreadableDocumentError("; ".join(problems.values()))
    return reports


@dataclass(frozen=True)
class _Asked:
    """What a caller wants done."""

    temperatures: tuple[float, ...]
    only: str | None = None
    retry_failed: bool = False
    batch_size: int = BATCH_SIZE
    verify: bool = False


@dataclass
class _Run:
    """One run in progress: its lock and its manifest, rewritten as it goes on."""

    stores: Stores
    lease: Lease
    manifest: BuildManifest
    last: LastRun
    chain: ChainInputs
    _digests: dict[str, str] = field(default_factory=dict)

    def note(self, **fields: object) -> None:
        """Change the manifest and write it."""
        self.manifest = self.manifest.model_copy(update=fields)
        # JSON types, but for the times, which the database can compare.
        plain = self.manifest.model_dump(mode="json")
        for name in ("started_at", "finished_at"):
            plain[name] = getattr(self.manifest, name)
        self.stores.builds.update(plain, key="run_id")

    def carry_out(self, name: str, campaign: str, builder: ScreeningBuilder) -> None:
        """Run one builder and note what it did."""
        place = f"{name} {campaign}".strip()
        start = time.perf_counter()
        digest = (
            self._table_digest() if name == _TABLE else self._chain_digest(campaign)
        )
        if digest is not None and self.last.has_seen(place, digest):
            report = self.last.report(place, time.perf_counter() - start)
            hulls = self.last.hulls(campaign) if name == "thermo" else ()
        else:
            if name == "entries":
                builder.settled = partial(self.last.has_seen, place)
            report = run_builder(builder, before_write=self.lease.check)
            hulls = tuple(_hull_summaries(builder))
        known = self.manifest.reports
        total = total_report([known[name], report] if name in known else [report])
        inputs = builder.inputs_digest if digest is None else digest
        self.note(
            reports={**known, name: total},
            input_digests={**self.manifest.input_digests, place: inputs},
            input_counts={**self.manifest.input_counts, place: report.read},
            hulls=self.manifest.hulls + hulls,
        )

    def note_built_states(self, campaigns: Sequence[str]) -> None:
        """Leave, for whoever asks where candidates stand, what stands there now."""
        self.lease.check()
        entries = self.manifest.reports.get("entries")
        if entries is not None and entries.written + entries.failed + entries.removed:
            forget_built_states(self.stores, besides=campaigns)
        whole = self.manifest.only is None
        for campaign in campaigns:
            note_built_states(
                self.stores,
                campaign,
                run_id=self.manifest.run_id,
                digest=self._chain_digest(campaign) if whole else None,
            )

    def _table_digest(self) -> str | None:
        """Digest what all campaigns of this run are made from, where it is known."""
        found = [self._chain_digest(name) for name in self.manifest.options]
        return None if None in found else input_digest(found)

    def _chain_digest(self, campaign: str) -> str | None:
        """Digest what a campaign's builders read; None where it cannot be known."""
        entries = self.manifest.input_digests.get("entries")
        if not campaign or entries is None:
            return None
        if campaign not in self._digests:
            self._digests[campaign] = self.chain.digest(
                campaign, entries, self.manifest.options[campaign]
            )
        return self._digests[campaign]


def _run(
    specs: Sequence[CampaignSpec],
    stores: Stores,
    asked: _Asked,
    problems: dict[str, str] | None = None,
) -> dict[str, BuildReport]:
    """Run the builders; write down why a campaign was left out, if that may be."""
    if asked.only is not None and asked.only not in BUILDERS:
        raise ConfigurationError(
            f"there is no builder {asked.only!r}; choose one of all, "
            f"{', '.join(BUILDERS)}"
        )
    with _recorded_run(specs, stores, asked) as run:
        for name in BUILDERS:
            if asked.only not in (None, name):
                continue
            # What the table holds of a campaign that cannot be read stays.
            whole = [spec for spec in specs if spec.name not in (problems or {})]
            for campaign, builder in _builders(name, whole, run, asked):
                if problems is None or not campaign:
                    run.carry_out(name, campaign, builder)
                elif campaign not in problems:
                    with _noting(problems, campaign):
                        run.carry_out(name, campaign, builder)
            if name not in run.manifest.reports:  # no campaign in the database
                run.note(reports={**run.manifest.reports, name: total_report([])})
        left_out = problems or {}
        run.note_built_states(
            [spec.name for spec in specs if spec.name not in left_out]
        )
        run.note(problems=dict(left_out))
    return run.manifest.reports


@contextmanager
def _noting(problems: dict[str, str], campaign: str) -> Iterator[None]:
    """Write down that the documents of one campaign cannot be read, and go on."""
    try:
        with readable(f"a document of {campaign}"):
            yield
    except UnreadableDocumentError as err:
        logger.debug("campaign %s is left as it stands", campaign, exc_info=True)
        problems[campaign] = str(err)


@contextmanager
def _recorded_run(
    specs: Sequence[CampaignSpec], stores: Stores, asked: _Asked
) -> Iterator[_Run]:
    run_id = new_run_id()
    with exclusive(stores, LOCK, holder=f"build {run_id}") as lease:
        _mark_interrupted(stores)
        manifest = BuildManifest(
            run_id=run_id,
            state=BuildState.RUNNING,
            started_at=datetime.now(UTC),
            host=host_name(),
            pid=os.getpid(),
            only=asked.only,
            retry_failed=asked.retry_failed,
            versions={name: version(name) for name in _PACKAGES},
            code_version=CODE_VERSION,
            options={spec.name: _options(spec, asked) for spec in specs},
            campaigns={spec.name: _file_content(spec, stores) for spec in specs},
        )
        run = _Run(
            stores,
            lease,
            manifest,
            LastRun(stores, manifest, verify=asked.verify),
            ChainInputs(stores),
        )
        # Read before anything is written: what counts is what the last run left.
        trusted = run.last.manifest
        if trusted is not None:
            logger.debug("run %s can be trusted", trusted.run_id)
        run.note()
        try:
            yield run
        except BaseException as err:
            run.note(
                state=BuildState.FAILED,
                finished_at=datetime.now(UTC),
                error=f"{type(err).__name__}: {err}",
            )
            raise
        run.note(
            state=BuildState.FINISHED,
            finished_at=datetime.now(UTC),
            document_counts=document_counts(stores),
        )


def _mark_interrupted(stores: Stores) -> None:
    """Say of runs that never ended that they did: whoever holds the lock is alone."""
    for doc in stores.builds.query({"state": BuildState.RUNNING.value}):
        doc.pop("_id")
        stores.builds.update(
            {**doc, "state": BuildState.INTERRUPTED.value}, key="run_id"
        )


def _file_content(spec: CampaignSpec, stores: Stores) -> dict[str, object]:
    """Return what a campaign's file said, and the files that it named."""
    named = stores.campaigns.query_one({"name": spec.name}, properties=[*_NAMED]) or {}
    found = {name: named[name] for name in _NAMED if named.get(name) is not None}
    return {**spec.model_dump(mode="json"), **found}


def _options(spec: CampaignSpec, asked: _Asked) -> dict[str, object]:
    return {
        **spec.calculation,
        "n_orderings": dict(spec.structure.n_orderings),
        "temperatures": _temperatures(spec, asked),
        "entropy": spec.entropy.model_dump(mode="json"),
        "stability": spec.stability.model_dump(mode="json"),
    }


def _temperatures(spec: CampaignSpec, asked: _Asked) -> tuple[float, ...]:
    return spec.temperatures or asked.temperatures


def _builders(
    name: str, specs: Sequence[CampaignSpec], run: _Run, asked: _Asked
) -> Iterator[tuple[str, ScreeningBuilder]]:
    """Make one builder for each campaign; entries belong to none."""
    stores = run.stores
    options: Options = {
        "retry_failed": asked.retry_failed,
        "batch_size": asked.batch_size,
        "run_id": run.manifest.run_id,
    }
    if name == "entries":
        yield (
            "",
            EntriesBuilder(stores.tasks, stores.references, stores.entries, **options),
        )
        return
    if name == _TABLE:
        at = {spec.name: _temperatures(spec, asked) for spec in specs}
        yield "", summary_table_builder(stores, at, **options)
        return
    for spec in specs:
        temperatures = _temperatures(spec, asked)
        if name == "summary":
            for temperature in temperatures:
                path = f"energy_above_hull_at.{temperature_key(temperature)}"
                ensure_index(stores, "summary", path)
                ensure_index(stores, "summary", "campaign", path)
        yield spec.name, campaign_builder(name, spec, stores, temperatures, **options)


def summary_table_builder(
    stores: Stores,
    campaigns: Mapping[str, Sequence[float]],
    **options: Unpack[Options],
) -> SummaryTableBuilder:
    """Make the builder of the table; ``campaigns``: name → temperatures in K."""
    return SummaryTableBuilder(
        *(stores.summary, stores.entries, stores.summary_table),
        campaigns=campaigns,
        **options,
    )


def campaign_builder(
    name: str,
    spec: CampaignSpec,
    stores: Stores,
    temperatures: Sequence[float],
    **options: Unpack[Options],
) -> ScreeningBuilder:
    """Make the builder of one campaign with a name of :data:`BUILDERS`."""
    made: dict[str, Callable[..., ScreeningBuilder]] = {
        "thermo": partial(
            ThermoBuilder,
            *(stores.members, stores.candidates, stores.entries),
            *(stores.thermo, stores.hulls, stores.changes),
            campaign=spec,
            temperatures=temperatures,
            engine_error=_engine_error(spec.engine),
        ),
        "summary": partial(
            SummaryBuilder,
            *(stores.candidates, stores.thermo, stores.summary),
            campaign=spec.name,
            temperatures=temperatures,
        ),
    }
    return made[name](**options)


def _engine_error(name: str) -> CalculatorError:
    """Ask an engine for its error; a campaign may name one that is not known here."""
    from hts_battery.flows.engines.registry import engine  # noqa: PLC0415 - jobflow takes a second

    try:
        return engine(name).error
    except ConfigurationError as err:
        return CalculatorError(reason=str(err))


def _hull_summaries(builder: ScreeningBuilder) -> Iterator[HullSummary]:
    """Say which hulls a builder used; none but that of stabilities uses any."""
    if not isinstance(builder, ThermoBuilder):
        return
    for scheme, known in builder.known_hulls.items():
        yield HullSummary(
            campaign=builder.campaign.name,
            scheme=scheme,
            hull_version=known.hull.digest,
            n_references=len(known.hull),
        )


def stored_campaigns(
    stores: Stores, *, problem: Callable[[str, str], None] | None = None
) -> list[CampaignSpec]:
    """
    Return every campaign that was registered in the database, by name.

    One that cannot be read is left out: ``problem`` is told its name and why, or the
    log is.
    """
    found = []
    for doc in stores.campaigns.query({}, sort={"name": 1}):
        name = str(doc.get("name"))
        try:
            spec = read_stored(CampaignSpec, doc.get("spec"), f"the campaign {name}")
        except UnreadableDocumentError as err:
            (problem or _warn)(name, str(err))
        else:
            found.append(spec)
    return found


def _warn(_name: str, why: str) -> None:
    logger.warning("%s", why)


def chain_of_builders(
    stores: Stores, *, temperatures: Sequence[float]
) -> list[ScreeningBuilder]:
    """
    Make every builder of every campaign, in the order in which they must run.

    For ``mrun``, which takes no lock and writes no manifest.

    ``temperatures`` in K, where a campaign names none.
    """
    specs = stored_campaigns(stores)
    entries = EntriesBuilder(stores.tasks, stores.references, stores.entries)
    at = {spec.name: spec.temperatures or tuple(temperatures) for spec in specs}
    others = [
        campaign_builder(name, spec, stores, at[spec.name])
        for name in BUILDERS[1:]
        if name != _TABLE
        for spec in specs
    ]
    return [entries, *others, summary_table_builder(stores, at)]
