"""A rendered worker as its launcher sees it: whom it takes, and what it asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import yaml
from fireworks import Firework, FWorker
from fireworks.utilities.fw_serializers import load_object
from fireworks.utilities.fw_utilities import get_slug

from hts_battery.connections.launchpad.scheduler import QueueScheduler
from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter

_BLANK = re.compile(r"\s")
# FireWorks' own, where FW_config.yaml of the worker leaves one out.
_DEFAULTS = {
    "RAPIDFIRE_SLEEP_SECS": "60",
    "QUEUE_UPDATE_INTERVAL": "5",
    "QUEUE_JOBNAME_MAXLEN": "20",
    "SUBMIT_SCRIPT_NAME": "FW_submit.script",
    "SORT_FWS": "",
}


@dataclass(frozen=True)
class QueueWorker:
    """
    The files of a rendered worker, read.

    Its ``FW_config.yaml`` counts, whatever the environment of this process names.
    """

    config: Path
    """Folder of its files."""
    fworker: FWorker
    """Which Fireworks it takes."""
    adapter: CommonAdapter
    """What its jobs ask for."""
    options: Mapping[str, object] = field(default_factory=dict)
    """Its FW_config.yaml."""

    @classmethod
    def read(cls, config: Path) -> QueueWorker:
        """
        Read the files of a rendered worker.

        Raises
        ------
        ConfigurationError
            If one is missing or cannot be read, with the file.
        """
        folder = config.expanduser().absolute()
        try:
            adapter = load_object(_content(folder / "my_qadapter.yaml"))
            worker = FWorker.from_dict(_content(folder / "my_fworker.yaml"))
        except (KeyError, TypeError, ValueError, ImportError) as err:
            raise ConfigurationError(
                f"{folder}: cannot be read as a worker ({type(err).__name__}: {err}); "
                "render it again"
            ) from err
        found = cls(folder, worker, adapter, _content(folder / "FW_config.yaml"))
        if "singleshot" not in adapter.get("rocket_launch", ""):
            raise ConfigurationError(
                f"{folder / 'my_qadapter.yaml'}: rocket_launch must be `rlaunch … "
                "singleshot`: each job runs the one Firework that was reserved for it"
            )
        return found

    @property
    def name(self) -> str:
        """Its name, by which Fireworks are routed to it."""
        return str(self.fworker.name)

    @property
    def scheduler(self) -> QueueScheduler:
        """Its queue."""
        return QueueScheduler(self.adapter)

    @property
    def pause_seconds(self) -> float:
        """Time between two looks, in s."""
        return float(self._option("RAPIDFIRE_SLEEP_SECS"))

    @property
    def update_seconds(self) -> float:
        """Time that its queue needs to know of a job, in s."""
        return float(self._option("QUEUE_UPDATE_INTERVAL"))

    @property
    def script_name(self) -> str:
        """Name of the file that is submitted."""
        return self._option("SUBMIT_SCRIPT_NAME")

    @property
    def newest_first(self) -> bool | None:
        """Whether the newest of one priority goes first; None where nobody cares."""
        return {"FILO": True, "FIFO": False}.get(self._option("SORT_FWS").upper())

    @property
    def is_offline(self) -> bool:
        """Whether its jobs do without the database."""
        return "--offline" in self.adapter["rocket_launch"]

    def job_name(self, firework: Firework, launch_id: int) -> str:
        """Name a job so that no other has its name, and people see what it is."""
        unique = f"f{firework.fw_id}l{launch_id}"
        room = int(self._option("QUEUE_JOBNAME_MAXLEN")) - len(unique) - 1
        slug = get_slug(firework.name)[: max(0, room)]
        return f"{unique}-{slug}" if slug else unique

    def script(
        self, firework: Firework, name: str, folder: Path, exclude: Sequence[str] = ()
    ) -> str:
        """
        Write the script of the job of one Firework, as FireWorks does.

        Raises
        ------
        ConfigurationError
            If nodes are to be left out and the queue cannot, or the folder holds a
            blank, which FireWorks' scripts do not quote.
        """
        if _BLANK.search(str(folder)):
            raise ConfigurationError(
                f"{folder}: a blank in the path of a launch folder ends the line of "
                "the queue script there; choose another with --launches"
            )
        # A copy: what one Firework asks for is its own.
        adapter = type(self.adapter).from_dict(self.adapter.to_dict())
        adapter.update(firework.spec.get("_queueadapter") or {})
        adapter.update(job_name=name)
        adapter["rocket_launch"] += f" --fw_id {firework.fw_id}"
        if exclude:
            key = self.scheduler.kind.exclude
            if key is None:
                raise ConfigurationError(
                    f"worker {self.name}: nodes cannot be excluded from jobs of "
                    f"{self.adapter.q_type} by us; write it into pre_rocket of "
                    f"{self.config / 'my_qadapter.yaml'}"
                )
            given = [one for one in (adapter.get(key), *exclude) if one]
            adapter[key] = ",".join(given)
        return str(adapter.get_script_str(str(folder)))

    def script_of_nothing(self, folder: Path) -> str:
        """Write the script of a job of no Firework: what every job asks for."""
        return self.script(Firework([], name="nothing", fw_id=0), "hts-check", folder)

    def _option(self, name: str) -> str:
        return str(self.options.get(name, _DEFAULTS[name]))


def _content(path: Path) -> dict[str, object]:
    """Read a file of a worker."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise ConfigurationError(
            f"{path}: {err.strerror}; `hts launchpad render` writes it"
        ) from None
    except yaml.YAMLError as err:
        raise ConfigurationError(f"{path}: {err}") from None
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path}: write 'key: value' lines")
    return content
