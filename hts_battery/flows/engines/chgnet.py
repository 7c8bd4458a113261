"""Relaxations with CHGNet on the device of the machine that runs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from atomate2.forcefields.jobs import ForceFieldRelaxMaker

from hts_battery.errors import ConfigurationError
from hts_battery.flows.execution.node import node_settings

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator


@dataclass
class CHGNetRelaxMaker(ForceFieldRelaxMaker):
    """
    atomate2's relaxation; the worker decides on which device.

    What is submitted names no device: the setting ``chgnet_device`` is read where the
    job runs, and stands in the document as a tag, ``device cuda``. Of the steps only
    the energies are kept: with every structure a candidate of 40 atoms takes 1.6 MB.
    """

    ionic_step_data: tuple[str, ...] | None = ("energy",)

    def _get_calculator(self) -> Calculator:
        """Make the calculator; ConfigurationError if this machine lacks the device."""
        device = node_settings().chgnet_device
        if problem := missing_device(device):
            raise ConfigurationError(problem)
        self.tags = [f"device {device}"]
        self.calculator_kwargs = {**self.calculator_kwargs, "use_device": device}
        return super()._get_calculator()


def missing_device(device: str) -> str | None:
    """
    Say what is wrong where PyTorch cannot compute on a device; none if it can.

    Examples
    --------
    >>> missing_device("cpu")
    """
    kind, _, number = device.partition(":")
    there = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }[kind]
    if int(number or 0) < there:
        return None
    return (
        f"engine chgnet is to compute on {device}, which PyTorch {torch.__version__} "
        "does not find here: install a PyTorch for that device, or set chgnet_device "
        "(HTS_BATTERY_CHGNET_DEVICE) to cpu"
    )
