"""FACE: from a campaign file to its members, its runs and where each stands."""

from __future__ import annotations
