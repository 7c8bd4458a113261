from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fireworks import FWorker

from hts_battery.connections.launchpad.launchpad import open_launchpad
from hts_battery.connections.processes import host_name
from hts_battery.connections.records.backlog import Backlog, dispatching
from hts_battery.connections.records.launch_files import write_mark
from hts_battery.schemas.dispatch import BacklogBlock, Ending, EndingKind
from hts_battery.schemas.failure import FailureClass
from hts_battery.schemas.launch import LaunchMark

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Answer

    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo


@pytest.fixture
def submitted(
    hts: Callable[..., Answer], on_server: Path, fake_file: Path, stores: Stores
) -> Stores:
    """Return the stores of two candidates that are in the launchpad."""
    assert on_server.is_dir()
    words = ("--worker", "here", "--any-worker", "--chunk", "1")
    answer = hts("campaign", "submit", fake_file, *words)
    assert answer.status == 0, answer.err
    return stores


def end(stores: Stores, *kinds: FailureClass) -> None:
    """Let the dispatches of the first candidates fail."""
    with dispatching(stores, "test") as lease:
        backlog = Backlog.read(stores, "small")
        for item, kind in zip(list(backlog.items), kinds, strict=False):
            ending = Ending(
                kind=EndingKind.FAILED,
                failure_class=kind,
                reason="why it failed",
                node_hours=1.5,
                launches=1,
                time="2026-11-25T20:00:00Z",  # type: ignore[arg-type] # pydantic reads it
            )
            backlog.change(item.content_key, ending=ending)
        backlog.save(lease)


def items(stores: Stores) -> list[Any]:
    (doc,) = stores.backlog.query({"campaign": "small"})
    known = {name: doc[name] for name in BacklogBlock.model_fields if name in doc}
    return list(BacklogBlock.model_validate(known).items)


def test_triage_and_rerun_of_a_class(
    hts: Callable[..., Answer], submitted: Stores
) -> None:
    assert "nothing has failed" in hts("launchpad", "triage").out
    end(submitted, FailureClass.NODE, FailureClass.BAD_INPUT)
    groups = hts("launchpad", "triage", "--json").lines
    assert {one["failure_class"]: one["candidates"] for one in groups} == {
        "bad input": 1,
        "node or filesystem failure": 1,
    }
    shown = hts("launchpad", "triage", "--campaign", "small").out
    assert "gives up at once" in shown
    assert "why it failed" in shown
    words = ("launchpad", "rerun", "--class", "node or filesystem failure")
    planned = hts(*words, "--dry-run", "--json").lines
    assert planned == [{"campaign": "small", "candidates": 1, "written": False}]
    assert items(submitted)[0].ending is not None
    assert "small: 1 candidates will be sent again" in hts(*words).out
    first, second = items(submitted)
    assert (first.ending, first.dispatch_id, first.fw_id) == (None, None, None)
    assert [one.failure_class for one in first.earlier] == [FailureClass.NODE]
    assert first.retry
    assert second.ending is not None
    assert "no candidate failed" in hts(*words).out


def test_what_the_policy_gives_up_is_sent_again_only_by_force(
    hts: Callable[..., Answer], submitted: Stores
) -> None:
    end(submitted, FailureClass.BAD_INPUT)
    words = ("launchpad", "rerun", "--class", "bad input")
    refused = hts(*words)
    assert refused.status == 1
    assert "mend the cause, then add --force" in " ".join(refused.err.split())
    assert hts(*words, "--force", "--json").lines[0]["candidates"] == 1


def test_what_rerun_and_triage_refuse(
    hts: Callable[..., Answer], submitted: Stores
) -> None:
    assert submitted.backlog.count() == 1
    wrong = hts("launchpad", "rerun", "--class", "bad luck")
    assert wrong.status == 2
    assert "there is no class 'bad luck'" in wrong.err
    wrong = hts("launchpad", "triage", "--campaign", "large")
    assert wrong.status == 1
    assert "submitted are: small" in " ".join(wrong.err.split())


def test_recover_by_hand(
    hts: Callable[..., Answer], submitted: Stores, folder: Path
) -> None:
    assert "nothing is lost" in hts("launchpad", "recover").out
    launch = folder / "launch"
    launch.mkdir()
    with open_launchpad(submitted.database) as launchpad:
        firework, _ = launchpad.checkout_fw(FWorker(name="here"), str(launch))
    mark = LaunchMark(
        uuid="u", index=1, fw_id=firework.fw_id, host=host_name(), pid=2**22 + 1
    )
    write_mark(launch, mark.model_copy(update={"process": "gone"}))
    planned = hts("launchpad", "recover", "--dry-run")
    assert "put back" in planned.out
    report = hts("launchpad", "recover", "--json", "--folder", str(folder)).lines[0]
    assert [one["action"] for one in report["runs"]] == ["put back"]
    assert report["runs"][0]["campaign"] == "small"
    assert "nothing is lost" in hts("launchpad", "recover").out


def test_queue_folders_are_tidied_when_their_workflow_has_ended(
    hts: Callable[..., Answer], submitted: Stores, folder: Path
) -> None:
    launch = folder / "block" / "launcher_1"
    launch.mkdir(parents=True)
    mark = LaunchMark(uuid="u", index=1, engine="chgnet", fw_id=1)
    write_mark(launch, mark)
    (launch / "FW.json").write_text("{}")
    words = ("launches", "clean", "--folder", str(folder / "block"))
    task = {"uuid": "u", "index": 1, "output": 1, "metadata": {"step": "relax"}}
    submitted.tasks.update([task], key=["uuid", "index"])
    assert "0 files packed or deleted" in hts(*words).out, "its workflow may go on"
    with open_launchpad(submitted.database) as launchpad:
        launchpad.workflows.update_one(
            {"nodes": 1}, {"$set": {"fw_states": {"1": "COMPLETED"}}}
        )
    (launch / "hts_action.json.gz").write_bytes(b"not told yet")
    assert "0 files packed or deleted" in hts(*words).out
    (launch / "hts_action.json.gz").unlink()
    assert len(hts(*words, "--dry-run", "--json").lines) == 2
    assert launch.is_dir()
    assert "2 files packed or deleted" in hts(*words).out
    assert not launch.exists()
