"""Every command with its options, and what each answers with --json."""

from __future__ import annotations

import re
from enum import EnumType
from typing import TYPE_CHECKING, Any

import pytest
import typer
from golden.recording import kind, renamed, renamed_command
from golden.story import KEPT, MEASURED, chapters

from hts_battery.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from golden.recording import Recording
    from golden.world import World

UNRECORDED: dict[str, str] = {
    "runner logs": "needs a runner: tests/cli/test_launching.py",
    "runner unit": "is full of paths: tests/operations/test_runner.py",
    "worker test": "needs a queue: tests/cli/test_launching.py",
}
"""Command that prints JSON and is not in the story → why."""
TOLD = [(chapter, key) for chapter, keys in chapters().items() for key in keys]


def commands() -> Iterator[tuple[str, Any]]:
    """Yield the words of every command, and what typer made of it."""

    def below(command: Any, words: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - typer's own
        for name, inner in getattr(command, "commands", {}).items():
            yield from below(inner, f"{words} {name}".strip())
        if not hasattr(command, "commands"):
            yield words, command

    return below(typer.main.get_command(app), "")


COMMANDS = dict(commands())


def parameters(command: Any) -> dict[str, Any]:  # noqa: ANN401 - typer's own
    """Describe what may be given to a command."""
    return {
        " ".join(one.opts): {
            "what": one.param_type_name,
            "type": _type(one.type_descriptor.annotation),
            "required": one.required,
            "default": None if one.default is None else str(one.default),
            "least": one.min,
            "most": one.max,
        }
        for one in command.params
    }


def _type(annotation: Any) -> list[str] | str:  # noqa: ANN401 - any type
    if isinstance(annotation, EnumType):
        return [str(one) for one in annotation]
    return getattr(annotation, "__name__", str(annotation))


def renamed_commands(recorded: dict[str, Any]) -> dict[str, Any]:
    return {
        renamed_command(words): {
            renamed("option", name): one
            for name, one in options.items()
            if renamed("option", name)
        }
        for words, options in recorded.items()
        if renamed_command(words)
    }


def test_the_commands_and_their_options(
    recording: Callable[[str], Recording],
) -> None:
    found = {words: parameters(command) for words, command in COMMANDS.items()}
    recording("commands").check("commands", found, now=renamed_commands)


def test_every_answer_in_json_is_recorded() -> None:
    lines = [renamed_command(line) for _, line in TOLD]
    has_json = {
        words for words, command in COMMANDS.items() if "--json" in parameters(command)
    }
    missing = {
        words
        for words in has_json - UNRECORDED.keys()
        if not any(re.match(rf"{re.escape(words)}( |$)", line) for line in lines)
    }
    assert not missing, "give these a line in tests/golden/story.py"
    assert UNRECORDED.keys() <= has_json


@pytest.mark.mongo
@pytest.mark.slow
@pytest.mark.parametrize(("chapter", "key"), [one for one in TOLD if one[1][0] != "("])
def test_the_answer(
    recording: Callable[[str], Recording], world: World, chapter: str, key: str
) -> None:
    answer = world.answers[chapter].get(key)
    if answer is None:
        pytest.skip("the command is gone")
    try:
        lines = world.plain(answer.lines)
    except ValueError:
        pytest.fail(f"no JSON: {answer.out}{answer.err}")
    kept = next((KEPT[words] for words in KEPT if key.startswith(words)), None)
    if kept is not None:
        lines = [
            {name: one if name in kept else kind(one) for name, one in line.items()}
            for line in lines
        ]
    if chapter in MEASURED:
        lines = [_unmeasured(line) for line in lines]
    recording(f"answers_{chapter}").check(
        key, {"status": answer.status, "lines": lines}
    )


def _unmeasured(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Leave out how long calculations took on this machine."""
    if isinstance(value, dict):
        return {
            name: kind(one) if "node_hours" in name else _unmeasured(one)
            for name, one in value.items()
        }
    return value
