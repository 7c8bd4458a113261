"""Options that several commands share, declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hts_battery.cli.completion import complete_campaign, complete_worker

SpecFile = Annotated[
    Path, typer.Argument(metavar="SPEC", help="Campaign or space file (YAML).")
]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print JSON, one object a line, and nothing else."),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be written, write nothing.")
]
Supervised = Annotated[
    bool,
    typer.Option(
        "--supervised",
        hidden=True,
        help="Run by `hts runner`: go on for ever, and end when it is gone.",
    ),
]
Engine = Annotated[str, typer.Option("--engine", help="Name of the engine.")]
Replace = Annotated[
    bool,
    typer.Option(
        "--replace", help="Take the place of another file with this campaign's name."
    ),
]
SkipBad = Annotated[
    bool,
    typer.Option(
        "--skip-bad",
        help="Leave out, and list, formulas that are no members of the space.",
    ),
]

NameOrSpec = Annotated[
    str,
    typer.Argument(
        metavar="CAMPAIGN",
        help="Name of a campaign, or its file.",
        autocompletion=complete_campaign,
    ),
]
WorkerName = Annotated[
    str,
    typer.Argument(
        metavar="WORKER", help="Name of a worker.", autocompletion=complete_worker
    ),
]
Templates = Annotated[Path, typer.Option(help="Folder of the workers.")]
Launches = Annotated[
    Path | None, typer.Option(help="Folder of its jobs; queue/WORKER if not given.")
]
