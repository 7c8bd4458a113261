"""COMPUTE: jobs that are recorded, their folders, their failures."""

from __future__ import annotations
