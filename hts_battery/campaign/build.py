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

from hts_battery.builders.property_builder import RESULTS
from hts_battery.builders.registry import (
    BuildContext,
    Scope,
    ancestors,
    builder_named,
    builders,
)
from hts_battery.builders.screening_builder import (
    BATCH_SIZE,
    input_digest,
    new_run_id,
    run_builder,
)
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

    from hts_battery.builders.registry import BuilderSpec
    from hts_battery.builders.screening_builder import Options, ScreeningBuilder
    from hts_battery.connections.database.locks import Lease
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.build import BuildReport

BUILDERS = tuple(spec.name for spec in builders())
"""Names of the builders in the order in which they are run."""

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

    def carry_out(
        self, spec: BuilderSpec, campaign: str, builder: ScreeningBuilder
    ) -> None:
        """Run one builder and note what it did."""
        name = spec.name
        place = f"{name} {campaign}".strip()
        start = time.perf_counter()
        digest = self.place_digest(spec, campaign)
        if digest is not None and self.last.has_seen(place, digest):
            report = self.last.report(place, time.perf_counter() - start)
            hulls = self.last.hulls(campaign) if name == "thermo" else ()
        else:
            if digest is None:
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
        whole, assessed = self.manifest.only is None, builder_named("summary")
        for campaign in campaigns:
            note_built_states(
                self.stores,
                campaign,
                run_id=self.manifest.run_id,
                digest=self.place_digest(assessed, campaign) if whole else None,
            )

    def skip(self, spec: BuilderSpec, reason: str) -> None:
        """Note that a builder cannot run here, and why."""
        logger.warning("%s is skipped: %s", spec.name, reason)
        report = total_report([]).model_copy(update={"skipped": reason})
        self.note(reports={**self.manifest.reports, spec.name: report})

    def place_digest(self, spec: BuilderSpec, campaign: str) -> str | None:
        """
        Digest what a builder reads, with the code that makes it; None if not known.

        A new version of one builder leaves alone what does not read from it.
        """
        if spec.scope is Scope.DATABASE:
            return None
        names = [campaign] if spec.scope is Scope.CAMPAIGN else [*self.manifest.options]
        found = [self._chain_digest(name) for name in names]
        if None in found:
            return None
        above = ancestors(spec, builders())
        line = [(one.name, one.code_version) for one in above]
        if any(RESULTS in one.reads for one in above):
            found.append(self.chain.results)
        return input_digest(found, line, self._skipped(spec))

    def _skipped(self, spec: BuilderSpec) -> list[str]:
        """Name what did not run of what a builder is made from."""
        known = ancestors(spec, builders())
        return [one.name for one in known if one.skipped_because is not None]

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
    chosen = builders() if asked.only is None else (builder_named(asked.only),)
    with _recorded_run(specs, stores, asked) as run:
        for one in chosen:
            if one.skipped_because is not None:
                run.skip(one, one.skipped_because)
                continue
            # What the table holds of a campaign that cannot be read stays.
            whole = [spec for spec in specs if spec.name not in (problems or {})]
            for campaign, builder in _contexts(one, whole, run, asked):
                if problems is None or not campaign:
                    run.carry_out(one, campaign, builder)
                elif campaign not in problems:
                    with _noting(problems, campaign):
                        run.carry_out(one, campaign, builder)
            if one.name not in run.manifest.reports:  # no campaign in the database
                run.note(reports={**run.manifest.reports, one.name: total_report([])})
        left_out = problems or {}
        run.note_built_states(
            [one.name for one in specs if one.screens and one.name not in left_out]
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
            code_version=" ".join(f"{o.name}:{o.code_version}" for o in builders()),
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
        "electrochemistry": spec.electrochemistry.model_dump(mode="json"),
    }


def _temperatures(spec: CampaignSpec, asked: _Asked) -> tuple[float, ...]:
    return spec.temperatures or asked.temperatures


def _contexts(
    spec: BuilderSpec, specs: Sequence[CampaignSpec], run: _Run, asked: _Asked
) -> Iterator[tuple[str, ScreeningBuilder]]:
    """Make one builder for each campaign that has what it reads, or one for all."""
    # A recipe of compositions takes no cells of another: its results are its own.
    alone = [
        one
        for one in specs
        if not one.screens and one.source is None and one.recipe == spec.recipe
    ]
    specs = [*(one for one in specs if one.screens), *alone]
    context = build_context(
        run.stores,
        specs,
        asked.temperatures,
        retry_failed=asked.retry_failed,
        batch_size=asked.batch_size,
        run_id=run.manifest.run_id,
    )
    if spec.scope is not Scope.CAMPAIGN:
        yield "", spec.builder(context, None)
        return
    for campaign in specs:
        if spec.name == "summary":
            for temperature in context.temperatures[campaign.name]:
                path = f"energy_above_hull_at.{temperature_key(temperature)}"
                ensure_index(run.stores, "summary", path)
                ensure_index(run.stores, "summary", "campaign", path)
        yield campaign.name, spec.builder(context, campaign)


def build_context(
    stores: Stores,
    specs: Sequence[CampaignSpec],
    temperatures: Sequence[float],
    **options: Unpack[Options],
) -> BuildContext:
    """Say what builders are made from; ``temperatures`` where a campaign has none."""
    at = {spec.name: spec.temperatures or tuple(temperatures) for spec in specs}
    return BuildContext(stores, at, _engine_error, options)


def summary_table_builder(
    stores: Stores,
    campaigns: Mapping[str, Sequence[float]],
    **options: Unpack[Options],
) -> ScreeningBuilder:
    """Make the builder of the table; ``campaigns``: name → temperatures in K."""
    context = BuildContext(stores, campaigns, _engine_error, options)
    return builder_named("summary_table").builder(context, None)


def campaign_builder(
    name: str,
    spec: CampaignSpec,
    stores: Stores,
    temperatures: Sequence[float],
    **options: Unpack[Options],
) -> ScreeningBuilder:
    """Make a builder of one campaign, by its name."""
    context = BuildContext(stores, {spec.name: temperatures}, _engine_error, options)
    return builder_named(name).builder(context, spec)


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
    specs = [spec for spec in stored_campaigns(stores) if spec.screens]
    context = build_context(stores, specs, temperatures)
    return [
        one.builder(context, campaign)
        for one in builders()
        if one.skipped_because is None
        for campaign in (specs if one.scope is Scope.CAMPAIGN else [None])
    ]
