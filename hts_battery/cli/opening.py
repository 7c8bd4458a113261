"""Opening the database that the settings name, for one command."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.connections.launchpad.launchpad import ExactLaunchPad
    from hts_battery.schemas.failure import FailureClass
    from hts_battery.settings import HTSBatterySettings


def get_settings() -> HTSBatterySettings:
    """Return the settings, imported when they are needed: help does not."""
    from hts_battery.settings import get_settings as read

    return read()


@contextmanager
def opened_stores(*, make_indexes: bool = True) -> Iterator[Stores]:
    """Open every store of the settings' database, indexes made, and close it after."""
    from hts_battery.connections.database.stores import screening_stores

    with screening_stores(get_settings(), make_indexes=make_indexes) as stores:
        yield stores


@contextmanager
def stores_if_any(*, any_layout: bool = False) -> Iterator[Stores | None]:
    """Open the stores to read, where there is a database; make none."""
    from hts_battery.connections.database.stores import screening_stores

    if not database_exists():
        yield None
        return
    with screening_stores(
        get_settings(), make_indexes=False, any_layout=any_layout
    ) as stores:
        yield stores


@contextmanager
def opened_launchpad() -> Iterator[tuple[Stores, ExactLaunchPad]]:
    """Open the stores of the settings' database, and the launchpad beside them."""
    from hts_battery.connections.launchpad.launchpad import open_launchpad

    with (
        opened_stores() as stores,
        open_launchpad(
            stores.database, outage_seconds=get_settings().outage_patience
        ) as launchpad,
    ):
        yield stores, launchpad


def read_campaign(path: Path, *, skip_bad: bool = False) -> Campaign:
    """Read a campaign file; the settings first, which name parent lattices."""
    from hts_battery.campaign import spec_file

    get_settings()
    return spec_file.read_campaign(path, skip_bad=skip_bad)


def load_campaign(path: Path, *, skip_bad: bool = False) -> Campaign:
    """Read and check a campaign file; the settings first, which name its parents."""
    from hts_battery.campaign import spec_file

    get_settings()
    return spec_file.load_campaign(path, skip_bad=skip_bad)


def campaign_name(name_or_spec: str) -> str:
    """Return the name of a campaign that is named by itself or by its file."""
    path = Path(name_or_spec)
    if path.suffix not in (".yaml", ".yml") and not path.is_file():
        return name_or_spec
    return read_campaign(path).spec.name


def failure_kind(words: str) -> FailureClass:
    """Read a class of failures as triage says it."""
    from hts_battery.schemas.failure import FailureClass

    try:
        return FailureClass(words)
    except ValueError:
        known = "; ".join(FailureClass)
        raise ConfigurationError(
            f"--class: there is no class {words!r}; the classes are: {known}"
        ) from None


def refuse_other_file(campaign: Campaign, *, replace: bool) -> None:
    """Refuse a campaign file whose name another file has; write nothing."""
    from hts_battery.campaign.registration import refuse_other

    with stores_if_any() as stores:
        if stores is not None:
            refuse_other(campaign, stores, replace=replace)


def say_left_out(campaign: Campaign) -> None:
    """List the formulas of a campaign's list that are left out, each with why."""
    from hts_battery.cli import formatting

    for one in campaign.listed.bad:
        formatting.note(f"left out: {one}")


def with_members(campaign: Campaign) -> Campaign:
    """Return a campaign with its members; those of an earlier one are read."""
    if campaign.spec.source is None:
        return campaign
    from hts_battery.campaign.source import resolved

    with stores_if_any() as stores:
        return resolved(campaign, stores)


def database_exists() -> bool:
    """Say whether there is a database to read, without making one."""
    from hts_battery.connections.database import embedded

    settings = get_settings()
    return settings.mongo_uri is not None or embedded.has_database(settings.data_dir)
