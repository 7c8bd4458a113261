"""COMPUTE: the ways to get energies, each a configured maker."""

from __future__ import annotations
