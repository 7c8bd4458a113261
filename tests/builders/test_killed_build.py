"""A build that is killed and run again ends as if nothing had happened."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fakes import FAKE_VERSION, fake_reference_energies
from pymatgen.core import Lattice, Structure

from hts_battery.campaign.build import build_all
from hts_battery.campaign.references import store_references
from hts_battery.campaign.registration import register
from hts_battery.campaign.spec_file import load_campaign
from hts_battery.query.builds import differences, runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from hts_battery.connections.database.stores import Stores

pytestmark = [pytest.mark.mongo, pytest.mark.chaos, pytest.mark.slow]

DRIVER = Path(__file__).with_name("build_to_be_killed.py")
SELECTION = (
    "selection: {method: formulas, formulas: [Li1.3Mn0.4Ti0.3O1.7F0.3, "
    "Li1.2Mn0.4Ti0.4O2]}"
)
CANDIDATES = 20
WRITTEN = ("entries", "thermo", "summary")


@pytest.fixture
def tasks(campaign_file: Callable[..., Path], stores: Stores) -> None:
    """Fill the database with as many finished relaxations as make several batches."""
    sample = f"selection: {{method: sample, count: {CANDIDATES}, seed: 1}}"
    campaign = load_campaign(campaign_file((SELECTION, sample)))
    register(campaign, stores)
    store_references(fake_reference_energies(), stores)
    structure = Structure(
        Lattice.cubic(4.2), ["Li", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ).as_dict()
    docs = [
        {
            "uuid": f"task-{candidate.candidate_id}",
            "index": 1,
            "metadata": {
                "step": "relax",
                "final": True,
                "candidate_id": candidate.candidate_id,
                "content_key": campaign.key(candidate),
                "calculation": campaign.spec.calculation,
                "ordering_method": "sqs",
            },
            "output": {
                "state": "successful",
                "is_force_converged": True,
                "forcefield_version": FAKE_VERSION,
                "structure": structure,
                "output": {"energy": -4.8 + 0.01 * number, "n_steps": 3},
            },
        }
        for number, (_, candidate) in enumerate(campaign.members())
    ]
    assert len(docs) == CANDIDATES
    stores.tasks.update(docs, key=["uuid", "index"])


def rounded(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Leave out the last digits, which depend on what was solved in one batch."""
    if isinstance(value, float):
        return round(value, 11)
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return value


def contents(stores: Stores) -> dict[str, list[Any]]:
    return {
        name: sorted(
            (
                rounded({key: value for key, value in doc.items() if key != "_id"})
                for doc in getattr(stores, name).query({})
            ),
            key=str,
        )
        for name in WRITTEN
    }


def killed_at(line: int, stores: Stores, folder: Path) -> None:
    """Start a build in a process of its own and kill it after a line of its output."""
    opened = stores.database
    with subprocess.Popen(  # noqa: S603 - our own interpreter and words
        [sys.executable, str(DRIVER), opened.uri, opened.name, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for _ in range(line):
            assert process.stdout.readline() in {"writing\n", "wrote\n"}
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.usefixtures("tasks")
def test_killed_at_many_moments_it_ends_the_same(
    stores: Stores, tmp_path: Path
) -> None:
    build_all(stores, temperatures=(0.0, 1473.0))
    expected = contents(stores)
    assert len(expected["summary"]) == CANDIDATES
    for name in (*WRITTEN, "changes", "builds", "hulls"):
        getattr(stores, name).remove_docs({})
    # Odd lines are just before a write, even ones just after it.
    moments = (1, 4, 3, 2, 5, 3)
    for line in moments:
        killed_at(line, stores, tmp_path)
    reports = build_all(stores, temperatures=(0.0, 1473.0))
    assert contents(stores) == expected
    assert reports["entries"].unchanged > 0
    assert stores.locks.count() == 0
    states = [run["state"] for run in reversed(runs(stores))]
    assert states == ["interrupted"] * len(moments) + ["finished"]
    rows = differences(stores, since=runs(stores)[-1]["run_id"]).rows
    assert all(row.reasons == ("new candidate",) for row in rows)
    assert build_all(stores, temperatures=(0.0, 1473.0))["thermo"].written == 0


@pytest.mark.usefixtures("tasks")
def test_a_summary_waits_for_records_that_belong_together(stores: Stores) -> None:
    build_all(stores, temperatures=(0.0, 1473.0))
    before = contents(stores)["summary"]
    record = stores.thermo.query_one({"temperature": 1473.0})
    record.pop("_id")
    record["input_digest"] = "as if a build was killed between the two"
    stores.thermo.update(record, key=["campaign", "candidate_id", "temperature"])
    reports = build_all(stores, temperatures=(0.0, 1473.0), only="summary")
    assert (reports["summary"].written, reports["summary"].removed) == (0, 0)
    assert contents(stores)["summary"] == before
