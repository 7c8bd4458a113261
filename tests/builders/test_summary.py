"""A calculated cell that several candidates share is ranked and counted once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.builders.screening_builder import run_builder
from hts_battery.builders.summary import same_cells
from hts_battery.query import ScreeningDatabase

if TYPE_CHECKING:
    from conftest import Chain

    from hts_battery.connections.database.stores import Stores

NEAR, FAR = "Li1.2Mn0.4Ti0.4O2", "Li1.3Mn0.4Ti0.3O1.7F0.3"


@given(
    st.dictionaries(
        st.text("abcdef", min_size=1, max_size=3),
        st.tuples(st.sampled_from("xyz"), st.integers(0, 4)),
    )
)
def test_each_cell_has_one_candidate_that_stands_for_it(
    drawn: dict[str, tuple[str, int]],
) -> None:
    cells = {name: cell for name, (cell, _) in drawn.items()}
    far = {name: {"Li": f"{n}/20"} for name, (_, n) in drawn.items()}
    shared = same_cells(cells, far)
    own = set(cells) - set(shared)
    assert sorted(cells[name] for name in own) == sorted(set(cells.values()))
    for name, other in shared.items():
        assert cells[name] == cells[other]
        assert other in own
        assert drawn[other][1] <= drawn[name][1]


def entry_of(stores: Stores, formula: str) -> dict[str, Any]:
    candidate = stores.candidates.query_one({"formula": formula})
    entry: dict[str, Any] = stores.entries.query_one(
        {"kind": "candidate", "candidate_id": candidate["candidate_id"]}
    )
    entry.pop("_id")
    return entry


@pytest.mark.mongo
def test_of_two_candidates_in_one_cell_the_nearer_one_is_ranked(
    chain: Chain, stores: Stores
) -> None:
    chain.run()
    far, near = entry_of(stores, FAR), entry_of(stores, NEAR)
    far["deviation"] = {"Li": "-1/10", "Ti": "1/10", "O": "3/10", "F": "-3/10"}
    far["assignment"] = {
        "cation": {"Li+": "6/5", "Mn3+": "2/5", "Ti4+": "2/5"},
        "anion": {"O2-": "2"},
    }
    stores.entries.update(far, key="entry_id")
    for name in ("thermo", "summary", "summary_table"):
        run_builder(chain.make(name))
    summaries = {doc["candidate_id"]: doc for doc in stores.summary.query({})}
    shared, own = summaries[far["candidate_id"]], summaries[near["candidate_id"]]
    assert shared["same_cell_as"] == near["candidate_id"]
    assert shared["calculated_formula"] == own["formula"] == NEAR
    assert shared["deviation"] == pytest.approx(0.3)
    assert own["same_cell_as"] is None
    screening = ScreeningDatabase(stores)
    for found in (
        screening.ranking(campaign="small", temperature=0.0),
        screening.stable(temperature=0.0, threshold=9.0),
        screening.stable(temperature=0.0, threshold=9.0, limit=5),
    ):
        assert [doc["candidate_id"] for doc in found] == [near["candidate_id"]]
    assert len(list(screening.find(limit=5))) == 2
    assert len(list(screening.find("deviation > 0.1"))) == 1
    (group,) = screening.group("n-metals", temperature=0.0)
    assert group.n_candidates == 1
