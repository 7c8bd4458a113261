"""One database, built by what a user types, and everything that was answered."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shlex
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest import mock

import jobflow
import pytest
import yaml
from fakes import fake_reference_energies
from fireworks import FWorker, LaunchPad
from fireworks.core.rocket_launcher import rapidfire
from golden.package import named
from golden.recording import plain, renamed_command
from golden.spread import FakeSpreadRelaxMaker
from golden.story import FILES, FIRST, chapters
from pymongo import MongoClient

from hts_battery import get_settings
from hts_battery.cli.app import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FAKES = {
    "fake": FakeSpreadRelaxMaker(energy_per_atom=-2.35),
    "deeper": FakeSpreadRelaxMaker(energy_per_atom=-2.45),
    "broken": FakeSpreadRelaxMaker(error="no licence", error_with="F"),
}
"""Engine → what relaxes with it."""
EXPORT = ("query", "export", "--output", "rows.csv", "--campaign", "small")
"""Typed before questions are asked, one of which is about the file."""


@dataclass(frozen=True)
class Answer:
    """What one command printed, and how it ended."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class World:
    """
    A folder with campaign files, and a database.

    Parameters
    ----------
    folder
        Where the commands are called.
    settings
        What is set for hts_battery there, by the names of its variables.
    """

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    engines: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, dict[str, Answer]] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        return self.settings["MONGO_URI"]

    @property
    def database(self) -> str:
        return self.settings["DATABASE"]

    def begin(self, project: Path) -> None:
        """Write the files and make the engines."""
        for name, text in FILES.items():
            (self.folder / name).write_text(text, encoding="utf-8")
        (self.folder / "empty").mkdir()
        (self.folder / "launchpad_configs").symlink_to(project / "launchpad_configs")
        engine = named("Engine")
        for name, maker in FAKES.items():
            self.write_references(f"{name}.json", name)
            self.engines[name] = engine(
                name=name,
                packages=("pymatgen",),
                relax_maker=lambda _relaxation, maker=maker: maker,
                extra="none",
            )
        self.write_references("changed.json", "fake", lowered={"TiO2": 0.15})

    @contextlib.contextmanager
    def entered(self, **changed: str | None) -> Iterator[None]:
        """Be in the folder with the settings, some changed, and nothing else set."""
        values = {"DATA_DIR": str(self.folder / "hts-data"), **self.settings, **changed}
        (self.folder / "none.yaml").write_text("{}\n", encoding="utf-8")
        values["CONFIG_FILE"] = str(self.folder / "none.yaml")
        with pytest.MonkeyPatch.context() as patch, contextlib.chdir(self.folder):
            for name in [one for one in os.environ if one.startswith("HTS_")]:
                patch.delenv(name)
            for name, value in values.items():
                if value is not None:
                    patch.setenv(f"HTS_BATTERY_{name}", value)
            patch.setenv("COLUMNS", "120")
            patch.setenv("LOGNAME", "operator")
            for name, engine in self.engines.items():
                patch.setitem(named("ENGINES"), name, engine)
            get_settings.cache_clear()
            yield
        get_settings.cache_clear()

    def write_references(
        self, file: str, engine: str, lowered: dict[str, float] | None = None
    ) -> None:
        """Write reference energies as a user's file holds them."""
        energies = [
            one.model_dump(mode="json")
            | {
                "energy_per_atom": one.energy_per_atom
                - (lowered or {}).get(one.formula, 0.0)
            }
            for one in fake_reference_energies(engine)
            if not lowered or one.formula in lowered
        ]
        content = {
            "engine": engine,
            "settings": {"fmax": 0.05, "steps": 500, "relax_cell": True},
            "versions": energies[0]["versions"],
            "created": "2026-11-01T00:00:00Z",
            "energies": energies,
        }
        (self.folder / file).write_text(json.dumps(content), encoding="utf-8")

    def hts(self, *words: str, **changed: str | None) -> Answer:
        """Call the command line in this process."""
        out, err, status = io.StringIO(), io.StringIO(), 0
        with (
            self.entered(**changed),
            mock.patch.object(sys, "argv", ["hts", *words]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                main()
            except SystemExit as end:
                status = int(end.code or 0)
        return Answer(status, out.getvalue(), err.getvalue())

    def tell(self) -> None:
        """Go through the story; keep every answer."""
        changes: dict[str, dict[str, str | None]] = {
            # Nobody listens at the address.
            "restored": {
                "DATABASE": f"{self.database}_again",
                "NOTIFY_URLS": "json://127.0.0.1:9/",
            },
            "server": {"MONGO_URI": None},
        }
        for chapter, commands in chapters().items():
            if chapter == "query":
                self.hts(
                    *["query", "export", "--output", "rows.csv", "--campaign", "small"]
                )
            kept = self.answers.setdefault(chapter, {})
            for key, line in commands.items():
                if line == "(launch)":
                    self._launch()
                elif command := renamed_command(line):
                    words = (*self._words(command), "--json")
                    kept[key] = self.hts(*words, **changes.get(chapter, {}))

    def _words(self, command: str) -> list[str]:
        return shlex.split(
            command.replace(FIRST, self.first) if FIRST in command else command
        )

    @property
    def first(self) -> str:
        """Id of the first candidate, as the command line says it."""
        formula = "Li1.2Mn0.4Ti0.4O2"
        (index,) = self.hts("space", "index", "small.yaml", formula, "--json").lines
        words = f"space list small.yaml --offset {index['index']} --limit 1 --json"
        (row,) = self.hts(*words.split()).lines
        return str(row["candidate_id"])

    def _launch(self) -> None:
        """Run what waits in the launchpad, as a worker does."""
        config = self.folder / "launching"
        self.hts("launchpad", "render", "local", "--target", str(config))
        content = yaml.safe_load((config / "jobflow.yaml").read_text("utf-8"))
        store = jobflow.JobStore.from_dict_spec(content["JOB_STORE"])
        launches = self.folder / "queue"
        launches.mkdir(exist_ok=True)
        quiet = {"strm_lvl": "CRITICAL"}
        launchpad = LaunchPad(self.uri, name=self.database, uri_mode=True, **quiet)
        with (
            self.entered(),
            mock.patch.object(jobflow.SETTINGS, "JOB_STORE", store),
        ):
            rapidfire(launchpad, FWorker(name="here"), m_dir=str(launches), **quiet)
        launchpad.connection.close()
        store.close()

    def drop(self) -> None:
        """Delete what was written into a server that outlives this run."""
        if os.environ.get("HTS_BATTERY_TEST_MONGO_URI"):
            with MongoClient(self.uri) as client:
                client.drop_database(self.database)
                client.drop_database(f"{self.database}_again")

    def plain(self, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        """Return a value as it is recorded."""
        replaced = {
            str(self.folder): "<folder>",
            self.uri: "<uri>",
            self.database: "<database>",
        }
        return plain(value, replaced)
