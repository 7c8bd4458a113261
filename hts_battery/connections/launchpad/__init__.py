"""DOORS: the launchpad of FireWorks, read and changed."""

from __future__ import annotations
