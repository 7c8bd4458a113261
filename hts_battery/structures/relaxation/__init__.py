"""SCIENCE: what a relaxation made of a cell."""

from __future__ import annotations
