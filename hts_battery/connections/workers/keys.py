"""Which keys the files of a worker may hold: those that their readers accept."""

from __future__ import annotations

import importlib
import inspect
import re
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import maggma.stores
from atomate2.settings import Atomate2Settings
from fireworks import FWorker, LaunchPad, fw_config
from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter
from jobflow import JobStore
from jobflow.settings import JobflowSettings

from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    type_content = Mapping[str, Any]

_PLACEHOLDER = re.compile(r"\$\$\{([_a-zA-Z][_a-zA-Z0-9]*)\}")
_GIVEN_BY_FIREWORKS = frozenset({"launch_dir"})
# What CommonAdapter reads beside the placeholders of its script.
_ADAPTER = frozenset({
    "_fw_name",
    "_fw_q_type",
    "_fw_q_name",
    "_fw_template_file",
    "_fw_timeout",
    "_q_commands_override",
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
    if file == "jobflow.yaml" and isinstance(content.get("JOB_STORE"), dict):
        _refuse_store(f"{file}: JOB_STORE", content["JOB_STORE"], JobStore)


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
    return _ADAPTER | set(_PLACEHOLDER.findall(template)) - _GIVEN_BY_FIREWORKS


def _refuse_store(place: str, content: type_content, kind: type) -> None:
    """Follow a store's description into the stores that it is made of."""
    _refuse(place, content, _STORE | _parameters(kind))
    parts = {"docs_store": content.get("docs_store"), "index": content.get("index")}
    parts |= dict(content.get("additional_stores") or {})
    for name, part in parts.items():
        if isinstance(part, dict):
            _refuse_store(f"{place}.{name}", part, _store_class(place, name, part))


def _store_class(place: str, name: str, part: type_content) -> type:
    """Find the class of a store as jobflow does, by type or by module and class."""
    module = importlib.import_module(part.get("@module", maggma.stores.__name__))
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
