"""The builders: what each reads and writes, from which order and roles follow."""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass
from enum import StrEnum
from graphlib import TopologicalSorter
from importlib import import_module
from typing import TYPE_CHECKING

from hts_battery.builders import properties
from hts_battery.builders.entries import EntriesBuilder
from hts_battery.builders.property_builder import PropertyBuilder, missing_packages
from hts_battery.builders.summary import SummaryBuilder
from hts_battery.builders.summary_table import SummaryTableBuilder
from hts_battery.builders.thermo import ThermoBuilder
from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from hts_battery.builders.screening_builder import Options, ScreeningBuilder
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.uncertainty import CalculatorError


class Scope(StrEnum):
    """Of what a run makes one builder each."""

    DATABASE = "database"
    """One for everything: what it reads belongs to no campaign."""
    CAMPAIGN = "campaign"
    """One for each campaign."""
    CAMPAIGNS = "campaigns"
    """One for all campaigns of the run together."""


@dataclass(frozen=True)
class BuildContext:
    """What builders are made from."""

    stores: Stores
    temperatures: Mapping[str, Sequence[float]]
    """Campaign of the run → temperatures in K."""
    engine_error: Callable[[str], CalculatorError]
    """Engine → what is known of the error of its E_hull."""
    options: Options


@dataclass(frozen=True)
class BuilderSpec:
    """
    One builder: its name, how it is made, what it reads and writes.

    ``reads`` and ``writes`` name collections; a part of one, like
    ``properties/local_structure``, is written by one builder alone, and who reads the
    collection reads every part of it.
    """

    name: str
    builder: Callable[[BuildContext, CampaignSpec | None], ScreeningBuilder]
    """Makes it, for a campaign where its scope is that."""
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    code_version: str
    """Raised when it makes another document from the same input; it and what reads
    from it is then built again, nothing else."""
    scope: Scope = Scope.CAMPAIGN
    requires: tuple[str, ...] = ()
    """Packages of an optional extra that it needs."""
    extra: str = ""
    """The extra that brings them."""
    recipe: str | None = None
    """Recipe whose results it reads."""

    def follows(self, other: BuilderSpec) -> bool:
        """Say whether it reads what another writes."""
        return self is not other and any(
            read == written or written.startswith(f"{read}/")
            for read in self.reads
            for written in other.writes
        )

    @property
    def skipped_because(self) -> str | None:
        """Say why it cannot run here; None where it can."""
        return missing_packages(self.requires, self.extra)


def _entries(context: BuildContext, _: CampaignSpec | None) -> EntriesBuilder:
    stores = context.stores
    return EntriesBuilder(
        stores.tasks, stores.references, stores.entries, **context.options
    )


def _thermo(context: BuildContext, spec: CampaignSpec | None) -> ThermoBuilder:
    stores, campaign = context.stores, _named(spec)
    return ThermoBuilder(
        *(stores.members, stores.candidates, stores.entries),
        *(stores.thermo, stores.hulls, stores.changes),
        campaign=campaign,
        temperatures=context.temperatures[campaign.name],
        engine_error=context.engine_error(campaign.engine),
        **context.options,
    )


def _summary(context: BuildContext, spec: CampaignSpec | None) -> SummaryBuilder:
    stores, campaign = context.stores, _named(spec)
    return SummaryBuilder(
        *(stores.candidates, stores.thermo, stores.summary),
        campaign=campaign.name,
        temperatures=context.temperatures[campaign.name],
        **context.options,
    )


def _table(context: BuildContext, _: CampaignSpec | None) -> SummaryTableBuilder:
    stores = context.stores
    return SummaryTableBuilder(
        *(stores.summary, stores.entries, stores.properties, stores.summary_table),
        campaigns=context.temperatures,
        **context.options,
    )


def _named(spec: CampaignSpec | None) -> CampaignSpec:
    if spec is None:
        raise ValueError("this builder is made for one campaign")
    return spec


