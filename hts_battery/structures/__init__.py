"""SCIENCE: where the atoms sit."""

from __future__ import annotations
