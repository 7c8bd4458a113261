"""A changed reference touches the candidates whose answer it can change, no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fakes import fake_reference_energies

from hts_battery.builders.reasons import hull_news
from hts_battery.campaign.references import store_references
from hts_battery.schemas.thermo import LeftOutReferences
from hts_battery.thermo.stability import LOWER_POLYMORPH

if TYPE_CHECKING:
    from conftest import Chain

    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.reference import ReferenceEnergy

pytestmark = pytest.mark.mongo

TEMPERATURES = 2
FLUORIDE, OXIDE = "Li1.3Mn0.4Ti0.3O1.7F0.3", "Li1.2Mn0.4Ti0.4O2"


def reference(
    formula: str, energy: float, *, name: str = "added", family: str | None = None
) -> ReferenceEnergy:
    like = fake_reference_energies()[0]
    return like.model_copy(
        update={
            "phase_id": f"{name}-{formula}",
            "formula": formula,
            "energy_per_atom": energy,
            "candidate_family": family,
        }
    )


def judged_from_scratch(chain: Chain, stores: Stores) -> dict[str, float]:
    stores.thermo.remove_docs({})
    stores.summary.remove_docs({})
    chain.run()
    docs = stores.summary.query({})
    return {doc["formula"]: doc["energy_above_hull"] for doc in docs}


def depths_of(stores: Stores) -> dict[str, float]:
    docs = stores.summary.query({})
    return {doc["formula"]: doc["hull_depth_risk"] for doc in docs}


def energies(stores: Stores) -> dict[str, float]:
    docs = stores.summary.query({})
    return {doc["formula"]: doc["energy_above_hull"] for doc in docs}


def test_a_reference_of_other_elements_touches_nobody(
    chain: Chain, stores: Stores
) -> None:
    chain.run()
    version = stores.summary.query_one({})["hull_version"]
    store_references([reference("Cr2NbO6", -9.0)], stores)
    reports = chain.run()
    assert reports["entries"].written == 1
    assert reports["thermo"].written == reports["summary"].written == 0
    assert stores.summary.query_one({})["hull_version"] == version
    assert stores.hulls.count() == 2
    before = energies(stores)
    assert judged_from_scratch(chain, stores) == before
    assert stores.summary.query_one({})["hull_version"] != version


def test_a_reference_above_the_hull_touches_nobody(
    chain: Chain, stores: Stores
) -> None:
    chain.run()
    store_references([reference("TiO2", 0.5)], stores)
    reports = chain.run()
    assert reports["thermo"].written == 0
    before = energies(stores)
    assert judged_from_scratch(chain, stores) == before


def test_a_composition_won_touches_whose_hull_it_deepens(
    chain: Chain, stores: Stores
) -> None:
    """Its energy is above the hull, so no E_hull moves; what may be missing does."""
    chain.run()
    before, depths = energies(stores), depths_of(stores)
    store_references([reference("Li2MnO3", 0.5)], stores)
    reports = chain.run()
    assert reports["thermo"].written == 2 * TEMPERATURES
    after = depths_of(stores)
    assert energies(stores) == before
    assert all(after[name] < depths[name] for name in (OXIDE, FLUORIDE))
    judged_from_scratch(chain, stores)
    assert depths_of(stores) == after


def test_a_fluoride_touches_the_oxyfluoride_only(chain: Chain, stores: Stores) -> None:
    chain.run()
    before = energies(stores)
    store_references([reference("Li2MnF6", -4.5)], stores)
    reports = chain.run()
    assert reports["thermo"].written == TEMPERATURES
    assert reports["summary"].written == 1
    after = energies(stores)
    assert after[OXIDE] == before[OXIDE]
    assert after[FLUORIDE] > before[FLUORIDE]
    doc = stores.summary.query_one({"formula": FLUORIDE})
    previous = doc["previous_at"]["0K"]
    assert previous["energy_above_hull"] == before[FLUORIDE]
    assert previous["hull_version"] != doc["hull_version"]
    assert previous["reasons"] == ["new reference chgnet:added-Li2MnF6"]
    assert judged_from_scratch(chain, stores) == after


def test_a_removed_reference_touches_whom_it_decomposed(
    chain: Chain, stores: Stores
) -> None:
    chain.run()
    before = energies(stores)
    # Chromium takes no part in either; lithium fluoride in one.
    stores.references.remove_docs({"formula": "Cr2O3"})
    assert chain.run()["thermo"].written == 0
    stores.references.remove_docs({"formula": "LiF"})
    assert chain.run()["thermo"].written == TEMPERATURES
    after = energies(stores)
    assert after[FLUORIDE] < before[FLUORIDE]
    assert after[OXIDE] == before[OXIDE]
    doc = stores.summary.query_one({"formula": FLUORIDE})
    assert doc["previous_at"]["0K"]["reasons"] == ["removed reference chgnet:fake-LiF"]
    assert any("F-Li" in flag for flag in doc["flags"])


def test_the_only_reference_of_a_small_system_refreshes_the_flags(
    chain: Chain, stores: Stores
) -> None:
    chain.run()
    doc = stores.summary.query_one({"formula": FLUORIDE})
    assert any("F-Ti" in flag for flag in doc["flags"])
    store_references([reference("TiF4", 5.0)], stores)
    assert chain.run()["thermo"].written == TEMPERATURES
    doc = stores.summary.query_one({"formula": FLUORIDE})
    assert not any("F-Ti" in flag for flag in doc["flags"])


def leaving_out(chain: Chain, rule: LeftOutReferences) -> None:
    stability = chain.spec.stability.model_copy(update={"left_out_references": rule})
    chain.spec = chain.spec.model_copy(update={"stability": stability})


def test_a_member_of_the_own_family_competes_like_any_other(
    chain: Chain, stores: Stores
) -> None:
    chain.run()
    before = energies(stores)
    store_references([reference("Li2MnO3", -9.0, family="hedrx")], stores)
    assert chain.run()["thermo"].written == 2 * TEMPERATURES
    after = energies(stores)
    for doc in stores.summary.query({}):
        assert doc["excluded_references"] == []
        assert after[doc["formula"]] > before[doc["formula"]]
    assert judged_from_scratch(chain, stores) == after


def test_the_own_family_is_left_out_by_option(chain: Chain, stores: Stores) -> None:
    leaving_out(chain, LeftOutReferences.OWN_FAMILY)
    chain.run()
    before = energies(stores)
    store_references([reference("Li2MnO3", -9.0, family="hedrx")], stores)
    # No number changes; what was left out is said all the same.
    assert chain.run()["thermo"].written == 2 * TEMPERATURES
    assert energies(stores) == before
    for doc in stores.summary.query({}):
        assert doc["excluded_references"] == ["chgnet:added-Li2MnO3"]
    assert judged_from_scratch(chain, stores) == before
    # A member of other elements is no matter of theirs.
    store_references([reference("Li2NbO3", -9.0, family="hedrx")], stores)
    assert chain.run()["thermo"].written == 0
    leaving_out(chain, LeftOutReferences.OWN_COMPOSITION)
    chain.run()
    for doc in stores.summary.query({}):
        assert doc["excluded_references"] == []
        assert doc["energy_above_hull"] > before[doc["formula"]]


@pytest.mark.parametrize("family", [None, "hedrx"])
def test_a_reference_of_the_own_composition_touches_that_candidate_alone(
    chain: Chain, stores: Stores, family: str | None
) -> None:
    chain.run()
    before = energies(stores)
    double = "Li2.6Mn0.8Ti0.6O3.4F0.6"
    store_references([reference(double, -9.0, family=family)], stores)
    assert chain.run()["thermo"].written == TEMPERATURES
    assert energies(stores) == before
    doc = stores.summary.query_one({"formula": FLUORIDE})
    assert doc["excluded_references"] == [f"chgnet:added-{double}"]
    assert LOWER_POLYMORPH in doc["flags"]
    assert judged_from_scratch(chain, stores) == before
    store_references([reference(double, 9.0, family=family)], stores)
    assert chain.run()["thermo"].written == TEMPERATURES
    doc = stores.summary.query_one({"formula": FLUORIDE})
    assert LOWER_POLYMORPH not in doc["flags"]
    stores.references.remove_docs({"formula": double})
    assert chain.run()["thermo"].written == TEMPERATURES
    doc = stores.summary.query_one({"formula": FLUORIDE})
    assert doc["excluded_references"] == []
    assert energies(stores) == before


def test_a_polymorph_competes_by_option(chain: Chain, stores: Stores) -> None:
    leaving_out(chain, LeftOutReferences.OWN_PHASE)
    chain.run()
    before = energies(stores)
    store_references([reference(OXIDE, -9.0)], stores)
    chain.run()
    after = energies(stores)
    assert after[OXIDE] > before[OXIDE]
    assert after[FLUORIDE] > before[FLUORIDE]
    doc = stores.summary.query_one({"formula": OXIDE})
    assert doc["excluded_references"] == []
    assert judged_from_scratch(chain, stores) == after


def test_every_hull_version_can_be_looked_up(chain: Chain, stores: Stores) -> None:
    chain.run()
    for doc in stores.summary.query({}):
        hull = stores.hulls.query_one({"hull_version": doc["hull_version"]})
        assert hull["n_references"] == len(hull["references"])
        assert ["chgnet:fake-LiF", "LiF", -3.1] in hull["references"]


def test_a_version_nobody_knows_is_judged_again(chain: Chain, stores: Stores) -> None:
    chain.run()
    stores.hulls.remove_docs({})
    store_references([reference("Cr2NbO6", -9.0)], stores)
    assert chain.run()["thermo"].written == 2 * TEMPERATURES


def test_news_of_references_in_words() -> None:
    news = hull_news(
        {"a": ("Li", 0.0), "b": ("O2", 0.0), "c": ("LiF", -3.0)},
        {"a": ("Li", 0.0), "b": ("O", 0.0), "d": ("F2", 0.0)},
        recorrected=False,
    )
    assert news.gone == {"b": "of another composition", "c": "removed"}
    assert news.arrived == {"d"}
