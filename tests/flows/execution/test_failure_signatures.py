"""
The signs of failures against the real thing, as far as it is on this machine.

Handlers and error words come from the installed custodian, exceptions from GPAW and
pymatgen, messages from Linux, its shells and loader, and from Open MPI.
"""

from __future__ import annotations

import ast
import errno
import inspect
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
from atomate2.vasp.run import DEFAULT_HANDLERS
from custodian.vasp import handlers as custodian_handlers
from custodian.vasp.handlers import WalltimeHandler

from hts_battery.errors import CalculationError
from hts_battery.flows.engines.gpaw.process import GPAWProcess
from hts_battery.flows.execution.evidence import Evidence, last_lines
from hts_battery.flows.execution.failures import classify, known_signatures
from hts_battery.schemas.failure import Correction, FailureClass, Source

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_LIMIT_S = 60
_ADDRESS_SPACE = 600 * 2**20


def error_words(handler: str) -> set[str]:
    """Return every word by which a handler of the installed custodian names errors."""
    found = getattr(custodian_handlers, handler)
    words = set(getattr(found, "error_msgs", {}))
    tree = ast.parse(inspect.getsource(found))
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            lists = [
                value
                for key, value in pairs
                if isinstance(key, ast.Constant) and key.value == "errors"
            ]
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "errors":
            lists = [node.value]
        else:
            continue
        for one in lists:
            if isinstance(one, ast.List):
                words |= {e.value for e in one.elts if isinstance(e, ast.Constant)}
    return words


OURS = [type(one).__name__ for one in DEFAULT_HANDLERS] + [WalltimeHandler.__name__]


def test_every_handler_and_word_that_we_look_for_is_custodians() -> None:
    words = set().union(*(error_words(name) for name in OURS))
    handlers = {
        name
        for name, one in inspect.getmembers(custodian_handlers, inspect.isclass)
        if one.__module__ == custodian_handlers.__name__
    }
    patterns = [
        one.pattern for one in known_signatures() if one.source is Source.CUSTODIAN
    ]
    asked = {word for one in patterns for word in re.findall(r"[A-Za-z]\w+", one)}
    asked -= {"Walltime", "reached"}
    assert "Walltime reached" in words
    assert asked <= words | handlers, asked - words - handlers


@pytest.mark.parametrize("handler", OURS)
def test_whatever_custodian_cannot_correct_has_a_class(handler: str) -> None:
    words = error_words(handler)
    assert words
    for word in words:
        helpless = Correction(handler=handler, errors=(word,), actions=None)
        found = classify(Evidence(corrections=(helpless,)))
        assert found.failure_class is not FailureClass.UNKNOWN, word


def test_what_ended_the_run_counts_before_what_custodian_changed_on_the_way() -> None:
    changed = Correction(
        handler="LargeSigmaHandler", errors=("LargeSigma",), actions=({"dict": "x"},)
    )
    problems = ("electronic loop not converged after 100 steps",)
    found = classify(Evidence(corrections=(changed,), problems=problems))
    assert found.failure_class is FailureClass.ELECTRONIC
    killed = classify(Evidence(corrections=(changed,), last_lines=("Killed",)))
    assert killed.failure_class is FailureClass.NODE


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        *((name, FailureClass.NODE) for name in ("ENOSPC", "ESTALE", "EIO", "EDQUOT")),
        *((name, FailureClass.NODE) for name in ("EROFS", "ENOTCONN", "EREMOTEIO")),
        ("ESHUTDOWN", FailureClass.NODE),
        ("ENOMEM", FailureClass.OUT_OF_MEMORY),
    ],
)
def test_errors_of_linux_are_recognised(code: str, expected: FailureClass) -> None:
    number = getattr(errno, code)
    raised = OSError(number, os.strerror(number), "CHGCAR")
    assert classify(Evidence(error=raised)).failure_class is expected
    # A program prints the same sentence.
    printed = f"forrtl: {os.strerror(number)}"
    assert classify(Evidence(last_lines=(printed,))).failure_class is expected


def said(
    folder: Path, *command: str, limit: Callable[[], None] | None = None
) -> FailureClass:
    """Run a command that fails and classify the last lines of what it printed."""
    ran = subprocess.run(  # noqa: S603 - words of this file
        command,
        cwd=folder,
        env={**os.environ, "LC_ALL": "C"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_LIMIT_S,
        preexec_fn=limit,
        check=False,
    )
    assert ran.returncode != 0
    (folder / "std_err.txt").write_bytes(ran.stdout)
    lines = last_lines([folder / "std_err.txt"])
    assert lines, command
    return classify(Evidence(last_lines=lines)).failure_class


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_shells_say_that_a_program_is_missing(shell: str, tmp_path: Path) -> None:
    assert said(tmp_path, shell, "-c", "vasp_nowhere; exit 127") is (
        FailureClass.EXECUTABLE
    )
    (tmp_path / "vasp_std").write_text("", encoding="utf-8")
    if os.access(tmp_path / "vasp_std", os.X_OK):
        pytest.skip("every file can be executed here")
    assert said(tmp_path, shell, "-c", "./vasp_std; exit 126") is (
        FailureClass.EXECUTABLE
    )


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_shells_say_that_a_program_was_killed(shell: str, tmp_path: Path) -> None:
    script = "sh -c 'kill -9 $$'; exit 137"
    assert said(tmp_path, shell, "-c", script) is FailureClass.NODE


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))


def test_a_program_says_that_memory_ran_out(tmp_path: Path) -> None:
    words = (sys.executable, "-S", "-c", "bytearray(2**31)")
    assert said(tmp_path, *words, limit=limited) is FailureClass.OUT_OF_MEMORY


