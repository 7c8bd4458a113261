"""The command `hts`: its nouns, and the one place where errors become a line."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from hts_battery.cli import (
    build,
    campaign,
    db,
    dispatching,
    doctor,
    feeding,
    formatting,
    launches,
    launchpad,
    notifying,
    planning,
    query,
    recovery,
    references,
    rehearse,
    serve,
    space,
    status,
)
from hts_battery.errors import (
    ConfigurationError,
    HTSBatteryError,
    MissingReferenceError,
)

app = typer.Typer(
    name="hts",
    help="Screen high-entropy battery materials: from a composition space to what is "
    "stable at synthesis temperature.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(space.app, name="space")
campaign.app.command("plan")(planning.plan)
campaign.app.command("status")(status.status)
launchpad.app.command("notify-test")(notifying.notify_test)
app.add_typer(campaign.app, name="campaign")
app.add_typer(references.app, name="references")
app.add_typer(build.app, name="build")
app.add_typer(query.app, name="query")
app.add_typer(db.app, name="db")
app.add_typer(launches.app, name="launches")
app.add_typer(launchpad.app, name="launchpad")
app.command("doctor")(doctor.doctor)
app.command("rehearse")(rehearse.rehearse)
app.command("serve")(serve.serve)
for verb in (dispatching.submit, feeding.pause, feeding.resume, feeding.cancel):
    campaign.app.command()(verb)
launchpad.app.command("feed")(feeding.feed_launchpad)
launchpad.app.add_typer(recovery.app)

_FAILED = 1
_WRONG_USAGE = 2
_INTERRUPTED = 130
_TRACEBACK = "--traceback"


def _show_version(value: bool) -> None:
    if value:
        formatting.line(f"hts_battery {version('hts_battery')}")
        raise typer.Exit


@app.callback()
def _options(
    traceback: Annotated[
        bool, typer.Option(_TRACEBACK, help="Show the whole traceback of an error.")
    ] = False,
    show_version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    # Both are read elsewhere: main() takes --traceback out of the arguments, wherever
    # it stands.
    del traceback, show_version


def _advice(error: HTSBatteryError) -> str:
    """Say what to do about an error; science does not know the command line."""
    if isinstance(error, MissingReferenceError):
        return " (run `hts references compute`, or `hts references list` to see gaps)"
    return ""


def main() -> None:
    """Run the command line; every error that leaves it is one line and a status."""
    try:
        app([word for word in sys.argv[1:] if word != _TRACEBACK])
    except HTSBatteryError as err:
        _end(f"{err}{_advice(err)}", err)
    except SystemExit as end:
        # What typer makes of Ctrl-C.
        if end.code == _INTERRUPTED:
            formatting.error("interrupted; run the same command again to go on")
        raise
    except Exception as err:  # noqa: BLE001 - the one handler: a traceback is opt-in
        _end(f"{type(err).__name__}: {err} (--traceback shows where)", err)


def _end(message: str, err: Exception) -> None:
    if _TRACEBACK in sys.argv:
        raise err
    formatting.error(message)
    sys.exit(_WRONG_USAGE if isinstance(err, ConfigurationError) else _FAILED)
