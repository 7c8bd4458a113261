"""The configuration of a worker: templates filled from the environment."""

from __future__ import annotations

import importlib
import inspect
import warnings
from difflib import get_close_matches
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import maggma.stores
from atomate2.settings import Atomate2Settings
from fireworks import FWorker, LaunchPad, fw_config
from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter
from fireworks.utilities.fw_serializers import load_object
from jobflow import JobStore
from jobflow.settings import JobflowSettings

from hts_battery.connections.durable_files import write_whole
from hts_battery.connections.workers.queue_adapters import (
    LEAVE_OUT,
    QueueAdapter,
    listed,
)
from hts_battery.connections.workers.queue_scripts import (
    PLACEHOLDER,
    SHELL_KEYS,
    fill_option,
    fill_shell,
    missing_values,
)
from hts_battery.connections.workers.worker_files import (
    as_written,
    read_worker_file,
    written,
)
from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hts_battery.connections.workers.worker_files import type_tree

    type_content = Mapping[str, object]

_GIVEN_BY_FIREWORKS = frozenset({"launch_dir"})
# What CommonAdapter reads beside the placeholders of its script.
_ADAPTER = frozenset({
    "_fw_name",
    "_fw_q_type",
    "_fw_q_name",
    "_fw_template_file",
    "_fw_timeout",
    "_q_commands_override",
    LEAVE_OUT,
    "logdir",
})  # fmt: skip
# Read by fw_config beside its own globals.
_FW_CONFIG_EXTRA = frozenset({"ADD_USER_PACKAGES", "ECHO_TEST"})
_STORE = frozenset({"type", "@module", "@class", "@version"})


def refuse_unknown_keys(file: str, content: type_content, *, script: str = "") -> None:
    """
    Refuse a configuration file with a key that its reader would ignore or refuse.

    The file is my_launchpad.yaml, my_fworker.yaml, my_qadapter.yaml, FW_config.yaml,
    jobflow.yaml or atomate2.yaml; a worker may have its own queue script. The error
    names file, key and the nearest accepted one.

    Examples
    --------
    >>> refuse_unknown_keys("my_fworker.yaml", {"names": "local"})
    Traceback (most recent call last):
    ...
    hts_battery.errors.ConfigurationError: my_fworker.yaml: names is not accepted; \
did you mean name?
    """
    if file == "my_qadapter.yaml":
        _refuse(file, content, adapter_keys(content, script))
        return
    accepted: dict[str, Callable[[], Iterable[str]]] = {
        "my_launchpad.yaml": lambda: _parameters(LaunchPad),
        "my_fworker.yaml": lambda: FWorker().to_dict(),
        "FW_config.yaml": lambda: {*fw_config.config_to_dict(), *_FW_CONFIG_EXTRA},
        "jobflow.yaml": lambda: JobflowSettings.model_fields,
        "atomate2.yaml": lambda: Atomate2Settings.model_fields,
    }
    _refuse(file, content, accepted[file]())
    store = content.get("JOB_STORE")
    if file == "jobflow.yaml" and isinstance(store, dict):
        _refuse_store(f"{file}: JOB_STORE", store, JobStore)


def adapter_keys(content: type_content, script: str = "") -> frozenset[str]:
    """
    Return what may stand in my_qadapter.yaml and in ``_queueadapter`` of a Firework.

    Without a script the template is FireWorks' own for the queue that the file names;
    ConfigurationError if it knows no such queue.
    """
    queue = str(content.get("_fw_q_type"))
    if queue not in CommonAdapter.default_q_commands:
        known = ", ".join(CommonAdapter.default_q_commands)
        raise ConfigurationError(
            f"my_qadapter.yaml: FireWorks knows no queue {queue}; it knows {known}"
        )
    template = script or Path(CommonAdapter(queue).template_file).read_text("utf-8")
    return _ADAPTER | set(PLACEHOLDER.findall(template)) - _GIVEN_BY_FIREWORKS


def _refuse_store(place: str, content: type_content, kind: type) -> None:
    """Follow a store's description into the stores that it is made of."""
    _refuse(place, content, _STORE | _parameters(kind))
    parts = {"docs_store": content.get("docs_store"), "index": content.get("index")}
    more = content.get("additional_stores")
    parts |= more if isinstance(more, dict) else {}
    for name, part in parts.items():
        if isinstance(part, dict):
            _refuse_store(f"{place}.{name}", part, _store_class(place, name, part))


