"""SCIENCE: which compositions exist."""

from __future__ import annotations
