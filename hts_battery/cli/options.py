"""Options that several commands share, declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