def _store_class(place: str, name: str, part: type_content) -> type:
    """Find the class of a store as jobflow does, by type or by module and class."""
    module = importlib.import_module(str(part.get("@module", maggma.stores.__name__)))
    wanted = str(part.get("@class", part.get("type")))
    known = [key for key, value in vars(module).items() if inspect.isclass(value)]
    if wanted not in known:
        near = get_close_matches(wanted, known, n=1, cutoff=0.0)[0]
        raise ConfigurationError(
            f"{place}.{name}: there is no store {wanted}; did you mean {near}?"
        )
    found: type = vars(module)[wanted]
    return found


def _parameters(kind: type) -> set[str]:
    """Collect what a class takes, those of its parents where it hands them on."""
    names: set[str] = set()
    for one in kind.__mro__:
        if "__init__" not in vars(one) or one is object:
            continue
        given = inspect.signature(vars(one)["__init__"]).parameters.values()
        names |= {
            item.name
            for item in given
            if item.kind not in (item.VAR_KEYWORD, item.VAR_POSITIONAL)
        }
        if not any(item.kind is item.VAR_KEYWORD for item in given):
            break
    return names - {"self"}


def _refuse(place: str, content: type_content, accepted: Iterable[str]) -> None:
    known = sorted(accepted)
    for key in content:
        if key not in known:
            near = get_close_matches(key, known, n=1, cutoff=0.0)[0]
            raise ConfigurationError(
                f"{place}: {key} is not accepted; did you mean {near}?"
            )


TEMPLATE_NAMES = (
    "my_launchpad.yaml",
    "my_fworker.yaml",
    "my_qadapter.yaml",
    "FW_config.yaml",
    "jobflow.yaml",
    "atomate2.yaml",
)
"""Files of every worker."""
ADAPTER_NAME = "my_qadapter.yaml"
SCRIPT_NAME = "queue_script.txt"
"""Template of the queue script, where FireWorks' own lacks something."""
_GIVEN = frozenset({"CONFIG_DIR", "WORKER"})
_NEVER_EMPTY = "HTS_BATTERY_"
_NAME = "${WORKER}"
_OWN_TEMPLATE = "_fw_template_file"


def worker_names(templates: Path) -> tuple[str, ...]:
    """Return the workers that have a folder of templates."""
    return tuple(
        sorted(path.parent.name for path in templates.glob("*/my_fworker.yaml"))
    )


def worker_variables(templates: Path, worker: str) -> tuple[str, ...]:
    """Return the environment variables that the templates of a worker ask for."""
    return tuple(sorted(_variables(_read_templates(templates, worker)) - _GIVEN))


def queue_keys(templates: Path, worker: str) -> frozenset[str] | None:
    """Return what a queue job of a worker may ask for; none where it has no folder."""
    if worker not in worker_names(templates):
        return None
    content = _read_templates(templates, worker)["my_qadapter.yaml"]
    if not isinstance(content, dict):
        return None
    keys = adapter_keys(content, _own_script(templates, worker))
    return frozenset(key for key in keys if not key.startswith("_"))


def render_worker(
    templates: Path, worker: str, target: Path, environment: Mapping[str, str]
) -> tuple[Path, ...]:
    """
    Fill the templates of a worker and write them where only the user can read them.

    Variables stand in the values of the templates, never in their structure, so no
    value can add a key. A key whose value is nothing but a variable set to nothing is
    left out, and with it its line of a queue script. What goes into a line of shell is
    quoted, what goes into an option of a queue is refused if it would be another one,
    and the script that FireWorks makes holds every value. ``${CONFIG_DIR}`` and
    ``${WORKER}`` are given: the target folder, outside of the repository because the
    files hold the URI, and the name of the worker. Returns the files written.

    Raises
    ------
    ConfigurationError
        If the worker is unknown, a template holds a key that nobody accepts, variables
        are missing or hold what cannot stand in their place, a value would not stand in
        the queue script, or the target lies inside a repository.
    """
    target = target.expanduser().absolute()
    _refuse_repository(target, templates)
    trees = _read_templates(templates, worker)
    given = {**environment, "CONFIG_DIR": str(target), "WORKER": worker}
    _refuse_missing(_variables(trees), given, worker)
    filled = {
        name: _filled(templates / worker / name, tree, given)
        for name, tree in trees.items()
    }
    script = _own_script(templates, worker)
    _refuse_lost_values(templates / worker, filled[ADAPTER_NAME], script)
    texts = {
        name: f"# Made from launchpad_configs/{worker}/{name}\n{written(tree)}"
        for name, tree in filled.items()
    }
    if script:
        texts[SCRIPT_NAME] = script
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, text in texts.items():
        write_whole(target / name, text, mode=0o600)
    return tuple(target / name for name in texts)


