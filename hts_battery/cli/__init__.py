"""FACE: hts <noun> <verb>."""

from __future__ import annotations
