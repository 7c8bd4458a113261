"""The configuration of a worker: templates filled from the environment."""

from __future__ import annotations

from string import Template
from typing import TYPE_CHECKING

import yaml

from hts_battery.connections.durable_files import write_whole
from hts_battery.connections.workers.keys import refuse_unknown_keys
from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TEMPLATE_NAMES = (
    "my_launchpad.yaml",
    "my_fworker.yaml",
    "my_qadapter.yaml",
    "FW_config.yaml",
    "jobflow.yaml",
    "atomate2.yaml",
)
"""Files of every worker."""
SCRIPT_NAME = "queue_script.txt"
"""Template of the queue script, where FireWorks' own lacks something."""

_GIVEN = frozenset({"CONFIG_DIR", "WORKER"})
_NEVER_EMPTY = "HTS_BATTERY_"
_NAME = "${WORKER}"

type_tree = dict[str, "type_tree"] | list["type_tree"] | str | int | float | bool | None


def worker_names(templates: Path) -> tuple[str, ...]:
    """Return the workers that have a folder of templates."""
    return tuple(
        sorted(path.parent.name for path in templates.glob("*/my_fworker.yaml"))
    )


def worker_variables(templates: Path, worker: str) -> tuple[str, ...]:
    """Return the environment variables that the templates of a worker ask for."""
    return tuple(sorted(_variables(_read_templates(templates, worker)) - _GIVEN))


def render_worker(
    templates: Path, worker: str, target: Path, environment: Mapping[str, str]
) -> tuple[Path, ...]:
    """
    Fill the templates of a worker and write them where only the user can read them.

    Variables stand in the values of the templates, never in their structure, so no
    value can add a key. A key whose value is nothing but a variable set to nothing is
    left out, and with it its line of a queue script. ``${CONFIG_DIR}`` and
    ``${WORKER}`` are given: the target folder, outside of the repository because the
    files hold the URI, and the name of the worker. Returns the files written.

    Raises
    ------
    ConfigurationError
        If the worker is unknown, a template holds a key that nobody accepts, variables
        are missing, or the target lies inside a repository.
    """
    target = target.expanduser().absolute()
    _refuse_repository(target, templates)
    trees = _read_templates(templates, worker)
    given = {**environment, "CONFIG_DIR": str(target), "WORKER": worker}
    _refuse_missing(_variables(trees), given, worker)
    texts = {
        name: f"# Made from launchpad_configs/{worker}/{name}\n"
        + yaml.safe_dump(_fill(tree, given), sort_keys=False, width=1000)
        for name, tree in trees.items()
    }
    if script := _own_script(templates, worker):
        texts[SCRIPT_NAME] = script
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, text in texts.items():
        write_whole(target / name, text, mode=0o600)
    return tuple(target / name for name in texts)


def _read_templates(templates: Path, worker: str) -> dict[str, type_tree]:
    """Read the templates of a worker as trees."""
    if worker not in worker_names(templates):
        names = ", ".join(worker_names(templates)) or "none"
        raise ConfigurationError(
            f"no worker {worker} in {templates}; there is: {names}"
        )
    trees: dict[str, type_tree] = {}
    for name in TEMPLATE_NAMES:
        path = templates / worker / name
        try:
            trees[name] = yaml.safe_load(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ConfigurationError(f"worker {worker} lacks {path}") from None
        except yaml.YAMLError as err:
            raise ConfigurationError(f"{path}: {err}") from err
    _check_keys(templates, worker, trees)
    return trees


def _check_keys(templates: Path, worker: str, trees: Mapping[str, type_tree]) -> None:
    """Refuse a template with a key that nobody reads."""
    for name, tree in trees.items():
        if not isinstance(tree, dict):
            raise ConfigurationError(
                f"{templates / worker / name}: write 'key: value' lines"
            )
        try:
            refuse_unknown_keys(name, tree, script=_own_script(templates, worker))
        except ConfigurationError as err:
            raise ConfigurationError(f"{templates / worker}/{err}") from None
    routed = trees["my_fworker.yaml"]
    if isinstance(routed, dict) and routed.get("name") not in (_NAME, worker):
        raise ConfigurationError(
            f"{templates / worker / 'my_fworker.yaml'}: the name must be {_NAME}, "
            "because jobs are routed by the name of the folder"
        )


def _own_script(templates: Path, worker: str) -> str:
    """Read the template of the queue script that a worker brings; often none."""
    path = templates / worker / SCRIPT_NAME
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _variables(tree: type_tree) -> set[str]:
    """Collect the variables of every value of a tree."""
    if isinstance(tree, dict):
        return set().union(*(_variables(value) for value in tree.values()))
    if isinstance(tree, list):
        return set().union(*(_variables(value) for value in tree))
    return set(Template(tree).get_identifiers()) if isinstance(tree, str) else set()


def _fill(tree: type_tree, given: Mapping[str, str]) -> type_tree:
    """Replace the variables in every value of a tree."""
    if isinstance(tree, dict):
        filled = {key: _fill(value, given) for key, value in tree.items()}
        return {
            key: value for key, value in filled.items() if value != "" or not tree[key]
        }
    if isinstance(tree, list):
        return [_fill(value, given) for value in tree]
    if not isinstance(tree, str):
        return tree
    return Template(tree).substitute(given)


def _refuse_missing(names: set[str], given: Mapping[str, str], worker: str) -> None:
    """Name every variable that is missing, at once."""
    missing = sorted(
        name
        for name in names
        if name not in given or (name.startswith(_NEVER_EMPTY) and not given[name])
    )
    if missing:
        raise ConfigurationError(
            f"worker {worker} needs these environment variables: {', '.join(missing)} "
            f"(launchpad_configs/{worker}/README.md says what they mean)"
        )


def _refuse_repository(target: Path, templates: Path) -> None:
    """Keep files with credentials out of anything that may be committed."""
    for folder in (target.resolve(), *target.resolve().parents):
        if folder == templates.resolve().parent or (folder / ".git").exists():
            raise ConfigurationError(
                f"{target} lies inside the repository {folder}, and the rendered files "
                "hold the URI of the database: choose a folder outside"
            )
