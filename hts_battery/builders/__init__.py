"""REFINE: maggma builders."""

from __future__ import annotations
