"""COMPUTE: jobflow jobs and makers, engines as configured makers."""

from __future__ import annotations
