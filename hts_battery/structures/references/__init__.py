"""SCIENCE: competing phases as structures, and what is asked of them."""

from __future__ import annotations
