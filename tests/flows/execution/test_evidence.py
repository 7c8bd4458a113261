"""Evidence of a failure is read as far as it is whole, and never raises."""

from __future__ import annotations

import gzip
import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from pymatgen.core import Lattice, Structure

from hts_battery.flows.engines.vasp.documents import (
    evidence_in,
    last_structure,
    unconverged_loops,
)
from hts_battery.flows.execution.evidence import (
    CustodianLog,
    Evidence,
    Printed,
    last_lines,
    read_text,
    without_frames,
)
from hts_battery.flows.execution.failures import classify, loss
from hts_battery.schemas.failure import FailureClass
from hts_battery.schemas.recovery import LossReason, LostRun

if TYPE_CHECKING:
    from pathlib import Path

VALIDATION = RuntimeError("Validation failed: VasprunXMLValidator")
REASON = "slurmstepd: error: Detected 1 oom_kill event in StepId=77.0."
INTEL = "\n".join(
    [
        "forrtl: error (78): process killed (SIGTERM)",
        "Image              PC                Routine            Line        Source",
        *(
            f"vasp_std           0000000001{n:06X}  Unknown               Unknown  Unknown"
            for n in range(16)
        ),
        "libc.so.6          00002B0D71548A84  __libc_start_main     Unknown  Unknown",
        "vasp_std           0000000000416628  hamil_mp_hamilt_         1234  hamil.f90",
        "",
    ]
)
FRAMES = {
    "Intel": INTEL.split("\n", 1)[1],
    "GNU": (
        "\nProgram received signal SIGSEGV: Segmentation fault - invalid memory reference.\n"
        "\nBacktrace for this error:\n#0  0x2aaab2b3c in ???\n#1  0x4e2 in out_of_memory_\n"
        "\tat /src/main.F:123\n#12  0x4e2 at main.F:12\n"
    ),
    "NVIDIA": " /lib64/libc.so.6(+0x36450) [0x2aaab1]\n /opt/vasp(main_+0x12a) [0x4e2]\n",
    "glibc": (
        "======= Backtrace: =========\n/lib64/libc.so.6(+0x81489)[0x2b0d]\n"
        "======= Memory map: ========\n"
        "00400000-01b2e000 r-xp 00000000 00:2c 1234 /opt/oom_killer/vasp_std\n"
        "7fff0a1f-7fff0a20 rw-p 00000000 00:00 0    [stack]\n"
    ),
    "Open MPI": (
        "[n001:04711] *** Process received signal ***\n"
        "[n001:04711] [ 0] /lib64/libpthread.so.0(+0xf630)[0x2b0d]\n"
        "[n001:04711] [ 1] vasp_std[0x4e2]\n"
        "[n001:04711] *** End of error message ***\n"
    ),
    "UCX": (
        "==== backtrace (tid:   4711) ====\n"
        " 0  /lib64/libucs.so.0(ucs_handle_error+0x2e4) [0x7f11]\n"
        "=================================\n"
    ),
    "Cray": (
        "ATP Stack walkback for Rank 3 starting:\n  start_thread@0x2aaa\n"
        "  main@main.F:123\nATP Stack walkback for Rank 3 done\n"
    ),
    "Python": (
        "Traceback (most recent call last):\n"
        '  File "/opt/oom_killed/run.py", line 3, in run\n'
        '    raise MemoryError("No space left on device")\n'
        "    ~~~~~~^^^^^^\n"
        "\nDuring handling of the above exception, another exception occurred:\n\n"
        '[rank0]:   File "run.py", line 4, in <module>\n'
        "[rank0]:     torch.cuda.OutOfMemoryError()\n"
    ),
    "PyTorch": (
        "Exception raised from c10_cuda_check at /x.cpp:43 (most recent call first):\n"
        "frame #0: c10::Error::Error(c10::OutOfMemoryError) + 0x57 (0x7f in libc10.so)\n"
        "frame #1: <unknown function> + 0x1 (0x7f in libc.so.6)\n"
    ),
}
"""Run-time → frames alone, with words in them that are no reason."""


@pytest.mark.parametrize("name", FRAMES)
def test_frames_are_no_evidence(name: str) -> None:
    left = [line for line in without_frames(FRAMES[name].splitlines()) if line.strip()]
    assert [line for line in left if "received signal" not in line] == []
    assert classify(Evidence(printed=tuple(left))).failure_class is FailureClass.UNKNOWN


