"""
The words of queues, shells, launchers, run-times and devices, each with its class.

Lines are put together anew after the sources named in ``failure_signatures.yaml``. Each
is asked where a code printed it, and in an exception that repeats it.
"""

from __future__ import annotations

import errno
import os

import pytest

from hts_battery.flows.execution.evidence import Evidence
from hts_battery.flows.execution.failures import classify
from hts_battery.schemas.failure import FailureClass

MEMORY, TIME, NODE = (
    FailureClass.OUT_OF_MEMORY,
    FailureClass.WALLTIME,
    FailureClass.NODE,
)
EXECUTABLE, BAD = FailureClass.EXECUTABLE, FailureClass.BAD_INPUT
AT = "ON n001 CANCELLED AT 2026-01-02T03:04:05"

WORDS: dict[str, dict[FailureClass, list[str]]] = {
    "Slurm": {
        MEMORY: [
            "slurmstepd: error: Detected 1 oom_kill event in StepId=77.0. Some of the step tasks have been OOM Killed.",
            "slurmstepd: error: Detected 12 oom-kill event(s) in StepId=77.batch. Some of your processes may have been killed by the cgroup out-of-memory handler.",
            "slurmstepd: error: Detected 3 oom_kill events in StepId=77.0. Some of the step tasks have been OOM Killed.",
            "slurmstepd: error: Exceeded job memory limit",
            "slurmstepd: error: Exceeded step memory limit at some point.",
            "slurmstepd: error: StepId=77.0 exceeded memory limit (308281344 > 209715200), being killed",
            "slurmstepd: error: StepId=77.0 exceeded virtual memory limit (308281344 > 209715200), being killed",
            "srun: error: n001: task 3: Out Of Memory",
            "srun: error: n001: tasks 0-31: Out Of Memory",
            "State: OUT_OF_MEMORY (exit code 0)",
        ],
        TIME: [
            f"slurmstepd: error: *** JOB 77 {AT} DUE TO TIME LIMIT ***",
            f"slurmstepd-n001: error: *** STEP 77.0 {AT} DUE TO TIME LIMIT ***",
            "State: TIMEOUT (exit code 0)",
        ],
        NODE: [
            f"slurmstepd: error: *** JOB 77 {AT} ***",
            f"slurmstepd: error: *** STEP 77.0 {AT} DUE TO PREEMPTION ***",
            f"slurmstepd: error: *** JOB 77 {AT} DUE TO NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS ***",
            f"slurmstepd: error: *** JOB 77 {AT} DUE TO JOB REQUEUE ***",
            f"slurmstepd: error: *** STEP 77.0 {AT} DUE to SIGNAL Killed ***",
            f"slurmstepd: error: *** STEP 77.0 {AT} DUE TO TASK FAILURE ***",
            "slurmstepd: error: *** JOB 77 STEPD TERMINATED ON n001 AT 2026-01-02T03:04:05 DUE TO JOB NOT RUNNING ***",
            "slurmstepd: error: *** JOB 77 STEPD TERMINATED ON n001 AT 2026-01-02T03:04:05 DUE TO JOB NOT ENDING WITH SIGNALS ***",
            "srun: error: Node failure on n001",
            "srun: error: n001: task 3: Killed",
            "srun: error: n[001-004]: tasks 0-127: Terminated",
            "srun: Force Terminated StepId=77.0",
            "srun: error: n001: task 7: Bus error (core dumped)",
            "srun: error: n001: task 7: Exited with exit code 137",
            "srun: error: Task launch for StepId=77.0 failed on node n002: Communication connection failure",
            "srun: error: slurm_receive_msgs: Socket timed out on send/recv operation",
            "slurmstepd: error: couldn't chdir to `/scratch/launcher_1': No such file or directory: going to /tmp instead",
        ],
        EXECUTABLE: [
            "slurmstepd: error: execve(): vasp_std: No such file or directory",
            "slurmstepd: error: execve(): /opt/vasp/bin/vasp_std: Permission denied",
            "slurmstepd: error: execve(): bad interpreter(/opt/py/bin/python): No such file or directory",
            "srun: error: Unable to create step for job 77: More processors requested than permitted",
            "srun: error: Unable to create step for job 77: Requested node configuration is not available",
        ],
    },
    "LSF": {
        MEMORY: [
            "TERM_MEMLIMIT: job killed after reaching LSF memory usage limit.",
            "TERM_SWAP: job killed after reaching LSF swap usage limit.",
        ],
        TIME: [
            "TERM_RUNLIMIT: job killed after reaching LSF run time limit.",
            "TERM_CPULIMIT: job killed after reaching LSF CPU usage limit.",
            "TERM_DEADLINE: job killed after deadline expires.",
            "TERM_WINDOW: job killed after queue run window closed.",
            "Exited with exit code 140.",
            "Exited with exit code 152.",
        ],
        NODE: [
            "TERM_OWNER: job killed by owner.",
            "TERM_ADMIN: job killed by root or LSF administrator.",
            "TERM_PREEMPT: job killed after preemption.",
            "TERM_LOAD: job killed after load exceeds threshold.",
            "TERM_EXTERNAL_SIGNAL: job killed by a signal external to LSF.",
            "TERM_ZOMBIE: job exited while LSF is not available.",
            "TERM_REMOVE_HUNG_JOB: job removed from LSF.",
            "TERM_FORCE_OWNER: job killed by owner without time for cleanup.",
            "TERM_CWD_NOTEXIST: current working directory is not accessible or does not exist on the execution host.",
            "TERM_REQUEUE_ADMIN: job killed and requeued by root or LSF administrator.",
            "Exited by signal 9. The CPU time used is 62.0 seconds.",
            "Exited with exit code 143.",
        ],
        EXECUTABLE: ["Exited with exit code 127."],
    },
    "PBS": {
        MEMORY: [
            "=>> PBS: job killed: mem 38427376kb exceeded limit 33554432kb",
            "=>> PBS: job killed: vmem 38427376kb exceeded limit 33554432kb",
            "=>> PBS: job killed: pvmem 8 exceeded limit 4",
            "=>> PBS: job killed: pmem 8gb exceeded limit 4gb",
            "Cgroup mem limit exceeded: oom-kill:constraint=CONSTRAINT_MEMCG",
        ],
        TIME: [
            "=>> PBS: job killed: walltime 43218 exceeded limit 43200",
            "=>> PBS: job killed: cput 43218 exceeded limit 43200",
            "PBS: job killed: walltime 3632 exceeded limit 3600",
        ],
        NODE: [
            "=>> PBS: job killed: node 2 (n002) requested job terminate, 'EOF' (code 1099) - received SISTER_EOF attempting to communicate with sister MOM's",
            "=>> PBS: job killed: node 1 (n002) requested job die, code 15009",
        ],
    },
    "Grid Engine": {
        MEMORY: [
            'job 4711.1 exceeds job hard limit "h_vmem" of queue "all.q@n001" (34.1G > limit:32G) - sending SIGKILL',
            'job 4711.1 exceeded hard limit "h_rss" - initiate terminate method',
        ],
        TIME: [
            "job 4711.1 exceeded hard wallclock time - initiate terminate method",
            'job 4711.1 exceeds job hard limit "h_rt" of queue "all.q@n001"',
            'job 4711.1 exceeds job hard limit "h_cpu" of queue "all.q@n001"',
        ],
        NODE: [
            "failed assumedly after job because: job 4711.1 died through signal KILL (9)",
            "/var/spool/sge/n001/job_scripts/4711: line 12:  4242 Killed                  srun vasp_std",
        ],
    },
    "Cobalt, MOAB, LoadLeveler": {
        TIME: [
            "job 4711 exceeded wallclock limit",
            "Job 4711 exceeding WCLIMIT",
            "The job's wall clock limit was exceeded",
            "maximum walltime of the job exceeded",
            "2 hours: run time limit exceeded",
        ],
    },
    "shells and kernels": {
        MEMORY: [
            "Memory cgroup out of memory: Killed process 4711 (vasp_std) total-vm:12034kB",
            "Out of memory: Killed process 4711 (vasp_std), UID 1000, total-vm:12034kB",
            "kernel: oom-kill:constraint=CONSTRAINT_MEMCG,task=vasp_std",
            "bash: fork: Cannot allocate memory",
            "python: error while loading shared libraries: libmkl.so: failed to map segment from shared object: Cannot allocate memory",
        ],
        TIME: ["CPU time limit exceeded (core dumped)", "Cputime limit exceeded"],
        NODE: [
            "Killed",
            "Terminated",
            "/work/job: line 12: 4711 Killed                  mpirun -np 32 vasp_std",
            "/work/job: line 12: 4711 Bus error               (core dumped) vasp_std",
            "[1]+  Killed                  vasp_std",
            "zsh: killed     vasp_std",
            "srun: error: n001: task 0: Exited with exit code 143",
            "bash: fork: retry: Resource temporarily unavailable",
            "File size limit exceeded (core dumped)",
            "cp: error writing 'WAVECAR': Disk quota exceeded",
            "mkdir: cannot create directory 'a': No space left on device",
            "shell-init: error retrieving current directory: getcwd: cannot access parent directories: No such file or directory",
        ],
        EXECUTABLE: [
            "sh: vasp_std: command not found",
            "sh: 1: vasp_std: not found",
            "zsh: command not found: vasp_gam",
            "tcsh: vasp_ncl: Command not found.",
            "/var/spool/slurmd/job77/slurm_script: line 20: srun: command not found",
            "FW_submit.script: line 30: /opt/py/bin/python: No such file or directory",
            "bash: /opt/vasp/bin/vasp_std: Permission denied",
            "bash: /opt/vasp/bin/vasp_std: cannot execute binary file: Exec format error",
            "vasp_std: error while loading shared libraries: libmkl_core.so.2: cannot open shared object file: No such file or directory",
            "vasp_std: /lib64/libc.so.6: version `GLIBC_2.34' not found (required by vasp_std)",
            "vasp_std: symbol lookup error: vasp_std: undefined symbol: mkl_blas_dgemm",
            "Illegal instruction (core dumped)",
            "Please verify that both the operating system and the processor support Intel(R) X87 and AVX512F instructions.",
            "/opt/py/bin/python: No module named hts_battery",
            "Could not connect to the license server",
            "License checkout failed: all in use",
        ],
    },
    "MPI": {
        NODE: [
            "=   KILLED BY SIGNAL: 9 (Killed)",
            "=   EXIT CODE: 9",
            "YOUR APPLICATION TERMINATED WITH THE EXIT STRING: Killed (signal 9)",
            "YOUR APPLICATION TERMINATED WITH THE EXIT STRING: Terminated (signal 15)",
            "mpirun noticed that process rank 3 with PID 4711 on node n001 exited on signal 9 (Killed).",
            "mpirun noticed that process rank 3 with PID 0 on node n001 exited on signal 7 (Bus error).",
            "ORTE has lost communication with a remote daemon.",
            "An ORTE daemon has unexpectedly failed after launch and before",
            "PRTE has lost communication with a remote daemon.",
            "[n001][[4711,1],0][btl_openib_component.c:3] error polling LP CQ with status RETRY EXCEEDED ERROR status number 12",
            "[1704164645.1] [n001:4711:0] ib_mlx5_log.c:171  Transport retry count exceeded on mlx5_0:1/IB (synd 0x15 vend 0x81 hw_synd 0/0)",
            "[1704164645.1] [n001:4711:0] UCX  ERROR  uct_ib_mlx5 failed to connect: Input/output error",
            "Fatal error in PMPI_Allreduce: Other MPI error, Communication error with rank 17",
            "Abort(807505935): OFI poll failed (ofi_events.c:1042:MPIDI_OFI_handle_cq_error: Input/output error)",
            "[proxy:0:0@n001] HYD_pmcd_pmip_control_cmd_cb: readv error (Connection reset by peer)",
            "_pmiu_daemon(SIGCHLD): [NID 00123] [c0-0c1s2n3] PE RANK 7 exit signal Killed",
            "_pmiu_daemon(SIGCHLD): [NID 00123] [c0-0c1s2n3] PE RANK 7 exit signal Bus error",
        ],
        EXECUTABLE: [
            "[proxy:0:0@n001] HYDU_create_process: execvp error on file vasp_std (No such file or directory)",
            "mpirun was unable to find the specified executable file, and therefore",
            "There are not enough slots available in the system to satisfy the 64",
        ],
    },
    "run-times": {
        MEMORY: [
            "forrtl: severe (41): insufficient virtual memory",
            "forrtl: Cannot allocate memory",
            "Error allocating 123456789 bytes",
            "Operating system error: Cannot allocate memory",
            "Fortran runtime error: Allocation would exceed memory limit",
            "0: ALLOCATE: 12345678 bytes requested; not enough memory: 12(Cannot allocate memory)",
            "The program was unable to request more memory space.",
            "terminate called after throwing an instance of 'std::bad_alloc'",
            "MemoryError",
            "numpy.core._exceptions._ArrayMemoryError: Unable to allocate 3.10 GiB for an array with shape (4, 5)",
            "RuntimeError: [enforce fail at alloc_cpu.cpp:83] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 123 bytes.",
        ],
        NODE: [
            "forrtl: error (78): process killed (SIGTERM)",
            "forrtl: severe (38): error during write, unit 21, file /scratch/WAVECAR: No space left on device",
            "At line 12 of file x.f90: Fortran runtime error: Stale file handle",
            "Program received signal SIGBUS: Access to an undefined portion of a memory object.",
            "Program received signal SIGTERM: Termination request.",
        ],
        BAD: [
            "Error reading item 'NSW' from file INCAR.",
            "ERROR: number of potentials on File POTCAR incompatible with number of species",
            "ERROR: the type information is not consistent with the number of types",
            "|  -----> I REFUSE TO CONTINUE WITH THIS SICK JOB ... BYE!!! <-----  |",
            "VERY BAD NEWS! internal error in subroutine IBZKPT:",
            "ERROR: POTCAR file is not from the right release",
        ],
    },
    "devices": {
        MEMORY: [
            "CUDA out of memory. Tried to allocate 3.75 GiB",
            "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; 15.78 GiB total capacity)",
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB.",
            "CUDA error: out of memory",
            "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
            "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
            "HIP out of memory. Tried to allocate 2.00 GiB",
            "hipErrorOutOfMemory: out of memory",
            "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 123 bytes.",
            "Out of memory allocating 123456 bytes of device memory",
            "call to cuMemAlloc returned error 2: Out of memory",
            "CUDA driver error: CUDA_ERROR_OUT_OF_MEMORY",
            "XPU out of memory. Tried to allocate 2.00 GiB",
        ],
        NODE: [
            "CUDA error: uncorrectable ECC error encountered",
            "CUDA error: device-side assert triggered",
            "CUDA error: an illegal memory access was encountered",
            "CUDA error: unspecified launch failure",
            "CUDA error: all CUDA-capable devices are busy or unavailable",
            "CUDA error: no CUDA-capable device is detected",
            "NVRM: Xid (PCI:0000:3b:00): 79, pid=4711, GPU has fallen off the bus.",
            "Unable to determine the device handle for GPU 0000:3B:00.0: GPU is lost.  Reboot the system to recover this GPU",
            "NCCL error in: ProcessGroupNCCL.cpp:1269, unhandled system error, NCCL version 2.14.3",
            "ncclSystemError: System call (e.g. socket, malloc) or external library call failed or device error.",
            "ncclRemoteError: A call failed possibly due to a network error or a remote process exiting prematurely.",
            "Watchdog caught collective operation timeout: WorkNCCL(OpType=ALLREDUCE)",
            "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
            "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`",
            "HIP error: the operation cannot be performed in the present state",
            "Memory access fault by GPU node-4 (Agent handle: 0x55) on address 0x7f. Reason: Page not present.",
        ],
        EXECUTABLE: [
            "The NVIDIA driver on your system is too old: CUDA driver version is insufficient for CUDA runtime version",
            "Found no NVIDIA driver on your system.",
            "Torch not compiled with CUDA enabled",
            "CUDA error: no kernel image is available for execution on the device",
        ],
    },
}  # fmt: skip
CASES = [
    pytest.param(kind, line, id=f"{who}: {line[:60]}")
    for who, classes in WORDS.items()
    for kind, lines in classes.items()
    for line in lines
]
LINUX = {
    MEMORY: ("ENOMEM",),
    NODE: (
        *("ENOSPC", "EDQUOT", "ESTALE", "EIO", "EROFS", "ENOTCONN", "ESHUTDOWN"),
        *("EREMOTEIO", "EUCLEAN", "EFBIG", "EKEYEXPIRED", "ENOKEY", "ENFILE"),
        *("EMFILE", "EAGAIN", "ETIMEDOUT", "ECONNRESET", "ECONNREFUSED", "EHOSTDOWN"),
        *("EHOSTUNREACH", "ENETUNREACH", "ENETDOWN", "EPIPE", "EINTR", "ENODEV"),
        *("EBUSY", "ETXTBSY"),
    ),
}


