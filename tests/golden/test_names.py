"""Python's names: what the package exports, and what users' scripts call."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from golden.package import named
from golden.recording import renamed

import hts_battery

if TYPE_CHECKING:
    from collections.abc import Callable

    from golden.recording import Recording

CALLED_BY_FIELD_CASES = (
    *("import_rules", "render_worker", "Watcher", "classify", "loss", "larger_request"),
    *("policy_factors", "queue_request", "queue_rule", "evidence_in", "LostRun"),
    *("WhyLost", "Correction", "FailureClass", "imported_energies", "acquire_client"),
    *("release_client", "Evidence", "HTSBatteryError"),
)
"""What scripts of other people's situations import, from wherever it lives."""
EXPORTED = {
    "hts_battery": tuple(hts_battery.__all__),
    "hts_battery.compositions": ("CompositionSpace", "load_space"),
    "hts_battery.query": ("ScreeningDatabase",),
    "hts_battery.structures": ("order_candidate",),
    "hts_battery.thermo": ("Hull", "mixing_entropy", "nasicon_mixing_entropy"),
}
"""Package → what users import from it."""


def called(what: Any) -> Any:  # noqa: ANN401 - any callable
    """Describe how something is called: names, kinds and defaults of parameters."""
    if inspect.isclass(what):
        public = {name: one for name, one in vars(what).items() if name[0] != "_"}
        methods = {
            name: _parameters(getattr(what, name))
            for name, one in public.items()
            if inspect.isroutine(one)
        }
        has = {name for name in public if name not in methods and "model_" not in name}
        return {"made with": _parameters(what), "methods": methods, "has": sorted(has)}
    return _parameters(what)


def _parameters(what: Any) -> list[str]:  # noqa: ANN401 - any callable
    try:
        found = inspect.signature(what).parameters.values()
    except (TypeError, ValueError):
        return []
    return [str(one.replace(annotation=inspect.Parameter.empty)) for one in found]


def renamed_names(recorded: dict[str, Any]) -> dict[str, Any]:
    now = {renamed("name", name): one for name, one in recorded.items()}
    now.pop("", None)
    for name, one in now.items():
        methods = one.get("methods", {}) if isinstance(one, dict) else {}
        for method in list(methods):
            if not renamed("name", f"{name}.{method}"):
                del methods[method]
    return now


@pytest.mark.parametrize("room", EXPORTED)
def test_what_a_room_exports(recording: Callable[[str], Recording], room: str) -> None:
    module = import_module(room)
    names = {renamed("name", name) for name in EXPORTED[room]} - {""}
    found = {name: called(getattr(module, name)) for name in names}
    recording("names").check(room, found, now=renamed_names)


def test_the_settings(recording: Callable[[str], Recording]) -> None:
    fields = hts_battery.HTSBatterySettings.model_fields
    found = {name: str(one.get_default()) for name, one in fields.items()}
    recording("names").check("settings", found)


@pytest.mark.parametrize("name", CALLED_BY_FIELD_CASES)
def test_what_field_cases_call_is_there(name: str) -> None:
    if not renamed("name", name):
        pytest.skip("gone on purpose")
    assert callable(named(name))
