"""READ: what the builders wrote."""

from __future__ import annotations
