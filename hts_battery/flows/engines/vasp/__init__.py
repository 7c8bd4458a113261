"""COMPUTE: VASP under custodian, by atomate2's makers."""

from __future__ import annotations
