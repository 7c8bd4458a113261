"""Recipes by name, each read from its module when it is asked for: seconds pass."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from hts_battery.errors import ConfigurationError
from hts_battery.schemas.campaign import RECIPES, no_such_recipe

if TYPE_CHECKING:
    from hts_battery.flows.recipes.recipe import CampaignRecipe, Recipe, RecipeMaker
    from hts_battery.schemas.campaign import CampaignSpec


def recipe(name: str) -> Recipe:
    """
    Return the recipe of a name.

    Raises
    ------
    ConfigurationError
        If there is none; names the nearest, or all.

    Examples
    --------
    >>> recipe("screen").steps
    ('order', 'prerelax', 'gate', 'relax', 'static')
    """
    if name not in RECIPES:
        raise ConfigurationError(no_such_recipe(name))
    found: Recipe = import_module(RECIPES[name]).RECIPE
    return found


def campaign_recipe(name: str) -> CampaignRecipe:
    """Return the recipe of a campaign; ConfigurationError if it computes no members."""
    from hts_battery.flows.recipes.recipe import CampaignRecipe  # noqa: PLC0415 - jobflow takes a second

    found = recipe(name)
    if not isinstance(found, CampaignRecipe):
        raise ConfigurationError(
            f"recipe {name} computes each {found.subject}, and no members of a "
            "campaign: `hts references compute --like FILE` does"
        )
    return found


def maker_of(spec: CampaignSpec) -> RecipeMaker:
    """Configure the maker of a campaign's recipe."""
    return campaign_recipe(spec.recipe).make(spec)