@pytest.mark.parametrize("ranks", [1, 4, 512])
@pytest.mark.parametrize("place", ["first", "last"])
def test_tracebacks_of_many_ranks_hide_no_reason(
    tmp_path: Path, ranks: int, place: str
) -> None:
    text = INTEL * ranks
    lines = f"{REASON}\n{text}" if place == "first" else f"{text}{REASON}\n"
    (tmp_path / "std_err.txt").write_text(lines)
    evidence = evidence_in(tmp_path, VALIDATION)
    assert classify(evidence).failure_class is FailureClass.OUT_OF_MEMORY
    assert len(evidence.last_lines) <= 10
    assert not any("Unknown" in line for line in evidence.last_lines)


def test_a_file_is_read_whole_or_at_both_ends(tmp_path: Path) -> None:
    path = tmp_path / "vasp.out"
    line = "DAV:   1    0.119833442983E+04    0.11983E+04\n"
    path.write_text(line * 2000 + REASON + "\n" + line * 2000)
    assert REASON in Printed([path]).lines
    path.write_text(f"first\n{line * 400_000}last\n")
    lines = Printed([path]).lines
    assert (lines[0], lines[-1]) == ("first", "last")
    assert set(lines[1:-1]) == {line.strip()}
    assert len(lines) < 5000


def test_what_is_packed_is_read_too(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "std_err.txt.gz", "wt") as file:
        file.write(f"{REASON}\n")
    with gzip.open(tmp_path / "custodian.json.gz", "wt") as file:
        json.dump([{"corrections": [], "max_errors": True}], file)
    evidence = evidence_in(tmp_path, VALIDATION)
    assert classify(evidence).failure_class is FailureClass.OUT_OF_MEMORY
    assert evidence.is_custodians_end


def test_colours_and_zeros_of_a_lost_node_hide_nothing(tmp_path: Path) -> None:
    path = tmp_path / "FW_job.error"
    path.write_bytes(b"\x1b[31mBus \x1b[0merror\n" + b"\0" * 4096)
    assert Printed([path]).lines == ("Bus error",)


BROKEN = {
    "empty": b"",
    "blank": b" \n",
    "cut off": b'[{"corrections": [{"err',
    "no text": bytes(range(256)) * 50,
    "zeros": b"\0" * 4096,
    "not UTF-8": "é".encode("latin-1") * 3,
    "a number": b"3",
    "null": b"null",
    "a mapping": b'{"corrections": 1}',
    "numbers": b"[1, 2]",
    "null corrections": b'[{"corrections": null, "max_errors": null}]',
    "strange corrections": b'[{"corrections": [1, {"errors": 2, "actions": "x"}]}]',
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "file",
    [
        *("custodian.json", "std_err.txt", "vasp.out", "INCAR", "OSZICAR", "CONTCAR"),
        *("OUTCAR", "FW_job.error", "hts-77.out"),
    ],
)
def test_broken_evidence_raises_nothing(
    tmp_path: Path, file: str, name: str, packed: bool
) -> None:
    content = gzip.compress(BROKEN[name])[:-4] if packed else BROKEN[name]
    (tmp_path / (file + ".gz" * packed)).write_bytes(content)
    full = OSError(28, "No space left on device", "custodian.json")
    evidence = evidence_in(tmp_path, full)
    assert classify(evidence).failure_class is FailureClass.NODE
    assert unconverged_loops(tmp_path) == ()
    cell = Structure(Lattice.cubic(3), ["Li"], [[0, 0, 0]])
    assert last_structure(tmp_path, cell) is None
    assert loss(lost(tmp_path), 1).failure_class is FailureClass.NODE


@pytest.mark.parametrize("file", ["custodian.json", "std_err.txt", "vasp.out"])
def test_a_folder_in_the_place_of_a_file_raises_nothing(
    tmp_path: Path, file: str
) -> None:
    (tmp_path / file).mkdir()
    assert evidence_in(tmp_path, VALIDATION).corrections == ()
    assert loss(lost(tmp_path), 1).failure_class is FailureClass.NODE


