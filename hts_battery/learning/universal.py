"""Relaxed structures with energies, and what a universal model says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from hts_battery.errors import ConfigurationError, MissingExtraError
from hts_battery.learning.curve import Model
from hts_battery.learning.linear_energies import fractions
from hts_battery.schemas.formula import atomic_fractions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    Array = NDArray[np.float64]

BASIC = ("dummy", "elements")
UNIVERSAL = ("shifted", "per-element", "head")
_BATCH = 16


class StructureSet(NamedTuple):
    """Structures without oxidation states, one a row."""

    structures: list[Structure]
    formulas: list[str]
    """Reduced: rows of one composition share it."""
    energies: Array
    """eV per atom."""


class UniversalOutput(NamedTuple):
    """What a model gives for each structure without being fitted."""

    energies: Array
    """eV per atom."""
    features: Array
    """Its last hidden layer, averaged over atoms, shape (structures, features)."""


def read_entries(path: Path) -> StructureSet:
    """
    Read pymatgen's structure entries from a JSON file, packed or not.

    Raises
    ------
    ConfigurationError
        If the file holds no such entries.
    """
    from monty.serialization import loadfn  # noqa: PLC0415 - pymatgen, half a second

    try:
        found = loadfn(path)
        structures = [one.structure.copy() for one in found]
        energies = [one.energy / len(one.structure) for one in found]
    except (OSError, ValueError, TypeError, AttributeError) as err:
        raise ConfigurationError(
            f"{path} holds no list of pymatgen's ComputedStructureEntry: {err}"
        ) from err
    if not structures:
        raise ConfigurationError(f"{path} holds no ComputedStructureEntry")
    for one in structures:
        one.remove_oxidation_states()
        for name in list(one.site_properties):
            one.remove_site_property(name)
    formulas = [one.composition.reduced_formula for one in structures]
    return StructureSet(structures, formulas, np.array(energies))


def chgnet_output(structures: Sequence[Structure], version: str) -> UniversalOutput:
    """
    Compute one static energy of each structure with CHGNet, and its features.

    ``version``: of the weights in CHGNet's wheel, such as 0.3.0. The energies are on
    its own scale (GGA and GGA+U of the Materials Project), not on that of the labels.

    Raises
    ------
    MissingExtraError
        If CHGNet is not installed.
    """
    try:
        from chgnet.model import CHGNet  # noqa: PLC0415 - extra, and torch
    except ImportError as err:
        raise MissingExtraError("chgnet", "chgnet") from err
    model = CHGNet.load(model_name=version, use_device="cpu", verbose=False)
    energies, features = [], []
    for start in range(0, len(structures), _BATCH):
        some = list(structures[start : start + _BATCH])
        found = cast(
            "list[dict[str, Array]]",  # one for each structure of a list
            model.predict_structure(some, task="e", return_crystal_feas=True),
        )
        energies += [float(one["e"]) for one in found]
        features += [one["crystal_fea"] for one in found]
    return UniversalOutput(np.array(energies), np.array(features, dtype=float))


def curve_models(
    names: Sequence[str], formulas: Sequence[str], output: UniversalOutput | None
) -> dict[str, Model]:
    """
    Make the models of a learning curve by their names.

    ``dummy``: the mean; ``elements``: linear in atomic fractions. Of a universal model:
    ``shifted``: one constant; ``per-element``: a constant for each element; ``head``:
    ridge on its frozen features and the elements, on top of its energy. Its energies as
    they are stand on another scale than the labels, and are no model of them.

    Raises
    ------
    ConfigurationError
        If a name is not known, or needs a universal model and there is none.
    """
    elements = sorted(set().union(*map(atomic_fractions, formulas)))
    shares = fractions(formulas, elements)
    found = {}
    for name in names:
        if name in UNIVERSAL and output is None:
            raise ConfigurationError(f"the model {name} needs --universal")
        if name == "dummy":
            found[name] = Model()
        elif name == "elements":
            found[name] = Model(shares)
        elif name == "shifted" and output is not None:
            found[name] = Model(start=output.energies)
        elif name == "per-element" and output is not None:
            found[name] = Model(shares, output.energies)
        elif name == "head" and output is not None:
            columns = np.hstack([shares, output.features])
            found[name] = Model(columns, output.energies)
        else:
            known = ", ".join((*BASIC, *UNIVERSAL))
            raise ConfigurationError(f"no model {name!r}; there are {known}")
    return found
