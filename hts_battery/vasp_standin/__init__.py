"""
REHEARSAL: executables that stand in for DFT codes, each a process of its own.

They read and write the files of the code they stand in for and mark what they write.
Nothing here imports a pipeline, and no pipeline imports anything from here but the
names that mark a rehearsal.
"""

from __future__ import annotations

VASP_MARK = "rehearsal"
"""Stands in the version of every file the stand-in for VASP writes."""

VASP_VERSION = f"6.0.0.{VASP_MARK}"
"""Version that the stand-in for VASP reports; VASP has none like it."""
