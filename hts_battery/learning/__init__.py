"""SCIENCE: rules, symbolic descriptors, and models that say how sure they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hts_battery.compositions.descriptors import composition_descriptors
    from hts_battery.learning.curve import learning_curve
    from hts_battery.learning.descriptor_search import DescriptorSearch
    from hts_battery.learning.logit import stability_logit
    from hts_battery.learning.nasicon import nasicon_tolerance_2021
    from hts_battery.learning.ranking import RankingSVM, pair_accuracy
    from hts_battery.learning.rules import mine_rules
    from hts_battery.learning.separable import SeparableSurrogate
    from hts_battery.learning.space_ranking import rank_space

__all__ = [
    "DescriptorSearch",
    "RankingSVM",
    "SeparableSurrogate",
    "composition_descriptors",
    "learning_curve",
    "mine_rules",
    "nasicon_tolerance_2021",
    "pair_accuracy",
    "rank_space",
    "stability_logit",
]

_MODULES = {
    "DescriptorSearch": "learning.descriptor_search",
    "RankingSVM": "learning.ranking",
    "SeparableSurrogate": "learning.separable",
    "composition_descriptors": "compositions.descriptors",
    "learning_curve": "learning.curve",
    "mine_rules": "learning.rules",
    "nasicon_tolerance_2021": "learning.nasicon",
    "pair_accuracy": "learning.ranking",
    "rank_space": "learning.space_ranking",
    "stability_logit": "learning.logit",
}


def __getattr__(name: str) -> object:
    """Load what is asked for, and with it numpy, pandas and scikit-learn, then only."""
    if name in _MODULES:
        from importlib import import_module  # noqa: PLC0415 - only when needed

        try:
            return getattr(import_module(f"hts_battery.{_MODULES[name]}"), name)
        except ModuleNotFoundError as err:
            if err.name is None or not err.name.startswith("sklearn"):
                raise
            from hts_battery.errors import MissingExtraError  # noqa: PLC0415 - as above

            raise MissingExtraError("learning", "scikit-learn") from err
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
