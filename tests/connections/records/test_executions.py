from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from hts_battery.connections.processes import process_scope
from hts_battery.connections.records import executions as executions_module
from hts_battery.connections.records.executions import (
    ExecutionRecord,
    ledger,
    read_executions,
)
from hts_battery.errors import StoreError
from hts_battery.schemas.execution import Execution, Outcome

if TYPE_CHECKING:
    from pathlib import Path


def only(folder: Path) -> Execution:
    (execution,) = read_executions(folder).executions
    return execution


def run(record: ExecutionRecord, job: str, *, key: str | None = "k") -> None:
    with record.execution(
        job_uuid=job, name="relax", candidate_id="c", content_key=key
    ):
        pass


def test_nothing_recorded(tmp_path: Path) -> None:
    assert read_executions(tmp_path / "none").executions == ()
    assert ledger(tmp_path).total.executions == 0


def test_completed(tmp_path: Path) -> None:
    record = ExecutionRecord(tmp_path / "executions")
    with record.execution(job_uuid="j", name="relax") as start:
        assert only(record.folder).outcome is Outcome.RUNNING
    execution = only(record.folder)
    assert execution.start == start
    assert execution.outcome is Outcome.COMPLETED
    assert execution.start.time.utcoffset() is not None
    assert execution.end is not None
    assert execution.end.error_class is None
    assert execution.end.seconds >= 0


def test_failed(tmp_path: Path) -> None:
    record = ExecutionRecord(tmp_path)
    with pytest.raises(KeyError), record.execution(job_uuid="j", name="relax"):
        raise KeyError("x" * 5000)
    execution = only(tmp_path)
    assert execution.outcome is Outcome.FAILED
    assert execution.end is not None
    assert execution.end.error_class == "builtins.KeyError"
    assert execution.end.error_message is not None
    assert len(execution.end.error_message) == 2000
    assert ledger(tmp_path).error_classes == {"builtins.KeyError": 1}


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_asked_to_stop(error: type[BaseException], tmp_path: Path) -> None:
    record = ExecutionRecord(tmp_path)
    with pytest.raises(error), record.execution(job_uuid="j", name="relax"):
        raise error
    assert only(tmp_path).outcome is Outcome.INTERRUPTED


def test_lines_are_only_appended(tmp_path: Path) -> None:
    record = ExecutionRecord(tmp_path)
    seen = b""
    for job in ("a", "b", "c"):
        run(record, job)
        (path,) = tmp_path.iterdir()
        content = path.read_bytes()
        assert content.startswith(seen)
        seen = content
    assert len(seen.splitlines()) == 6


def test_each_line_is_documented(tmp_path: Path) -> None:
    run(ExecutionRecord(tmp_path), "j")
    (path,) = tmp_path.iterdir()
    start, end = (json.loads(line) for line in path.read_text().splitlines())
    assert start["schema_version"] == end["schema_version"] == 1
    assert (start["event"], end["event"]) == ("start", "end")
    assert start["execution_id"] == end["execution_id"]
    assert start["pid"] == os.getpid()


def test_ledger(tmp_path: Path) -> None:
    record = ExecutionRecord(tmp_path)
    run(record, "a", key="k1")
    run(record, "a", key="k1")
    run(record, "b", key="k2")
    with (
        pytest.raises(ValueError, match="no"),
        record.execution(job_uuid="c", name="relax", content_key="k2"),
    ):
        raise ValueError("no")
    run(record, "d", key=None)
    counted = ledger(tmp_path)
    assert counted.total.completed == 4
    assert counted.total.executions == 5
    assert counted.by_content_key["k1"].completed == 2
    assert counted.by_content_key["k2"].failed == 1
    assert counted.computed_twice == ("a",)
    assert set(counted.by_content_key) == {"k1", "k2"}


