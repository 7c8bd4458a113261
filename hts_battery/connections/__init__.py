"""DOORS: the only room that opens connections."""

from __future__ import annotations
