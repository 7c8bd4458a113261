"""
What runs print that end well, and the banners and warnings around them.

Lines are put together anew from what the programs are known to print; none is copied
from a whole output of somebody.
"""

from __future__ import annotations

GOOD_OUTPUTS = {
    "VASP 5": """
 running on   32 total cores
 distrk:  each k-point on   32 cores,    1 groups
 distr:  one band on    8 cores,    4 groups
 using from now: INCAR
 vasp.5.4.4 18Apr17 complex
 POSCAR found type information on POSCAR  Li Mn O
 POSCAR found :  3 types and      40 ions
 scaLAPACK will be used
 -----------------------------------------------------------------------------
|           W    W    AA    RRRRR   N    N  II  N    N   GGGG   !!!           |
|      For optimal performance we recommend to set                            |
|        NCORE= 4 - approx SQRT( number of cores)                             |
|      This setting can greatly improve the performance of VASP for DFT.      |
|      The default, NCORE=1 might be grossly inefficient on modern            |
|      multi-core architectures or massively parallel machines.               |
 -----------------------------------------------------------------------------
 LDA part: xc-table for Pade appr. of Perdew
 found WAVECAR, reading the header
  number of bands has changed, file:   160 present:   192
  trying to continue reading WAVECAR, but it might fail
 WARNING: random wavefunctions but no delay for mixing, default for NELMDL
 POSCAR, INCAR and KPOINTS ok, starting setup
 WARNING: small aliasing (wrap around) errors must be expected
 FFT: planning ...
 WAVECAR not read
 charge-density read from file: Li8 Mn8 O24
 WARNING: dimensions on CHGCAR file are different
 magnetization density read from file 1
 entering main loop
       N       E                     dE             d eps       ncg     rms          rms(c)
DAV:   1     0.119833442983E+04    0.11983E+04   -0.57711E+04  5376   0.124E+03
 BRMIX: very serious problems
  the old and the new charge density differ
 WARNING in EDDRMM: call to ZHEGV failed, returncode =   8  3      9
 WARNING: Sub-Space-Matrix is not hermitian in DAV            4  -2.33E-002
RMM:  12    -0.255170153118E+03   -0.12331E-05   -0.24120E-06  2718   0.721E-03    0.214E-03
   1 F= -.25517015E+03 E0= -.25517015E+03  d E =-.255170E+03  mag=    32.0000
 curvature:   0.00 expect dE= 0.000E+00 dE for cont linesearch  0.000E+00
 trial: gam= 0.00000 g(F)=  0.103E-01 g(S)=  0.231E-02 ort = 0.000E+00
 bond charge predicted
 reached required accuracy - stopping structural energy minimisation
 writing wavefunctions
""",
    "VASP 6": """
 running   64 mpi-ranks, with    1 threads/rank, on    1 nodes
 OpenACC runtime initialized ...    4 GPUs detected
 vasp.6.4.3 19Mar24 (build Apr  9 2024 10:11:12) complex
 POSCAR found type information on POSCAR LiMnTiO F
 -----------------------------------------------------------------------------
|               ----> ADVICE to this user running VASP <----                  |
|     You have a (more or less) 'large supercell' and for larger cells it     |
|     might be more efficient to use real-space projection operators.         |
|     Therefore, try LREAL= Auto in the INCAR file. Mind: this might reduce   |
|     the accuracy, and the memory that is needed.                            |
|     You use a magnetic or noncollinear calculation, but did not specify     |
|     the initial magnetic moment with the MAGMOM tag.                        |
 -----------------------------------------------------------------------------
 WARNING: type information on POSCAR and POTCAR are incompatible
 POTCAR overwrites the type information in POSCAR
 typ  3 type information:  O   O_s
 Reading from existing POTCAR
 ML_LOGFILE: memory limit per rank is 2.0 GB
 total amount of memory used by VASP MPI-rank0   412345. kBytes
 POSCAR, INCAR and KPOINTS ok, starting setup
 FFT: planning ... GRIDC
 WAVECAR not read
 ERROR: while reading WAVECAR, plane wave coefficients changed    21303    21300
 entering main loop
DAV:  14    -0.382612911216E+03   -0.55000E-06   -0.11532E-06  3712   0.410E-03    0.128E-03
   9 F= -.38261291E+03 E0= -.38261291E+03  d E =-.411E-04  mag=    20.0011
 PROFILE, used timers:     387
 soft stop encountered!  aborting job ...
 reached required accuracy - stopping structural energy minimisation
Note: The following floating-point exceptions are signalling: IEEE_INVALID_FLAG IEEE_DENORMAL
Warning: ieee_invalid is signaling
Warning: ieee_inexact is signaling
FORTRAN STOP
""",
    "custodian": """
INFO:custodian.custodian:Run started at 2026-01-02 03:04:05.678901 in /scratch/launcher_1.
INFO:custodian.custodian:Starting job no. 1 (VaspJob) attempt no. 1. Errors thus far = 0.
INFO:custodian.vasp.jobs:Running srun vasp_std
ERROR:custodian.custodian:UnconvergedErrorHandler
INFO:custodian.custodian:VaspJob.run has completed. Checking remaining handlers
INFO:custodian.custodian:Run completed. Total time taken = 1:02:03.456789.
""",
    "GPAW": """
  ___ ___ ___ _ _ _
 |   |   |_  | | | |  25.7.0
User:   me@n001
Date:   Fri Jan  2 03:04:05 2026
Arch:   x86_64
Memory limit: none
Input parameters:
  maxiter: 500
System changes: positions, numbers, cell, pbc, initial_charges, initial_magmoms
Memory estimate:
  Process memory now: 312.41 MiB
  Calculator: 118.90 MiB
    Density: 12.09 MiB
iter:   1 03:04:10  -120.345678c            +4.0000
iter:  27 03:09:10  -127.900123c -6.12c  -5.43c   +4.0000
Converged in 27 steps
Fermi level: 3.12345
Timing:                              incl.     excl.
Memory usage: 812.35 MiB
/usr/lib/python3/site-packages/gpaw/setup.py:1: UserWarning: Setup for Mn is 5 years old
""",
    "CHGNet and PyTorch": """
CHGNet v0.3.0 initialized with 412,525 parameters
CHGNet will run on cuda
/env/lib/python3.11/site-packages/torch/cuda/__init__.py:51: FutureWarning: The pynvml package is deprecated.
UserWarning: CUDA initialization: CUDA unknown error - this may be due to an incorrectly set up environment, e.g. changing env variable CUDA_VISIBLE_DEVICES after program start. Setting the available devices to be zero.
UserWarning: Can't initialize NVML
Warning: to prevent out of memory errors use a smaller batch size
      Step     Time          Energy          fmax
FIRE:    0 03:04:05     -310.123456        1.234567
FIRE:   87 03:04:25     -312.654321        0.049990
[W socket.cpp:426] [c10d] The server socket cannot be initialized on [::]:29500 (errno: 97 - Address family not supported by protocol).
NCCL version 2.21.5+cuda12.4
n001:4242:4242 [0] NCCL INFO Bootstrap : Using ib0:10.0.0.1<0>
n001:4242:4242 [0] NCCL INFO NET/Plugin: Could not find: libnccl-net.so. Using internal network plugin.
PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
""",
    "FireWorks": """
2026-01-02 03:04:05,678 INFO Hostname/IP lookup (this will take a few seconds)
2026-01-02 03:04:05,679 INFO Launching Rocket
2026-01-02 03:04:06,000 INFO RUNNING fw_id: 12 in directory: /scratch/launcher_1
2026-01-02 03:04:06,100 INFO Task started: {{jobflow.managers.fireworks.JobFiretask}}.
2026-01-02 04:04:06,100 INFO Task completed: {{jobflow.managers.fireworks.JobFiretask}}
2026-01-02 04:04:07,000 INFO Rocket finished
UserWarning: You have more than one process per GPU; if memory is short use fewer.
DeprecationWarning: datetime.datetime.utcnow() is deprecated and scheduled for removal
""",
    "Slurm": """
srun: job 77 queued and waiting for resources
srun: job 77 has been allocated resources
srun: warning: can't run 1 processes on 2 nodes, setting nnodes to 1
srun: Warning: Lustre quota of project p1 is at 71 %
slurmstepd: info: task 0 on n001, CPU mask 0xff
Job ID: 77
Cluster: c1
State: COMPLETED (exit code 0)
Nodes: 1
CPU Utilized: 1-03:04:05
CPU Efficiency: 96.31% of 1-04:06:40 core-walltime
Job Wall-clock time: 00:52:42
Memory Utilized: 12.01 GB
Memory Efficiency: 37.53% of 32.00 GB
JobId=77 TimeLimit=12:00:00 RunTime=00:52:42 Reason=None ExitCode=0:0 Requeue=0 OverTimeLimit=NONE
MaxRSS 12034M, oom_kill 0
low 0
high 0
max 0
oom 0
oom_kill 0
oom_group_kill 0
""",
    "PBS and Torque": """
Warning: no access to tty (Bad file descriptor).
Thus no job control in this shell.
Begin PBS Prologue Fri Jan  2 03:04:05 CET 2026
Job ID:         4711.server
Resources:      mem=32gb,nodes=1:ppn=32,neednodes=1:ppn=32,walltime=12:00:00
Nodes:          n001
End PBS Prologue
Begin PBS Epilogue
Limits:         mem=32gb,nodes=1:ppn=32,walltime=12:00:00
Resources Used: cput=27:04:05,mem=12034016kb,vmem=45000000kb,walltime=00:52:42
Exit_status = 0
Resource_List.walltime = 12:00:00
Job run time: 00:52:42 of a wall time limit of 12:00:00
Killing leftovers...
End PBS Epilogue
""",
    "LSF": """
Sender: LSF System <lsfadmin@n001>
Subject: Job 4711: <hts> in cluster <c1> Done
Job <hts> was submitted from host <login1> by user <me> in cluster <c1> at Fri Jan  2 03:04:05 2026.
Job was executed on host(s) <32*n001>, in queue <normal>, as user <me> in cluster <c1>
Successfully completed.
Resource usage summary:
    CPU time :                                   97445.00 sec.
    Max Memory :                                 12034 MB
    Average Memory :                             11034.00 MB
    Total Requested Memory :                     32768.00 MB
    Delta Memory :                               20734.00 MB
    Max Swap :                                   -
    Max Processes :                              38
    Run time :                                   3162 sec.
    RUNLIMIT
 720.0 min
    MEMLIMIT
      32 G
The output (if any) is above this job summary.
PS:
Read file <FW_job.error> for stderr output of this job.
""",
    "Grid Engine": """
Warning: no access to tty (Bad file descriptor).
Job 4711 (hts) Complete
 User             = me
 Queue            = all.q@n001
 Start Time       = 01/02/2026 03:04:05
 End Time         = 01/02/2026 03:56:47
 User Time        = 1:03:04:05
 Wallclock Time   = 00:52:42
 Max vmem         = 12.034G
 Exit Status      = 0
failed       0
hard resource_list: h_rt=43200,h_vmem=1G
""",
    "modules and log-in messages": """
/usr/bin/bash: line 1: module: command not found
/etc/profile.d/which2.sh: line 3: which: command not found
bash: ulimit: stack size: cannot modify limit: Operation not permitted
bash: /etc/profile.d/site.sh: Permission denied
bash: warning: setlocale: LC_ALL: cannot change locale (en_US.UTF-8): No such file or directory
Lmod has detected the following error: The following module(s) are unknown: "git/2"
Lmod Warning: MODULEPATH is undefined.
The following have been reloaded with a version change: 1) gcc/12.2 => gcc/13.1
Loading vasp/6.4.3
  Loading requirement: intel/2024.1 impi/2021.12 mkl/2024.1
VASP is licensed software: by loading this module you agree to its licence.
Unloading the license server module intel-license/2024: no licence needed any more.
Using the licence file /opt/intel/licenses/server.lic
conda: command not found
* Jobs that exceed their time limit are killed without warning.                *
* If you run out of memory, ask for more with --mem. Tasks may be killed.      *
* Your quota of /home is 50 GB; 12 GB are used, no limit is exceeded.          *
* Maintenance: n101 to n120 are down until Monday.                             *
Agent pid 4711 killed;
ssh-agent stopped, pid 4711
""",
    "Open MPI": """
--------------------------------------------------------------------------
WARNING: No preset parameters were found for the device that Open MPI
detected:
  Local host:            n001
  Device name:           mlx5_0
--------------------------------------------------------------------------
By default, for Open MPI 4.0 and later, infiniband ports on a device
are not used by default.  The intent is to use UCX for these devices.
--------------------------------------------------------------------------
WARNING: There was an error initializing an OpenFabrics device.
  Local device: mlx5_0
--------------------------------------------------------------------------
WARNING: It appears that your OpenFabrics subsystem is configured to only
allow registering part of your physical memory.  This can cause MPI jobs to
run with erratic performance, hang, and/or crash.
[n001:04711] 31 more processes have sent help message help-mpi-btl-openib.txt / error in device init
[n001:04711] Set MCA parameter "orte_base_help_aggregate" to 0 to see all help / error messages
[n001:04711] PMIX ERROR: ERROR in file gds_ds12_lock_pthread.c at line 169
[n001:04711] PMIX ERROR: NOT-FOUND in file server/pmix_server.c at line 2237
[n001.local:04711] mca_base_component_repository_open: unable to open mca_pmix_s2: libpmi2.so.0: cannot open shared object: ignored
[1704164645.123456] [n001:4711 :0]    ucp_context.c:1774 UCX  WARN  UCP version is incompatible, required: 1.15, actual: 1.14
[1704164645.123456] [n001:4711 :0]        ib_device.c UCX  DIAG  mlx5_1: port 1 is not active
A process has executed an operation involving a call to the "fork()" system call to create a child process.
""",
    "Intel MPI and MPICH": """
[0] MPI startup(): Intel(R) MPI Library, Version 2021.12  Build 20240213 (id: 4f55822)
[0] MPI startup(): library kind: release
[0] MPI startup(): libfabric provider: mlx
[0] MPI startup(): I_MPI_PMI_LIBRARY environment variable is not supported.
[0] MPI startup(): Warning: I_MPI_JOB_RESPECT_PROCESS_PLACEMENT set to 0
MPI startup(): Pinning could not be found; default is used
[mpiexec@n001] main: process memory limits are those of the shell
[cli_0]: readline failed, ignored
WARNING: release_mt library was used as no multi-ep feature was enabled.
PE RANKS=64 Application 4711 resources: utime ~97445s, stime ~45s, Rss ~12034, inblocks ~2, outblocks ~9
""",
    "OpenMP, OpenBLAS, HDF5": """
OMP: Info #276: omp_set_nested routine deprecated, please use omp_set_max_active_levels instead.
OMP: Warning #96: Cannot form a team with 64 threads, using 32 instead.
OpenBLAS warning: precompiled NUM_THREADS exceeded, adding auxiliary array for thread metadata.
OpenBLAS Warning : Detect OpenMP Loop and this application may hang.
HDF5-DIAG: Error detected in HDF5 (1.14.3) thread 0:
Intel MKL WARNING: Support of Intel(R) Streaming SIMD Extensions 4.2 (Intel(R) SSE4.2) enabled only processors has been deprecated.
""",
}  # fmt: skip
"""Program or queue → what it printed."""
