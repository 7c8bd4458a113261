"""What stands in a queue script: every value that was asked for, or an error."""

from __future__ import annotations

import re
from string import Template
from typing import TYPE_CHECKING

from fireworks.queue.queue_adapter import QScriptTemplate

from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

PLACEHOLDER = re.compile(r"\$\$\{([_a-zA-Z][_a-zA-Z0-9]*)\}")
"""Where a queue script takes a value from."""
SHELL_KEYS = ("pre_rocket", "rocket_launch", "post_rocket")
"""Keys of my_qadapter.yaml whose values are lines of shell; the others are options."""
_DROPS = "$$"  # FireWorks leaves out every line that holds it
_NEVER_IN_A_WORD = re.compile(r"[$`\x00-\x1f\x7f]")
_NEVER_IN_AN_OPTION = re.compile(r"[^!-~]|['\"`$;\\]")
_SAFE_WORD = re.compile(r"[\w@%+=:,./-]+", re.ASCII)
_SAID = 60


def fill_shell(text: str, given: Mapping[str, str]) -> str:
    r"""
    Put values into lines of shell, each quoted as its place asks.

    A line that is nothing but a variable is a line of shell of the operator's own and
    stays as it is. In a comment, where options of a queue stand, and between quotes
    nothing can be quoted again: what would end them is refused. ConfigurationError
    names the variable.

    Examples
    --------
    >>> print(fill_shell("${RUN}\nexport A=\"${X}\"; ls ${X}/b",
    ...     {"RUN": "module load vasp; cd $HOME", "X": "/my \"disk"}))
    module load vasp; cd $HOME
    export A="/my \"disk"; ls '/my "disk'/b
    """
    lines = text.split("\n")
    state, filled = "", []
    for line in lines:
        if not state and _is_a_variable(line):
            filled.append(_code(line, given))
            continue
        done, state = _fill_line(line, state, given)
        filled.append(done)
    return "\n".join(filled)


def fill_option(text: str, given: Mapping[str, str]) -> str:
    """Put values into an option of a queue; ConfigurationError names the variable."""
    for name in Template(text).get_identifiers():
        _refuse(name, given[name], _NEVER_IN_AN_OPTION, "an option of the queue")
    return Template(text).substitute(given)


def _is_a_variable(line: str) -> bool:
    return re.fullmatch(r"\s*\$(\w+|\{\w+\})\s*", line) is not None


def _code(line: str, given: Mapping[str, str]) -> str:
    (name,) = Template(line).get_identifiers()
    value = given[name]
    if _DROPS in value:
        raise ConfigurationError(
            f"{name}: FireWorks leaves out every line with $$: write ${{BASHPID}} for "
            f"the number of the process, or put the lines into a file and source that "
            f"({_shown(value)})"
        )
    _refuse(name, value, re.compile(r"[\x00-\x08\x0b-\x1f\x7f]"), "a line of shell")
    return Template(line).substitute(given)


def _fill_line(line: str, state: str, given: Mapping[str, str]) -> tuple[str, str]:
    """Fill one line; the state is the quote that is open before and after it."""
    done, last = "", 0
    for found in Template.pattern.finditer(line):
        between = line[last : found.start()]
        state = _state_after(between, state, before=line[: found.start()])
        done, last = done + between, found.end()
        name = found["named"] or found["braced"]
        if name is not None:
            done += _word(name, given[name], state)
        elif found["escaped"] is not None:
            done += "$"
        else:
            raise ConfigurationError(
                f"write $$ for a dollar sign that is not a variable: {_shown(line)}"
            )
    state = _state_after(line[last:], state, before=line)
    return done + line[last:], "" if state == "#" else state


def _state_after(text: str, state: str, *, before: str) -> str:
    """Say which quote is open after some text, or # inside a comment."""
    escaped = False
    start = len(before) - len(text) if before.endswith(text) else 0
    for number, sign in enumerate(text):
        if state == "#":
            break
        if escaped:
            escaped = False
        elif sign == "\\" and state != "'":
            escaped = True
        elif state:
            state = "" if sign == state else state
        elif sign in "'\"":
            state = sign
        elif sign == "#" and (before[: start + number][-1:] or " ") in " \t;":
            state = "#"
    return state


def _word(name: str, value: str, state: str) -> str:
    """Write a value where a word is meant, quoted as the state asks."""
    if state == "#":
        _refuse(name, value, _NEVER_IN_AN_OPTION, "an option of the queue")
        return value
    _refuse(name, value, _NEVER_IN_A_WORD, "a word of a line of shell")
    if state == "'":
        _refuse(name, value, re.compile("'"), "a text in single quotes")
        return value
    if state == '"':
        return re.sub(r'(["\\])', r"\\\1", value)
    if not value or _SAFE_WORD.fullmatch(value):
        return value
    home, rest = ("~/", value[2:]) if value.startswith("~/") else ("", value)
    return home + "'" + rest.replace("'", "'\"'\"'") + "'"


def _refuse(name: str, value: str, never: re.Pattern[str], place: str) -> None:
    found = never.search(value)
    if found is not None:
        raise ConfigurationError(
            f"{name} stands in {place}, which cannot hold {found.group()!r}: "
            f"{_shown(value)}"
        )


def _shown(value: str) -> str:
    text = repr(value)
    return text if len(text) <= _SAID else f"{text[: _SAID - 3]}..."


def missing_values(
    asked: Mapping[str, object], template: str, script: str
) -> tuple[str, ...]:
    """
    Say which values that were asked for do not stand in a queue script, and why.

    Parameters
    ----------
    asked
        What my_qadapter.yaml and a Firework ask for; keys that begin with _ are no
        values of the script.
    template
        Template of the script.
    script
        What FireWorks made of it.

    Examples
    --------
    >>> missing_values({"mem": "4G"}, "#PBS -l pmem=$${pmem}", "")
    ('mem: the queue script has no place for it',)
    """
    values = {
        key: str(value)
        for key, value in asked.items()
        if not key.startswith("_") and key != "logdir" and value is not None
    }
    written = set(script.splitlines())
    problems = []
    for key, value in values.items():
        places = [
            line for line in template.splitlines() if key in PLACEHOLDER.findall(line)
        ]
        if not places:
            problems.append(f"{key}: the queue script has no place for it")
        for place in places:
            lines = QScriptTemplate(place).safe_substitute(values).splitlines()
            lost = [line for line in lines if line not in written]
            if not lost:
                continue
            others = sorted(set(PLACEHOLDER.findall(place)) - set(values))
            if others:
                why = f"its line needs {', '.join(others)} too"
            elif _DROPS in value:
                why = "FireWorks leaves out every line with $$"
            else:
                why = f"the script holds another value than {_shown(value)}"
            problems.append(f"{key}: {why}")
    return tuple(dict.fromkeys(problems))
