"""FACE: the conductor; one campaign file in, candidates, runs and a ranking out."""

from __future__ import annotations
