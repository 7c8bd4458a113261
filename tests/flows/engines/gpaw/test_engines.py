from __future__ import annotations

from importlib.util import find_spec

import pytest

from hts_battery.errors import ConfigurationError
from hts_battery.flows.engines.gpaw.engines import GPAWEngine
from hts_battery.flows.engines.registry import ENGINES, engine
from hts_battery.flows.recipes.references import ReferenceMaker
from hts_battery.schemas.campaign import RelaxationSpec
from hts_battery.settings import get_settings
from hts_battery.structures.references.library import reference_phase

needs_gpaw = pytest.mark.skipif(
    find_spec("gpaw") is None, reason="GPAW is not installed (docs/gpaw.md says how)"
)


def test_the_registry_holds_plane_waves_fixed_cells_and_orbitals() -> None:
    cutoffs = {
        name: (one.settings.mode, one.settings.cutoff)
        for name, one in ENGINES.items()
        if isinstance(one, GPAWEngine)
    }
    assert cutoffs == {
        "gpaw": ("pw", 800.0),
        "gpaw-fixed-cell": ("pw", 600.0),
        "gpaw-lcao": ("lcao", 800.0),
    }
    assert all(engine(name).magmom for name in cutoffs)


@pytest.mark.parametrize("name", ["gpaw-fixed-cell", "gpaw-lcao"])
def test_engines_without_a_stress_refuse_to_move_cells(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}.*choose the engine gpaw"):
        engine(name).relax_maker(RelaxationSpec())
    maker = engine(name).relax_maker(RelaxationSpec(relax_cell=False))
    assert maker.name == f"{name} relax"


@needs_gpaw
def test_the_calculator_names_what_decides_the_scale() -> None:
    name = engine("gpaw-fixed-cell").calculator()
    assert name.startswith("gpaw-fixed-cell 2")
    assert name.endswith(" PBE+U pw600 k1.8")


@needs_gpaw
def test_an_element_without_data_is_refused() -> None:
    assert engine("gpaw").unsupported(["Li", "Nb", "U"]) == {"U"}
    assert "cannot compute U" in " ".join(engine("gpaw").missing(["U"]))


def test_a_launcher_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTS_BATTERY_GPAW_COMMAND", "no-such-mpirun -np 4 gpaw python")
    get_settings.cache_clear()
    try:
        found = " ".join(engine("gpaw").missing(["Li"]))
    finally:
        get_settings.cache_clear()
    assert "gpaw_command starts no-such-mpirun" in found


def test_competing_phases_start_from_the_moments_of_their_species() -> None:
    flow = ReferenceMaker(engine_name="gpaw").make(reference_phase("MnO-rocksalt"))
    ((job, _),) = flow.iterflow()
    assert job.function_args[0].site_properties["magmom"] == [5.0, 0.0]
    flow = ReferenceMaker().make(reference_phase("MnO-rocksalt"))
    ((job, _),) = flow.iterflow()
    assert not job.function_args[0].site_properties
