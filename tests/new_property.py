"""What a property that was added to a copy of the package answers."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

from server_client import ServerClient
from typer.testing import CliRunner

from hts_battery.builders.registry import collections_of
from hts_battery.campaign.build import build_all
from hts_battery.cli.app import app
from hts_battery.connections.database.bounded_reader import BoundedReader, readable
from hts_battery.connections.database.stores import screening_stores
from hts_battery.dashboard.latest_build import LatestBuildCache
from hts_battery.dashboard.page_fields import axes_of, title
from hts_battery.dashboard.server import ServerOptions, create_server
from hts_battery.query import ScreeningDatabase
from hts_battery.query.exports import ExportFormat
from hts_battery.query.snapshots import exported
from hts_battery.settings import get_settings

NAME = "mean_mass"
FILTER = "mean_mass > 10 AND NOT mean_mass > 50"
TEMPERATURES = (0.0, 1473.0)


def command(*words: str) -> str:
    found = CliRunner().invoke(app, list(words))
    assert found.exit_code == 0, found.output
    return found.output


def night(stores: object) -> dict[str, list[int]]:
    reports = build_all(stores, temperatures=TEMPERATURES)  # type: ignore[arg-type]
    return {name: [one.written, one.unchanged] for name, one in reports.items()}


def main(folder: Path) -> None:  # noqa: PLR0915 - every face once
    answers: dict[str, object] = {}
    with screening_stores(get_settings()) as stores:
        answers["first"] = night(stores)
        answers["second"] = night(stores)
        # There in the copy alone: this file is collected, too.
        made_up = import_module("hts_battery.builders.properties.mean_mass")
        made_up.MeanMassBuilder.code_version = "2"
        answers["new version"] = night(stores)
        doc = stores.properties.query_one({"name": NAME})
        answers["document"] = [doc["unit"], doc["provenance"]["code_version"]]
        screening = ScreeningDatabase(stores)
        answers["python"] = screening.count(FILTER)
        frame = screening.to_frame(FILTER, fields=["formula", NAME], sort=[f"-{NAME}"])
        answers["frame"] = frame[NAME].tolist()
        answers["all columns"] = NAME in screening.to_frame().columns
        for file_format in (ExportFormat.CSV, ExportFormat.PARQUET):
            path = folder / f"export.{file_format}"
            _, save = exported(stores, file_format=file_format)
            answers[str(file_format)] = save(path).units[NAME]
        answers["CSV heading"] = (folder / "export.csv").read_text().splitlines()[0]
        server = create_server(stores.database, ServerOptions())
        api = ServerClient(server, "http://127.0.0.1:8050/api/v1/")
        listed = api.get("fields").json()["data"]
        answers["api field"] = next(one for one in listed if one["name"] == NAME)
        values = api.get("values", params={"fields": NAME, "filter": FILTER}).json()
        answers["api values"] = [[one[NAME] for one in values["data"]], values["units"]]
        optimade = ServerClient(server, "http://127.0.0.1:8050/optimade/v1/")
        asked = {"filter": "_hts_mean_mass>10", "response_fields": "_hts_mean_mass"}
        data = optimade.get("structures", params=asked).json()["data"]
        answers["optimade"] = [one["attributes"]["_hts_mean_mass"] for one in data]
        info = optimade.get("info/structures").json()["data"]["properties"]
        answers["optimade info"] = info["_hts_mean_mass"]["unit"]
        reader = BoundedReader(stores.database, readable(collections_of("writes")))
        table = LatestBuildCache(reader).get().table
        answers["axis"] = title(axes_of(table)[NAME])
    found = command("query", "find", "--filter", FILTER, "--fields", NAME, "--json")
    answers["command line"] = [json.loads(line)[NAME] for line in found.splitlines()]
    answers["table"] = command("query", "find", "--fields", f"formula,{NAME}")
    answers["builders"] = command("build", "mean-mass", "--json")
    print(json.dumps(answers))  # noqa: T201 - what the test reads


if __name__ == "__main__":
    main(Path(sys.argv[1]))