def test_what_could_not_be_read_is_noted(tmp_path: Path) -> None:
    (tmp_path / "custodian.json").write_bytes(b"")
    (tmp_path / "std_err.txt").write_bytes(bytes(range(256)) * 50)
    whole = gzip.compress(os.urandom(2**16).hex().encode())
    (tmp_path / "vasp.out.gz").write_bytes(whole[: len(whole) // 2])
    notes = evidence_in(tmp_path, VALIDATION).notes
    assert [note.split(" ")[0] for note in notes] == [
        *("vasp.out.gz", "std_err.txt", "custodian.json")
    ]
    found = loss(lost(tmp_path), 1)
    assert len(found.notes) == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_nobody_may_read_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "std_err.txt"
    path.write_text(REASON)
    path.chmod(0)
    text, note = read_text(path)
    assert (text, note) == ("", "std_err.txt cannot be read: Permission denied")


def test_only_the_last_lines_are_for_people(tmp_path: Path) -> None:
    path = tmp_path / "vasp.out"
    path.write_text("\n".join(f"line {n}" for n in range(100)))
    assert last_lines([path], limit=2) == ("line 98", "line 99")
    assert evidence_in(tmp_path).last_lines == tuple(
        f"line {n}" for n in range(90, 100)
    )
    assert len(evidence_in(tmp_path).printed) == 100


def lost(folder: Path) -> LostRun:
    return LostRun(
        fw_id=1,
        name="relax 1",
        state="RUNNING",
        why=LossReason.QUEUE_JOB_GONE,
        seconds=100,
        last_ping=datetime.now(UTC),
        folder=str(folder),
        host="h",
    )


def custodians_log(*corrections: dict[str, object], **flags: object) -> str:
    return json.dumps([{"job": {}, "corrections": list(corrections), **flags}])


POSMAP = {
    "handler": {"@class": "VaspErrorHandler"},
    "errors": ["posmap"],
    "actions": [{"dict": "INCAR", "action": {"_set": {"SYMPREC": 1e-6}}}],
}


def test_what_custodian_corrected_did_not_lose_a_launch(tmp_path: Path) -> None:
    (tmp_path / "custodian.json").write_text(custodians_log(POSMAP))
    found = loss(lost(tmp_path), 1)
    assert (found.failure_class, found.handler) == (FailureClass.NODE, None)
    # Where its log says that custodian gave up, the signal was its own.
    (tmp_path / "FW_job.error").write_text(INTEL)
    (tmp_path / "custodian.json").write_text(custodians_log(POSMAP, max_errors=True))
    found = loss(lost(tmp_path), 1)
    assert (found.failure_class, found.handler) == (
        FailureClass.BAD_INPUT,
        "VaspErrorHandler",
    )
    # What ends custodian and its code comes before.
    (tmp_path / "FW_job.out").write_text("TERM_RUNLIMIT: job killed after ...\n")
    assert loss(lost(tmp_path), 1).failure_class is FailureClass.WALLTIME


@pytest.mark.parametrize(
    "flag", ["max_errors", "max_errors_per_job", "max_errors_per_handler"]
)
def test_custodians_log_says_that_it_ended_the_run(tmp_path: Path, flag: str) -> None:
    (tmp_path / "std_err.txt").write_text("srun: error: n001: tasks 0-31: Terminated\n")
    (tmp_path / "custodian.json").write_text(custodians_log(POSMAP, **{flag: True}))
    found = classify(evidence_in(tmp_path, VALIDATION))
    assert found.failure_class is FailureClass.BAD_INPUT
    (tmp_path / "custodian.json").write_text(custodians_log(POSMAP, **{flag: False}))
    found = classify(evidence_in(tmp_path, VALIDATION))
    assert found.failure_class is FailureClass.NODE


def test_a_handler_that_broke_is_no_correction() -> None:
    broke = {"handler": "x", "errors": ["Bad handler"], "actions": [], "skipped": True}
    log = CustodianLog.of([{"corrections": [broke]}])
    assert (log.corrections, log.is_end) == ((), False)


def test_the_output_above_the_folder_counts_where_rockets_share_a_job(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "launcher_1"
    folder.mkdir()
    (tmp_path / "FW_job.error").write_text(REASON)
    assert loss(lost(folder), 1).failure_class is FailureClass.NODE
    (tmp_path / "FW_submit.script").write_text("#SBATCH --ntasks=1\n")
    assert loss(lost(folder), 1).failure_class is FailureClass.OUT_OF_MEMORY
