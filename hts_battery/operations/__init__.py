"""FACE: the night, the doctor, alerts and rehearsals."""

from __future__ import annotations
