"""DOORS: configuration of the machines that compute."""

from __future__ import annotations
