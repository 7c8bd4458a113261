"""COMPUTE: GPAW, which runs as a program of its own."""

from __future__ import annotations
