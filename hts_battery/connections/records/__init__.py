"""DOORS: what is written once: executions, launches, the backlog."""

from __future__ import annotations
