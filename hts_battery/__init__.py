"""Workflow-managed screening of high-entropy battery materials."""

from __future__ import annotations
