"""COMPUTE: what is done with a candidate, or a competing phase, step by step."""

from __future__ import annotations
