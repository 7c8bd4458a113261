"""DOORS: the database, its stores, locks, roles, indexes and backups."""

from __future__ import annotations
