"""Campaigns of lattice models: files that train and close one, and their results."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

import yaml

from hts_battery.compositions import load_space
from hts_battery.compositions.descriptors import neutral_species
from hts_battery.connections.records.stored_documents import read_stored
from hts_battery.errors import ConfigurationError
from hts_battery.schemas.campaign import CampaignSpec
from hts_battery.schemas.formula import common_divisor, display_formula, parse_formula
from hts_battery.schemas.lattice import LatticeTraining
from hts_battery.schemas.species import parse_species

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from hts_battery.compositions import CompositionSpace
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.lattice import LatticeModelDoc

RECIPE = "lattice_training"
_SITES = Fraction(2)  # cations per formula unit of the family
_STEP = Fraction(1, 10)
_REACH = Fraction(
    2, 10
)  # atoms per formula unit that neighbours of a formula differ by
_FEWEST = 4  # compositions, where there are so many
_A_COMPOSITION = 8  # cells, about
_MOST = 60  # compositions
_CLOSING_ATOMS = 80
_FAMILY = "hedrx"
_BOUNDED = ("Li+", "Na+", "F-")


class TrainingPlan(NamedTuple):
    """A training campaign, and why it has so many cells."""

    data: dict[str, object]
    """What the file holds."""
    formulas: tuple[str, ...]
    cells: int
    """Of all compositions together."""
    features: int
    """Parameters of the model that they are for."""

    def text(self, comment: str) -> str:
        """Write the campaign file, with a comment above."""
        dumped = yaml.safe_dump(self.data, sort_keys=False, width=100)
        return "".join(f"# {line}\n" for line in comment.splitlines()) + str(dumped)


def plan_formula(
    formula: str, *, engine: str, name: str, cells: int | None = None, seed: int = 0
) -> TrainingPlan:
    """
    Plan the training of a model for one composition and its neighbours.

    Parameters
    ----------
    formula
        A rock salt: as many cations as anions.
    engine
        Engine that relaxes the cells.
    name
        Of the campaign.
    cells
        Cells in all; three a parameter of the model if not given.
    seed
        Of compositions, shapes and decorations.

    Raises
    ------
    ConfigurationError
        The formula is no rock salt.
    CompositionError
        No oxidation states make it neutral.
    """
    species = _on_two_sites(formula)
    data = _space(species, bounds=True)
    space = load_space(data)
    own = display_formula(_amounts(species))
    return _plan(data, space, (own,), (engine, name, cells, seed))


def plan_space(
    file: Path, *, engine: str, name: str, cells: int | None = None, seed: int = 0
) -> TrainingPlan:
    """
    Plan the training of a model for a composition space, or that of a campaign.

    ``file``: a space or a campaign file of rock salts; the others as of
    :func:`plan_formula`. ConfigurationError if the space is of another family.
    """
    space = load_space(file)
    if space.family != _FAMILY:
        raise ConfigurationError(
            f"{file}: lattice models are of the family {_FAMILY}, not {space.family}"
        )
    return _plan(str(file.absolute()), space, (), (engine, name, cells, seed))


def plan_closing(
    document: LatticeModelDoc,
    spec: CampaignSpec,
    formulas: Sequence[str],
    *,
    name: str,
    cells: int = 6,
    temperature: float = 1273.0,
) -> TrainingPlan:
    """
    Plan a campaign of the states that a model finds lowest and typical.

    Parameters
    ----------
    document
        The model.
    spec
        Campaign that it was fitted to: engine and relaxation are the same.
    formulas
        Compositions; those fitted to if none are given.
    name
        Of the new campaign.
    cells
        Of each composition: half the lowest states, half typical ones.
    temperature
        Of the typical states in K.
    """
    names = sorted(document.parameters.species_energies)
    asked = formulas or tuple(document.ground_states)
    chosen = [_on_two_sites(one, names) for one in asked]
    divisor = common_divisor([n for one in chosen for n in one.values()] + [_SITES])
    data = _space(dict.fromkeys(names, _SITES), step=divisor)
    written = tuple(display_formula(_amounts(one)) for one in chosen)
    options = {
        "cells": cells,
        "smallest_atoms": 20,
        "largest_atoms": _CLOSING_ATOMS,
        "model": document.parameters.model_dump(mode="json"),
        "temperature": temperature,
    }
    return TrainingPlan(
        {
            "name": name,
            "recipe": RECIPE,
            "recipe_options": options,
            "space": data,
            "selection": {"method": "formulas", "formulas": list(written)},
            "structure": {"atoms": None},
            "engine": spec.engine,
            "relaxation": spec.relaxation.model_dump(mode="json"),
        },
        written,
        cells * len(written),
        document.features,
    )


def read_training(name: str, stores: Stores) -> list[LatticeTraining]:
    """
    Read what a training campaign has relaxed.

    Raises
    ------
    ConfigurationError
        No such campaign in the database, one of another recipe, or no results yet.
    """
    spec = registered_spec(name, stores)
    if spec.recipe != RECIPE:
        raise ConfigurationError(
            f"the campaign {name} is of recipe {spec.recipe}: a lattice model is "
            f"fitted to one of {RECIPE}, which `hts disorder plan` writes"
        )
    keys = [
        doc["content_key"]
        for doc in stores.members.query({"campaign": name}, properties=["content_key"])
    ]
    criteria = {"metadata.step": "result", "metadata.content_key": {"$in": keys}}
    found: dict[str, LatticeTraining] = {}
    for doc in stores.tasks.query(criteria, sort={"completed_at": 1}):
        result = LatticeTraining.model_validate(doc["output"])
        found[result.candidate_id] = result
    if not found:
        raise ConfigurationError(
            f"the campaign {name} has no results yet: `hts campaign run` or `submit` it"
        )
    return [found[key] for key in sorted(found)]


def registered_spec(name: str, stores: Stores) -> CampaignSpec:
    """Read a campaign of the database; ConfigurationError where there is none."""
    doc = stores.campaigns.query_one({"name": name})
    if doc is None:
        raise ConfigurationError(
            f"there is no campaign {name} in the database: run or submit its file first"
        )
    return read_stored(CampaignSpec, doc.get("spec"), f"the campaign {name}")


def _plan(
    where: dict[str, object] | str,
    space: CompositionSpace,
    wanted: tuple[str, ...],
    asked: tuple[str, str, int | None, int],
) -> TrainingPlan:
    """Choose compositions and the number of their cells."""
    engine, name, cells, seed = asked
    few = list(space.sample(min(space.count, _MOST), seed=seed))
    species = {text for one in few for text in one.species}
    anions = sum(parse_species(text).charge < 0 for text in species)
    # numba is in an extra of its own, and takes a second.
    from hts_battery.disorder.training_cells import (  # noqa: PLC0415
        CELLS_A_FEATURE,
        feature_count,
    )

    features = feature_count(len(species) - anions, anions)
    total = cells or CELLS_A_FEATURE * features
    count = min(space.count, _MOST, max(_FEWEST, ceil(total / _A_COMPOSITION)))
    others = [one.formula for one in few if one.formula not in wanted]
    formulas = (*wanted, *others[: count - len(wanted)])
    each = ceil(total / len(formulas))
    data: dict[str, object] = {
        "name": name,
        "recipe": RECIPE,
        "recipe_options": {"cells": each, "seed": seed},
        "space": where,
        "selection": {"method": "formulas", "formulas": list(formulas)},
        "structure": {"atoms": None},
        "engine": engine,
    }
    return TrainingPlan(data, formulas, each * len(formulas), features)


def _on_two_sites(
    formula: str, names: Iterable[str] | None = None
) -> dict[str, Fraction]:
    """Return the species of a rock salt, two cations and two anions a formula unit."""
    amounts = parse_formula(formula)
    if names is None:
        found = neutral_species(amounts)
    else:
        # numba is in an extra of its own, and takes a second.
        from hts_battery.disorder.lattice_document import (  # noqa: PLC0415
            species_in_model,
        )

        found = species_in_model(amounts, names)
    cations = sum(
        (n for text, n in found.items() if parse_species(text).charge > 0), Fraction(0)
    )
    anions = sum(found.values(), Fraction(0)) - cations
    if not cations or cations != anions:
        raise ConfigurationError(
            f"{formula}: {float(cations):g} cations and {float(anions):g} anions; a "
            "rock salt has as many of both"
        )
    return {text: n * _SITES / cations for text, n in found.items()}


def _amounts(species: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """Add up the elements of species."""
    found: dict[str, Fraction] = {}
    for text, amount in species.items():
        element = parse_species(text).element
        found[element] = found.get(element, Fraction(0)) + amount
    return found


def _space(
    species: Mapping[str, Fraction],
    *,
    bounds: bool = False,
    step: Fraction | None = None,
) -> dict[str, object]:
    """Describe the space of some species, or the neighbourhood of their amounts."""
    if step is None:
        own = common_divisor([*species.values(), _SITES])
        step = common_divisor([own, _STEP])
    sides: dict[str, dict[str, object]] = {"cation": {}, "anion": {}}
    for text, amount in sorted(species.items()):
        side = "anion" if parse_species(text).charge < 0 else "cation"
        # The metals balance what carriers and fluorine change.
        sides[side][text] = (
            {
                "minimum": str(max(Fraction(0), amount - _REACH)),
                "maximum": str(min(_SITES, amount + _REACH)),
            }
            if bounds and text in _BOUNDED
            else {}
        )
    return {
        "family": _FAMILY,
        "basis": "formula-unit",
        "step": str(step),
        "sublattices": {
            name: {"sites": int(_SITES), "species": inside}
            for name, inside in sides.items()
        },
    }