@pytest.mark.parametrize(("kind", "line"), CASES)
def test_words_in_an_output(kind: FailureClass, line: str) -> None:
    found = classify(Evidence(printed=(" began", line, " ended")))
    assert (found.failure_class, found.reason) == (kind, line)


@pytest.mark.parametrize(("kind", "line"), CASES)
def test_the_same_words_in_an_exception(kind: FailureClass, line: str) -> None:
    assert classify(Evidence(error=RuntimeError(line))).failure_class is kind
    message = f"builtins.RuntimeError: {line}"
    assert classify(Evidence(messages=(message,))).failure_class is kind
    # A cause counts as what it caused does.
    error = ValueError("it failed")
    error.__cause__ = ExceptionGroup("several", [RuntimeError(line)])
    assert classify(Evidence(error=error)).failure_class is kind


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, names in LINUX.items() for name in names]
)
def test_sentences_of_linux(kind: FailureClass, name: str) -> None:
    number = getattr(errno, name)
    error = OSError(number, os.strerror(number), "WAVECAR")
    assert classify(Evidence(error=error)).failure_class is kind
    line = f"forrtl: {os.strerror(number)}"
    assert classify(Evidence(printed=(line,))).failure_class is kind


CAUSES = {
    "memory, a rank killed, the rest met the time limit": (
        MEMORY,
        WORDS["Slurm"][MEMORY][0],
        "srun: error: n001: task 3: Out Of Memory",
        "srun: error: n001: task 3: Killed",
        WORDS["Slurm"][TIME][0],
        "forrtl: error (78): process killed (SIGTERM)",
    ),
    "the time limit and the signal it sends": (
        TIME,
        "srun: Job step aborted: Waiting up to 32 seconds for job step to finish.",
        "forrtl: error (78): process killed (SIGTERM)",
        "srun: error: n001: tasks 0-31: Terminated",
        WORDS["Slurm"][TIME][1],
        "srun: Force Terminated StepId=77.0",
    ),
    "cancelled by its user": (
        NODE,
        "srun: Job step aborted: Waiting up to 32 seconds for job step to finish.",
        WORDS["Slurm"][NODE][0],
        "forrtl: error (78): process killed (SIGTERM)",
    ),
    "memory on LSF, killed": (
        MEMORY,
        WORDS["LSF"][MEMORY][0],
        "Exited with exit code 137.",
    ),
    "time on LSF, killed": (TIME, WORDS["LSF"][TIME][0], "Exited by signal 9."),
    "the disk, and what could not be written then": (
        NODE,
        "forrtl: severe (38): error during write, unit 12: No space left on device",
        "Error reading item 'NSW' from file INCAR.",
    ),
    "the node, and the launcher that could not start again": (
        NODE,
        "srun: error: Node failure on n001",
        "srun: error: Unable to create step for job 77: Invalid job id specified",
    ),
    "a banner at the head, and a code that is missing": (
        EXECUTABLE,
        "/usr/bin/bash: line 1: module: command not found",
        "sh: vasp_std: command not found",
    ),
}


@pytest.mark.parametrize("name", CAUSES)
def test_what_causes_counts_before_what_it_causes(name: str) -> None:
    expected, *lines = CAUSES[name]
    for order in (lines, lines[::-1]):
        found = classify(Evidence(printed=tuple(map(str, order))))
        assert found.failure_class is expected, found.reason


def test_a_program_of_any_name_is_missing_where_it_printed_nothing_else() -> None:
    line = "/bin/sh: my_own_wrapper: command not found"
    error = RuntimeError("Validation failed: VasprunXMLValidator")
    found = classify(Evidence(printed=(line,), error=error))
    assert found.failure_class is EXECUTABLE
    found = classify(Evidence(printed=(line, " entering main loop"), error=error))
    assert found.failure_class is FailureClass.UNKNOWN
    # What a queue job printed at its head is no reason: nobody knows what came after.
    assert classify(Evidence(printed=(line,))).failure_class is FailureClass.UNKNOWN


def test_of_a_long_line_what_stands_around_the_sign_is_the_reason() -> None:
    line = "x" * 9000 + " No space left on device " + "y" * 9000
    reason = classify(Evidence(printed=(line,))).reason
    assert "No space left on device" in reason
    assert len(reason) < 500
