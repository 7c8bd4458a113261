"""What holds for every command, whatever it does."""

from __future__ import annotations

import inspect
import os
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer

from hts_battery.cli import formatting
from hts_battery.cli.app import COMMANDS as TABLE
from hts_battery.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Answer

HTS = Path(sys.executable).with_name("hts")
READING = {
    "space count",
    "space list",
    "space sample",
    "space index",
    "build diff",
    "build list",
    "campaign check",
    "campaign plan",
    "campaign status",
    "launchpad notify-test",  # sends a message and writes nothing
    "launchpad triage",
    "serve",
    "references gaps",
    "references list",
    "runner logs",
    "runner status",
    "runner unit",
    "campaign list",
    "campaign usage",  # writes the figure that it is asked for
    "jobs files",
    "jobs list",
    "jobs log",
    "jobs show",
    "profile list",
    "worker list",
    "query stable",
    "query show",
    "query find",
    "query compare",
    "query snapshot",
    "db status",
    "disorder composite",  # likewise those with --figure
    "disorder map",
    "disorder order",
    "disorder percolate",
    "disorder scattering",  # writes the files that it is asked for
    "disorder simulate",
    "electro capacity",
    "electro curve",
    "electro interface",
    "electro window",
    "learn curve",  # draws the figure that it is asked for
    "learn apply",  # writes the table that it is asked for
    "rules filter",
    "rules show",
    "transport analyse",
    "transport arrhenius",
    "doctor",  # writes with --fix only
}


def commands() -> Iterator[tuple[str, typer.core.TyperCommand]]:
    """Yield every command with its words, from the nouns down."""
    group = typer.main.get_command(app)
    for noun, verbs in sorted(group.commands.items()):  # type: ignore[attr-defined]
        if not hasattr(verbs, "commands"):
            yield noun, verbs
            continue
        for verb, command in sorted(verbs.commands.items()):
            yield f"{noun} {verb}", command


COMMANDS = dict(commands())


def options(command: typer.core.TyperCommand) -> set[str]:
    return {name for one in command.params for name in one.opts}


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_says_what_it_does(
    hts: Callable[..., Answer], words: str
) -> None:
    command = COMMANDS[words]
    assert command.help
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{words}: {parameter.name}"
    answer = hts(*words.split(), "--help")
    assert answer.status == 0
    assert command.help.split(";")[0].split(".")[0][:30] in answer.out


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_reads_or_can_be_tried_dry(words: str) -> None:
    has_dry_run = "--dry-run" in options(COMMANDS[words])
    assert has_dry_run == (words not in READING)


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_that_lists_can_print_json(words: str) -> None:
    found = options(COMMANDS[words])
    assert found & {"--json", "--format"} or words == "serve"  # prints its address


MADE_BY_NAME = {"entries", "thermo", "summary", "summary-table"}
"""Commands of single builders: one function makes them all."""


@pytest.mark.parametrize(
    "row",
    [
        row
        for row in TABLE
        if row["function"]
        and not (row["noun"] == "build" and row["name"] in MADE_BY_NAME)
    ],
)
def test_a_command_says_in_lists_what_its_function_says(row: dict[str, str]) -> None:
    module, _, function = row["function"].rpartition(".")
    found = getattr(import_module(f"hts_battery.cli.{module}"), function)
    assert row["help"] == inspect.getdoc(found)


@pytest.mark.parametrize(
    ("completed", "expected"),
    [
        (None, "campaign"),
        ("hts cam", "campaign"),
        ("hts query s", "stable"),
        ("hts db ", "init-roles"),
        # Options of a command: its own module, and nothing that reads settings.
        ("hts campaign status --", "--exact"),
        ("hts campaign submit --", "--max-walltime"),
    ],
)
def test_what_commands_there_are_is_told_without_importing_them(
    completed: str | None, expected: str
) -> None:
    script = (
        "import sys\n"
        "sys.argv = ['hts', '--help']\n"
        "from hts_battery.cli.app import main\n"
        "try:\n    main()\n"
        "finally:\n    print(*sys.modules, file=sys.stderr)"
    )
    asked = {}
    if completed is not None:
        count = str(completed.count(" "))
        asked = {"COMP_WORDS": completed, "COMP_CWORD": count}
        asked["_HTS_COMPLETE"] = "complete_bash"
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", script],
        env=os.environ | asked,
        capture_output=True,
        text=True,
        check=True,
    )
    assert expected in done.stdout
    imported = set(done.stderr.split())
    ours = {name for name in imported if name.startswith("hts_battery.")}
    if "--" in (completed or ""):
        assert not ours & {"hts_battery.settings", "hts_battery.schemas.dispatch"}
    else:
        assert ours == {"hts_battery.cli", "hts_battery.cli.app", "hts_battery.errors"}
    # Completing, typer imports pydantic of its own accord.
    heavy = {"pymatgen", "numpy", "scipy", "pydantic_settings"}
    assert not imported & (heavy if completed else heavy | {"pydantic", "yaml"})