def refuse_unmet_request(
    templates: Path, worker: str, request: type_content
) -> tuple[str, ...]:
    """
    Refuse a worker whose queue script would not hold what a Firework asks for.

    Returns what the worker leaves out on purpose. What is filled in when the worker is
    rendered is taken as given.

    Raises
    ------
    ConfigurationError
        If something has no place in the script, with what to set.
    """
    content = _read_templates(templates, worker)[ADAPTER_NAME]
    given = dict.fromkeys(_variables(content), "1")
    filled = _filled(Path(ADAPTER_NAME), content, given)
    script = _own_script(templates, worker)
    if not isinstance(filled, dict):
        return ()  # refused when it was read
    left_out = listed(filled.get(LEAVE_OUT))
    asked = {key: value for key, value in request.items() if key not in left_out}
    lost = lost_values({**filled, **asked}, script)
    if lost:
        raise ConfigurationError(
            f"worker {worker} cannot ask its queue for what is needed: "
            f"{'; '.join(lost)}. In {templates / worker}/{ADAPTER_NAME} set _fw_name: "
            f"'{QueueAdapter._fw_name}' with a {SCRIPT_NAME} that has a line for it "  # noqa: SLF001 - FireWorks' own name of a class
            f"(see {templates}/pbs), or {LEAVE_OUT}: [{', '.join(asked)}] where the "
            "queue gives it anyway"
        )
    return tuple(key for key in request if key in left_out)


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
            tree = read_worker_file(path)
        except FileNotFoundError:
            raise ConfigurationError(f"worker {worker} lacks {path}") from None
        if name == ADAPTER_NAME and isinstance(tree, dict):
            texts = as_written(path)
            tree |= {key: texts[key] for key in texts if not key.startswith("_")}
        trees[name] = tree
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


def _filled(path: Path, tree: type_tree, given: Mapping[str, str]) -> type_tree:
    """Replace the variables of a template; an error says the file."""
    try:
        if path.name != ADAPTER_NAME or not isinstance(tree, dict):
            return _fill(tree, given)
        return _without_empty(
            tree,
            {
                key: _fill_place(key, value, given)
                if isinstance(value, str) and not key.startswith("_")
                else _fill(value, given)
                for key, value in tree.items()
            },
        )
    except (ConfigurationError, ValueError) as err:
        raise ConfigurationError(f"{path}: {err}") from err


def _fill_place(key: str, value: str, given: Mapping[str, str]) -> str:
    fill = fill_shell if key in SHELL_KEYS else fill_option
    try:
        return fill(value, given)
    except (ConfigurationError, ValueError) as err:
        raise ConfigurationError(f"{key}: {err}") from err


def _fill(tree: type_tree, given: Mapping[str, str]) -> type_tree:
    """Replace the variables in every value of a tree."""
    if isinstance(tree, dict):
        filled = {key: _fill(value, given) for key, value in tree.items()}
        return _without_empty(tree, filled)
    if isinstance(tree, list):
        return [_fill(value, given) for value in tree]
    if not isinstance(tree, str):
        return tree
    return Template(tree).substitute(given)


def _without_empty(
    tree: Mapping[str, type_tree], filled: Mapping[str, type_tree]
) -> dict[str, type_tree]:
    return {key: value for key, value in filled.items() if value != "" or not tree[key]}


def _refuse_lost_values(folder: Path, content: type_tree, script: str) -> None:
    """Let FireWorks write a queue script, and refuse a value that it leaves out."""
    if not isinstance(content, dict):
        return
    lost = lost_values(content, script)
    if lost:
        raise ConfigurationError(f"{folder / ADAPTER_NAME}: {'; '.join(lost)}")


def lost_values(content: type_content, script: str = "") -> tuple[str, ...]:
    """
    Say which values of a filled my_qadapter.yaml FireWorks would leave out of a script.

    Without a script the template is FireWorks' own for the queue that the file names.
    """
    adapter = load_object({k: v for k, v in content.items() if k != _OWN_TEMPLATE})
    with TemporaryDirectory() as name:
        if script:
            adapter.template_file = str(Path(name) / SCRIPT_NAME)
            Path(adapter.template_file).write_text(script, encoding="utf-8")
        template = Path(adapter.template_file).read_text(encoding="utf-8")
        try:
            with warnings.catch_warnings():
                # Of a key without a place, which is what is asked here.
                warnings.filterwarnings("ignore", "Key .* has been", UserWarning)
                made = adapter.get_script_str(name)
        except ConfigurationError as err:
            return (str(err),)
    if isinstance(adapter, QueueAdapter):
        return ()  # it has asked itself
    return missing_values(dict(content), template, made)


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
