"""
Workflow-managed screening of high-entropy battery materials.

The names below are the public surface; each is imported when it is first asked for, so
that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hts_battery.compositions.loader import load_space
    from hts_battery.compositions.space import CompositionSpace
    from hts_battery.errors import HTSBatteryError
    from hts_battery.flows.recipes.screen import ScreenMaker
    from hts_battery.query.screening_database import ScreeningDatabase
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import Candidate
    from hts_battery.settings import HTSBatterySettings, get_settings
    from hts_battery.structures.ordering import order_candidate
    from hts_battery.thermo.entropy import mixing_entropy, nasicon_mixing_entropy
    from hts_battery.thermo.hull import Hull

_HOMES = {
    "CampaignSpec": "hts_battery.schemas.campaign",
    "Candidate": "hts_battery.schemas.candidate",
    "CompositionSpace": "hts_battery.compositions.space",
    "HTSBatteryError": "hts_battery.errors",
    "HTSBatterySettings": "hts_battery.settings",
    "Hull": "hts_battery.thermo.hull",
    "ScreenMaker": "hts_battery.flows.recipes.screen",
    "ScreeningDatabase": "hts_battery.query.screening_database",
    "get_settings": "hts_battery.settings",
    "load_space": "hts_battery.compositions.loader",
    "mixing_entropy": "hts_battery.thermo.entropy",
    "nasicon_mixing_entropy": "hts_battery.thermo.entropy",
    "order_candidate": "hts_battery.structures.ordering",
}

__all__ = [
    "CampaignSpec",
    "Candidate",
    "CompositionSpace",
    "HTSBatteryError",
    "HTSBatterySettings",
    "Hull",
    "ScreenMaker",
    "ScreeningDatabase",
    "get_settings",
    "load_space",
    "mixing_entropy",
    "nasicon_mixing_entropy",
    "order_candidate",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
