"""FACE: what keeps FireWorks supplied with the candidates of a campaign."""

from __future__ import annotations
