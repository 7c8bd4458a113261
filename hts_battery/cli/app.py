"""The command `hts`: its nouns, and the one place where errors become a line."""

from __future__ import annotations

import csv
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from hts_battery.errors import (
    ConfigurationError,
    HTSBatteryError,
    MissingReferenceError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

with Path(__file__).with_name("commands.csv").open(encoding="utf-8") as _file:
    COMMANDS = tuple(csv.DictReader(_file))
"""Every noun and command, its function, and what it says of itself in lists."""


def _builder_rows() -> Iterator[dict[str, str]]:
    """Describe the command of each builder of properties, found by its file."""
    folder = Path(__file__).parents[1] / "builders" / "properties"
    for path in sorted(folder.glob("[a-z]*.py")):
        said = path.read_text(encoding="utf-8").split('"""', 2)[1]
        yield {
            "noun": "build",
            "name": path.stem.replace("_", "-"),
            "function": f"build.{path.stem}",
            "help": said.strip().splitlines()[0],
        }


class LazyCommand(TyperCommand):
    """A command whose module is imported when its options are asked for."""

    def __init__(self, row: Mapping[str, str]) -> None:
        super().__init__(name=row["name"], help=row["help"])
        self._function = row["function"]
        del self.params, self.callback  # found as soon as somebody asks

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - one of two of typer's own
        if name not in {"params", "callback"}:
            raise AttributeError(name)
        module, _, function = self._function.rpartition(".")
        made = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        made.command()(getattr(import_module(f"hts_battery.cli.{module}"), function))
        command = typer.main.get_command(made)
        self.params, self.callback = command.params, command.callback
        return getattr(command, name)


class LazyGroup(TyperGroup):
    """A noun, or `hts` itself, with its commands of the table."""

    def __init__(self, *, name: str, commands: dict[str, Any], **options: Any) -> None:  # noqa: ANN401 - typer's own
        noun = "" if name == "hts" else name
        rows = [*COMMANDS, *(_builder_rows() if noun == "build" else ())]
        lazy = {
            row["name"]: LazyCommand(row)
            for row in rows
            if row["noun"] == noun and row["function"]
        }
        super().__init__(name=name, commands=lazy | commands, **options)


app = typer.Typer(
    name="hts",
    cls=LazyGroup,
    help="Screen high-entropy battery materials: from a composition space to what is "
    "stable at synthesis temperature.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _row in COMMANDS:
    if not _row["function"]:
        app.add_typer(
            typer.Typer(cls=LazyGroup, help=_row["help"], no_args_is_help=True),
            name=_row["name"],
        )

_FAILED = 1
_WRONG_USAGE = 2
_INTERRUPTED = 130
_TRACEBACK = "--traceback"


def _complete_profile(incomplete: str) -> list[str]:
    from hts_battery.cli.completion import complete_profile

    return complete_profile(incomplete)


def _show_version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        from hts_battery.cli import formatting

        formatting.line(f"hts_battery {version('hts_battery')}")
        raise typer.Exit


@app.callback()
def _options(
    traceback: Annotated[
        bool, typer.Option(_TRACEBACK, help="Show the whole traceback of an error.")
    ] = False,
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Use the settings of this profile: `hts profile list`.",
            autocompletion=_complete_profile,
        ),
    ] = None,
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
    from hts_battery.settings_file import named_profile

    if profile != named_profile():
        from hts_battery.settings import use_profile

        use_profile(profile)


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
            _say("interrupted; run the same command again to go on")
        raise
    except Exception as err:  # noqa: BLE001 - the one handler: a traceback is opt-in
        _end(f"{type(err).__name__}: {err} (--traceback shows where)", err)


def _end(message: str, err: Exception) -> None:
    if _TRACEBACK in sys.argv:
        raise err
    _say(message)
    sys.exit(_WRONG_USAGE if isinstance(err, ConfigurationError) else _FAILED)


def _say(message: str) -> None:
    from hts_battery.cli import formatting

    formatting.error(message)


if __name__ == "__main__":
    main()
