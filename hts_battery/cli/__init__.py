"""FACE: hts <noun> <verb>; only formatting.py prints."""

from __future__ import annotations
