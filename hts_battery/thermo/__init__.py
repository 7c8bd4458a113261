"""SCIENCE: is it stable."""

from __future__ import annotations