@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc here")
def test_the_loader_says_that_a_library_is_missing(tmp_path: Path) -> None:
    (tmp_path / "library.c").write_text("int f(void) { return 1; }\n")
    (tmp_path / "main.c").write_text("int f(void); int main(void) { return f(); }\n")
    for words in (
        ("gcc", "-shared", "-fPIC", "library.c", "-o", "libfake.so"),
        ("gcc", "main.c", "-L.", "-lfake", "-o", "vasp_std"),
    ):
        subprocess.run(words, cwd=tmp_path, check=True)  # noqa: S603 - as above
    assert said(tmp_path, "./vasp_std") is FailureClass.EXECUTABLE


@pytest.mark.skipif(shutil.which("mpirun") is None, reason="there is no Open MPI here")
class TestOpenMPI:
    """What the launcher prints after one of its processes ended."""

    def mpirun(self, folder: Path, *words: str) -> FailureClass:
        options = ("--oversubscribe", "--bind-to", "none", "-np", "2")
        return said(folder, "mpirun", "--allow-run-as-root", *options, *words)

    @pytest.mark.parametrize(
        ("number", "expected"),
        [
            (signal.SIGKILL, FailureClass.NODE),
            (signal.SIGTERM, FailureClass.NODE),
            (signal.SIGBUS, FailureClass.NODE),
        ],
    )
    def test_a_rank_that_is_killed(
        self, tmp_path: Path, number: signal.Signals, expected: FailureClass
    ) -> None:
        # Open MPI loses the sentence where a rank dies while others still start.
        script = "sleep 2; test $OMPI_COMM_WORLD_RANK = 1 && kill"
        script = f"{script} -{number.value} $$; sleep 3"
        assert self.mpirun(tmp_path, "sh", "-c", script) is expected

    def test_a_program_that_is_missing(self, tmp_path: Path) -> None:
        assert self.mpirun(tmp_path, "vasp_nowhere") is FailureClass.EXECUTABLE

    def test_more_processes_than_there_is_room_for(self, tmp_path: Path) -> None:
        words = ("mpirun", "--allow-run-as-root", "-np", "4096", "true")
        assert said(tmp_path, *words) is FailureClass.EXECUTABLE

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root")
    def test_a_refusal_to_run_as_root(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("OMPI_ALLOW_RUN_AS_ROOT", raising=False)
        found = said(tmp_path, "mpirun", "-np", "1", "true")
        assert found is FailureClass.EXECUTABLE


def test_pymatgen_says_that_potcars_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pymatgen.core import SETTINGS  # noqa: PLC0415 - seconds
    from pymatgen.io.vasp.inputs import Potcar  # noqa: PLC0415 - likewise

    monkeypatch.delitem(SETTINGS, "PMG_VASP_PSP_DIR", raising=False)
    for library in (None, str(tmp_path)):
        if library:
            monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", library)
        with pytest.raises((ValueError, FileNotFoundError)) as caught:
            Potcar(["Li_sv"], functional="PBE_64")
        found = classify(Evidence(error=caught.value))
        assert found.failure_class is FailureClass.EXECUTABLE


def test_a_gpaw_that_is_killed_is_a_failure_of_its_node(tmp_path: Path) -> None:
    with pytest.raises(CalculationError) as caught:
        GPAWProcess(("sh", "-c", "kill -9 $$"), tmp_path)
    found = classify(Evidence(error=caught.value))
    assert found.failure_class is FailureClass.NODE


@pytest.mark.dft
@pytest.mark.skipif(find_spec("gpaw") is None, reason="GPAW is not installed")
class TestGPAW:
    """What GPAW itself raises, through the process that runs it."""

    def ask(self, folder: Path, symbol: str, **parameters: object) -> FailureClass:
        request = {
            "structure": {
                "symbols": [symbol] * 2,
                "cell": [[3.0, 0, 0], [0, 3.0, 0], [0, 0, 4.0]],
                "positions": [[0, 0, 0], [0, 0, 1.1]],
                "pbc": [True] * 3,
                "moments": [0.0, 0.0],
            },
            "parameters": {"mode": {"name": "pw", "ecut": 200.0}, **parameters},
            "log": "gpaw.txt",
            "stress": False,
        }
        with (
            GPAWProcess((sys.executable,), folder) as process,
            pytest.raises(CalculationError) as caught,
        ):
            process.ask(request)
        return classify(Evidence(error=caught.value)).failure_class

    def test_electronic_steps_that_run_out(self, tmp_path: Path) -> None:
        found = self.ask(tmp_path, "H", maxiter=2)
        assert found is FailureClass.ELECTRONIC

    def test_an_element_without_data(self, tmp_path: Path) -> None:
        assert self.ask(tmp_path, "Po", xc="PBE") is FailureClass.EXECUTABLE

    def test_too_few_bands(self, tmp_path: Path) -> None:
        assert self.ask(tmp_path, "N", nbands=2) is FailureClass.BAD_INPUT

    def test_its_exceptions_have_the_names_that_we_look_for(self) -> None:
        # In a process of its own: nothing of the project imports GPAW.
        script = (
            "from gpaw import KohnShamConvergenceError, PoissonConvergenceError, "
            "BadParallelization; from gpaw.new.scf import TooFewBandsError; "
            "from gpaw.utilities import AtomsTooClose; "
            "from gpaw.setup import WrongMagmomForHundsRuleError"
        )
        words = [sys.executable, "-c", script]
        subprocess.run(words, check=True, timeout=_LIMIT_S * 2)  # noqa: S603 - ours
