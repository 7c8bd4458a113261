"""Run the builders in small batches and tell of each write before and after it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hts_battery.builders.screening_builder import ScreeningBuilder
from hts_battery.campaign.build import build_all
from hts_battery.connections.database.database import database
from hts_battery.connections.database.stores import open_stores

if TYPE_CHECKING:
    from collections.abc import Callable


def telling(write: Callable[..., None]) -> Callable[..., None]:
    def told(builder: ScreeningBuilder, items: list[dict[str, Any]]) -> None:
        sys.stdout.write("writing\n")
        sys.stdout.flush()
        write(builder, items)
        sys.stdout.write("wrote\n")
        sys.stdout.flush()

    return told


def main(uri: str, name: str, folder: Path) -> None:
    """Build everything in the database of that name."""
    ScreeningBuilder.update_targets = telling(  # type: ignore[method-assign]
        ScreeningBuilder.update_targets
    )
    with (
        database(uri, name=name, data_dir=folder) as opened,
        open_stores(opened) as stores,
    ):
        build_all(stores, temperatures=(0.0, 1473.0), batch_size=8)
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
