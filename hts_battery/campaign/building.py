"""Running the builders of a campaign in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hts_battery.builders.entries import EntriesBuilder
from hts_battery.builders.screening_builder import run_builder
from hts_battery.builders.summary import SummaryBuilder
from hts_battery.builders.thermo import ThermoBuilder
from hts_battery.errors import ConfigurationError
from hts_battery.schemas.build import total_report
from hts_battery.schemas.campaign import CampaignSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hts_battery.connections.stores import Stores
    from hts_battery.schemas.build import BuildReport

BUILDERS = ("entries", "thermo", "summary")
"""Names of the builders in the order in which they are run."""


def build(
    spec: CampaignSpec,
    stores: Stores,
    *,
    temperatures: Sequence[float],
    only: str | None = None,
) -> dict[str, BuildReport]:
    """
    Run the builders of one campaign: entries, then thermo, then summary.

    Parameters
    ----------
    spec
        The campaign, as its file or the database says.
    stores
        Open stores.
    temperatures
        In K, where the campaign names none.
    only
        Name of a single builder to run.

    Returns
    -------
    dict[str, BuildReport]
        What each builder did.
    """
    builders = {
        "entries": _entries_builder(stores),
        "thermo": ThermoBuilder(
            stores.members,
            stores.candidates,
            stores.entries,
            stores.thermo,
            campaign=spec,
            temperatures=spec.temperatures or tuple(temperatures),
        ),
        "summary": SummaryBuilder(
            stores.candidates,
            stores.entries,
            stores.thermo,
            stores.summary,
            campaign=spec.name,
        ),
    }
    _check_name(only)
    return {
        name: run_builder(builder)
        for name, builder in builders.items()
        if only in (None, name)
    }


def build_all(
    stores: Stores, *, temperatures: Sequence[float], only: str | None = None
) -> dict[str, BuildReport]:
    """
    Run the builders of every campaign of the database.

    Entries belong to no campaign and are made once; the counts of the other builders
    are added up.

    Parameters
    ----------
    stores
        Open stores.
    temperatures
        In K, where a campaign names none.
    only
        Name of a single builder to run.
    """
    _check_name(only)
    reports: dict[str, BuildReport] = {}
    if only in (None, "entries"):
        reports["entries"] = run_builder(_entries_builder(stores))
    for name in BUILDERS[1:]:
        if only not in (None, name):
            continue
        reports[name] = total_report(
            build(spec, stores, temperatures=temperatures, only=name)[name]
            for spec in stored_campaigns(stores)
        )
    return reports


def _entries_builder(stores: Stores) -> EntriesBuilder:
    return EntriesBuilder(stores.tasks, stores.references, stores.entries)


def _check_name(only: str | None) -> None:
    if only is not None and only not in BUILDERS:
        raise ConfigurationError(
            f"there is no builder {only!r}; choose one of all, {', '.join(BUILDERS)}"
        )


def stored_campaigns(stores: Stores) -> list[CampaignSpec]:
    """Return every campaign that was registered in the database, by name."""
    docs = stores.campaigns.query({}, sort={"name": 1})
    return [CampaignSpec.model_validate(doc["spec"]) for doc in docs]
