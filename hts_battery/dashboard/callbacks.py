"""What a browser sends to have a page changed: checked before Dash sees it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypedDict

from dash.exceptions import PreventUpdate
from pydantic import BaseModel, ValidationError, validate_call

from hts_battery.errors import HTSBatteryError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence


class _Property(BaseModel):
    """One property of a component of the page, with its value."""

    id: str
    property: str
    value: Any = None


class _Body(BaseModel):
    """What Dash's own script sends."""

    output: str
    inputs: list[_Property]
    state: list[_Property] = []
    changedPropIds: list[str] = []  # noqa: N815 - the name on the wire


class CallbackRow(TypedDict, total=False):
    """What Dash knows of a callback."""

    callback: Callable[..., object]
    output: Any
    inputs: Sequence[Mapping[str, str]]
    state: Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class CallbackCheck:
    """
    Rebuild the request for a callback from the callback itself and the values sent.

    ``known``: Dash's callbacks by the id of their output.
    """

    known: Mapping[str, CallbackRow]

    def __call__(self, body: bytes) -> bytes | None:
        """Return the body as it should be; none if no page could have sent it."""
        try:
            asked = _Body.model_validate_json(body)
        except ValidationError:
            return None
        spec = self.known.get(asked.output)
        if spec is None or "callback" not in spec:
            return None
        for given, expected in (
            (asked.inputs, spec["inputs"]),
            (asked.state, spec["state"]),
        ):
            if [(one.id, one.property) for one in given] != _names(expected):
                return None
        inputs = {f"{one.id}.{one.property}" for one in asked.inputs}
        return json.dumps(
            {
                "output": asked.output,
                "outputs": _outputs(spec["output"]),
                "inputs": [one.model_dump() for one in asked.inputs],
                "state": [one.model_dump() for one in asked.state],
                "changedPropIds": [
                    name for name in asked.changedPropIds if name in inputs
                ],
            }
        ).encode()


def _names(properties: Sequence[Mapping[str, str]]) -> list[tuple[str, str]]:
    return [(one["id"], one["property"]) for one in properties]


def _outputs(output: Any) -> Any:  # noqa: ANN401 - an Output of Dash, or several
    if isinstance(output, list | tuple):
        return [_outputs(one) for one in output]
    return {"id": output.component_id, "property": output.component_property}


def in_thread(function: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """
    Run a callback beside the server, on arguments of the types it declares.

    A value of another type, which only somebody else's script sends, changes nothing;
    nor does what cannot be answered now.

    ``function``: with annotated parameters.
    """
    # Only what comes in is checked; what goes out need not even be importable.
    function.__annotations__.pop("return", None)
    checked = validate_call(function)

    @wraps(function)
    async def callback(*args: Any) -> Any:  # noqa: ANN401 - whatever the page holds
        try:
            return await asyncio.to_thread(checked, *args)
        except (ValidationError, HTSBatteryError):
            raise PreventUpdate from None

    return callback