def test_nouns_without_a_verb_show_help(hts: Callable[..., Answer]) -> None:
    for words in ((), ("space",), ("query",)):
        answer = hts(*words)
        assert answer.status == 2
        assert "Usage:" in answer.out + answer.err


def test_the_version_is_that_of_the_package(hts: Callable[..., Answer]) -> None:
    answer = hts("--version")
    assert answer.status == 0
    assert answer.out.startswith("hts_battery 0.")


@pytest.mark.parametrize(
    "words",
    [
        ("space", "count"),
        ("space", "count", "a.yaml", "--colour"),
        ("no", "such"),
        ("space", "list", "a.yaml", "--limit", "-1"),
        ("query", "export", "--format", "xlsx"),
    ],
)
def test_wrong_usage_is_status_2(
    hts: Callable[..., Answer], words: tuple[str, ...]
) -> None:
    answer = hts(*words)
    assert answer.status == 2
    assert answer.out == ""
    assert "Error" in answer.err


def test_a_refused_file_is_one_line_and_status_2(
    hts: Callable[..., Answer], folder: Path
) -> None:
    answer = hts("campaign", "run", "none.yaml")
    assert answer.status == 2
    assert (
        answer.err == "error: none.yaml: cannot read this file: No such file or "
        "directory\n"
    )
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("place", [0, 3])
def test_a_traceback_can_be_asked_for_wherever_one_thinks_of_it(
    hts: Callable[..., Answer], place: int
) -> None:
    words = ["space", "count", "none.yaml"]
    words.insert(place, "--traceback")
    with pytest.raises(Exception, match=r"none\.yaml") as caught:
        hts(*words)
    assert type(caught.value).__name__ == "SpecError"


def test_an_unforeseen_error_is_one_line_and_status_1(
    hts: Callable[..., Answer], campaign_file: Callable[..., Path], folder: Path
) -> None:
    (folder / "hts-data").write_text("a file where the folder should be")
    answer = hts("campaign", "status", campaign_file())
    assert answer.status == 1
    assert answer.err.count("\n") == 1
    assert answer.err.startswith("error: ")


def test_a_misspelt_setting_is_refused(
    hts: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTS_BATTERY_MONGO_URL", "mongodb://localhost")
    answer = hts("db", "status")
    assert answer.status == 2
    assert "did you mean HTS_BATTERY_MONGO_URI?" in answer.err


def test_json_is_not_decorated(capsys: pytest.CaptureFixture[str]) -> None:
    # rich would make a picture of :x:, a colour of [red], and break long lines.
    text = ":x: [red] https://example.org " + "long " * 100
    formatting.json_line({"text": text, "amount": "Li₁"})
    assert capsys.readouterr().out == ('{"text": "' + text + '", "amount": "Li₁"}\n')


def test_the_installed_command_runs() -> None:
    done = subprocess.run(  # noqa: S603 - our own command
        [HTS, "--help"], capture_output=True, text=True, check=True
    )
    for noun in ("space", "campaign", "references", "build", "query", "db"):
        assert noun in done.stdout


def test_an_interrupted_command_says_how_to_go_on(
    campaign_file: Callable[..., Path], tmp_path: Path
) -> None:
    path = campaign_file()
    fifo = tmp_path / "space.yaml"
    os.mkfifo(fifo)  # reading it waits for ever: a moment to press Ctrl-C
    process = subprocess.Popen(  # noqa: S603 - our own command
        [HTS, "space", "count", fifo], stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    # Opening the other end returns once the command has opened its own.
    with fifo.open("w"):
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "error: interrupted; run the same command again to go on\n"
    assert path.exists()
