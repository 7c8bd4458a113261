"""The engine that computes with an analytic potential of ions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hts_battery.flows.engines.engine import Engine
from hts_battery.flows.engines.published_errors import IONIC_ERROR

if TYPE_CHECKING:
    from jobflow import Maker

    from hts_battery.schemas.campaign import RelaxationSpec

NAME = "ionic"


def ionic_engine() -> Engine:
    """
    Return the engine ``ionic``: for rehearsing campaigns at full size.

    Examples
    --------
    >>> ionic_engine().calculator()
    'ionic 1'
    """
    # No package but this one has a say in its energies.
    from hts_battery.structures.ionic import (  # noqa: PLC0415 - starts quickly
        VERSION,
        elements,
    )

    return Engine(
        name=NAME,
        packages=(),
        relax_maker=_relax_maker,
        extra="",
        charge=True,
        label=f"{NAME} {VERSION}",
        elements=elements,
        error=IONIC_ERROR,
        rough=True,
        process_memory=0.6,
    )


def _relax_maker(relaxation: RelaxationSpec) -> Maker:
    # atomate2 takes seconds to import and only nodes need it.
    from hts_battery.flows.engines.ionic import ionic_maker  # noqa: PLC0415

    return ionic_maker(relaxation)
