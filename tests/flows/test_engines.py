from __future__ import annotations

from dataclasses import replace

import pytest

from hts_battery.errors import ConfigurationError
from hts_battery.flows.engines import ENGINES, engine
from hts_battery.schemas.campaign import RelaxationSpec


def test_each_engine_stands_under_its_own_name() -> None:
    assert {one.name for one in ENGINES.values()} == set(ENGINES)


def test_an_unknown_engine_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"no engine 'CHGNet'.*one of chgnet"):
        engine("CHGNet")


def test_a_missing_package_is_named_with_what_installs_it() -> None:
    absent = replace(engine("chgnet"), packages=("no-such-package-here",))
    with pytest.raises(ConfigurationError, match=r"hts_battery\[chgnet\]"):
        absent.calculator()


def test_the_calculator_carries_its_version() -> None:
    pytest.importorskip("chgnet")
    assert engine("chgnet").calculator().startswith("chgnet 0.")


def test_relaxation_settings_reach_the_maker() -> None:
    maker = engine("chgnet").relax_maker(
        RelaxationSpec(fmax=0.02, steps=7, relax_cell=False)
    )
    assert maker.steps == 7
    assert maker.relax_kwargs["fmax"] == 0.02
    assert maker.relax_cell is False
