"""COMPUTE: jobflow jobs and makers, recipes over engines."""

from __future__ import annotations
