"""WORDS: the documents everybody speaks, unit and basis in every field."""

from __future__ import annotations