def _of_properties(cls: type[PropertyBuilder]) -> BuilderSpec:
    """Write down a builder of properties as its class says."""

    def made(context: BuildContext, spec: CampaignSpec | None) -> PropertyBuilder:
        stores, campaign = context.stores, _named(spec)
        return cls(
            *(stores.members, stores.candidates, stores.entries),
            *(stores.thermo, stores.tasks, stores.properties),
            campaign=campaign,
            temperatures=context.temperatures[campaign.name],
            **context.options,
        )

    return BuilderSpec(
        cls.name,
        made,
        reads=("members", "candidates", *cls.reads),
        writes=(f"properties/{cls.name}",),
        code_version=cls.code_version,
        requires=cls.requires,
        extra=cls.extra,
        recipe=cls.recipe,
    )


def property_builders() -> Iterator[type[PropertyBuilder]]:
    """Find the builders of properties: one in each module of their folder."""
    for module in sorted(one.name for one in pkgutil.iter_modules(properties.__path__)):
        found = import_module(f"{properties.__name__}.{module}")
        for value in vars(found).values():
            is_builder = isinstance(value, type) and issubclass(value, PropertyBuilder)
            if is_builder and value.__module__ == found.__name__:
                yield value


def builders() -> tuple[BuilderSpec, ...]:
    """Return every builder, each behind those that write what it reads."""
    known = (
        BuilderSpec(
            "entries",
            _entries,
            reads=("tasks", "references", "blobs"),
            writes=("entries",),
            code_version=EntriesBuilder.code_version,
            scope=Scope.DATABASE,
        ),
        BuilderSpec(
            "thermo",
            _thermo,
            reads=("campaigns", "members", "candidates", "entries"),
            writes=("thermo", "hulls", "changes"),
            code_version=ThermoBuilder.code_version,
        ),
        BuilderSpec(
            "summary",
            _summary,
            reads=("candidates", "thermo"),
            writes=("summary",),
            code_version=SummaryBuilder.code_version,
        ),
        *map(_of_properties, property_builders()),
        BuilderSpec(
            "summary_table",
            _table,
            reads=("summary", "entries", "properties"),
            writes=("summary_table",),
            code_version=SummaryTableBuilder.code_version,
            scope=Scope.CAMPAIGNS,
        ),
    )
    return in_order(known)


def in_order(known: Sequence[BuilderSpec]) -> tuple[BuilderSpec, ...]:
    """
    Sort builders so that each comes behind those that write what it reads.

    Raises graphlib.CycleError where two read what the other writes.
    """
    graph = {
        place: [n for n, other in enumerate(known) if spec.follows(other)]
        for place, spec in enumerate(known)
    }
    return tuple(known[place] for place in TopologicalSorter(graph).static_order())


def builder_named(name: str) -> BuilderSpec:
    """Find a builder; ConfigurationError names all where there is none."""
    found = {spec.name: spec for spec in builders()}
    if name not in found:
        raise ConfigurationError(
            f"there is no builder {name!r}; choose one of all, {', '.join(found)}"
        )
    return found[name]


def ancestors(
    spec: BuilderSpec, known: Sequence[BuilderSpec]
) -> tuple[BuilderSpec, ...]:
    """Return a builder and all from whose documents its own are made, by name."""
    found = {spec.name: spec}
    waiting = [spec]
    while waiting:
        one = waiting.pop()
        new = [o for o in known if one.follows(o) and o.name not in found]
        found |= {other.name: other for other in new}
        waiting += new
    return tuple(found[name] for name in sorted(found))


def collections_of(*sides: str) -> tuple[str, ...]:
    """
    Name the collections that builders read or write, or both.

    ``sides``: ``reads``, ``writes``.

    Examples
    --------
    >>> "properties" in collections_of("writes"), "tasks" in collections_of("writes")
    (True, False)
    """
    return tuple(
        sorted(
            {
                name.partition("/")[0]
                for spec in builders()
                for side in sides
                for name in getattr(spec, side)
            }
        )
    )
