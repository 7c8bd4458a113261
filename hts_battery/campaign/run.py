"""The whole way of a campaign, from its file to a ranking."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from hts_battery.campaign.build import build
from hts_battery.campaign.local_run import Progress, run_candidates
from hts_battery.campaign.reference_gaps import campaign_elements, hull_engines
from hts_battery.campaign.registration import refuse_other, register
from hts_battery.campaign.source import resolved
from hts_battery.connections.records.stored_documents import read_stored
from hts_battery.errors import BusyError, ConfigurationError
from hts_battery.schemas.campaign import CampaignSpec
from hts_battery.schemas.property import PropertyDoc

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from jobflow import Maker

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.build import BuildReport


logger = logging.getLogger(__name__)
_BUILD_POLL_SECONDS = 0.5


def run_campaign(  # noqa: PLR0913 - each is named by its caller
    campaign: Campaign,
    stores: Stores,
    *,
    data_dir: Path,
    execution_folder: Path,
    temperatures: Sequence[float],
    relax_maker: Maker | None = None,
    prerelax_maker: Maker | None = None,
    retry_failed: bool = False,
    processes: int = 1,
    progress: Progress | None = None,
    replace: bool = True,
) -> tuple[int, dict[str, BuildReport]]:
    """
    Register, compute what is missing, and build, after others if they build now.

    ``temperatures`` in K, where the campaign names none; jobs run under ``data_dir``;
    ``replace``: whether the file takes the place of another of the same name; the other
    parameters are those of :func:`~hts_battery.campaign.local_run.run_candidates`.
    Returns the number of candidates computed, and what each builder did.
    """
    campaign = resolved(campaign, stores)
    spec = campaign.spec
    refuse_other(campaign, stores, replace=replace)
    elements = campaign_elements(campaign)
    for name in hull_engines(spec):
        ensure_references(name, stores, elements=elements)
    register(campaign, stores, replace=replace)
    computed = run_candidates(
        campaign,
        stores,
        launch_folder=data_dir / "launches",
        execution_folder=execution_folder,
        relax_maker=relax_maker,
        prerelax_maker=prerelax_maker,
        retry_failed=retry_failed,
        processes=processes,
        progress=progress,
    )
    while True:
        try:
            return computed, build(
                built_campaign(spec, stores), stores, temperatures=temperatures
            )
        except BusyError as err:
            # Another run of this database builds now; one that died is recognised.
            logger.info("%s", err)
            time.sleep(_BUILD_POLL_SECONDS)


def built_campaign(spec: CampaignSpec, stores: Stores) -> CampaignSpec:
    """Return the campaign whose documents change: the one that has the cells."""
    if spec.screens or spec.source is None:
        return spec
    doc = stores.campaigns.query_one({"name": spec.source.campaign})
    if doc is None:
        return spec
    return read_stored(CampaignSpec, doc.get("spec"), f"the campaign {doc['name']}")


def recipe_properties(campaign: Campaign, stores: Stores) -> list[PropertyDoc]:
    """Read what builders made of the results of a recipe, for a campaign's members."""
    spec, campaign = campaign.spec, resolved(campaign, stores)
    names = [one.candidate_id for _, one in campaign.members()]
    place = {name: number for number, name in enumerate(names)}
    found = []
    for doc in stores.properties.query(
        {
            "campaign": built_campaign(spec, stores).name,
            "provenance.recipe": spec.recipe,
        }
    ):
        doc.pop("_id", None)
        mine = doc["provenance"]["engine"] == spec.engine
        if mine and doc["subject_id"] in place:
            found.append(PropertyDoc.model_validate(doc))
    return sorted(found, key=lambda one: (place[one.subject_id], one.name))


def ensure_references(
    engine_name: str, stores: Stores, *, elements: Collection[str] | None = None
) -> None:
    """
    Import the shipped energies that the database lacks.

    Where none are shipped for an engine, those in the database have to do.

    A phase counts as lacking, too, where the library's structure has changed since its
    energy was stored; energies that a user computed from today's structure are kept.
    Only phases made of the elements are looked at, all if none are given.
    """
    from hts_battery.campaign.references import store_references  # noqa: PLC0415 - slow
    from hts_battery.flows.recipes.references import shipped_energies  # noqa: PLC0415 - slow

    known = {
        (doc["phase_id"], doc["start_digest"])
        for doc in stores.references.query(
            {"engine": engine_name}, properties=["phase_id", "start_digest"]
        )
    }
    try:
        shipped = shipped_energies(engine_name, elements=elements).energies
    except ConfigurationError:
        if known:  # the user computed his own
            return
        raise
    store_references(
        (
            energy
            for energy in shipped
            if (energy.phase_id, energy.start_digest) not in known
        ),
        stores,
    )
