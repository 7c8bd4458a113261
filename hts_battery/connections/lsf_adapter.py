"""FireWorks' queue adapter for LSF, which takes time limits without seconds."""

from __future__ import annotations

from typing import Any

from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter


class LSFAdapter(CommonAdapter):
    """An adapter that passes on the time a Firework asks for, as hours and minutes."""

    _fw_name = "{{hts_battery.connections.lsf_adapter.LSFAdapter}}"

    def get_script_str(self, launch_dir: str) -> Any:  # noqa: ANN401 - untyped there
        """Write the queue script; ``walltime`` replaces the worker's ``run_limit``."""
        asked = self.pop("walltime", None)
        if asked is not None:
            self["run_limit"] = str(asked).rpartition(":")[0]
        return super().get_script_str(launch_dir)  # type: ignore[no-untyped-call]
