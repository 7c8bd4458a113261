"""Fixtures of a campaign that is dispatched."""

from __future__ import annotations

from dispatched import dispatch, many, sample_file

__all__ = ["dispatch", "many", "sample_file"]
