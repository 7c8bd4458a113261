"""What an engine answers: names, what it lacks here, and what to do about it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hts_battery.errors import ConfigurationError
from hts_battery.flows.engines.engine import SD_PER_MAE, Engine
from hts_battery.flows.engines.registry import ENGINES, engine

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jobflow import Maker

    from hts_battery.schemas.campaign import RelaxationSpec


def no_maker(_: RelaxationSpec) -> Maker:
    raise NotImplementedError


PLAIN = Engine(name="plain", packages=("numpy",), relax_maker=no_maker, extra="plain")
LIMITED = replace(PLAIN, elements=lambda: frozenset({"Li", "O"}))


def needs_salt(elements: frozenset[str]) -> Iterable[str]:
    return [f"no salt for {', '.join(sorted(elements))}: buy some"]


def test_a_calculator_is_named_by_its_packages_or_its_label() -> None:
    version = PLAIN.versions()["numpy"]
    assert PLAIN.calculator() == f"numpy {version}"
    assert replace(PLAIN, label="own 2").calculator() == "own 2"
    assert replace(PLAIN, packages=()).calculator() == ""


@pytest.mark.parametrize(
    ("extra", "means"),
    [
        ("plain", r"pip install 'hts_battery\[plain\]'"),
        ("", r"install it \(pip install no-such-package\)"),
    ],
)
def test_a_missing_package_says_what_installs_it(extra: str, means: str) -> None:
    lacking = replace(PLAIN, packages=("no-such-package",), extra=extra)
    with pytest.raises(ConfigurationError, match=means):
        lacking.versions()
    # A label names energies: whether they can be computed is another question.
    with pytest.raises(ConfigurationError, match=means):
        replace(lacking, label="own 2").calculator()
    (problem,) = lacking.missing()
    assert "engine plain needs the package no-such-package" in problem


@pytest.mark.parametrize(
    ("elements", "unsupported"),
    [
        ((), ()),
        (("Li", "O"), ()),
        (("Li", "Xe"), ("Xe",)),
        (("Xe", "Po"), ("Po", "Xe")),
    ],
)
def test_elements_that_it_does_not_know_are_named(
    elements: tuple[str, ...], unsupported: tuple[str, ...]
) -> None:
    assert sorted(LIMITED.unsupported(elements)) == list(unsupported)
    assert PLAIN.unsupported(elements) == frozenset()
    problems = LIMITED.missing(elements)
    assert len(problems) == bool(unsupported)
    if unsupported:
        assert f"cannot compute {', '.join(unsupported)}" in problems[0]
        with pytest.raises(ConfigurationError, match="choose another engine"):
            LIMITED.require(elements)
    else:
        LIMITED.require(elements)


def test_every_problem_is_said_at_once() -> None:
    lacking = replace(LIMITED, packages=("no-such-package",), checks=(needs_salt,))
    problems = lacking.missing({"Li", "Xe"})
    assert [problem.split()[0] for problem in problems] == ["engine", "engine", "no"]
    # What it cannot compute anyway is not looked for.
    assert problems[-1] == "no salt for Li: buy some"
    with pytest.raises(ConfigurationError) as caught:
        lacking.require({"Li", "Xe"})
    assert str(caught.value).count(";") >= 2


def test_every_engine_of_the_registry_can_be_asked() -> None:
    for name, one in ENGINES.items():
        assert engine(name) is one
        assert one.steps[-1] in {"relax", "static"}
        assert one.error.terms or one.error.reason
        assert one.unsupported(["Li", "O"]) == frozenset()
        # Whoever starts a program leaves the cores to it.
        assert (one.process_memory is None) is name.startswith(("gpaw", "vasp"))


def test_a_mean_absolute_error_is_less_than_the_deviation() -> None:
    assert pytest.approx(1.2533, abs=1e-4) == SD_PER_MAE
