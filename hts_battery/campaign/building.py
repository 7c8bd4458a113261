"""Running the builders of a campaign in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hts_battery.builders.entries import EntriesBuilder
from hts_battery.builders.screening_builder import run_builder
from hts_battery.builders.summary import SummaryBuilder
from hts_battery.builders.thermo import ThermoBuilder
from hts_battery.errors import ConfigurationError
from hts_battery.schemas.campaign import CampaignSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hts_battery.connections.stores import Stores
    from hts_battery.schemas.build import BuildReport


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
        "entries": EntriesBuilder(stores.tasks, stores.references, stores.entries),
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
    if only is not None and only not in builders:
        raise ConfigurationError(
            f"there is no builder {only!r}; choose one of all, {', '.join(builders)}"
        )
    return {
        name: run_builder(builder)
        for name, builder in builders.items()
        if only in (None, name)
    }


def stored_campaigns(stores: Stores) -> list[CampaignSpec]:
    """Return every campaign that was registered in the database, by name."""
    docs = stores.campaigns.query({}, sort={"name": 1})
    return [CampaignSpec.model_validate(doc["spec"]) for doc in docs]