def test_every_flush_comes_before_the_body(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fsync = os.fsync
    monkeypatch.setattr(
        executions_module.os, "fsync", lambda fd: (events.append("sync"), fsync(fd))
    )
    record = ExecutionRecord(tmp_path)
    with record.execution(job_uuid="j", name="relax"):
        events.append("body")
    assert events == ["sync", "sync", "body", "sync"]  # file, its folder, body, file


def test_nothing_runs_unrecorded(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    record = ExecutionRecord(tmp_path / "file")
    ran = []
    with (
        pytest.raises(StoreError, match="HTS_BATTERY_EXECUTION_RECORD"),
        record.execution(job_uuid="j", name="relax"),
    ):
        ran.append(1)
    assert not ran


def test_error_of_the_job_outlives_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = ExecutionRecord(tmp_path)

    def full(_path: Path, _line: bytes) -> None:
        raise OSError(28, "No space left on device")

    def job() -> None:
        with record.execution(job_uuid="j", name="relax"):
            monkeypatch.setattr(executions_module, "append_durably", full)
            raise KeyError

    with pytest.raises(KeyError) as caught:
        job()
    assert "No space left" in caught.value.__notes__[0]


def test_torn_line_is_counted_and_not_continued(tmp_path: Path) -> None:
    record = ExecutionRecord(tmp_path)
    run(record, "a")
    (path,) = tmp_path.iterdir()
    with path.open("ab") as file:
        file.write(b'{"schema_version": 1, "event": "st')
    assert read_executions(tmp_path).torn_lines == 1
    run(record, "b")
    recorded = read_executions(tmp_path)
    assert recorded.torn_lines == 1
    assert [execution.start.job_uuid for execution in recorded.executions] == ["a", "b"]
    assert ledger(tmp_path).torn_lines == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"schema_version": 2}', "newer"),
        ("[1]", "not an execution"),
        ('{"schema_version": 1, "event": "start"}', "execution_id"),
        ('{"schema_version": 1, "event": "end"}', "execution_id"),
    ],
)
def test_foreign_lines_are_refused(line: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(line + "\n")
    with pytest.raises(StoreError, match=message):
        read_executions(tmp_path)


def test_without_an_end_on_another_host(tmp_path: Path) -> None:
    record = ExecutionRecord(tmp_path)
    with record.execution(job_uuid="j", name="relax"):
        (path,) = tmp_path.iterdir()
        start = json.loads(path.read_text())
    path.write_text(json.dumps({**start, "host": "elsewhere"}) + "\n")
    assert only(tmp_path).outcome is Outcome.UNKNOWN
    path.write_text(json.dumps({**start, "process": "recycled"}) + "\n")
    assert only(tmp_path).outcome is Outcome.INTERRUPTED
    # A number that is not there says nothing of another container's or user's process.
    for scope, outcome in (
        ("1000@pid:[7]", Outcome.UNKNOWN),
        (process_scope(), Outcome.INTERRUPTED),
    ):
        gone = {"pid": 2**22 + 1, "process": start["process"], "scope": scope}
        path.write_text(json.dumps({**start, **gone}) + "\n")
        assert only(tmp_path).outcome is outcome


def test_threads_share_a_file(tmp_path: Path) -> None:
    record = ExecutionRecord(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: run(record, str(number)), range(80)))
    assert len(list(tmp_path.iterdir())) == 1
    counted = ledger(tmp_path)
    assert counted.total.completed == len(counted.by_job) == 80
    assert counted.torn_lines == 0


def test_processes_have_their_own_files(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from hts_battery.connections.records.executions import ExecutionRecord\n"
        "with ExecutionRecord(Path(sys.argv[1])).execution(job_uuid='j', name='r'):\n"
        "    pass\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])  # noqa: S603 - our own interpreter
        for _ in range(2)
    ]
    assert [process.wait() for process in processes] == [0, 0]
    assert len(list(tmp_path.iterdir())) == 2
    assert ledger(tmp_path).total.completed == 2


@pytest.mark.chaos
def test_killed_process_leaves_a_start_without_an_end(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\n"
        "from hts_battery.connections.records.executions import ExecutionRecord\n"
        "with ExecutionRecord(Path(sys.argv[1])).execution("
        "job_uuid='j', name='relax', content_key='k'):\n"
        "    print('started', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert ledger(tmp_path).by_content_key["k"].running == 1
        process.send_signal(signal.SIGKILL)
    assert ledger(tmp_path).by_content_key["k"].interrupted == 1
    run(ExecutionRecord(tmp_path), "j")
    assert ledger(tmp_path).by_content_key["k"].completed == 1
