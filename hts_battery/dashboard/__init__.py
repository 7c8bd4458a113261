"""SHOW: the server of the dashboard, the JSON API and the OPTIMADE endpoint."""

from __future__ import annotations
