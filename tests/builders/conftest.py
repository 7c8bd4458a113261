"""The builders on the stores of one test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from hts_battery.builders.registry import builder_named
from hts_battery.builders.screening_builder import run_builder
from hts_battery.campaign.build import BUILDERS, build_context
from hts_battery.schemas.structure import OrderingMethod

if TYPE_CHECKING:
    from hts_battery.builders.screening_builder import ScreeningBuilder
    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.build import BuildReport
    from hts_battery.schemas.campaign import CampaignSpec


@dataclass
class Chain:
    """Makes and runs the builders, each run with new ones as a new process would."""

    stores: Stores
    spec: CampaignSpec

    def make(self, name: str, **options: object) -> ScreeningBuilder:
        context = build_context(self.stores, [self.spec], (0.0,), **options)
        return builder_named(name).builder(context, self.spec)

    def asks_for(self, **numbers: int) -> None:
        """Let the campaign ask for other numbers of orderings."""
        structure = self.spec.structure.model_copy(
            update={"n_orderings": {OrderingMethod(m): n for m, n in numbers.items()}}
        )
        self.spec = self.spec.model_copy(update={"structure": structure})

    def run(self, **options: object) -> dict[str, BuildReport]:
        return {name: run_builder(self.make(name, **options)) for name in BUILDERS}


@pytest.fixture
def chain(computed: Campaign, stores: Stores) -> Chain:
    return Chain(stores, computed.spec)
